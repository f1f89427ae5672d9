"""Pictures for the editor, in pieces of ten seconds: grey PNG files, the highest pitch on top."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from ..dsp.tracks import HOP, RATE
from ..files import replace_when_complete, write_json
from ..listening.pictures import encode_png
from .cache import PIECE_SECONDS
from .ridges import Ridges

COLUMNS = round(PIECE_SECONDS * RATE / HOP)  # of a piece
LOWEST, HIGHEST = 55.0, 3520.0  # Hz of the spectrogram
ROWS = 217  # three per semitone
_FFT = 4096
_WINDOW = 2048  # samples, 128 ms
_RANGE_DB = 60.0
_ODDS = (-6.0, 3.0)  # black and white of the salience


def draw_spectrograms(
    samples: NDArray[np.float32],
    folder: Path,
    report: Callable[[float], None] = lambda share: None,
) -> None:
    """Draw a recording: what sounds over time and pitch.

    Args:
        samples: [T] at 16 kHz.
        folder: where the pictures go.
        report: told how far it is, 0 to 1.
    """
    n_frames = -(-len(samples) // HOP)
    pieces, loudest = [], -180.0
    for first in range(0, n_frames, COLUMNS):
        decibels = _transform(samples, first, min(COLUMNS, n_frames - first))
        loudest = max(loudest, float(decibels.max()))
        pieces.append(decibels.astype(np.float16))  # hours of it are held
        report(first / n_frames)
    for k, piece in enumerate(pieces):
        _write(folder / f"{k:04d}.png", 1 + (piece.astype(np.float32) - loudest) / _RANGE_DB)
    _describe(folder, ROWS, LOWEST, HIGHEST, loudest)


def draw_saliences(ridges: Ridges, folder: Path) -> None:
    """Draw the salience of a recording."""
    n_rows, n_frames = ridges.odds.shape
    black, white = _ODDS
    for k, first in enumerate(range(0, n_frames, COLUMNS)):
        odds = ridges.cut(first, min(COLUMNS, n_frames - first))
        _write(folder / f"{k:04d}.png", (odds - black) / (white - black))
    highest = float(ridges.find_hertz(np.array(n_rows - 1.0)))
    _describe(folder, n_rows, ridges.lowest, highest)


def _transform(samples: NDArray[np.float32], first: int, count: int) -> NDArray[np.float32]:
    """Levels [ROWS, count] in dB of the frames from `first` on, of samples [T] at 16 kHz."""
    start = first * HOP - _WINDOW // 2
    stop = (first + count - 1) * HOP + _WINDOW // 2
    part = np.asarray(samples[max(0, start) : max(0, stop)])
    padded = np.pad(part, (max(0, -start), stop - max(0, start) - len(part)))
    return measure_levels(np.lib.stride_tricks.sliding_window_view(padded, _WINDOW)[::HOP], RATE)


def measure_levels(frames: NDArray[np.float32], rate: int) -> NDArray[np.float32]:
    """Measure how loud the rows of a picture are.

    Args:
        frames: [n, window], each `find_window(rate)` samples.
        rate: of the samples, Hz.

    Returns:
        [ROWS, n] in dB, the lowest row first.
    """
    length = frames.shape[1]
    n_fft = scipy.fft.next_fast_len(length * _FFT // _WINDOW, real=True)
    rows = LOWEST * (HIGHEST / LOWEST) ** (np.arange(ROWS) / (ROWS - 1))
    bins = rows * n_fft / rate
    below = np.floor(bins).astype(int)
    weight = (bins - below)[:, None]
    window = np.hanning(length + 1)[:-1].astype(np.float32)
    spectra = np.abs(scipy.fft.rfft(frames * window, n_fft, axis=1)).T
    power = spectra[below] * (1 - weight) + spectra[below + 1] * weight
    # Partials get softer upwards: 6 dB per octave are given back, so that they are seen. A window
    # at a higher rate has more samples and would look louder.
    power = power * (rows / LOWEST)[:, None] * (_WINDOW / length)
    levels: NDArray[np.float32] = 20 * np.log10(np.maximum(power, 1e-9))
    return levels


def find_window(rate: int) -> int:
    """Samples of a frame at a rate."""
    return round(_WINDOW * rate / RATE)


def encode_levels(levels: NDArray[np.float32], loudest: float) -> bytes:
    """A picture of levels [ROWS, n] in dB, as PNG, as bright as that of the recording."""
    return _encode(1 + (levels - loudest) / _RANGE_DB)


def _encode(shares: NDArray[Any]) -> bytes:
    """Shares [rows, columns], 0 to 1, the lowest row first, as PNG."""
    return encode_png(np.round(np.clip(shares[::-1], 0, 1) * 255).astype(np.uint8))


def _write(path: Path, shares: NDArray[Any]) -> None:
    """Write shares [rows, columns], 0 to 1, the lowest row first."""
    with replace_when_complete(path) as temporary:
        temporary.write_bytes(_encode(shares))


def _describe(
    folder: Path, rows: int, lowest: float, highest: float, loudest: float | None = None
) -> None:
    made = max(path.stat().st_mtime_ns for path in folder.glob("*.png"))
    described = {
        "rows": rows,
        "columns": COLUMNS,
        "per_second": RATE / HOP,
        "lowest": lowest,
        "highest": highest,
        "made": str(made),
    }
    if loudest is not None:
        described["loudest"] = loudest  # dB that is drawn white
    write_json(folder / "picture.json", described)
