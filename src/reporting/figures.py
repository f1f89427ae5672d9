"""Draws the figures of a report: distributions of scores, and curves over errors in F0."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import cast

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from numpy.typing import ArrayLike, NDArray

from ..plots import COLOURS, DASHES
from .content import ERROR_KINDS

ORANGE, BLUE, GREEN, PINK, YELLOW, SKY = COLOURS
WIDTH = 9.0
"""Inches of a figure of a page's width; with the font sizes below it prints well on A4."""
FONT, SMALL_FONT = 10.0, 9.0
LONGEST = 26
SI_SDR = "SI-SDR (dB)"
WHISKERS = (1.0, 99.0)
"""Percentiles at which whiskers end, as in the paper."""
OUTLIERS = 0.5
"""Frames further from the whiskers than this share of their range are cut off the picture."""
MARKERS = "osD^vPX<>ph*"
AXES_OF_KINDS = {
    "offset_hz": "random offset, standard deviation (Hz)",
    "octave_rate": "an octave off (% of voiced frames)",
    "swap_rate": "two voices exchanged (% of time)",
    "dropped_rate": "voiced frames dropped (%)",
    "false_rate": "silent frames voiced (%)",
}
assert tuple(AXES_OF_KINDS) == ERROR_KINDS


def build_figure(width: float, height: float) -> Figure:
    """Build an empty figure, size in inches, with its own canvas and no global state."""
    figure = Figure(figsize=(width, height), dpi=150, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def make_label(name: str) -> str:
    """Make a label from a name: shortened, and never read as a formula by matplotlib."""
    if len(name) > LONGEST:
        half = (LONGEST - 1) // 2
        name = f"{name[:half]}…{name[-half:]}"
    return name.replace("$", r"\$")


def name_axis(axes: Axes, names: Sequence[str], width: float) -> None:
    """Write names of methods along the x axis, slanted if they would touch each other.

    Args:
        axes: axes with the methods at x = 1, 2, ...
        names: names of the methods.
        width: approximate width of the axes in inches.
    """
    labels = [make_label(name) for name in names]
    letters = max(map(len, labels)) * 0.6 * FONT / 72 + 0.1
    slanted = letters > width / len(names)
    axes.set_xticks(range(1, len(names) + 1), labels)
    axes.tick_params(axis="x", labelsize=FONT, length=0)
    if slanted:
        for tick in axes.get_xticklabels():
            tick.set(rotation=35, ha="right", rotation_mode="anchor")
    axes.set_xlim(0.4, len(names) + 0.6)


def choose_score_limits(values: Sequence[NDArray[np.float64]]) -> tuple[float, float]:
    """Choose the range of a score axis: all values except outliers far beyond all whiskers."""
    ends = np.array([np.percentile(v, WHISKERS) for v in values])
    low, high = float(ends[:, 0].min()), float(ends[:, 1].max())
    reach = OUTLIERS * max(high - low, 1.0)
    low = max(low - reach, min(float(v.min()) for v in values))
    high = min(high + reach, max(float(v.max()) for v in values))
    margin = 0.03 * max(high - low, 1.0)
    return low - margin, high + margin


def count_outside(values: ArrayLike, limits: tuple[float, float]) -> int:
    """Count the values outside these limits, which a figure does not show."""
    scores = np.asarray(values, dtype=np.float64)
    return int(np.sum((scores < limits[0]) | (scores > limits[1])))


def draw_distributions(
    values: Mapping[str, NDArray[np.float64]], *, title: str, axis: str
) -> Figure:
    """Draw violins over the whole range with boxes in them, one per method (paper, Fig. 4).

    Boxes reach to the quartiles, whiskers to the 1st and 99th percentile.

    Args:
        values: finite scores by method, at least one each.
        title: title above the figure.
        axis: label of the score axis.
    """
    figure = build_figure(WIDTH, 4.9)
    axes = figure.add_subplot()
    scores = list(values.values())
    # A density needs values that differ.
    spread = [i for i, v in enumerate(scores) if np.ptp(v) > 1e-9 * max(1.0, np.abs(v).max())]
    if spread:
        violins = axes.violinplot(
            [scores[i] for i in spread],
            positions=[i + 1 for i in spread],
            widths=0.86,
            points=400,
            showextrema=False,
        )
        for body in cast(list[PolyCollection], violins["bodies"]):
            body.set(facecolor=SKY, edgecolor=BLUE, alpha=0.45, linewidth=0.6)
    _draw_boxes(
        axes,
        scores,
        np.arange(1, len(scores) + 1),
        width=0.2,
        face="white",
        edge="#003A5D",
        median=1.4,
    )
    means = [v.mean() for v in scores]
    axes.plot(range(1, len(scores) + 1), means, "D", color=ORANGE, markersize=4, zorder=4)
    _finish_scores(axes, list(values), choose_score_limits(scores), axis)
    axes.set_title(title)
    handles = [
        Patch(facecolor=SKY, edgecolor=BLUE, alpha=0.45, label="all frames"),
        Patch(facecolor="white", edgecolor="#003A5D", label="quartiles"),
        Line2D([], [], color="black", linewidth=1.8, label="median"),
        Line2D([], [], color="#003A5D", label="1st to 99th percentile"),
        Line2D([], [], color=ORANGE, marker="D", markersize=4, linestyle="", label="mean"),
    ]
    figure.legend(
        handles=handles, loc="outside lower center", ncols=5, frameon=False, fontsize=SMALL_FONT
    )
    return figure


def draw_paired_boxes(
    values: Mapping[str, tuple[NDArray[np.float64], NDArray[np.float64]]],
    *,
    title: str,
    axis: str,
    names: tuple[str, str],
) -> Figure:
    """Draw two boxes side by side for every method.

    Args:
        values: finite scores of the two kinds of estimate, by method.
        title: title above the figure.
        axis: label of the score axis.
        names: names of the two kinds.
    """
    figure = build_figure(min(WIDTH, 2.4 + 1.3 * len(values)), 4.2)
    axes = figure.add_subplot()
    at = np.arange(1, len(values) + 1)
    faces = (SKY, YELLOW)
    for side, face in enumerate(faces):
        scores = [pair[side] for pair in values.values()]
        _draw_boxes(axes, scores, at + (side - 0.5) * 0.34, width=0.28, face=face, edge="#333333")
    shown = [np.percentile(v, WHISKERS) for pair in values.values() for v in pair]
    _finish_scores(axes, list(values), choose_score_limits(shown), axis)
    axes.set_title(title)
    handles = [
        Patch(facecolor=face, edgecolor="#333333", label=name)
        for face, name in zip(faces, names, strict=True)
    ]
    figure.legend(
        handles=handles, loc="outside lower center", ncols=2, frameon=False, fontsize=SMALL_FONT
    )
    return figure


def draw_robustness(table: pd.DataFrame, *, title: str, axis: str) -> Figure:
    """Draw mean scores over the size of every kind of error, one panel per kind.

    Args:
        table: see `src.reporting.robustness.tabulate_robustness`, not empty.
        title: title above the panels.
        axis: label of the score axis.
    """
    kinds = list(dict.fromkeys(table["kind"]))
    labels = list(dict.fromkeys(table["label"]))
    columns = min(len(kinds), 3)
    rows = math.ceil(len(kinds) / columns)
    per_row = 4
    legend_rows = math.ceil(len(labels) / per_row)
    width = WIDTH if columns == 3 else 0.5 * WIDTH * columns
    figure = build_figure(max(width, 0.6 * WIDTH), 2.8 * rows + 0.25 * legend_rows + 0.5)
    figure.suptitle(title)
    panels = figure.subplots(rows, columns, sharey=True, squeeze=False).ravel()
    handles = {}
    for panel, kind in zip(panels, kinds, strict=False):
        scale = 1.0 if kind == "offset_hz" else 100.0
        for i, label in enumerate(labels):
            curve = table[(table["kind"] == kind) & (table["label"] == label)]
            if curve.empty:
                continue
            (handles[label],) = panel.plot(
                scale * curve["size"],
                curve["mean"],
                color=COLOURS[i % len(COLOURS)],
                linestyle=DASHES[i // len(COLOURS) % len(DASHES)],
                marker=MARKERS[i % len(MARKERS)],
                markersize=4.5,
                linewidth=1.5,
            )
        panel.set_xlabel(AXES_OF_KINDS[kind], fontsize=SMALL_FONT)
        panel.set_xlim(left=-0.03 * panel.get_xlim()[1])
        panel.grid(color="0.9", linewidth=0.6)
        panel.set_axisbelow(True)
        panel.tick_params(labelsize=SMALL_FONT)
        panel.spines[["top", "right"]].set_visible(False)
    for panel in panels[len(kinds) :]:
        panel.remove()
    for panel in panels[: len(kinds) : columns]:
        panel.set_ylabel(axis, fontsize=FONT)
    figure.legend(
        list(handles.values()), [make_label(name) for name in handles], frameon=False,
        loc="outside lower center", ncols=min(per_row, len(handles)), fontsize=SMALL_FONT,
    )  # fmt: skip
    return figure


def _draw_boxes(
    axes: Axes,
    scores: Sequence[NDArray[np.float64]],
    at: NDArray,
    *,
    width: float,
    face: str,
    edge: str,
    median: float = 1.0,
) -> None:
    """Draw boxes without outliers; the median's line is `median` times as wide as the box."""
    line = {"color": edge, "linewidth": 1.1}
    axes.boxplot(
        scores,
        positions=at,
        widths=width,
        whis=WHISKERS,
        showfliers=False,
        patch_artist=True,
        boxprops={"facecolor": face, "edgecolor": edge, "linewidth": 1.1},
        medianprops={"linewidth": 0},
        whiskerprops=line,
        capprops=line,
        manage_ticks=False,
    )
    # Drawn separately, so that it can be wider than the box: the mark of the mean may cover it.
    reach = 0.5 * median * width
    lines = axes.hlines(
        [np.median(v) for v in scores], at - reach, at + reach, color="black", linewidth=1.8
    )
    lines.set(zorder=3, capstyle="butt")


def _finish_scores(
    axes: Axes, names: Sequence[str], limits: tuple[float, float], axis: str
) -> None:
    axes.set_ylim(*limits)
    axes.axhline(0.0, color="0.6", linewidth=0.8, zorder=0)
    axes.grid(axis="y", color="0.9", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.set_ylabel(axis, fontsize=FONT)
    axes.tick_params(axis="y", labelsize=SMALL_FONT)
    axes.spines[["top", "right"]].set_visible(False)
    width = float(axes.figure.get_size_inches()[0])  # type: ignore[union-attr]
    name_axis(axes, names, width - 0.7)
