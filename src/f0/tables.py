"""Tables of numbers as programs and people write them: separators, headers, comments.

Columns may be separated by commas, semicolons, tabs or
spaces; decimal commas where the separator is no comma or the cell is quoted; any line ends; lines
of comment that begin with # or %. What the columns mean is decided in `columns`.
"""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from .names import clean_name, find_words, shorten
from .texts import ContourError as ContourError
from .texts import read_text

SEPARATORS = {";": "semicolons", "\t": "tabs", ",": "commas", " ": "spaces"}
# How programs write that there is no pitch; compared in lower case.
UNDEFINED = frozenset(
    {
        "", "-", "--", "---", "nan", "-nan", "+nan", "nan(ind)", "-nan(ind)", "1.#qnan", "-1.#qnan",
        "1.#ind", "-1.#ind", "na", "n/a", "<na>", "none", "null", "nil", "undefined",
        "--undefined--", "unvoiced"
    }
)  # fmt: skip
_DECIMAL_COMMA = re.compile(r"[+-]?\d+,\d+(e[+-]?\d+)?", re.IGNORECASE)
_TIME = frozenset(
    {
        "time", "times", "timestamp", "timestamps", "timems", "seconds", "sec", "secs", "ms",
        "msec", "msecs", "milliseconds", "zeit", "temps", "tiempo"
    }
)  # fmt: skip
_OF_TIME = frozenset({"s", "in", "second", "start", "end", "begin", "onset", "offset", "frame"})


@dataclass(frozen=True)
class Table:
    """Cells of a table, without header and comments.

    Attributes:
        header: W names of columns, or None if the file has no header.
        lines: N line numbers in the file, from 1.
        rows: N rows of W cells, as text without blanks around it.
        separator: a key of `SEPARATORS`.
    """

    header: tuple[str, ...] | None
    lines: tuple[int, ...]
    rows: tuple[tuple[str, ...], ...]
    separator: str


def read_table(path: Path) -> Table:
    """Read a table of at least two columns and one row.

    Raises:
        ContourError: no such file, no text, no rows, or rows of different lengths.
    """
    text = read_text(path)
    lines = list(enumerate(io.StringIO(text, newline=""), start=1))
    if lines and re.fullmatch(r"sep=.\s*", lines[0][1]):  # Excel's hint to itself
        lines = lines[1:]
    comments = [(line, text) for line, text in lines if _is_comment(text)]
    lines = [(line, text) for line, text in lines if not _is_comment(text)]
    separator = _find_separator([text for _, text in lines])
    try:
        rows = list(_split(lines, separator))
    except csv.Error as error:
        raise ContourError(f"{path}: not a readable table ({error}); check its quotes") from error
    if not rows:
        raise ContourError(f"{path}: the F0 file is empty; expected rows of time,f0,f0,...")
    header = None
    if _is_header(rows[0][1]):
        header, rows = rows[0][1], rows[1:]
        if not rows:
            raise ContourError(f"{path}: the F0 file has a header but no rows")
        header = _fit_header(header, dict(lines), rows, separator)
    else:
        header = _find_commented_header(comments, rows, separator)
    width = _find_width(path, header, rows, separator)
    if width < 2:
        raise ContourError(
            f"{path}, line {rows[0][0]}: expected time and at least one F0 column, separated by "
            "commas, semicolons, tabs or spaces"
        )
    filled = [(*row, *[""] * width)[:width] for _, row in rows]
    names = None if header is None else tuple(clean_name(c) for c in (*header, *[""] * width))
    return Table(
        None if names is None else names[:width],
        tuple(line for line, _ in rows),
        tuple(filled),
        separator,
    )


def read_number(cell: str) -> float | None:
    """Read a number with decimal point or comma; None if it is no number."""
    text = cell.replace("\u2212", "-")  # the minus of typographers
    if _DECIMAL_COMMA.fullmatch(text):
        text = text.replace(",", ".")
    try:
        return float(text)
    except ValueError:
        return None


def is_undefined(cell: str) -> bool:
    """Whether a cell says that there is no value."""
    return cell.lower() in UNDEFINED


def is_time_name(name: str) -> bool:
    """Whether a header names a column of times."""
    words = find_words(name)
    return bool(words & _TIME) and words <= _TIME | _OF_TIME


def _is_comment(line: str) -> bool:
    return line.lstrip('\ufeff \t"').startswith(("#", "%"))


