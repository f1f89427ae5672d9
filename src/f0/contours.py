"""F0 contours of several singers: their CSV format and their resampling.

The CSV format has one row per time and one column per singer:

    time,soprano,alto,tenor,bass
    0.000,440.0,330.0,0,165.0
    0.016,441.2,,220.1,165.2

Times are seconds and strictly increasing, values are Hz, 0 or an empty field means silent. The
header line is optional; without it the singers are named `singer1`, `singer2`, ... by column.
"""

from __future__ import annotations

import csv
import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from ..dsp.tracks import HOP, RATE, interpolate_tracks
from ..errors import OutputExistsError, UmssError
from ..files import replace_when_complete

MAX_F0 = 8_000.0

log = logging.getLogger(__name__)


class ContourError(UmssError):
    """F0 contours that cannot be used; the message says where the fault is and how to fix it."""


@dataclass(frozen=True, eq=False)
class F0Contours:
    """F0 tracks of J singers at common times.

    Attributes:
        times: float64 [N], seconds, strictly increasing.
        f0: float32 [N, J], Hz, 0 where the singer is silent or unvoiced.
        names: J voice names, one per column of `f0`.

    Raises:
        ContourError: shapes that disagree, times that do not increase, values that are negative,
            not finite or above 8000 Hz, or names that are empty or repeated.
    """

    times: NDArray[np.float64]
    f0: NDArray[np.float32]
    names: tuple[str, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "times", np.asarray(self.times, dtype=np.float64))
        object.__setattr__(self, "f0", np.asarray(self.f0, dtype=np.float32))
        object.__setattr__(self, "names", tuple(self.names))
        _check(self.times, self.f0, self.names)

    @classmethod
    def on_grid(
        cls, f0: NDArray[np.float32], names: tuple[str, ...], *, hop: int = HOP, rate: int = RATE
    ) -> F0Contours:
        """Contours from f0 [N, J] in Hz whose frame n is at n * hop / rate seconds."""
        return cls(np.arange(len(f0)) * hop / rate, f0, names)

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
        resampled = np.zeros((len(times), self.n_singers), dtype=np.float32)
        # A target that equals a source time up to rounding must give exactly that frame.
        slack = 1e-9 * max(1.0, abs(self.duration))
        inside = (times >= self.times[0] - slack) & (times <= self.times[-1] + slack)
        right = np.clip(np.searchsorted(self.times, times[inside]), 0, len(self.times) - 1)
        left = np.maximum(right - 1, 0)
        gap = self.times[right] - self.times[left]
        weight = (times[inside] - self.times[left]) / np.where(gap > 0, gap, 1.0)
        position = torch.from_numpy(left + np.clip(weight, 0.0, 1.0))
        tracks = torch.from_numpy(self.f0.T.astype(np.float64))
        resampled[inside] = interpolate_tracks(tracks, position).numpy().T
        return F0Contours(times, resampled, self.names)

    def to_frames(self, n_frames: int, *, hop: int = HOP, rate: int = RATE) -> NDArray[np.float32]:
        """Resample to float32 [n_frames, J] in Hz, frame n at n * hop / rate seconds."""
        return self.resample(np.arange(n_frames) * hop / rate).f0

    def sorted_high_to_low(self) -> F0Contours:
        """The same tracks by the median of their voiced F0, highest first, silent ones last."""
        medians = [
            float(np.median(track[track > 0])) if (track > 0).any() else 0.0 for track in self.f0.T
        ]
        order = sorted(range(self.n_singers), key=lambda j: -medians[j])
        return F0Contours(self.times, self.f0[:, order], tuple(self.names[j] for j in order))


