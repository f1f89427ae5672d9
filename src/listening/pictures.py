"""The pictures of a page: what sounds over time and pitch, as small grey PNG files.

A pixel says how loud it is, from 0 to 255; the page colours it.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from functools import cache

import numpy as np
import scipy.fft
from numpy.typing import NDArray
from PIL import Image
from scipy.sparse import csr_matrix

COLUMNS_PER_SECOND = 50
PEAKS_PER_SECOND = 100
ROWS = 96
LOWEST_HZ, HIGHEST_HZ = 55.0, 3520.0  # six octaves above A1
WINDOW_SECONDS = 0.093
RANGE_DB = 66.0
SHADES = 24  # few shades make small files; the eye does not see more over a range of 66 dB
OVERVIEW_COLUMNS = 1500

Bytes = NDArray[np.uint8]


@cache
def build_rows(rate: int, n_fft: int) -> csr_matrix:
    """Weights [ROWS, F] that gather the powers of an FFT into rows of equal musical height."""
    step = (HIGHEST_HZ / LOWEST_HZ) ** (1 / ROWS)
    centres = LOWEST_HZ * step ** (np.arange(ROWS) + 0.5)
    frequencies = np.arange(n_fft // 2 + 1) * rate / n_fft
    # Low rows are narrower than a bin: they take the two next to them.
    half = np.maximum(centres * (step - 1), rate / n_fft)
    weights = np.maximum(0.0, 1 - np.abs(frequencies - centres[:, None]) / half[:, None])
    return csr_matrix(weights.astype(np.float32))


def choose_fft(rate: int) -> int:
    """FFT size of the pictures, samples."""
    return int(2 ** round(np.log2(WINDOW_SECONDS * rate)))


def draw(
    pieces: Iterable[NDArray[np.float32]], rate: int, n: int, *, loudest: float
) -> Iterator[Bytes]:
    """Draw the pieces of a track.

    Args:
        pieces: [C, n], the last one shorter.
        rate: sample rate, Hz.
        n: samples of a piece; a whole number of columns.
        loudest: amplitude of a sine that is drawn with 255.

    Yields:
        [ROWS, columns] per piece, the lowest row last; column k is at k / `COLUMNS_PER_SECOND`
        seconds. A picture sees the sound beside its piece, too.
    """
    n_fft = choose_fft(rate)
    half = n_fft // 2
    before = np.zeros(half, np.float32)
    held: NDArray[np.float32] | None = None
    for piece in pieces:
        mono = piece.mean(axis=0, dtype=np.float32)
        if held is not None:
            yield _draw(np.concatenate([before, held, mono[:half]]), len(held), rate, loudest)
            before = np.concatenate([before, held])[-half:]
        held = mono
    if held is not None:
        yield _draw(np.concatenate([before, held]), len(held), rate, loudest)


def _draw(padded: NDArray[np.float32], n: int, rate: int, loudest: float) -> Bytes:
    """Draw n samples, which begin half a window after the beginning of `padded`."""
    n_fft = choose_fft(rate)
    columns = -(-n * COLUMNS_PER_SECOND // rate)
    starts = np.round(np.arange(columns) * rate / COLUMNS_PER_SECOND).astype(int)
    padded = np.pad(padded, (0, max(0, starts[-1] + n_fft - len(padded))))
    window = np.hanning(n_fft + 1)[:-1].astype(np.float32)
    frames = np.lib.stride_tricks.sliding_window_view(padded, n_fft)[starts] * window
    amplitude = np.abs(scipy.fft.rfft(frames, axis=1)) * (2 / window.sum() / loudest)
    power = build_rows(rate, n_fft) @ np.square(amplitude).T
    decibels = 10 * np.log10(np.maximum(power, 10 ** (-RANGE_DB / 10)))
    share = np.clip(1 + decibels[::-1] / RANGE_DB, 0.0, 1.0)
    return (np.round(share * (SHADES - 1)) * (255 / (SHADES - 1))).astype(np.uint8)


def find_peaks(piece: NDArray[np.float32], rate: int, gain: float) -> Bytes:
    """The largest absolute values of a piece [C, n], one per 1 / `PEAKS_PER_SECOND`, 255 = 1."""
    largest = np.abs(piece).max(axis=0) * gain
    count = -(-len(largest) * PEAKS_PER_SECOND // rate)
    starts = np.round(np.arange(count) * rate / PEAKS_PER_SECOND).astype(int)
    peaks = np.maximum.reduceat(largest, np.minimum(starts, len(largest) - 1))
    return np.round(np.clip(peaks, 0, 1) * 255).astype(np.uint8)


def shrink(picture: Bytes) -> Bytes:
    """The same picture with at most `OVERVIEW_COLUMNS` columns, each the loudest of several."""
    columns = picture.shape[1]
    if columns <= OVERVIEW_COLUMNS:
        return picture
    starts = np.arange(OVERVIEW_COLUMNS) * columns // OVERVIEW_COLUMNS
    return np.maximum.reduceat(picture, starts, axis=1)


def encode_png(picture: Bytes) -> bytes:
    """Encode grey values [rows, columns] as PNG."""
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "PNG", compress_level=9)
    return buffer.getvalue()
