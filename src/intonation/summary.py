"""The measures in words and cells."""

from __future__ import annotations

import numpy as np
import pandas as pd

from ..reporting.cells import NOTHING, format_number
from ..reporting.content import Grid
from .estimates import Estimate
from .measures import IntonationMeasures
from .ratios import CHORDS, HARMONIC_SEVENTH

MOST_CHORDS = 12

_SINGERS = {
    "equal": ("equal (cents)", 1),
    "just": ("just (cents)", 1),
    "vibrato_hz": ("vibrato (Hz)", 1),
    "vibrato_cents": ("extent (± cents)", 0),
    "entry_ms": ("entry (ms)", 0),
}


def format_mean(value: float, low: float, high: float, digits: int = 1) -> str:
    """A mean with its interval in brackets."""
    text = format_number(value, digits)
    if np.isnan(low) or np.isnan(high):
        return text
    return f"{text} ({format_number(low, digits)} … {format_number(high, digits)})"


def format_estimate(estimate: Estimate, digits: int = 1) -> str:
    """A number with its interval in brackets."""
    return format_mean(estimate.value, estimate.low, estimate.high, digits)


def build_singers_grid(measures: IntonationMeasures) -> Grid:
    """The table of the singers."""
    rows = []
    for row in measures.singers.to_dict("records"):
        means = {
            name: format_mean(row[name], row[f"{name}_low"], row[f"{name}_high"], digits)
            for name, (_, digits) in _SINGERS.items()
        }
        share = row["vibrato_share"]
        rows.append(
            [
                str(row["singer"]),
                str(row["notes"]),
                means["equal"],
                means["just"],
                format_number(row["scatter"], 1),
                NOTHING if np.isnan(share) else f"{100 * share:.0f} %",
                means["vibrato_hz"],
                means["vibrato_cents"],
                means["entry_ms"],
            ]
        )
    header = ["singer", "notes", *(_SINGERS[name][0] for name in ("equal", "just")), "scatter"]
    header += ["with vibrato", *(_SINGERS[n][0] for n in ("vibrato_hz", "vibrato_cents"))]
    header.append(_SINGERS["entry_ms"][0])
    caption = "Means with 95 % intervals; positive: too high, late."
    return Grid("singers", caption, header, rows, measures.singers)


def build_chords_grid(measures: IntonationMeasures) -> Grid:
    """The chords that are least pure, in order of time."""
    chords = measures.chords.dropna(subset=["just"])
    error = chords.groupby("chord")["just"].apply(lambda x: float(np.sqrt((x**2).mean())))
    worst = sorted(error.nlargest(MOST_CHORDS).index)
    rows = []
    for number in worst:
        chord = chords[chords["chord"] == number]
        first = chord.iloc[0]
        cells = dict(
            zip(chord["singer"], zip(chord["note"], chord["just"], strict=True), strict=True)
        )
        kind = first["kind"]
        name = kind if kind in ("unison", "above the bass") else f"{first['root']} {kind}"
        rows.append(
            [
                show_time(first["start"]),
                name,
                *(
                    f"{cells[s][0]} {show_sign(cells[s][1])}" if s in cells else NOTHING
                    for s in measures.names
                ),
            ]
        )
    caption = "The chords that are furthest from pure intervals: notes, and cents from pure."
    return Grid("chords", caption, ["time", "chord", *measures.names], rows, measures.chords)


def build_unisons_grid(measures: IntonationMeasures) -> Grid:
    """The pairs of singers who sing unisons or octaves."""
    rows = []
    for (first, second), pairs in measures.unisons.groupby(["first", "second"], sort=False):
        row = [f"{first}, {second}"]
        for chosen in (pairs[pairs["octaves"] == 0], pairs[pairs["octaves"] > 0]):
            row += [str(len(chosen)), _mean_distance(chosen), _mean_signed(chosen)]
        rows.append(row)
    header = ["pair", "unisons", "distance", "first higher by"]
    header += ["octaves", "distance", "first higher by"]
    return Grid("unisons", "Distances in cents.", header, rows, measures.unisons)


def _mean_distance(pairs: pd.DataFrame) -> str:
    return format_number(float(pairs["cents"].abs().mean()) if len(pairs) else None, 1)


def _mean_signed(pairs: pd.DataFrame) -> str:
    return format_number(float(pairs["cents"].mean()) if len(pairs) else None, 1)


def build_ratios_grid() -> Grid:
    """The table of pure intervals."""
    rows = [
        [kind, "  ".join(f"{step}: {ratio}" for step, ratio in table.items())]
        for kind, table in CHORDS.items()
    ]
    rows.append(["with harmonic_seventh, dominant seventh", f"10: {HARMONIC_SEVENTH}"])
    caption = "Pure intervals: semitones above the root, and their ratios"
    return Grid("ratios", caption, ["chord", "semitones: ratio"], rows, folded=True, text=True)


def show_time(seconds: float) -> str:
    """Minutes and seconds."""
    return f"{int(seconds // 60)}:{seconds % 60:04.1f}"


def show_sign(cents: float) -> str:
    """Whole cents with their sign."""
    text = format_number(cents, 0)
    return f"+{text}" if round(cents) > 0 else text


def summarise(measures: IntonationMeasures) -> str:
    """What is printed: the ensemble, a table of the singers, and remarks."""
    grid = build_singers_grid(measures)
    widths = [max(map(len, column)) for column in zip(grid.header, *grid.rows, strict=True)]
    lines = [
        f"drift     {format_estimate(measures.drift)} cents per minute",
        f"purity    {format_estimate(measures.purity)} cents from pure intervals, on average",
        f"unisons   {format_estimate(measures.unison)} cents apart ({measures.unison.count})",
        f"octaves   {format_estimate(measures.octave)} cents apart ({measures.octave.count})",
        f"entries   {format_estimate(measures.together, 0)} ms from the others, on average",
        "",
    ]
    for row in (grid.header, *grid.rows):
        cells = [row[0].ljust(widths[0])]
        cells += [cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)]
        lines.append("  ".join(cells).rstrip())
    lines.append(grid.caption)
    return "\n".join([*lines, *measures.remarks])
