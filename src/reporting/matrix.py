"""Draws matrices of p-values between methods (paper, Fig. 5)."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import BoundaryNorm, ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from .cells import NOTHING
from .figures import FONT, SMALL_FONT, WIDTH, build_figure, make_label

STEPS = (0.0, 1e-4, 1e-3, 0.01, 0.05, 1.0)
"""Boundaries of the colours."""
# Dark blue to light blue below 0.05, and orange above: told apart with any colour vision.
SHADES = ("#08457E", "#3C83BD", "#8DBBDE", "#D3E5F3", "#F5B971")
MISSING = "#EEEEEE"
CELL, NARROWEST = 0.62, 4.2
"""Inches of a cell's side, and of the narrowest figure."""


def format_cell(p: float) -> str:
    """Format a p-value briefly: two or three decimals, or its order of magnitude."""
    if math.isnan(p):
        return NOTHING
    if p >= 0.0995:
        return f"{p:.2f}"
    if p >= 0.00095:
        return f"{p:.3f}"
    if p < 1e-99:
        return "<1e-99"
    # Rounded up: what is printed is never smaller than p.
    return f"<1e{math.floor(math.log10(p)) + 1}"


def draw_p_values(
    pairs: pd.DataFrame, names: Sequence[str], *, column: str, title: str, letters: bool = False
) -> Figure:
    """Draw the p-values of all pairs of methods, as the triangle below the diagonal.

    Args:
        pairs: see `src.metrics.stats.compare`.
        names: all methods in order, at least two.
        column: column of the p-values.
        title: title of the figure.
        letters: mark Student's t-test with S and Welch's with W.
    """
    size = len(names) - 1
    side = size * min(CELL, (WIDTH - 1.6) / size)
    longest = max(len(make_label(name)) for name in names) * 0.6 * SMALL_FONT / 72
    columns = 5 if side > 5 else 3
    width = max(side + longest + 0.4, NARROWEST)
    figure = build_figure(width, side + 0.65 * longest + (1.1 if columns == 5 else 1.4))
    axes = figure.add_subplot()
    tests = pairs["test"].map({"Student": "S", "Welch": "W"}).fillna("")
    _build_matrix(axes, pairs, names, column, list(tests) if letters else [""] * len(pairs))
    axes.set_title(title, fontsize=FONT)
    labels = [f"p < {step:g}" for step in STEPS[1:-1]] + [f"p ≥ {STEPS[-2]:g}"]
    figure.legend(
        handles=[Patch(facecolor=c, label=t) for c, t in zip(SHADES, labels, strict=True)],
        loc="outside lower center", ncols=columns, frameon=False, fontsize=SMALL_FONT,
        handlelength=1.4, columnspacing=1.5,
    )  # fmt: skip
    return figure


def _build_matrix(
    axes: Axes, pairs: pd.DataFrame, names: Sequence[str], column: str, notes: Sequence[str]
) -> None:
    place = {name: i for i, name in enumerate(names)}
    size = len(names) - 1
    values = np.full((size, size), np.nan)
    palette = ListedColormap(SHADES).with_extremes(bad=(0, 0, 0, 0))
    norm = BoundaryNorm(STEPS, len(SHADES), clip=True)  # the last colour includes 1
    for a, b, p, note in zip(pairs["a"], pairs["b"], pairs[column], notes, strict=True):
        row, col = max(place[a], place[b]) - 1, min(place[a], place[b])
        values[row, col] = p
        shade = MISSING if math.isnan(p) else SHADES[int(norm(p))]
        if math.isnan(p):
            axes.fill_between([col - 0.5, col + 0.5], row - 0.5, row + 0.5, color=MISSING, lw=0)
        ink = "white" if shade in SHADES[:2] else "black"
        up = 0.12 if note else 0.0
        axes.text(col, row - up, format_cell(p), ha="center", va="center", color=ink, size=8.5)
        if note:
            axes.text(col, row + 0.27, note, ha="center", va="center", color=ink, size=7)
    axes.imshow(values, cmap=palette, norm=norm, aspect="equal")
    # White lines between the cells.
    axes.set_xticks(np.arange(-0.5, size), minor=True)
    axes.set_yticks(np.arange(-0.5, size), minor=True)
    axes.grid(which="minor", color="white", linewidth=1.5)
    axes.tick_params(which="both", length=0, labelsize=SMALL_FONT)
    axes.set_yticks(range(size), [make_label(name) for name in names[1:]])
    axes.set_xticks(range(size), [make_label(name) for name in names[:-1]])
    for tick in axes.get_xticklabels():
        tick.set(rotation=40, ha="right", rotation_mode="anchor")
    axes.spines[:].set_visible(False)
