"""F0 contours of several singers: their files and their resampling.

A file has one row per time and one column per singer:

    time,soprano,alto,tenor,bass
    0.000,440.0,330.0,0,165.0
    0.016,441.2,,220.1,165.2

Times are seconds and strictly increasing, values are Hz; 0, a negative value, nan or an empty
field means silent. The header line is optional; without it the singers are named `singer1`,
`singer2`, ... by column. Columns named `accompaniment1`, ... are the notes of instruments that play
along. Many dialects of such tables are read (`tables`), and columns that hold
something else than F0, such as confidence, are left out (`columns`). JAMS files are read, too, and
folders that hold one file per singer, whose names are the files'.
"""

from __future__ import annotations

import csv
import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from ..dsp.tracks import HOP, RATE, interpolate_tracks
from ..errors import OutputExistsError
from ..files import replace_when_complete
from .columns import MAX_F0 as MAX_F0
from .columns import find_tracks
from .jams import read_jams
from .names import clean_name, name_singers, number_names, shorten
from .tables import ContourError as ContourError
from .tables import read_table

MAX_SINGERS = 32
ACCOMPANIMENT = "accompaniment"
JAMS = ".jams"
F0_SUFFIXES = (".csv", ".tsv", ".txt", ".f0", JAMS)

log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class F0Contours:
    """F0 tracks of J singers at common times.

    Attributes:
        times: float64 [N], seconds, strictly increasing.
        f0: float32 [N, J], Hz, 0 where the singer is silent or unvoiced.
        names: J voice names, one per column of `f0`.
        confidence: float32 [N, J], probability that the column's singer sings it and not another;
            None where it is not known.
        accompaniment: float32 [N, K], Hz, 0 where silent: the notes of instruments that play along,
            which are nobody's stem; None where there are none.

    Raises:
        ContourError: shapes that disagree, times that do not increase, values that are negative,
            not finite or above 8000 Hz, or names that are empty or repeated.
    """

    times: NDArray[np.float64]
    f0: NDArray[np.float32]
    names: tuple[str, ...]
    confidence: NDArray[np.float32] | None = None
    accompaniment: NDArray[np.float32] | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "times", np.asarray(self.times, dtype=np.float64))
        object.__setattr__(self, "f0", np.asarray(self.f0, dtype=np.float32))
        object.__setattr__(self, "names", tuple(self.names))
        _check(self.times, self.f0, self.names)
        if self.confidence is not None and self.confidence.shape != self.f0.shape:
            raise ContourError(
                f"confidence must be {list(self.f0.shape)} like f0, got "
                f"{list(self.confidence.shape)}"
            )
        if self.accompaniment is not None:
            notes = np.asarray(self.accompaniment, dtype=np.float32)
            object.__setattr__(self, "accompaniment", notes)
            names = name_accompaniment(notes.shape[-1])
            _check(self.times, notes, names)

    @classmethod
    def on_grid(
        cls,
        f0: NDArray[np.float32],
        names: tuple[str, ...],
        *,
        hop: int = HOP,
        rate: int = RATE,
        confidence: NDArray[np.float32] | None = None,
    ) -> F0Contours:
        """Contours from f0 [N, J] in Hz whose frame n is at n * hop / rate seconds."""
        return cls(np.arange(len(f0)) * hop / rate, f0, names, confidence)

    @property
    def n_singers(self) -> int:
        """Number of singers J."""
        return int(self.f0.shape[1])

    @property
    def duration(self) -> float:
        """Time of the last frame, seconds."""
        return float(self.times[-1])

    @property
    def voiced(self) -> NDArray[np.bool_]:
        """Bool [N, J], true where the singer has a pitch."""
        return self.f0 > 0

    def resample(self, times: NDArray[np.float64]) -> F0Contours:
        """Interpolate the contours at other times (seconds, [M], strictly increasing).

        Follows the rule of `src.dsp.tracks`, except that every singer is silent before the first
        and after the last frame.
        """
        times = np.asarray(times, dtype=np.float64)
        # A target that equals a source time up to rounding must give exactly that frame.
        slack = 1e-9 * max(1.0, abs(self.duration))
        inside = (times >= self.times[0] - slack) & (times <= self.times[-1] + slack)
        right = np.clip(np.searchsorted(self.times, times[inside]), 0, len(self.times) - 1)
        left = np.maximum(right - 1, 0)
        gap = self.times[right] - self.times[left]
        weight = (times[inside] - self.times[left]) / np.where(gap > 0, gap, 1.0)
        position = torch.from_numpy(left + np.clip(weight, 0.0, 1.0))

        def interpolate(f0: NDArray[np.float32]) -> NDArray[np.float32]:
            resampled = np.zeros((len(times), f0.shape[1]), dtype=np.float32)
            tracks = torch.from_numpy(f0.T.astype(np.float64))
            resampled[inside] = interpolate_tracks(tracks, position).numpy().T
            return resampled

        notes = None if self.accompaniment is None else interpolate(self.accompaniment)
        confidence = None
        if self.confidence is not None:
            columns = [np.interp(times, self.times, x) for x in self.confidence.T]
            confidence = np.stack(columns, axis=1).astype(np.float32)
        return F0Contours(times, interpolate(self.f0), self.names, confidence, notes)

    def to_frames(self, n_frames: int, *, hop: int = HOP, rate: int = RATE) -> NDArray[np.float32]:
        """Resample to float32 [n_frames, J] in Hz, frame n at n * hop / rate seconds."""
        return self.resample(np.arange(n_frames) * hop / rate).f0

    def sorted_high_to_low(self) -> F0Contours:
        """The same tracks by the median of their voiced F0, highest first, silent ones last."""
        medians = [
            float(np.median(track[track > 0])) if (track > 0).any() else 0.0 for track in self.f0.T
        ]
        order = sorted(range(self.n_singers), key=lambda j: -medians[j])
        confidence = None if self.confidence is None else self.confidence[:, order]
        names = tuple(self.names[j] for j in order)
        return F0Contours(self.times, self.f0[:, order], names, confidence, self.accompaniment)


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


