"""Collect the summaries of `run.sh` into results.json and RESULTS.md.

    python -m experiments.f0.table outputs/f0

Reads DIR/DATA/METHOD/summary.json, as written by `python -m src.evaluate_f0`. What each column
means: `src.metrics.f0`.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from src.files import write_json, write_text

HERE = Path(__file__).parent
# Methods and data sets come in this order, others after them by name.
METHODS = ("stems", "cached", "published", "voas", "cuesta", "default")
DATA = ("nino_dios-j4", "nino_dios-j2", "choralsynth-j4", "generated-j4")
NAMES = {
    "stems": "F0 of the stems",
    "cached": "published tracks, as released",
    "published": "published pipeline (Cuesta, heuristic)",
    "voas": "Cuesta, VOAS",
    "cuesta": "Cuesta, our tracker",
    "default": "**default**",
}
MULTIPITCH = {"precision": "P", "recall": "R", "f_measure": "F"}
OVERALL = {
    "raw_pitch_accuracy": "raw pitch",
    "raw_chroma_accuracy": "raw chroma",
    "overall_accuracy": "overall",
    "voicing_recall": "recall",
    "voicing_false_alarm": "false alarm",
    "raw_pitch_accuracy_20": "20 cents",
}
Results = dict[str, dict[str, dict[str, Any]]]


def collect(folder: Path) -> Results:
    """{data set: {method: summary}} of all evaluations below a folder.

    Raises:
        FileNotFoundError: there are none.
    """
    results: Results = {}
    for path in sorted(folder.glob("*/*/summary.json")):
        summary = json.loads(path.read_text(encoding="utf-8"))
        results.setdefault(path.parents[1].name, {})[path.parent.name] = summary
    if not results:
        raise FileNotFoundError(f"{folder}: no DATA/METHOD/summary.json in it; run run.sh first")
    return {
        data: dict(sorted(results[data].items(), key=lambda entry: _rank(entry[0], METHODS)))
        for data in sorted(results, key=lambda name: _rank(name, DATA))
    }


def markdown(results: Results) -> str:
    """Two tables per data set: all voices together with what it is worth, and every voice."""
    parts = [
        "# F0 from mixtures\n\nWritten by `experiments/f0/table.py` from `results.json`; commands "
        "in `run.sh`, definitions in `src/metrics/f0.py` (mir_eval, 50 cents, all frames; truth: "
        "F0 of the isolated stems, exact for the generated choir). Means over mixtures. Comb: mean "
        "SI-SDR in dB of the comb separator with these tracks, and its distance to the comb with "
        "the true F0. Time: share of the recording's length.\n"
    ]
    for data, methods in results.items():
        first = next(iter(methods.values()))
        parts.append(
            f"## {data}\n\n{first['mixtures']} mixtures of {first['n_singers']} singers, "
            f"{first['seconds'] / 60:.0f} min; truth: {first['reference']}.\n"
        )
        rows = [
            [
                _name(method),
                *_numbers(s["multipitch"], MULTIPITCH),
                *_numbers(s["overall"], OVERALL),
                _comb(s["comb"]),
                _number(s["real_time_factor"], 2),
            ]
            for method, s in methods.items()
        ]
        heads = [*MULTIPITCH.values(), *OVERALL.values()]
        parts.append(_table(["method", *heads, "comb", "time"], rows))
        voices = list(first["voices"])
        heads = [f"{voice} {what}" for what in ("raw pitch", "overall") for voice in voices]
        rows = [
            [
                _name(method),
                *(
                    _number(s["voices"].get(voice, {}).get(score))
                    for score in ("raw_pitch_accuracy", "overall_accuracy")
                    for voice in voices
                ),
            ]
            for method, s in methods.items()
        ]
        parts.append(_table(["method", *heads], rows))
    return "\n".join(parts)


def _rank(name: str, order: tuple[str, ...]) -> tuple[int, str]:
    return (order.index(name) if name in order else len(order), name)


def _name(method: str) -> str:
    whole, _, part = method.partition("-")
    return NAMES.get(method) or f"{whole}, {part.replace('_', ' ')}"


def _number(value: float | None, digits: int = 3) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def _numbers(scores: dict[str, float | None], columns: dict[str, str]) -> list[str]:
    return [_number(scores[name]) for name in columns]


def _comb(comb: dict[str, Any] | None) -> str:
    if comb is None:
        return "-"
    mean, best = comb["estimated"]["mean"], comb["reference"]["mean"]
    return "-" if mean is None else f"{mean:.2f} ({mean - best:+.2f})"


def _table(header: list[str], rows: list[list[str]]) -> str:
    rule = ["---"] + ["---:"] * (len(header) - 1)
    return "".join(f"| {' | '.join(row)} |\n" for row in [header, rule, *rows])


def main() -> None:
    if len(sys.argv) != 2:
        sys.exit("usage: python -m experiments.f0.table DIR")
    try:
        results = collect(Path(sys.argv[1]))
    except FileNotFoundError as error:
        sys.exit(f"error: {error}")
    write_json(HERE / "results.json", _without_paths(results))
    write_text(HERE / "RESULTS.md", markdown(results))


def _without_paths(results: Results) -> Results:
    """The results without the estimators' settings, which hold folders of this machine.

    What differs between the methods is in run.sh.
    """
    return {
        data: {
            method: {k: v for k, v in summary.items() if k != "multif0"}
            for method, summary in methods.items()
        }
        for data, methods in results.items()
    }


if __name__ == "__main__":
    main()
