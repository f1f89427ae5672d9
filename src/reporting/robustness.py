"""Tabulates scores over the size of every kind of error in F0."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pandas as pd

from ..metrics.tables import EvaluationTable
from .content import ERROR_KINDS, Group, list_error_sizes
from .scores import compute_statistics

LENGTHS = {
    "octave_rate": "octave_seconds",
    "swap_rate": "swap_seconds",
    "dropped_rate": "voicing_seconds",
    "false_rate": "voicing_seconds",
}
"""Kinds whose errors come in stretches, and the field that says how long these are."""


def tabulate_robustness(group: Group, metric: str = "si_sdr") -> pd.DataFrame:
    """Tabulate the scores of every method over the size of one kind of error at a time.

    The evaluation of the same name without errors gives size 0, with the seeds of the evaluations
    with errors (all seeds if it lacks those). Each length of stretches gives its own curve, whose
    label names the length.

    Args:
        group: evaluations of one number of singers.
        metric: column.

    Returns:
        Rows (method, kind, stretch_seconds, label, size, n_frames, mean, median, q25, q75, loss),
        by kind, label and size; loss: mean at size 0 minus mean, NaN without a size 0. Empty if no
        evaluation has one kind of error.
    """
    points = list(_list_points(group, metric))
    if not points:
        return pd.DataFrame()
    table = pd.DataFrame(points)
    for _, of_kind in table.groupby("kind"):
        if of_kind["stretch_seconds"].nunique() > 1:
            lengths = of_kind["stretch_seconds"].map("{:g} s".format)
            table.loc[of_kind.index, "label"] = of_kind["method"] + ", " + lengths
    zeros = []
    for (_, label), curve in table.groupby(["kind", "label"], sort=False):
        clean = group.methods.get(curve["method"].iloc[0])
        if clean is not None:
            seeds = set().union(*curve["seeds"])
            fixed = {k: curve[k].iloc[0] for k in ("method", "kind", "stretch_seconds")}
            zeros.append(
                {**fixed, "label": label, "size": 0.0, **_list_scores(clean, metric, seeds=seeds)}
            )
    table = pd.concat([table, pd.DataFrame(zeros)], ignore_index=True).drop(columns="seeds")
    zero = table[table["size"] == 0].set_index(["kind", "label"])["mean"]
    keys = pd.MultiIndex.from_frame(table[["kind", "label"]])
    table["loss"] = zero.reindex(keys).to_numpy(dtype=float) - table["mean"]
    ranks = {
        "kind": {kind: i for i, kind in enumerate(ERROR_KINDS)},
        "label": {k: i for i, k in enumerate(dict.fromkeys(table["label"]))},
    }

    def rank(column: pd.Series) -> pd.Series:
        return column.map(ranks[column.name]) if column.name in ranks else column

    return table.sort_values(["kind", "label", "size"], key=rank, ignore_index=True)


def find_combined_errors(group: Group, metric: str = "si_sdr") -> pd.DataFrame:
    """Find evaluations with several kinds of errors at once, which fit on no curve.

    Returns:
        Rows (method, errors in words, n_frames, mean, median, q25, q75).
    """
    rows = []
    for table in group.disturbed:
        sizes = list_error_sizes(table)
        if len(sizes) > 1:
            words = ", ".join(f"{kind} {size:g}" for kind, size in sizes.items())
            rows.append({"method": table.name, "errors": words, **_list_scores(table, metric)})
    return pd.DataFrame(rows)


def _list_points(group: Group, metric: str) -> Iterator[dict[str, Any]]:
    for table in group.disturbed:
        sizes = list_error_sizes(table)
        if len(sizes) == 1:
            kind, size = next(iter(sizes.items()))
            length = table.f0_errors.get(LENGTHS.get(kind, ""), float("nan"))
            yield {
                "method": table.name,
                "kind": kind,
                "stretch_seconds": float(length),
                "label": table.name,
                "size": size,
                **_list_scores(table, metric),
                "seeds": set(table.frames["seed"]),
            }


def _list_scores(
    table: EvaluationTable, metric: str, seeds: set[int] | None = None
) -> dict[str, Any]:
    frames = table.frames
    if seeds is not None:
        of_seeds = frames[frames["seed"].isin(seeds)]
        frames = frames if of_seeds.empty else of_seeds
    return compute_statistics(frames.loc[frames["kept"], metric])
