"""Refines an F0 track on a recording of the voice alone, by autocorrelation.

Reference:
    Boersma, "Accurate short-term analysis of the fundamental frequency and the harmonics-to-noise
    ratio of a sampled sound", Proceedings of the Institute of Phonetic Sciences 17, 1993: the
    autocorrelation of a windowed frame, divided by that of the window.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import median_filter

Signal = NDArray[np.float32]
Track = NDArray[np.float64]

MOST = 100.0  # cents by which a frame of a track may be moved
_PERIODS = 4  # in a frame
_CLEAR = 0.6  # least autocorrelation of a frame that is moved
_ALONE = 25.0  # cents
_BLOCK = 512  # frames at a time
_FINER = 4  # lags per sample


def refine_f0(signal: Signal, f0: Track, *, rate: int, hop: float) -> Track:
    """Move every frame of a track to the nearest period that the signal has.

    Args:
        signal: [T].
        f0: [N] Hz, 0 = silent.
        rate: sample rate in Hz, at most 48 000 for speed.
        hop: seconds from one frame to the next.

    Returns:
        [N] Hz; frames without a clear period near the given one stay as they are.
    """
    sung = np.flatnonzero(f0 > 0)
    if not len(sung):
        return f0
    size = int(_PERIODS * rate / np.percentile(f0[sung], 10))
    window = np.hanning(size + 2)[1:-1]
    n_fft = 1 << (2 * size - 1).bit_length()
    # Of the lags, those that a few periods of the window still overlap.
    own = np.fft.irfft(np.abs(np.fft.rfft(window, n_fft)) ** 2, _FINER * n_fft)
    own = own[: int(0.75 * _FINER * size)]
    padded = np.pad(signal.astype(np.float64), (size, 2 * size))
    refined = f0.copy()
    for first in range(0, len(sung), _BLOCK):
        frames = sung[first : first + _BLOCK]
        begins = np.rint(frames * hop * rate).astype(int) + size - size // 2
        begins = begins.clip(max=len(padded) - size)
        cut = padded[begins[:, None] + np.arange(size)] * window
        power = np.abs(np.fft.rfft(cut, n_fft)) ** 2
        lags = np.fft.irfft(power, _FINER * n_fft)[:, : len(own)] / own
        lags /= np.maximum(lags[:, :1], 1e-30)
        refined[frames] = _find_peaks(lags, f0[frames], rate)
    moved = 1200.0 * np.log2(refined[sung] / f0[sung])
    # A single frame that disagrees with its neighbours is wrong.
    usual = median_filter(moved, size=5, mode="nearest")
    moved = np.where(np.abs(moved - usual) < _ALONE, moved, usual)
    refined[sung] = f0[sung] * 2.0 ** (moved / 1200.0)
    return refined


def _find_peaks(lags: Track, f0: Track, rate: int) -> Track:
    """Find the peak of autocorrelations [N, lags] next to the periods of F0s [N]."""
    far = 2.0 ** (MOST / 1200.0)
    period = _FINER * rate / f0
    low, high = np.ceil(period / far).astype(int), np.floor(period * far).astype(int)
    place = low[:, None] + np.arange(int((high - low).max()) + 1)
    near = np.take_along_axis(lags, np.minimum(place, lags.shape[1] - 2), axis=1)
    near[place > high[:, None]] = -np.inf
    rows = np.arange(len(lags))
    top = place[rows, near.argmax(axis=1)].clip(1, lags.shape[1] - 2)
    left, middle, right = (lags[rows, top + k] for k in (-1, 0, 1))
    bend = left - 2.0 * middle + right
    shift = 0.5 * (left - right) / np.where(bend < 0, bend, -np.inf)
    inside = (middle >= left) & (middle >= right) & (middle > _CLEAR)
    return np.where(inside, _FINER * rate / (top + shift), f0)