def read_f0(path: str | Path) -> F0Contours:
    """Read contours from a CSV file (format: see the module).

    Raises:
        ContourError: the file is missing, empty or malformed; the message names line and column.
    """
    path = Path(path)
    if not path.is_file():
        raise ContourError(f"{path}: no such F0 file")
    try:
        with path.open(newline="", encoding="utf-8-sig") as handle:
            reader = csv.reader(handle)
            # The physical line number, so that the message agrees with the user's editor.
            rows = [(reader.line_num, row) for row in reader if any(cell.strip() for cell in row)]
    except (UnicodeDecodeError, csv.Error, OSError) as error:
        raise ContourError(f"{path}: not a readable CSV file ({error})") from error
    if not rows:
        raise ContourError(f"{path}: the F0 file is empty; expected rows of time,f0,f0,...")
    names = _read_header(rows[0][1])
    if names is not None:
        rows = rows[1:]
    if not rows:
        raise ContourError(f"{path}: the F0 file has a header but no rows")
    width = len(rows[0][1]) if names is None else len(names) + 1
    if width < 2:
        raise ContourError(f"{path}, line {rows[0][0]}: expected time and at least one F0 column")
    if names is None:
        names = tuple(f"singer{j + 1}" for j in range(width - 1))
    columns = ("time", *names)
    table = np.zeros((len(rows), width))
    for index, (line, row) in enumerate(rows):
        if len(row) != width:
            raise ContourError(f"{path}, line {line}: {len(row)} columns, expected {width}")
        for column, cell in enumerate(row):
            table[index, column] = _read_number(path, line, columns[column], cell, column == 0)
        if index and table[index, 0] <= table[index - 1, 0]:
            raise ContourError(
                f"{path}, line {line}, column time: {table[index, 0]:g} s does not come after "
                f"{table[index - 1, 0]:g} s; times must increase"
            )
    try:
        return F0Contours(table[:, 0], table[:, 1:].astype(np.float32), names)
    except ContourError as error:
        raise ContourError(f"{path}: {error}") from error


def read_contours(path: Path, n_singers: int | None = None) -> F0Contours:
    """Read F0 tracks for a separation; without a header, columns are sorted from high to low.

    Raises:
        ContourError: malformed file, another number of singers, or no pitch at all.
    """
    contours = read_f0(path)
    if n_singers is not None and contours.n_singers != n_singers:
        raise ContourError(
            f"{path}: holds {contours.n_singers} singers ({', '.join(contours.names)}), but "
            f"n_singers={n_singers}; set n_singers={contours.n_singers} or give another file"
        )
    if not contours.voiced.any():
        raise ContourError(f"{path}: every singer is silent throughout; nothing to separate")
    for name, voiced in zip(contours.names, contours.voiced.T, strict=True):
        if not voiced.any():
            log.warning("%s: %s is silent throughout; its stem will be nearly empty", path, name)
    unnamed = tuple(f"singer{j + 1}" for j in range(contours.n_singers))
    if contours.names == unnamed:
        ordered = contours.sorted_high_to_low()
        return F0Contours(ordered.times, ordered.f0, unnamed)
    return contours


def write_f0(path: str | Path, contours: F0Contours, *, overwrite: bool = False) -> None:
    """Write contours as a CSV file (format: see the module). A crash leaves no incomplete file.

    Raises:
        OutputExistsError: the file exists and `overwrite` is false.
    """
    path = Path(path)
    if path.exists() and not overwrite:
        raise OutputExistsError(f"{path}: exists; choose another name or pass overwrite=True")
    with (
        replace_when_complete(path) as temporary,
        temporary.open("w", newline="", encoding="utf-8") as stream,
    ):
        writer = csv.writer(stream)
        writer.writerow(("time", *contours.names))
        for time, row in zip(contours.times, contours.f0, strict=True):
            # Nine digits restore any float32 exactly.
            writer.writerow((f"{time:.6f}", *(f"{v:.9g}" for v in row)))


def _read_header(row: list[str]) -> tuple[str, ...] | None:
    """Read voice names if the row is a header; None if its first cell is a number."""
    try:
        float(row[0])
    except ValueError:
        return tuple(cell.strip() for cell in row[1:])
    return None


def _read_number(path: Path, line: int, column: str, cell: str, is_time: bool) -> float:
    text = cell.strip()
    if not text and not is_time:
        return 0.0
    where = f"{path}, line {line}, column {column}"
    try:
        value = float(text)
    except ValueError:
        raise ContourError(f"{where}: {cell!r} is not a number") from None
    if not np.isfinite(value):
        raise ContourError(f"{where}: {cell!r} is not finite; write 0 where the singer is silent")
    if value < 0:
        raise ContourError(f"{where}: {value:g} is negative; write 0 where the singer is silent")
    if not is_time and value > MAX_F0:
        raise ContourError(f"{where}: {value:g} Hz is above {MAX_F0:g} Hz; F0 must be in Hz")
    return value


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
