"""What errors in F0 cost each method: curves over the size of one kind of error at a time.

    python -m experiments.quality.f0_errors --csd DIR [--checkpoint best.ckpt]
    python -m experiments.quality.f0_errors --figure

The F0 of the stems gets errors (`src.f0.errors`), the same ones for every method. Rows go to
f0_errors.csv one by one; those already there with the same settings are left alone. f0_errors.png
is drawn anew at the end, or by --figure alone.
"""

from __future__ import annotations

import argparse
import logging
import os
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from experiments.quality.ablation import Condition, guarded, parser_of, run_conditions
from experiments.quality.plan import Plan, read_plan, select
from experiments.quality.results import Results
from src.errors import UmssError
from src.f0.errors import F0Errors, perturb_batches
from src.reporting.figures import SI_SDR, draw_robustness

log = logging.getLogger(__name__)

KEYS = ("data", "kind", "size", "method")
SIZES: dict[str, tuple[float, ...]] = {
    "offset_hz": (1.0, 2.0, 5.0, 10.0),
    "octave_rate": (0.05, 0.1, 0.2),
    "dropped_rate": (0.1, 0.2),
    "false_rate": (0.1,),
}
NONE = ("none", 0.0)


def conditions() -> list[tuple[str, float]]:
    """(kind, size) of all errors; first none at all."""
    return [NONE, *((kind, size) for kind, sizes in SIZES.items() for size in sizes)]


def run(plan: Plan, options: argparse.Namespace) -> None:
    """Evaluate the chosen methods with all errors on one data set."""
    results = Results(options.output / "f0_errors.csv", KEYS, plan.references)
    all_ = []
    for kind, size in conditions():
        sizes = {} if kind == NONE[0] else {kind: size}
        change = partial(perturb_batches, errors=F0Errors(**sizes), seed=0)
        key, folder = {"kind": kind, "size": size}, f"{kind}-{size:g}"
        all_.append(Condition(key, folder, sizes, change) if sizes else Condition(key, folder))
    run_conditions(plan, options, results, all_, order_of(plan))


def order_of(plan: Plan) -> Callable[[dict[str, Any]], Any]:
    """Rank of a row: errors as above, methods as in the plan."""
    kinds = {kind: i for i, (kind, _) in enumerate(conditions())}
    methods = {method.name: i for i, method in enumerate(plan.methods)}

    def rank(row: dict[str, Any]) -> Any:
        return (
            row["data"],
            kinds.get(row["kind"], len(kinds)),
            row["size"],
            methods.get(row["method"], len(methods)),
        )

    return rank


def curves(rows: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Rows (kind, label, size, mean) for `draw_robustness`: every curve begins without errors.

    Raises:
        ValueError: no row has errors.
    """
    clean = {row["method"]: row["mean"] for row in rows if row["kind"] == NONE[0]}
    points = []
    for kind in SIZES:
        of_kind = [row for row in rows if row["kind"] == kind]
        for method in dict.fromkeys(row["method"] for row in of_kind):
            curve = {row["size"]: row["mean"] for row in of_kind if row["method"] == method}
            if method in clean:
                curve[0.0] = clean[method]
            points += [
                {"kind": kind, "label": method, "size": size, "mean": curve[size]}
                for size in sorted(curve)
            ]
    if not points:
        raise UmssError("there are no results with errors in F0 yet; evaluate first")
    return pd.DataFrame(points)


def figure_of(plan: Plan, rows: Sequence[Mapping[str, Any]], data: str) -> Figure:
    """Mean SI-SDR of every method over the errors, on one data set.

    Raises:
        ValueError: an unknown data set, or one without results.
    """
    (entry,) = select(plan.data, [data], "--data")
    table = curves([row for row in rows if row["data"] == data])
    return draw_robustness(table, title=f"Errors in F0: {entry.title}", axis=SI_SDR)


def draw(plan: Plan, options: argparse.Namespace) -> None:
    """Write f0_errors.png, complete or not at all."""
    rows = Results(options.output / "f0_errors.csv", KEYS, plan.references).rows
    path: Path = options.output / "f0_errors.png"
    figure = figure_of(plan, rows, options.data)
    temporary = path.with_name(f".{path.name}.tmp")
    # Without the version of the library, the same curves are the same file.
    figure.savefig(temporary, format="png", metadata={"Software": None})
    os.replace(temporary, path)
    log.info("wrote %s", path)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = parser_of((__doc__ or "").splitlines()[0])
    parser.add_argument("--data", default="nd12j4-stems", metavar="NAME", help="one data set")
    parser.add_argument("--figure", action="store_true", help="only draw f0_errors.png")
    options = parser.parse_args(arguments)

    def program() -> None:
        plan = read_plan(options.plan)
        if not options.figure:
            run(plan, options)
        draw(plan, options)

    guarded(program)


if __name__ == "__main__":
    main()
