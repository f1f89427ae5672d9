"""Which columns of a table are the F0 of a singer, and which are something else.

Programs write confidence, voicing, levels, labels or an index beside F0. Such a column must not
become a singer: it is left out if its name or its values show what it is, and said to be.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .names import find_words, number_names, shorten
from .tables import ContourError, Table, is_time_name, is_undefined, read_number, show_cell

LOWEST_F0 = 20.0  # Hz; no voice is lower
MAX_F0 = 8_000.0  # Hz
ALWAYS = frozenset(
    {
        "confidence", "confidences", "conf", "probability", "probabilities", "prob", "probs",
        "periodicity", "voicing", "rms", "energy", "amplitude", "amp", "loudness", "intensity",
        "salience", "harmonicity", "hnr", "clarity", "aperiodicity", "annotation", "comment",
        "duration", "velocity"
    }
)  # fmt: skip
ALONE = frozenset(
    {
        "label", "labels", "text", "frame", "frames", "index", "idx", "id", "row", "no",
        "number", "sample", "samples", "level", "power", "db", "strength", "end", "offset",
        "stop", "onset", "start", "flag"
    }
)  # fmt: skip
PITCH_NUMBERS = frozenset({"midi", "note", "notes", "semitone", "semitones"})
CENTS = frozenset({"cent", "cents"})
IN_HZ = frozenset({"hz", "frequency", "freq", "hertz"})
VOICED = frozenset({"voiced", "unvoiced", "vuv", "uv", "flag", "voice"})
MILLISECONDS = re.compile(r"(?<![a-z])(ms|msecs?|millisec(ond)?s?)(?![a-z])|timems", re.IGNORECASE)
COUNTS = frozenset({"frame", "frames", "index", "idx", "sample", "samples", "row"})
CHECKED = 8  # rows from which a steady rise is no accident


@dataclass(frozen=True)
class Tracks:
    """The F0 of J singers, as found in a table.

    Attributes:
        times: float64 [N], seconds, strictly increasing.
        f0: float64 [N, J], Hz, 0 where the singer is silent.
        names: J names that differ; `singerN` where the table has none.
        left_out: what every column that is no F0 is, one phrase each.
        warnings: what is odd but used, one sentence each.
    """

    times: NDArray[np.float64]
    f0: NDArray[np.float64]
    names: tuple[str, ...]
    left_out: tuple[str, ...]
    warnings: tuple[str, ...]


def find_tracks(path: Path, table: Table) -> Tracks:
    """Find time and the columns of F0 in a table.

    Raises:
        ContourError: cells that are no numbers, times that do not increase, no F0 at all, or a
            column without a name of which it is unclear what it holds.
    """
    width = len(table.rows[0])
    first = _find_time(table)
    labels = _label_columns(table)
    times = _read_times(path, table, first, labels[first])
    kept: list[int] = []
    tracks: list[NDArray[np.float64]] = []
    left_out = [f"column {label} comes before the time" for label in labels[:first]]
    warnings = _judge_times(path, times)
    melody_numbers = False
    for column in range(first + 1, width):
        if _is_text(table, column):
            left_out.append(f"column {labels[column]} holds text")
            continue
        values = _read_values(path, table, column, labels[column])
        name = None if table.header is None else table.header[column]
        reason = _find_reason(name, values, times)
        if reason is not None:
            melody_numbers |= "MIDI" in reason
            left_out.append(f"column {labels[column]} {reason}")
            if not name and reason.startswith("rises") and _counts(times):
                raise ContourError(
                    f"{path}: column 1 counts the rows and column {labels[column]} rises like the "
                    "time; take out the column that is not the time in seconds"
                )
            if not name and reason.startswith("has no value above"):
                raise ContourError(
                    f"{path}: {left_out[-1]}, so it is no F0 in Hz; take it out of the table, or "
                    "give the columns names"
                )
            continue
        _check_range(path, table, column, labels[column], values)
        low = (values > 0) & (values < LOWEST_F0)
        if low.any():
            row = int(np.argmax(low))
            warnings.append(
                f"{path}, line {table.lines[row]}, column {labels[column]}: {values[row]:g} Hz is "
                f"lower than any voice ({low.sum()} such rows); write 0 where the singer is silent"
            )
        kept.append(column)
        tracks.append(np.where(values < 0, 0.0, values))  # negative: unvoiced
    if not kept:
        remedy = (
            "MIDI numbers become Hz by 440 * 2 ** ((number - 69) / 12)"
            if melody_numbers
            else "give time in seconds and one column in Hz per singer"
        )
        raise ContourError(f"{path}: no column holds F0 in Hz: {_list(left_out)}; {remedy}")
    header = [""] * len(kept) if table.header is None else [table.header[k] for k in kept]
    return Tracks(
        times, np.stack(tracks, axis=1), number_names(header), tuple(left_out), tuple(warnings)
    )


def _list(phrases: Sequence[str]) -> str:
    more = len(phrases) - 5
    return ", ".join(phrases[:5]) + (f" and {more} more" if more > 0 else "")


def _label_columns(table: Table) -> list[str]:
    """How messages call the columns: by name, or by number from 1."""
    if table.header is None:
        return ["time", *(f"{k + 1}" for k in range(1, len(table.rows[0])))]
    return [shorten(name) or f"{k + 1}" for k, name in enumerate(table.header)]


def _find_time(table: Table) -> int:
    """Find the column of times: the first, unless that has no such name and another one has."""
    if table.header is None or is_time_name(table.header[0]):
        return 0
    if table.header[0] and not find_words(table.header[0]) & (COUNTS | ALONE):
        return 0
    named = [k for k, name in enumerate(table.header) if is_time_name(name)]
    return named[0] if len(named) == 1 and named[0] < len(table.header) - 1 else 0


def _read_times(path: Path, table: Table, column: int, label: str) -> NDArray[np.float64]:
    times = np.zeros(len(table.rows))
    factor = 1000.0 if table.header and MILLISECONDS.search(table.header[column].lower()) else 1.0
    for index, (line, row) in enumerate(zip(table.lines, table.rows, strict=True)):
        where = f"{path}, line {line}, column {label}"
        value = read_number(row[column])
        if value is None:
            raise ContourError(
                f"{where}: {show_cell(row[column])} is not a number; times are seconds"
            )
        if not np.isfinite(value):
            raise ContourError(f"{where}: {show_cell(row[column])} is not finite")
        if value < 0:
            raise ContourError(f"{where}: {value:g} is negative; the recording begins at 0 s")
        times[index] = value / factor
        if index and times[index] <= times[index - 1]:
            commas = table.separator == "," and all(cell.isdigit() for cell in row)
            raise ContourError(
                f"{where}: {times[index]:g} s does not come after "
                f"{times[index - 1]:g} s; times must increase"
                + ("; decimal commas need semicolons between the columns" if commas else "")
            )
    if table.header and _counts(times) and find_words(table.header[column]) & COUNTS:
        raise ContourError(
            f"{path}: column {label} counts frames or samples; write times in seconds instead"
        )
    return times


def _counts(times: NDArray[np.float64]) -> bool:
    return len(times) > 2 and bool((np.diff(times) == 1).all())


def _judge_times(path: Path, times: NDArray[np.float64]) -> list[str]:
    if len(times) < 10 or (step := float(np.median(np.diff(times)))) < 0.5:
        return []
    return [
        f"{path}: the times are {step:g} s apart; if they are frames or milliseconds, "
        "write seconds instead"
    ]


def _is_text(table: Table, column: int) -> bool:
    """Whether a column holds words only, such as notes or truth values."""
    cells = {row[column] for row in table.rows}
    words = {cell for cell in cells if not is_undefined(cell)}
    return bool(words) and all(word[:1].isalpha() and read_number(word) is None for word in words)


def _read_values(path: Path, table: Table, column: int, label: str) -> NDArray[np.float64]:
    values = np.zeros(len(table.rows))
    for index, (line, row) in enumerate(zip(table.lines, table.rows, strict=True)):
        cell = row[column]
        if is_undefined(cell):
            continue
        value = read_number(cell)
        where = f"{path}, line {line}, column {label}"
        if value is None:
            raise ContourError(f"{where}: {show_cell(cell)} is not a number")
        if not np.isfinite(value):
            raise ContourError(
                f"{where}: {show_cell(cell)} is not finite; write 0 where the singer is silent"
            )
        values[index] = value
    return values


def _check_range(
    path: Path, table: Table, column: int, label: str, values: NDArray[np.float64]
) -> None:
    high = values > MAX_F0
    if high.any():
        row = int(np.argmax(high))
        raise ContourError(
            f"{path}, line {table.lines[row]}, column {label}: {values[row]:g} Hz is above "
            f"{MAX_F0:g} Hz; F0 must be in Hz"
        )


def _find_reason(
    name: str | None, values: NDArray[np.float64], times: NDArray[np.float64]
) -> str | None:
    """Find out why a column is no F0, as a phrase that goes on from its name; None if it is."""
    sounding = values[values > 0]
    top = float(sounding.max()) if len(sounding) else 0.0
    tokens = find_words(name or "")
    units = {"s", "sec", "ms", "db"}
    if tokens & ALWAYS or (tokens & ALONE and tokens <= ALONE | units):
        return "is no F0 by its name"
    if is_time_name(name or ""):
        return "is a time by its name"
    # The F0 of a singer that is called Note may well be in Hz.
    if not tokens & IN_HZ and (tokens & CENTS or (tokens & PITCH_NUMBERS and top <= 127)):
        return "holds MIDI numbers, cents or other pitches that are not in Hz"
    if tokens & VOICED and 0 < top <= 1:
        return "says where there is a voice"
    if not len(sounding):
        if len(values) > 1 and (values < 0).all():
            return "is negative throughout, as levels in dB are"
        return None
    if _rises_with(values, times):
        return "rises steadily, as an index or a time does"
    if top <= 1:
        return f"holds values up to {top:g} only, as a probability does"
    if top < LOWEST_F0:
        return f"has no value above {top:g}"
    return None


def _rises_with(values: NDArray[np.float64], times: NDArray[np.float64]) -> bool:
    if len(values) < CHECKED:
        return False
    steps, spacing = np.diff(values), np.diff(times)
    counts = values[0] <= 1 and (steps == 1).all()
    shifted = np.abs(steps - spacing).max() < 1e-6 * max(1.0, float(times[-1]))
    scale = steps.sum() / spacing.sum()
    # Frames and samples may be rounded to whole numbers.
    slack = 0.51 if values[-1] > 1000 else 1e-3 * values[-1]
    proportional = scale > 0 and np.abs(values - scale * times).max() <= slack
    return bool(counts or shifted or proportional)
