"""Tables and figures of the benchmarks: `python -m experiments.bench.report`.

Reads the JSON files of this folder; writes README.md and figures/*.png beside them.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from experiments.bench import tables
from experiments.bench.cases import HERE
from experiments.bench.figures import FIGURES, base_of, describe
from src.errors import UmssError
from src.files import write_text
from src.plots import save_figure

Results = dict[str, Any]
NAMES = ("training_step", "data", "separation", "f0", "nmf", "hpss", "bss")
HEAD = """# Benchmarks

Made by `python -m experiments.bench.report` from the JSON files of this folder; `make bench`
measures them anew and writes this page. Every case runs in a process of its own. Times are medians
after a warm-up, quartiles in brackets where there were repeats; peak memory is the largest resident
memory of the process, libraries included, in units of 10⁹ bytes. `make bench-guard` compares the
step's ratios to the literal form and to the network alone with those stored in `guard.json`.
"""
SECTIONS: dict[str, tuple[str, str, Callable[[Results], str]]] = {
    "separation": (
        "Separation",
        "From file to files, at 16 kHz, mono; initial weights.",
        tables.separation_table,
    ),
    "f0": ("F0 estimation", "A chorale of the generated choir, repeated.", tables.f0_table),
    "data": (
        "Data loading",
        "Prepared songs in memory-mapped files; the training step runs in the same process.",
        tables.data_table,
    ),
    "nmf": ("NMF", "", tables.nmf_table),
    "hpss": ("Harmonic-percussive decomposition", "", tables.hpss_table),
    "bss": ("BSS Eval", "Four seconds of audio.", tables.bss_table),
}


def read(folder: Path) -> dict[str, Results]:
    """The results that are there.

    Raises:
        ValueError: a file of another format.
    """
    found: dict[str, Results] = {}
    for name in NAMES:
        path = folder / f"{name}.json"
        if not path.is_file():
            continue
        content = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(content.get("machine"), dict) or "cases" not in content:
            raise UmssError(
                f"{path}: not written by these benchmarks; run `python -m experiments.bench.{name}`"
            )
        found[name] = content
    return found


def machine_line(results: Results) -> str:
    """What a section was measured on."""
    facts = results["machine"]
    settings = ", ".join(
        value if name == "library" else f"{name}={value}"
        for name, value in facts["allocator"].items()
    )
    words = [facts["cpu"], f"{facts['cores']} cores", facts["system"], f"PyTorch {facts['torch']}"]
    words.append(f"memory from {settings}")
    if "load_average_before" in facts:
        words.append(f"load average {facts['load_average_before']:g} before the run")
    threads = sorted({case["threads"] for case in results["cases"]})
    words.append(f"threads {', '.join(map(str, threads))}")
    return f"*{'; '.join(words)}*"


def training_section(results: Results, drawn: list[str]) -> str:
    """Everything about the training step."""
    base = base_of(results)
    pictures = "\n\n".join(f"![{FIGURES[n][0]}](figures/step_{n}.png)" for n in drawn)
    blocks = [
        "## Training step",
        machine_line(results),
        "Forward, loss, backward and optimiser; F0 tracks differ between excerpts, 15 % of their "
        f"frames are unvoiced. From {describe(base)}, one factor at a time.",
        tables.steps_table(results),
        "### Straight lines",
        f"Through medians over the singers and over the length, else {describe(base)}.",
        tables.fits_table(results),
    ]
    if "parts" in results["parts"]:
        blocks += [
            "### Parts",
            f"Each alone, at {describe(base)}; the whole step takes "
            f"{results['parts']['step_s']:.2f} s. Alone, parts find their inputs in other states "
            "of the caches, so that they need not sum to the step.",
            tables.parts_table(results),
        ]
    return "\n\n".join([*blocks, pictures])


def draw(results: Results, folder: Path) -> list[str]:
    """Write the figures that the results suffice for; their names."""
    drawn = []
    for name, (_, figure) in FIGURES.items():
        if name == "parts" and "parts" not in results["parts"]:
            continue
        try:
            picture = figure(results)
        except ValueError as error:
            print(f"no figure of {name}: {error}")
            continue
        save_figure(folder / f"step_{name}.png", picture, overwrite=True)
        drawn.append(name)
    return drawn


def write(folder: Path, output: Path) -> None:
    """Write README.md and the figures.

    Raises:
        FileNotFoundError: no results at all.
    """
    results = read(folder)
    if not results:
        raise FileNotFoundError(f"{folder}: holds no results; run `make bench` first")
    training, separation = results.get("training_step"), results.get("separation")
    blocks = [HEAD]
    if training or separation:
        blocks += ["## Marks", tables.marks(training, separation)]
    if training:
        blocks.append(training_section(training, draw(training, output / "figures")))
    for name, (title, text, table) in SECTIONS.items():
        if name in results:
            block = [f"## {title}", machine_line(results[name]), text, table(results[name])]
            blocks.append("\n\n".join(filter(None, block)))
    failed = [
        f"- {case['error']}"
        for found in results.values()
        for case in found["cases"]
        if "error" in case
    ]
    if failed:
        blocks.append("\n".join(["## Without a result\n", *failed]))
    write_text(output / "README.md", "\n\n".join(block.strip() for block in blocks) + "\n")
    print(f"wrote {output / 'README.md'}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--results", type=Path, default=HERE)
    parser.add_argument("--output", type=Path, default=HERE)
    options = parser.parse_args()
    write(options.results, options.output)


if __name__ == "__main__":
    main()
