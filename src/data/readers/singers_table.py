"""The table that says how many singers the recordings of a folder have.

    file,n_singers
    evening_song.wav,4
    "concert/one, two.flac",6

Files are named by their paths below the folder, with or without their ending. The first line may be
left out; commas, semicolons and tabs separate.
"""

from __future__ import annotations

import csv
import unicodedata
from collections.abc import Mapping
from pathlib import Path

from ...f0.contours import MAX_SINGERS
from ...f0.names import shorten
from ...f0.texts import decode
from .base import DataError

_EXAMPLE = "write e.g. evening_song.wav,4"


def read_singers(table: Path, recordings: Mapping[str, Path], folder: Path) -> dict[str, int]:
    """Read the numbers of singers.

    Args:
        table: the CSV file.
        recordings: all songs by name, see `name_recording`.
        folder: below which they lie.

    Returns:
        {song: number of singers}, of the songs that the table names.

    Raises:
        DataError: the table is missing, malformed, or names files that are not there, or one twice.
    """
    by_file = {name + unify(path.suffix): name for name, path in recordings.items()}
    known = {**{name: name for name in recordings}, **by_file}
    found: dict[str, int] = {}
    absent: list[str] = []
    for line, cells in _read_rows(table):
        if len(cells) != 2:
            raise DataError(
                f"{table}, line {line}: {len(cells)} cells, but a file and its number of singers "
                f"are 2; {_EXAMPLE}, and quote names that hold a comma"
            )
        file, count = unify(cells[0]).removeprefix("./"), cells[1]
        if not (count.isascii() and count.isdecimal() and 1 <= int(count) <= MAX_SINGERS):
            raise DataError(
                f"{table}, line {line}: {shorten(count)!r} is no number of singers from 1 to "
                f"{MAX_SINGERS}; {_EXAMPLE}"
            )
        song = known.get(file)
        if song is None:
            absent.append(f"{shorten(cells[0])} (line {line})")
        elif song in found:
            raise DataError(f"{table}, line {line}: names {cells[0]} a second time; keep one line")
        else:
            found[song] = int(count)
    if absent:
        shown = ", ".join(absent[:3]) + (f" and {len(absent) - 3} more" if len(absent) > 3 else "")
        raise DataError(
            f"{table}: names recordings that are not there: {shown}; correct "
            f"the names, which are paths below {folder}, or remove the lines"
        )
    return found


def name_recording(path: Path, folder: Path) -> str:
    """Name a song by the path of its recording below the folder, without ending: "a/evening"."""
    return unify(path.relative_to(folder).with_suffix("").as_posix())


def unify(name: str) -> str:
    """The one way of writing a name: file systems differ in how they write umlauts and accents."""
    return unicodedata.normalize("NFC", name.strip().replace("\\", "/"))


def _read_rows(table: Path) -> list[tuple[int, list[str]]]:
    """Read the rows with their line numbers, without the header and empty ones."""
    try:
        text = decode(table.read_bytes())
        head = next((line for line in text.splitlines() if line.strip()), "")
        mark = next((mark for mark in "\t;" if mark in head), ",")
        reader = csv.reader(text.splitlines(), delimiter=mark, skipinitialspace=True)
        rows = [(reader.line_num, [cell.strip() for cell in row]) for row in reader if any(row)]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(
            f"{table}: cannot be read as a table of recordings and numbers of singers ({error}); "
            "save it as CSV in UTF-8"
        ) from error
    if rows and [cell.lower() for cell in rows[0][1]] == ["file", "n_singers"]:
        rows = rows[1:]
    if not rows:
        raise DataError(f"{table}: names no recordings; {_EXAMPLE}, or remove it")
    return rows
