"""Fine tuning of F0 tracks to the partials of each voice in the recording.

Salience is computed on a coarse grid from windows of a quarter of a second, which flatten vibrato.
Here every voiced frame is compared with the spectrum of a shorter window: of the pitches within a
few cents of the track, the one whose partials have the highest levels is taken. Partials that
another voice covers do not count.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from ..dsp.stft import compute_spectra
from ..dsp.tracks import HOP, RATE
from .peaks import find_parabola_top

WINDOW = 1536  # samples, 96 ms
FFT = 8192
PARTIALS = 12
HIGHEST = 5000.0  # Hz; above, breath noise masks the partials
REACH = 40.0  # cents, largest correction
STEP = 4.0  # cents
WIDTH = 20.0  # cents: standard deviation of the track's error ...
TRUST = 10.0  # ... and its weight against the sum of the partials' log levels
CLASH = 30.0  # Hz between partials that cannot be told apart
FLOOR = 1e-4  # relative to the loudest bin: lower levels count as silence
CHUNK_FRAMES = 1024


def retune(audio: NDArray[np.float32], f0: NDArray[np.float32]) -> NDArray[np.float32]:
    """Move F0 tracks to the partials in the recording, by at most 40 cents.

    Args:
        audio: mono recording [T] at 16 kHz.
        f0: [N, J] Hz on the 16-ms grid, 0 = silent, N <= ceil(T / 256).

    Returns:
        float32 [N, J], silent where `f0` is.
    """
    starts = range(0, len(f0), CHUNK_FRAMES)

    @lru_cache(maxsize=1)  # the only chunk of a short recording is transformed once
    def listen(first: int) -> NDArray[np.float32]:
        return _compute_magnitude(audio, first, min(first + CHUNK_FRAMES, len(f0)))

    loudest = max((float(listen(first).max(initial=0.0)) for first in starts), default=0.0)
    if loudest == 0.0:
        return f0.astype(np.float32)
    tuned = np.zeros(f0.shape, dtype=np.float32)
    for first in starts:
        part = f0[first : first + CHUNK_FRAMES].astype(np.float64)
        level = np.log1p(listen(first) / (FLOOR * loudest))
        for j in range(f0.shape[1]):
            tuned[first : first + len(part), j] = _tune(level, part, j)
    return tuned


def _compute_magnitude(audio: NDArray[np.float32], first: int, last: int) -> NDArray[np.float32]:
    """Compute the magnitude spectra [N, F] of the frames `first` to `last` - 1."""
    spectrum = compute_spectra(audio, first, last, n_fft=FFT, hop=HOP, window=WINDOW)
    magnitude: NDArray[np.float32] = spectrum.abs().numpy().T
    return magnitude


def _tune(level: NDArray[np.float32], f0: NDArray[np.float64], voice: int) -> NDArray[np.float64]:
    """Tune one voice of f0 [N, J] (Hz) on the log levels [N, F]: [N] Hz."""
    tuned = np.zeros(len(f0))
    frames = np.flatnonzero(f0[:, voice] > 0)
    if not len(frames):
        return tuned
    pitch = f0[frames, voice]
    partials = pitch[:, None] * np.arange(1, PARTIALS + 1)
    clear = partials < HIGHEST
    for other in range(f0.shape[1]):
        if other != voice:
            clear &= ~_find_covered(partials, f0[frames, other])
    offsets = np.arange(-REACH, REACH + STEP, STEP)
    bins = partials[:, :, None] * 2 ** (offsets / 1200) * FFT / RATE
    below = np.minimum(bins.astype(np.int64), level.shape[1] - 2)
    weight = bins - below
    rows = frames[:, None, None]
    levels = level[rows, below] * (1 - weight) + level[rows, below + 1] * weight
    score = (levels * clear[:, :, None]).sum(axis=1) - 0.5 * TRUST * (offsets / WIDTH) ** 2
    best = np.clip(score.argmax(axis=1), 1, len(offsets) - 2)
    row = np.arange(len(frames))
    shift = find_parabola_top(score[row, best - 1], score[row, best], score[row, best + 1])
    tuned[frames] = pitch * 2 ** ((offsets[best] + STEP * shift) / 1200)
    return tuned


def _find_covered(partials: NDArray[np.float64], other: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Find the partials [N, H] that are close to a partial of another voice [N] (0 = silent)."""
    sounding = other[:, None] > 0
    pitch = np.where(sounding, other[:, None], 1.0)
    nearest = np.maximum(1.0, np.round(partials / pitch)) * pitch
    covered: NDArray[np.bool_] = sounding & (np.abs(partials - nearest) < CLASH)
    return covered
