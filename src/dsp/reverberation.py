"""Reverberation of a recording: how much there is, and the recording with less of it.

In a large room, notes go on sounding under those that follow. What the room still owes of the past
is predicted from the spectrogram itself, as an exponential decay of what was newly sung, and
subtracted (spectral subtraction; Lebart, Boucher, Denbigh, "A new method based on spectral
subtraction for speech dereverberation", Acta Acustica 87, 2001).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..errors import UmssError
from .stft import overlap_add
from .tracks import RATE

N_FFT, HOP = 1024, 256
# Frames and bins over which powers are averaged before decays are looked at, and the highest Hz.
_SMOOTHING, _HIGHEST = (5, 3), 4000.0
# A mild room that real rooms exceed, and a strong one that says how much there is to be seen:
# seconds of decay by 60 dB, and dB of the direct sound over its reverberation.
_MILD, _STRONG = (1.0, 6.0), (1.8, 0.0)
_BLOCK = 4096  # frames that are transformed at once


@dataclass(frozen=True)
class ReverberationSuppressor:
    """Takes reverberation off recordings that have much of it; others stay as they are.

    Args:
        seconds: in which the subtracted room decays by 60 dB.
        direct: dB of the direct sound over its reverberation.
        least: share of the power that is left at least.
        dryness: recordings below are reverberant (`measure_dryness`).
        shortest: seconds; in shorter recordings too few notes end to tell.

    Raises:
        UmssError: a setting out of range.
    """

    seconds: float = 1.8
    direct: float = 0.0
    least: float = 0.03
    dryness: float = 0.09
    shortest: float = 4.0

    def __post_init__(self) -> None:
        if self.seconds <= 0:
            raise UmssError(f"preprocess.seconds={self.seconds} must be positive")
        if not 0 <= self.least <= 1:
            raise UmssError(f"preprocess.least={self.least} must be between 0 and 1")

    def __call__(self, audio: NDArray[np.float32]) -> NDArray[np.float32]:
        """Samples [T] at 16 kHz with less reverberation, or the same array."""
        if len(audio) < self.shortest * RATE:
            return audio
        samples = torch.from_numpy(np.ascontiguousarray(audio, dtype=np.float32))
        if measure_dryness(samples, rate=RATE) >= self.dryness:
            return audio
        dry = suppress_reverberation(
            samples, seconds=self.seconds, direct=self.direct, least=self.least, rate=RATE
        )
        return np.asarray(dry.numpy())


def measure_dryness(signal: Tensor, *, rate: int) -> float:
    """How clearly notes of a recording [T] end faster than they do in a room.

    Where power falls below what a room would still sound, that room is too large. The share of a
    mild room's tail (1 s, 6 dB) that is missing, relative to the share of a strong one's (1.8 s,
    0 dB), which depends in the same way on how many notes end: above 0.16 in dry rooms, below
    0.06 in churches (experiments/real/dryness.csv). 1.0 where nothing ends, so that nothing can be
    told.
    """
    n_bins = 1 + min(N_FFT // 2, round(_HIGHEST / rate * N_FFT))
    power = torch.cat([block[:, :n_bins] for block in _compute_powers(signal)])
    frames, bins = _SMOOTHING
    power = torch.nn.functional.avg_pool2d(
        power[None, None], _SMOOTHING, 1, (frames // 2, bins // 2), count_include_pad=False
    )[0, 0]
    mild, strong = (_measure_missing(power, *room, rate=rate) for room in (_MILD, _STRONG))
    return mild / strong if strong > 0 else 1.0


def suppress_reverberation(
    signal: Tensor, *, seconds: float, direct: float, least: float, rate: int
) -> Tensor:
    """Subtract what a room still sounds of the past from a signal [T], in every bin by itself.

    Args:
        signal: [T].
        seconds: in which the room decays by 60 dB.
        direct: dB of the direct sound over its reverberation.
        least: share of every bin's power that is left at least.
        rate: sample rate in Hz.
    """
    fall, late = _describe_decay(seconds, direct, rate=rate)
    gains = []
    tail = signal.new_zeros(N_FFT // 2 + 1)
    for power in _compute_powers(signal):
        fresh = torch.empty_like(power)
        for now, new in zip(power, fresh, strict=True):
            torch.maximum(now - tail, least * now, out=new)
            tail = fall * tail + late * new
        # Where there is nothing, any gain will do.
        gains.append((fresh / power.clamp(min=torch.finfo(power.dtype).tiny)).sqrt())
    return _apply(signal, torch.cat(gains))


def _describe_decay(seconds: float, direct: float, *, rate: int) -> tuple[float, float]:
    """Factor by which a tail's power falls in a frame, and the share of a frame that enters it."""
    fall = 10.0 ** (-6.0 * HOP / rate / seconds)
    return fall, 10.0 ** (-0.1 * direct) * (1.0 - fall)


def _measure_missing(power: Tensor, seconds: float, direct: float, *, rate: int) -> float:
    """The share of a room's tail that powers [N, F] do not hold."""
    fall, late = _describe_decay(seconds, direct, rate=rate)
    tail = torch.zeros_like(power[0])
    missing = torch.zeros_like(tail, dtype=torch.float64)
    owed = torch.zeros_like(missing)
    for now in power:
        fresh = now - tail
        missing -= fresh.clamp(max=0.0)
        owed += tail
        tail = fall * tail + late * fresh.clamp(min=0.0)
    total = float(owed.sum())
    return float(missing.sum()) / total if total > 0 else 0.0


def _compute_powers(signal: Tensor) -> Iterator[Tensor]:
    """Powers of the spectrogram of a signal [T], [n, F] in blocks of n frames."""
    for _, spectrum in _transform(signal):
        yield spectrum.abs().square()


def _apply(signal: Tensor, gains: Tensor) -> Tensor:
    """Multiply the spectrogram of a signal [T] by gains [N, F]."""
    window = torch.hann_window(N_FFT, dtype=signal.dtype)
    length = (len(gains) - 1) * HOP + N_FFT
    heard, weight = signal.new_zeros(length), signal.new_zeros(length)
    for start, spectrum in _transform(signal):
        frames = torch.fft.irfft(spectrum * gains[start : start + len(spectrum)], N_FFT) * window
        where = slice(start * HOP, start * HOP + (len(frames) - 1) * HOP + N_FFT)
        heard[where] += overlap_add(frames, hop=HOP)
        weight[where] += overlap_add(window.square().expand_as(frames), hop=HOP)
    inside = slice(N_FFT // 2, N_FFT // 2 + len(signal))
    return heard[inside] / weight[inside]


def _transform(signal: Tensor) -> Iterator[tuple[int, Tensor]]:
    """Spectra [n, F] of a signal [T], in blocks of frames, each with the number of its first.

    Frame n is centred on sample n * HOP; there are 1 + T // HOP.
    """
    window = torch.hann_window(N_FFT, dtype=signal.dtype)
    n_frames = 1 + len(signal) // HOP
    padded = torch.nn.functional.pad(signal, (N_FFT // 2, N_FFT // 2))
    for start in range(0, n_frames, _BLOCK):
        stop = min(start + _BLOCK, n_frames)
        frames = padded[start * HOP : (stop - 1) * HOP + N_FFT].unfold(0, N_FFT, HOP)
        yield start, torch.fft.rfft(frames * window)
