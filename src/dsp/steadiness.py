"""Tones that stay on one frequency, as those of an organ or a piano do and voices do not.

A singer's pitch is never still: his high partials, where cents are many hertz, move within a third
of a second. So partials above 2 kHz that stay within a cent or so for so long say that an
instrument plays along.
"""

from __future__ import annotations

import numpy as np
import torch
from numba import njit
from numpy.typing import NDArray
from torch import Tensor

from .stft import compute_spectra
from .tracks import HOP, RATE

N_FFT = 2048  # samples, 128 ms: shorter than a swing of vibrato
LOWEST, HIGHEST = 2000.0, 6000.0  # Hz
TOLERANCE = 1.2  # cents
FRAMES = 20  # that a partial must stay: 0.32 s
REMEMBERED = 12  # frames whose mean frequency the next one is compared with
CLEAR = 5.0  # times the geometric mean of the bins around, from which on a peak is a partial
AROUND = 15  # bins on either side
FLOOR = 1e-3  # relative to the loudest bin of the recording
_BLOCK = 1024  # frames at a time


def measure_steadiness(audio: NDArray[np.float32]) -> float:
    """Count the partials that stay on their frequency, as a mean over frames.

    Args:
        audio: [T] at 16 kHz.

    Returns:
        Steady partials per frame: up to 0.15 for voices, 0.8 and more beside an organ or a piano
        4 dB below them (experiments/real/accompaniment.csv).
    """
    low, high = (round(hertz * N_FFT / RATE) for hertz in (LOWEST, HIGHEST))
    n_frames = -(-len(audio) // HOP)
    firsts = range(0, n_frames, _BLOCK)
    loudest = max((float(_transform(audio, n, n_frames).abs().max()) for n in firsts), default=0.0)
    if loudest == 0.0:
        return 0.0
    # Twice over the recording, so that one of an hour needs no more memory than one of a minute.
    run = np.zeros(high - low + 1, dtype=np.int64)
    mean = np.zeros(len(run))
    tolerance = TOLERANCE / 1200.0 * float(np.log(2.0))
    steady = 0
    before: Tensor | None = None
    for first in firsts:
        spectrum = _transform(audio, first, n_frames)
        level = _find_peaks(spectrum[low - AROUND : high + AROUND + 1])
        inner = spectrum[low : high + 1]
        if before is None:
            level = level[:, 1:]
        else:
            inner = torch.cat([before, inner], dim=1)
        before = inner[:, -1:].clone()
        frequency = _measure_frequencies(inner, low)
        heard = torch.where(level > FLOOR * loudest, frequency, 0.0).T.contiguous().numpy()
        steady += _count_steady(heard, tolerance, FRAMES, run, mean)
    return steady / max(1, n_frames - 1)


def _find_peaks(spectrum: Tensor) -> Tensor:
    """Magnitudes [F, N] of the peaks of a spectrum [F + 2 AROUND, N], 0 elsewhere."""
    magnitude = spectrum.abs()
    logs = (magnitude + 1e-12).log().T.unsqueeze(1)
    around = torch.nn.functional.avg_pool1d(logs, 2 * AROUND + 1, 1).squeeze(1).T.exp()
    inner = magnitude[AROUND:-AROUND]
    peak = (inner > magnitude[AROUND - 1 : -AROUND - 1]) & (
        inner > magnitude[AROUND + 1 : -AROUND + 1]
    )
    return torch.where(peak & (inner > CLEAR * around), inner, 0.0)


def _transform(audio: NDArray[np.float32], first: int, n_frames: int) -> Tensor:
    """Compute the spectra [F, n] of a block of n_frames frames, from frame `first` on."""
    return compute_spectra(audio, first, min(first + _BLOCK, n_frames), n_fft=N_FFT, hop=HOP)


def _measure_frequencies(spectrum: Tensor, lowest: int) -> Tensor:
    """Measure the frequency in each bin, in bins, from the advance of its phase: [F, N - 1]."""
    bins = torch.arange(lowest, lowest + len(spectrum))[:, None]
    expected = torch.exp(-2j * torch.pi * bins * HOP / N_FFT).to(spectrum)
    turned = (spectrum[:, 1:] * spectrum[:, :-1].conj() * expected).angle()
    return bins + turned.double() * N_FFT / (2 * torch.pi * HOP)


@njit(cache=True)
def _count_steady(
    frequency: NDArray[np.float64],
    tolerance: float,
    least: int,
    run: NDArray[np.int64],
    mean: NDArray[np.float64],
) -> int:
    """Count the frames of partials that stay for `least` frames.

    Args:
        frequency: [N, F] of peaks, 0 elsewhere.
        tolerance: largest step from the mean so far, in nats of frequency.
        run, mean: [F] for how long the partials of the frame before have stayed, and where; those
            of the last frame are left there.
    """
    n_frames, n_bins = frequency.shape
    steady = 0
    longer = np.zeros(n_bins, dtype=np.int64)
    new = np.zeros(n_bins)
    for n in range(n_frames):
        longer[:] = 0
        for b in range(n_bins):
            value = frequency[n, b]
            if value <= 0.0:
                continue
            longer[b], new[b] = 1, value
            for a in range(max(0, b - 1), min(n_bins, b + 2)):
                if run[a] >= longer[b] and abs(value / mean[a] - 1.0) < tolerance:
                    longer[b] = run[a] + 1
                    new[b] = mean[a] + (value - mean[a]) / min(longer[b], REMEMBERED)
            if longer[b] == least:
                steady += least
            elif longer[b] > least:
                steady += 1
        run[:] = longer
        mean[:] = new
    return steady
