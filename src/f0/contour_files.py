"""Files of F0 contours: tables, JAMS files, and folders with one file per singer.

A file has one row per time and one column per singer:

    time,soprano,alto,tenor,bass
    0.000,440.0,330.0,0,165.0
    0.016,441.2,,220.1,165.2

Times are seconds and strictly increasing, values are Hz; 0, a negative value, nan or an empty
field means silent. The header line is optional; without it the singers are named `singer1`,
`singer2`, ... by column. Columns named `accompaniment1`, ... are the notes of instruments that play
along. Many dialects of such tables are read (`tables`), and columns that hold something else than
F0, such as confidence, are left out (`columns`). JAMS files are read, too, and folders that hold
one file per singer, whose names are the files'.
"""

from __future__ import annotations

import csv
import logging
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from ..errors import OutputExistsError
from ..files import replace_when_complete
from .columns import find_tracks
from .contours import (
    ACCOMPANIMENT,
    MAX_SINGERS,
    ContourError,
    F0Contours,
    join_contours,
    name_accompaniment,
)
from .jams import read_jams
from .names import clean_name, name_singers, number_names, shorten
from .tables import read_table

JAMS = ".jams"
F0_SUFFIXES = (".csv", ".tsv", ".txt", ".f0", JAMS)

log = logging.getLogger(__name__)


def read_f0(path: str | Path) -> F0Contours:
    """Read contours from a file, or a folder with one file per singer (see the module).

    A column that is no F0 is left out and warned of.

    Raises:
        ContourError: the file is missing, empty or malformed; the message names line and column.
    """
    return _read(Path(path))[0]


def read_contours(path: Path, n_singers: int | None = None) -> F0Contours:
    """Read F0 tracks for a separation; without a header, columns are sorted from high to low.

    Raises:
        ContourError: malformed file, another number of singers, or no pitch at all.
    """
    contours, left_out = _read(Path(path))
    if n_singers is not None and contours.n_singers != n_singers:
        raise ContourError(_advise(path, contours, left_out, n_singers))
    if not contours.voiced.any():
        raise ContourError(f"{path}: every singer is silent throughout; nothing to separate")
    for name, voiced in zip(contours.names, contours.voiced.T, strict=True):
        if not voiced.any():
            log.warning("%s: %s is silent throughout; its stem will be nearly empty", path, name)
    unnamed = name_singers(contours.n_singers)
    if contours.names == unnamed:
        ordered = contours.sorted_high_to_low()
        return replace(ordered, names=unnamed)
    return contours


def write_f0(path: str | Path, contours: F0Contours, *, overwrite: bool = False) -> None:
    """Write contours as a CSV file (form: see the module). A crash leaves no incomplete file.

    Raises:
        OutputExistsError: the file exists and `overwrite` is false.
    """
    path = Path(path)
    if path.exists() and not overwrite:
        raise OutputExistsError(f"{path}: exists; choose another name or pass overwrite=True")
    with (
        replace_when_complete(path) as temporary,
        temporary.open("w", newline="", encoding="utf-8", errors="backslashreplace") as stream,
    ):
        writer = csv.writer(stream)
        columns, names = contours.f0, contours.names
        if contours.accompaniment is not None:
            columns = np.concatenate([columns, contours.accompaniment], axis=1)
            names += name_accompaniment(contours.accompaniment.shape[1])
        writer.writerow(("time", *names))
        for time, row in zip(contours.times, columns, strict=True):
            # Nine digits restore any float32 exactly.
            writer.writerow((f"{time:.6f}", *(f"{v:.9g}" for v in row)))


def rename_singers(path: Path, contours: F0Contours, names: Sequence[str]) -> F0Contours:
    """Give the singers of a file other names.

    Raises:
        ContourError: another number of names.
    """
    if len(names) != contours.n_singers:
        held = ", ".join(map(shorten, contours.names))
        raise ContourError(
            f"{path}: holds {contours.n_singers} singers ({held}), but names= gives {len(names)}"
        )
    return replace(contours, names=tuple(names))


def _read(path: Path) -> tuple[F0Contours, tuple[str, ...]]:
    """Read contours, and what the columns are that are no F0."""
    if path.is_dir():
        return _read_folder(path), ()
    if path.suffix.lower() == JAMS:
        return _read_jams(path), ()
    tracks = find_tracks(path, read_table(path))
    if tracks.left_out:
        log.warning("%s: left out: %s", path, "; ".join(tracks.left_out))
    for warning in tracks.warnings:
        log.warning("%s", warning)
    try:
        contours = _set_accompaniment_apart(
            F0Contours(tracks.times, tracks.f0.astype(np.float32), tracks.names)
        )
    except ContourError as error:
        raise ContourError(f"{path}: {error}") from error
    return contours, tracks.left_out


def _set_accompaniment_apart(contours: F0Contours) -> F0Contours:
    """Make columns that are named as `name_accompaniment` does the accompaniment of the others."""
    beside = [
        re.fullmatch(rf"{ACCOMPANIMENT}\d*", x.casefold()) is not None for x in contours.names
    ]
    if not any(beside) or all(beside):
        return contours
    chosen = np.array(beside)
    names = tuple(x for x, is_beside in zip(contours.names, beside, strict=True) if not is_beside)
    f0 = contours.f0
    return F0Contours(contours.times, f0[:, ~chosen], names, accompaniment=f0[:, chosen])


def _read_folder(folder: Path) -> F0Contours:
    """Read one file per singer, ordered from high to low."""
    files = sorted(p for p in folder.glob("[!.]*") if p.suffix.lower() in F0_SUFFIXES)
    if not files:
        raise ContourError(
            f"{folder}: this is a folder without F0 files; give the F0 file, or a folder that "
            f"holds one per singer ({', '.join(F0_SUFFIXES)})"
        )
    singers = []
    for file in files:
        contours = _read(file)[0]
        if contours.n_singers != 1:
            raise ContourError(
                f"{file}: holds {contours.n_singers} singers; of a folder every file must be the "
                "F0 of one singer, so give this file alone or take it out"
            )
        singers.append(contours)
    names = number_names([clean_name(file.stem) for file in files])
    return join_contours(singers, names).sorted_high_to_low()


def _read_jams(path: Path) -> F0Contours:
    tracks = read_jams(path)
    try:
        singers = [
            F0Contours(times, f0.astype(np.float32)[:, None], (name,)) for name, times, f0 in tracks
        ]
    except ContourError as error:
        raise ContourError(f"{path}: {error}") from error
    return join_contours(singers, tuple(name for name, _, _ in tracks))


def _advise(path: Path, contours: F0Contours, left_out: tuple[str, ...], n_singers: int) -> str:
    """Say what to do about a file with another number of singers."""
    found = contours.n_singers
    names = ", ".join(map(shorten, contours.names[:8])) + (", ..." if found > 8 else "")
    held = f"{path}: holds {found} singer{'s' * (found > 1)} ({names}), but n_singers={n_singers}"
    if found > MAX_SINGERS:
        return f"{held}; at most {MAX_SINGERS} can be separated, so take other columns out"
    without = f" ({'; '.join(left_out[:3])})" if left_out else ""
    if found < n_singers:
        return f"{held}{without}; set n_singers={found} or give a file with {n_singers} F0 columns"
    return f"{held}{without}; set n_singers={found} or give another file"
