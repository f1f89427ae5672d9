"""Figures of how well an ensemble sang, for light and for dark pages."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from ..plots import COLOURS
from ..reporting.figures import FONT, MARKERS, SMALL_FONT, build_figure, make_label
from .measures import IntonationMeasures

WIDTH = 8.0  # inches
_MOST = 600  # dots as shapes; more become a picture, which is smaller
_JITTER = 0.22  # of a row, by which dots are spread


@dataclass(frozen=True)
class Theme:
    """Colours of a figure: of text, of lines in the background, and of the singers."""

    ink: str
    line: str
    voices: tuple[str, ...]


LIGHT = Theme("#1d2733", "#dfe3e6", COLOURS)
DARK = Theme(
    "#e6ebef", "#323c46", ("#ff8a3d", "#4db4f0", "#2fd1a3", "#e79ac5", "#f0b93a", "#8fd0f7")
)


def draw_tuning(measures: IntonationMeasures, theme: Theme) -> Figure:
    """Draw where the ensemble is over time, with every note, and the line of its drift."""
    figure = build_figure(WIDTH, 3.6)
    axes = figure.add_subplot()
    notes = measures.notes.dropna(subset=["a440"])
    middle = 0.5 * (notes["start"] + notes["end"])
    rasterized = len(notes) > _MOST
    for j, name in enumerate(measures.names):
        own = (notes["singer"] == name).to_numpy()
        axes.plot(
            middle[own],
            notes["a440"][own],
            MARKERS[j % len(MARKERS)],
            color=_colour(theme, j),
            markersize=3,
            alpha=0.6,
            linestyle="",
            label=make_label(name),
            rasterized=rasterized,
        )
    course = measures.tuning
    first, last = float(notes["start"].min()), float(notes["end"].max())
    sung = course[(course["time"] >= first) & (course["time"] <= last + 1.0)]
    axes.plot(sung["time"], sung["cents"], color=theme.ink, linewidth=2, label="ensemble")
    if np.isfinite(measures.drift.value) and len(sung):
        minutes = (sung["time"] - sung["time"].median()) / 60.0
        line = sung["cents"].median() + measures.drift.value * minutes
        axes.plot(sung["time"], line, "--", color=theme.ink, linewidth=1, label="drift")
    _limit(axes, notes["a440"].to_numpy(dtype=np.float64), 30.0)
    axes.set_xlim(0.0, last)
    axes.xaxis.set_major_formatter(FuncFormatter(_show_time))
    axes.set_xlabel("time (min:s)", fontsize=FONT)
    axes.set_ylabel("cents from A4 = 440 Hz", fontsize=FONT)
    axes.grid(axis="y", color=theme.line, linewidth=0.6)
    _finish(figure, [axes], theme)
    legend = figure.legend(loc="outside lower center", ncols=6, frameon=False, fontsize=SMALL_FONT)
    for text in legend.get_texts():
        text.set_color(theme.ink)
    return figure


def draw_deviations(measures: IntonationMeasures, theme: Theme) -> Figure:
    """Draw all notes of every singer, and their means with intervals: equal and just."""
    columns = {"equal": "cents from equal temperament", "just": "cents from pure intervals"}
    return _draw_rows(measures, theme, columns, 20.0)


def draw_entries(measures: IntonationMeasures, theme: Theme) -> Figure:
    """Draw all entries of every singer, and their means with intervals."""
    return _draw_rows(measures, theme, {"entry_ms": "ms early (left) or late (right)"}, 60.0)


def draw_vibrato(measures: IntonationMeasures, theme: Theme) -> Figure:
    """Draw rate and extent of all notes with vibrato."""
    figure = build_figure(5.2, 3.4)
    axes = figure.add_subplot()
    notes = measures.notes[measures.notes["vibrato_hz"] > 0]
    for j, name in enumerate(measures.names):
        own = notes[notes["singer"] == name]
        axes.plot(
            own["vibrato_hz"], own["vibrato_cents"], MARKERS[j % len(MARKERS)], alpha=0.6,
            color=_colour(theme, j), markersize=3.5, label=make_label(name),
            rasterized=len(notes) > _MOST,
        )  # fmt: skip
    axes.set_xlabel("rate (Hz)", fontsize=FONT)
    axes.set_ylabel("extent (± cents)", fontsize=FONT)
    if len(notes):
        rates = notes["vibrato_hz"]
        axes.set_xlim(float(rates.min()) - 0.3, float(rates.max()) + 0.3)
        axes.set_ylim(0.0, 1.1 * float(notes["vibrato_cents"].max()))
    axes.grid(color=theme.line, linewidth=0.6)
    _finish(figure, [axes], theme)
    legend = figure.legend(loc="outside lower center", ncols=4, frameon=False, fontsize=SMALL_FONT)
    for text in legend.get_texts():
        text.set_color(theme.ink)
    return figure


Drawing = Callable[[IntonationMeasures, Theme], Figure]


def _draw_rows(
    measures: IntonationMeasures, theme: Theme, columns: dict[str, str], least: float
) -> Figure:
    """Draw the values of every singer in a row, one panel per column that has any."""
    known = {name: label for name, label in columns.items() if measures.notes[name].notna().any()}
    columns = known or columns
    height = 0.9 + 0.42 * len(measures.names)
    figure = build_figure(WIDTH if len(columns) > 1 else 5.2, height)
    panels = figure.subplots(1, len(columns), sharey=True, squeeze=False)[0]
    for axes, (column, label) in zip(panels, columns.items(), strict=True):
        axes.axvline(0.0, color=theme.ink, linewidth=0.8)
        for j, row in enumerate(measures.singers.to_dict("records")):
            values = _select(measures.notes, measures.names[j], column)
            # The same spread in every run: the golden ratio fills a row evenly.
            spread = _JITTER * (2.0 * (np.arange(len(values)) * 0.618034 % 1.0) - 1.0)
            axes.plot(
                values, j + spread, ".", color=_colour(theme, j), markersize=3, alpha=0.5,
                rasterized=len(measures.notes) > _MOST,
            )  # fmt: skip
            axes.plot(
                [row[f"{column}_low"], row[f"{column}_high"]], [j, j],
                color=theme.ink, linewidth=2.5, solid_capstyle="butt",
            )  # fmt: skip
            axes.plot(row[column], j, "D", color=theme.ink, markersize=5)
        _limit(axes, measures.notes[column].to_numpy(dtype=np.float64), least, across=True)
        axes.set_xlabel(label, fontsize=FONT)
        axes.grid(axis="x", color=theme.line, linewidth=0.6)
    panels[0].set_yticks(range(len(measures.names)), [make_label(n) for n in measures.names])
    panels[0].set_ylim(len(measures.names) - 0.5, -0.5)
    _finish(figure, list(panels), theme)
    return figure


def _select(notes: pd.DataFrame, name: str, column: str) -> np.ndarray:
    return notes.loc[notes["singer"] == name, column].dropna().to_numpy(dtype=np.float64)


def _limit(axes: Axes, values: np.ndarray, least: float, *, across: bool = False) -> None:
    """Show nearly all values: a few that lie far away are wrong notes."""
    known = values[np.isfinite(values)]
    low, high = np.percentile(known, [1.0, 99.0]) if len(known) else (0.0, 0.0)
    rest = max(0.0, least - 0.5 * (high - low))
    margin = 0.08 * (high - low) + rest
    (axes.set_xlim if across else axes.set_ylim)(low - margin, high + margin)


def _show_time(seconds: float, _: int) -> str:
    return f"{int(seconds // 60)}:{int(round(seconds)) % 60:02d}"


def _colour(theme: Theme, j: int) -> str:
    return theme.voices[j % len(theme.voices)]


def _finish(figure: Figure, panels: Sequence[Axes], theme: Theme) -> None:
    """Colour what is not singing, and leave the ground to the page."""
    figure.patch.set_alpha(0.0)
    for axes in panels:
        axes.patch.set_alpha(0.0)
        axes.set_axisbelow(True)
        axes.tick_params(labelsize=SMALL_FONT, color=theme.ink, labelcolor=theme.ink)
        axes.xaxis.label.set_color(theme.ink)
        axes.yaxis.label.set_color(theme.ink)
        axes.spines[["top", "right"]].set_visible(False)
        axes.spines[["left", "bottom"]].set_color(theme.ink)
