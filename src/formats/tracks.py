"""F0 tracks as text, as Sonic Visualiser, Tony, CREPE and mir_eval write and read them.

Sonic Visualiser and Tony: `time,f0`, one singer, no header. CREPE and pYIN: `time,frequency,
confidence` with a header, one singer. mir_eval's multipitch: `time`, then the pitches that sound,
separated by tabs; it does not say whose they are. Times are seconds, F0 is in Hz, 0 where the
singer is silent.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..f0.contours import F0Contours
from ..files import replace_when_complete

Row = Sequence[str]


def write_tony(path: Path, times: NDArray[np.float64], f0: NDArray[np.float32]) -> None:
    """Write one singer as Sonic Visualiser and Tony do.

    Args:
        path: the file; it is replaced.
        times: [N] seconds.
        f0: [N] Hz, 0 where silent.
    """
    _write(path, ((_show_time(t), _show_hertz(f)) for t, f in zip(times, f0, strict=True)))


def write_crepe(path: Path, times: NDArray[np.float64], f0: NDArray[np.float32]) -> None:
    """Write one singer as CREPE and pYIN do; confidence is 1 where there is a pitch, else 0.

    Args:
        path: the file; it is replaced.
        times: [N] seconds.
        f0: [N] Hz, 0 where silent.
    """
    rows: list[Row] = [("time", "frequency", "confidence")]
    for time, value in zip(times, f0, strict=True):
        rows.append((_show_time(time), _show_hertz(value), "1" if value > 0 else "0"))
    _write(path, rows)


def write_multipitch(path: Path, contours: F0Contours) -> None:
    """Write the pitches of all singers as `mir_eval.io.load_ragged_time_series` reads them."""
    rows = (
        (_show_time(time), *(_show_hertz(f) for f in row if f > 0))
        for time, row in zip(contours.times, contours.f0, strict=True)
    )
    _write(path, rows, delimiter="\t")


def _show_time(time: float) -> str:
    return f"{time:.6f}"


def _show_hertz(f0: float) -> str:
    return f"{f0:.9g}"  # nine digits restore any float32 exactly


def _write(path: Path, rows: Iterable[Row], delimiter: str = ",") -> None:
    with (
        replace_when_complete(path) as temporary,
        temporary.open("w", newline="", encoding="utf-8") as stream,
    ):
        csv.writer(stream, delimiter=delimiter, lineterminator="\n").writerows(rows)
