"""Every choice behind the separators, measured: methods on data sets, compared frame by frame.

    python -m experiments.quality.ablation --csd DIR --choralsynth DIR [--checkpoint best.ckpt]
    python -m experiments.quality.ablation --csd DIR --data nd12j4-cached --methods comb 'fit*'
    python -m experiments.quality.ablation --table

Data sets and methods stand in ablation.yaml. Rows go to results.csv one by one; those already there
with the same settings are left alone. --table writes RESULTS.md from results.csv.
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any

import pandas as pd

from experiments.quality.plan import HERE, PLAN, Evaluations, Method, Plan, read_plan, select
from experiments.quality.results import (
    Results,
    markdown_table,
    number,
    scores,
    with_interval,
)
from src.files import write_text
from src.messages import user_message
from src.metrics.evaluation import evaluate
from src.metrics.speed import Stopwatch

log = logging.getLogger(__name__)

KEYS = ("data", "method")
# Methods of the experiments with errors in F0 and with reverberation.
UNDER_CONDITIONS = ("comb", "comb-power", "fit", "fit-alone", "umss-power", "umss_fit")
Batches = Iterable[dict[str, Any]]


@dataclass(frozen=True)
class Row:
    """One evaluation to be done.

    Attributes:
        key: what names its row, the method included.
        folder: of the frames, below that of all frames.
        errors: errors in F0, for the digest.
        change: what is done to the batches.
    """

    key: Mapping[str, Any]
    folder: str
    errors: Mapping[str, float] = field(default_factory=dict)
    change: Callable[[Batches], Batches] = lambda batches: batches


@dataclass(frozen=True)
class Condition:
    """Something that is done to all mixtures of a data set.

    Attributes:
        key: what names its rows, besides data set and method.
        folder: of the frames, after the names of table and data set.
        errors, change: see `Row`.
    """

    key: Mapping[str, Any]
    folder: str
    errors: Mapping[str, float] = field(default_factory=dict)
    change: Callable[[Batches], Batches] = lambda batches: batches


def evaluate_row(
    evaluations: Evaluations,
    method: Method,
    row: Row,
    results: Results,
    frames: Path,
    *,
    again: bool = False,
) -> bool:
    """Evaluate one method, unless that is done, and compare it with the references.

    Returns:
        Whether it was evaluated.
    """
    name = f"{row.folder}, {method.name}"
    if method.checkpoint and evaluations.checkpoint is None:
        log.info("%s: skipped, it needs --checkpoint FILE", name)
        return False
    digest = evaluations.digest(method, row.errors)
    old = results.find(**row.key)
    if old is not None and not again:
        if old["digest"] == digest:
            log.info("%s: done already; --again to evaluate again", name)
            return False
        log.info("%s: was evaluated with other settings", name)
    separator = evaluations.separator(method)
    stopwatch = Stopwatch(str(separator.device))
    table = evaluate(
        separator,
        row.change(evaluations.loader),
        seeds=evaluations.seeds,
        stopwatch=stopwatch,
    )
    write_text(frames / row.folder / f"{method.name}.csv", table.to_csv(index=False))
    new = {**row.key, **scores(table, stopwatch.summarise()), "digest": digest}
    results.put(new)

    def frames_of(other: str) -> pd.DataFrame | None:
        path = frames / row.folder / f"{other}.csv"
        return pd.read_csv(path) if path.exists() else None

    results.compare(new, frames_of, lambda text: log.warning("%s: %s", row.folder, text))
    log.info("%s: %.2f dB, %.3f s per second", name, new["mean"], new["rtf"])
    return True


def run(plan: Plan, options: argparse.Namespace) -> None:
    """Evaluate the chosen methods on the chosen data sets."""
    data = select(plan.data, options.data, "--data")
    methods = select(plan.methods, options.methods, "--methods")
    results = Results(options.output / "results.csv", KEYS, plan.references)
    order = order_of(plan)
    # All of them first: a folder that is not there should end this now, not after hours.
    opened = [
        Evaluations(entry, plan.common, roots_of(options), options.checkpoint) for entry in data
    ]
    for evaluations in opened:
        for method in methods:
            key = {"data": evaluations.entry.name, "method": method.name}
            row = Row(key, evaluations.entry.name)
            if evaluate_row(evaluations, method, row, results, options.frames, again=options.again):
                results.write(order)


def run_conditions(
    plan: Plan,
    options: argparse.Namespace,
    results: Results,
    conditions: Iterable[Condition],
    order: Callable[[dict[str, Any]], Any],
) -> None:
    """Evaluate the chosen methods, or the usual ones, under all conditions on one data set."""
    (entry,) = select(plan.data, [options.data], "--data")
    chosen = select(plan.methods, options.methods or UNDER_CONDITIONS, "--methods")
    evaluations = Evaluations(entry, plan.common, roots_of(options), options.checkpoint)
    for condition in conditions:
        folder = f"{results.path.stem}-{entry.name}-{condition.folder}"
        for method in chosen:
            key = {"data": entry.name, **condition.key, "method": method.name}
            row = Row(key, folder, condition.errors, condition.change)
            if evaluate_row(evaluations, method, row, results, options.frames, again=options.again):
                results.write(order)


def roots_of(options: argparse.Namespace) -> dict[str, str | None]:
    """Folders of the data sets."""
    return {"csd": options.csd, "choralsynth": options.choralsynth}


def order_of(plan: Plan) -> Callable[[dict[str, Any]], Any]:
    """Rank of a row: as in the plan; what is no longer there comes last."""
    names = ([entry.name for entry in plan.data], [method.name for method in plan.methods])
    ranks = [{name: i for i, name in enumerate(known)} for known in names]

    def rank(row: dict[str, Any]) -> Any:
        return [
            (found.get(row[key], len(found)), row[key])
            for key, found in zip(KEYS, ranks, strict=True)
        ]

    return rank


def markdown(plan: Plan, rows: Sequence[Mapping[str, Any]], path: Path = PLAN) -> str:
    """One table per data set, methods below their headings; the plan was read from `path`."""
    by_key = {(row["data"], row["method"]): dict(row) for row in rows}
    references = [m.name for m in select(plan.methods, plan.references, "references")]
    parts = [
        "# What every choice is worth\n\nWritten by `python -m experiments.quality.ablation "
        f"--table` from `results.csv`; what the names mean: `{path.name}`. SI-SDR in dB over "
        "one-second frames that are not silent (protocol of `src.evaluate`). In brackets: paired "
        "95 % interval of the mean difference, by Student's t over excerpts; excerpts at the same "
        "time of the same song count as one (`results.py`). Time: seconds that the separator takes "
        "per second of mixture, without the estimation of the F0 tracks that it is given; CPU: the "
        "same in processor time, over all threads. Runs: how often the row has been evaluated.\n"
    ]
    for data in plan.data:
        found = [
            (m, by_key[data.name, m.name]) for m in plan.methods if (data.name, m.name) in by_key
        ]
        if not found:
            continue
        first = found[0][1]
        some = f"; one of every {data.every} excerpts" if data.every > 1 else ""
        parts.append(
            f"## {data.title}\n\n`{data.name}`, for {data.use}; {first['n_frames']:.0f} frames, "
            f"{first['n_units']:.0f} excerpts' times{some}.\n"
        )
        lines: list[list[str]] = []
        header = [
            "method",
            "mean",
            "median",
            *(f"minus {r}" for r in references),
            "time",
            "CPU",
            "runs",
        ]
        for group, entries in groupby(found, key=lambda pair: pair[0].group):
            lines.append([f"**{group}**", *[""] * (len(header) - 1)])
            lines += [
                [
                    method.name,
                    number(row["mean"]),
                    number(row["median"]),
                    *(with_interval(row, reference) for reference in references),
                    number(row["rtf"], 3),
                    number(row["cpu_rtf"], 3),
                    number(row["runs"], 0),
                ]
                for method, row in entries
            ]
        parts.append(markdown_table(header, lines))
    return "\n".join(parts)


def parser_of(description: str, output: Path = HERE) -> argparse.ArgumentParser:
    """Options that the programs of this folder share."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--csd", metavar="DIR", help="Choral Singing Dataset, Niño Dios")
    parser.add_argument("--choralsynth", metavar="DIR")
    parser.add_argument("--checkpoint", type=Path, metavar="FILE", help="for umss and umss_fit")
    parser.add_argument("--methods", nargs="+", metavar="NAME", help="or patterns, as 'fit*'")
    parser.add_argument("--again", action="store_true", help="also what is done already")
    parser.add_argument("--plan", type=Path, default=PLAN)
    parser.add_argument("--output", type=Path, default=output, metavar="DIR")
    parser.add_argument(
        "--frames", type=Path, default=Path("outputs/quality"), metavar="DIR",
        help="scores of all frames, for comparisons with methods evaluated later",
    )  # fmt: skip
    return parser


def guarded(program: Callable[[], None]) -> None:
    """Run a program; a user's mistake ends in one message."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
    try:
        program()
    except Exception as error:
        message = user_message(error)
        if message is None:
            raise
        sys.exit(f"error: {message}")


def main(arguments: Sequence[str] | None = None) -> None:
    parser = parser_of((__doc__ or "").splitlines()[0])
    parser.add_argument("--data", nargs="+", metavar="NAME", help="data sets, or patterns")
    parser.add_argument("--table", action="store_true", help="only write RESULTS.md")
    options = parser.parse_args(arguments)

    def program() -> None:
        plan = read_plan(options.plan)
        if options.table:
            rows = Results(options.output / "results.csv", KEYS, plan.references).rows
            if not rows:
                raise FileNotFoundError(f"{options.output}: no results.csv; evaluate first")
            write_text(options.output / "RESULTS.md", markdown(plan, rows, options.plan))
            return
        run(plan, options)

    guarded(program)


if __name__ == "__main__":
    main()