def name_accompaniment(n: int) -> tuple[str, ...]:
    """Name the columns of an accompaniment in a file."""
    return tuple(f"{ACCOMPANIMENT}{k + 1}" for k in range(n))


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


def join_contours(singers: Sequence[F0Contours], names: tuple[str, ...]) -> F0Contours:
    """Join J singers, one each, on the 16-ms grid unless all have the same times."""
    times = singers[0].times
    if not all(np.array_equal(singer.times, times) for singer in singers):
        n_frames = int(max(singer.duration for singer in singers) * RATE / HOP + 1e-6) + 1
        times = np.arange(n_frames) * HOP / RATE
        singers = [singer.resample(times) for singer in singers]
    return F0Contours(times, np.concatenate([singer.f0 for singer in singers], axis=1), names)


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


def _check(times: NDArray[np.float64], f0: NDArray[np.float32], names: tuple[str, ...]) -> None:
    if times.ndim != 1 or f0.ndim != 2 or len(times) != len(f0) or len(times) == 0:
        raise ContourError(
            f"expected times [N] and f0 [N, J] with N >= 1, got {times.shape} and {f0.shape}"
        )
    if f0.shape[1] == 0 or len(names) != f0.shape[1]:
        raise ContourError(f"{f0.shape[1]} F0 columns but {len(names)} names: {names}")
    if len(set(names)) != len(names) or not all(names):
        raise ContourError(f"voice names must differ and not be empty, got {names}")
    if not np.isfinite(times).all() or (np.diff(times) <= 0).any():
        raise ContourError("times must be finite and strictly increasing")
    for j, name in enumerate(names):
        bad = ~np.isfinite(f0[:, j]) | (f0[:, j] < 0) | (f0[:, j] > MAX_F0)
        if bad.any():
            n = int(np.argmax(bad))
            raise ContourError(
                f"F0 of {name} at frame {n} ({times[n]:g} s) is {f0[n, j]:g} Hz; expected 0 "
                f"(silent) to {MAX_F0:g} Hz"
            )
