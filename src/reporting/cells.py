"""Formats numbers and matrices of numbers for tables."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from .content import Grid

NOTHING = "\u2013"
"""An en dash stands where there is no number."""
MINUS = "\u2212"


def format_number(value: float | None, digits: int = 2) -> str:
    """Format a number for a table; a dash if it is missing."""
    if value is None or math.isnan(value):
        return NOTHING
    text = f"{value:.{digits}f}"
    return f"{0:.{digits}f}" if float(text) == 0 else text.replace("-", MINUS)  # no minus zero


def format_probability(p: float) -> str:
    """Format a p-value for a table; the smallest ones by their order of magnitude."""
    if math.isnan(p):
        return NOTHING
    if p >= 0.001:
        return f"{p:.3f}"
    if p < 1e-99:
        return f"<1e{MINUS}99"
    return f"{p:.0e}".replace("e-0", "e-").replace("-", MINUS)


def cross(
    stem: str,
    caption: str,
    table: pd.DataFrame,
    index: str,
    columns: str,
    *,
    order: Sequence[str] | None = None,
    data: pd.DataFrame | None = None,
) -> Grid:
    """Cross two columns of a long table to a matrix of means, with medians in brackets.

    Args:
        stem: name of the CSV file without ending, see `src.reporting.content.Grid`.
        caption: sentence above the table.
        table: rows with mean and median.
        index: column whose values become rows.
        columns: column whose values become columns.
        order: order of these values; default: as they appear.
        data: content of the CSV file; default: `table`.
    """
    across = list(dict.fromkeys(table[columns])) if order is None else list(order)
    cells = {
        (row[index], row[columns]): f"{format_number(row['mean'])} ({format_number(row['median'])})"
        for row in table.to_dict("records")
    }
    rows = [
        [str(name), *(cells.get((name, column), NOTHING) for column in across)]
        for name in dict.fromkeys(table[index])
    ]
    header = [index, *map(str, across)]
    return Grid(stem, caption, header, rows, table if data is None else data)


def select_kept_values(frames: pd.DataFrame, metric: str) -> NDArray[np.float64]:
    """Select the values of a metric in the kept frames that have one."""
    return frames.loc[frames["kept"], metric].dropna().to_numpy(dtype=np.float64)


def format_interval(low: float, high: float) -> str:
    """Format the two ends of a range; a dash if they are missing."""
    return (
        NOTHING
        if np.isnan(low) or np.isnan(high)
        else f"{format_number(low)} … {format_number(high)}"
    )


def collect_notes(table: pd.DataFrame, names: list[str]) -> list[str]:
    """Collect the notes of a statistics table in one paragraph; an empty list without notes."""
    noted = [row for row in table.to_dict("records") if row.get("note")]
    lines = [f"{' and '.join(row[name] for name in names)}: {row['note']}" for row in noted]
    return [f"Not computed: {'; '.join(lines)}."] if lines else []