def _find_separator(lines: Sequence[str]) -> str:
    """Find the separator by which most rows begin with two numbers; a comma if there is none."""
    sample = lines[:: max(1, len(lines) // 500)]
    for chosen in (sample, lines):
        counts = {
            separator: sum(_begins(line, separator) for line in chosen) for separator in SEPARATORS
        }
        if any(counts.values()):
            return max(counts, key=lambda separator: counts[separator])  # the first of equals
    # Nothing is a number: a header alone, or text.
    return next((s for s in SEPARATORS if any(s in line.strip() for line in lines[:1])), ",")


def _begins(line: str, separator: str) -> bool:
    cells = line.split(None if separator == " " else separator, 2)
    if len(cells) < 2:
        return False
    time, value = (cell.strip(' \t\r\n"') for cell in cells[:2])
    return read_number(time) is not None and (is_undefined(value) or read_number(value) is not None)


def _split(
    lines: Sequence[tuple[int, str]], separator: str
) -> Iterator[tuple[int, tuple[str, ...]]]:
    """Split lines into cells, which may contain line ends in quotes; skip rows of empty cells."""
    line = 0

    def feed() -> Iterator[str]:
        nonlocal line
        for number, text in lines:
            line = number  # the physical line, so that the message agrees with the user's editor
            yield _bind_units(text) if separator == " " else text

    for row in csv.reader(feed(), delimiter=separator, skipinitialspace=separator == " "):
        cells = tuple(cell.strip() for cell in row)
        if any(cells):
            yield line, cells


def _bind_units(text: str) -> str:
    """Make blanks single spaces, and none before a unit in brackets: `Time (s)`."""
    ended = text.endswith(("\r", "\n"))
    return re.sub(r"\s+([(\[])", r"\1", " ".join(text.split())) + ("\n" if ended else "")


def _is_header(row: Sequence[str]) -> bool:
    if read_number(row[0]) is not None:
        return False
    # A row whose time is missing or written as 0:01 is a fault, no header.
    numbers = all(not cell or read_number(cell) is not None for cell in row[1:])
    return not (numbers and any(row[1:]) and (not row[0] or row[0][0].isdigit()))


def _trim(row: Sequence[str]) -> tuple[str, ...]:
    end = len(row)
    while end and not row[end - 1]:
        end -= 1
    return tuple(row[:end])


def _fit_header(
    header: tuple[str, ...],
    lines: dict[int, str],
    rows: Sequence[tuple[int, tuple[str, ...]]],
    separator: str,
) -> tuple[str, ...]:
    """Split a header that was written with another separator than the rows."""
    width = len(rows[0][1])
    if len(_trim(header)) >= min(width, 2):
        return header
    first = next(text for text in lines.values() if text.strip())
    for other in SEPARATORS:
        cells = next(_split([(1, first)], other))[1] if other != separator else ()
        if len(cells) == width:
            return cells
    return header


def _find_commented_header(
    comments: Sequence[tuple[int, str]],
    rows: Sequence[tuple[int, tuple[str, ...]]],
    separator: str,
) -> tuple[str, ...] | None:
    """Find a header behind # or %, as numpy.savetxt writes it: the last comment before the rows."""
    before = [text.strip().lstrip('#% "') for line, text in comments if line < rows[0][0]]
    if not before:
        return None
    for other in (separator, *SEPARATORS):
        cells = next(_split([(1, before[-1])], other), (1, ("",)))[1]
        timed = is_time_name(cells[0]) or cells[0] == "t"
        if timed and cells[1:] and len(cells) == len(_trim(rows[0][1])):
            return cells
    return None


def _find_width(
    path: Path,
    header: Sequence[str] | None,
    rows: Sequence[tuple[int, tuple[str, ...]]],
    separator: str,
) -> int:
    """Find the number of columns; empty ones at the end without a name are none."""
    widths = [len(_trim(row)) for _, row in rows]
    lengths = [len(row) for _, row in rows]
    if header is not None:
        width = max(len(_trim(header)), min(len(header), max(widths)))
    else:
        width = max(widths) if max(widths) <= min(lengths) else lengths[0]
    for (line, row), trimmed in zip(rows, widths, strict=True):
        if len(row) >= width >= trimmed:
            continue
        if header is None and _vary(lengths):
            raise ContourError(
                f"{path}: its rows hold varying numbers of pitches, so they do not say which "
                "pitch belongs to which singer; leave out f0= to estimate the tracks, or give a "
                "table with one column per singer"
            )
        hint = ""
        if separator == "," and len(row) == 2 * width:
            hint = "; if these are decimal commas, separate the columns by semicolons"
        shown = len(row) if len(row) < width else trimmed
        raise ContourError(f"{path}, line {line}: {shown} columns, expected {width}{hint}")
    return width


def _vary(lengths: Sequence[int]) -> bool:
    """Whether the lengths of rows vary as those of framewise pitches do, not by a slip."""
    usual = Counter(lengths).most_common(1)[0][1]
    return min(lengths) < 2 or len(set(lengths)) > 2 or len(lengths) - usual > 0.1 * len(lengths)


def show_cell(cell: str) -> str:
    """A cell in quotes, shortened, for a message."""
    return repr(shorten(cell))
