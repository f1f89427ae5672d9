"""From nothing to separated singers: `make demo`, or `python -m src.demo`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import hydra
import jinja2
import numpy as np
from hydra.core.hydra_config import HydraConfig
from hydra.utils import instantiate
from numpy.typing import NDArray
from omegaconf import DictConfig
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from src.audio import load_audio, load_mono, write_wav_atomic
from src.baselines.masks import CombSeparator, MixtureSeparator, OracleSeparator
from src.cli import entry_point
from src.data.datamodule import MixtureDataModule
from src.data.prepared import F0Kind, PreparedSong
from src.f0.contours import HOP, RATE, F0Contours, write_csv
from src.files import write_text
from src.metrics.evaluation import evaluate, summarise
from src.models.umss import UmssSeparator
from src.plots import save_figure, spectrogram_figure
from src.separate import read_contours, separate_file
from src.separator import Separator
from src.train import train

# Peak below which a residual is rounding, not sound: -90 dB of full scale.
INAUDIBLE = 10 ** (-90 / 20)


@dataclass(frozen=True)
class Example:
    """One separated recording: files relative to the demo's folder, and what they are."""

    title: str
    mixture: Path
    stems: dict[str, Path]
    pictures: dict[str, Path]


def evaluate_all(data: MixtureDataModule, methods: dict[str, Separator]) -> dict[str, Any]:
    """Summaries of all methods on the held-out mixtures, noise seed 0."""
    return {
        name: summarise(evaluate(method, data.test_dataloader(), seeds=[0], bss=False))
        for name, method in methods.items()
    }


def table_of(results: dict[str, Any]) -> Table:
    """SI-SDR of all methods, overall and per voice."""
    voices = list(next(iter(results.values()))["si_sdr"]["voices"])
    table = Table(title="SI-SDR in dB on held-out mixtures (more is better)")
    table.add_column("method")
    for column in ("mean", "median", *voices):
        table.add_column(column, justify="right")
    for name, result in results.items():
        scores = result["si_sdr"]
        means = [scores["voices"][voice]["mean"] for voice in voices]
        row = [f"{v:.2f}" for v in (scores["mean"], scores["median"], *means)]
        table.add_row(name, *row)
    return table


def held_out_recording(song: PreparedSong, kind: F0Kind, folder: Path) -> tuple[Path, F0Contours]:
    """Write a song's mixture as a recording with its F0 file, as a user would have them."""
    stems = np.stack([song.audio(key) for key in song.keys])
    mix = stems.sum(axis=0)
    f0: NDArray[np.float32] = song.f0(song.keys, kind)
    contours = F0Contours.on_grid(f0, tuple(part for part, _ in song.keys))
    path = folder / f"{song.name}.wav"
    write_wav_atomic(path, mix / np.abs(mix).max(), RATE, overwrite=True)
    write_csv(path.with_suffix(".csv"), contours, overwrite=True)
    return path, contours


def separate_example(
    title: str, path: Path, contours: F0Contours, separator: Separator, folder: Path
) -> Example:
    """Separate a recording and draw a picture of every stem."""
    files = separate_file(path, contours, separator, folder, overwrite=True)
    stems = {name: file for name, file in files.items() if name != "parameters"}
    if np.abs(load_mono(stems["residual"], RATE)).max() < INAUDIBLE:
        del stems["residual"]
    pictures = {}
    for name, file in {"mixture": path, **stems}.items():
        audio = load_mono(file, RATE)
        frames = contours.to_frames(-(-len(audio) // HOP)).T
        own = contours.names.index(name) if name in contours.names else None
        shown = frames if own is None else frames[own : own + 1]
        names = contours.names if own is None else (name,)
        if name == "residual":
            shown = shown[:0]
        figure = spectrogram_figure(
            audio, RATE, shown if len(shown) else None, names=names, title=f"{path.stem}: {name}"
        )
        pictures[name] = folder / f"{path.stem}_{name}.png"
        save_figure(pictures[name], figure, overwrite=True)
    return Example(title, path, stems, pictures)


def user_recording(cfg: DictConfig) -> tuple[Path, F0Contours] | None:
    """The user's own recording and its F0 tracks, read before anything else takes time.

    Raises:
        ValueError: the recording or its F0 file is missing or cannot be used.
    """
    if cfg.input is None:
        return None
    path = Path(cfg.input)
    f0_path = Path(cfg.f0) if cfg.f0 is not None else path.with_suffix(".csv")
    if not f0_path.is_file():
        raise ValueError(
            f"{path} needs the F0 tracks of its singers, and there is no {f0_path}; put a CSV file "
            "with the columns time, soprano, alto, ... there, or name one in UMSS_DEMO_F0"
        )
    load_audio(path)
    return path, read_contours(f0_path)


def write_page(path: Path, examples: list[Example], results: dict[str, Any]) -> None:
    """An HTML page with the table, players and pictures."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"), autoescape=True
    )

    def relative(file: Path) -> str:
        base = path.parent.resolve()
        resolved = file.resolve()
        return (
            resolved.relative_to(base).as_posix()
            if base in resolved.parents
            else (resolved.as_uri())
        )

    environment.filters["relative"] = relative
    page = environment.get_template("demo.html.j2").render(examples=examples, results=results)
    write_text(path, page)


@hydra.main(version_base="1.3", config_path="../conf", config_name="demo")
@entry_point
def main(cfg: DictConfig) -> None:
    console = Console()
    output = Path(HydraConfig.get().runtime.output_dir)
    try:
        own = user_recording(cfg)
    except ValueError as error:
        own = None
        console.print(f"[bold]Your recording is left out:[/bold] {escape(str(error))}")
    console.rule("1/4  Generate a choir and train on its mixtures")
    console.print(
        f"The singing of the chorales takes under a minute, the training {cfg.trainer.max_time} "
        "(days:hours:minutes:seconds). No stem is used in training."
    )
    best = train(cfg, output)["best_checkpoint"]

    console.rule("2/4  Evaluate on held-out chorales")
    data: MixtureDataModule = instantiate(cfg.data, _convert_="all")
    prepared = data.prepare("test")
    data.setup("test")
    separator = UmssSeparator(best, mask="magnitude")
    results = evaluate_all(
        data,
        {
            "mixture (lower bound)": MixtureSeparator(),
            "comb (F0 only)": CombSeparator(),
            "trained model": separator,
            "oracle (upper bound)": OracleSeparator(),
        },
    )
    console.print(table_of(results))

    console.rule("3/4  Separate")
    song = prepared.song(data.song_split(data.build_reader()).test[0])
    recording, contours = held_out_recording(song, data.f0, output / "held_out")
    examples = [
        separate_example("A held-out chorale", recording, contours, separator, output / "held_out")
    ]
    if own is not None:
        examples.append(
            separate_example("Your recording", *own, separator, output / "your_recording")
        )
    for example in examples:
        for file in (*example.stems.values(), *example.pictures.values()):
            console.print(f"wrote {file}", soft_wrap=True, highlight=False)

    console.rule("4/4  A page to listen to")
    page = output / "index.html"
    write_page(page, examples, results)
    console.print(f"Open {page.resolve()} in a browser.", soft_wrap=True, highlight=False)


if __name__ == "__main__":
    main()
