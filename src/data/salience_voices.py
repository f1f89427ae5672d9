"""Voices of the salience network's training mixtures: stems played otherwise than they were sung.

A voice is [T] samples at 16 kHz with its F0 [N] in Hz, N = ceil(T / 256).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import soxr
from numpy.typing import NDArray

from ..dsp.moving import choose_fft, shape_partials
from ..dsp.tracks import HOP, RATE
from ..f0.contours import F0Contours

Audio = NDArray[np.float32]
Track = NDArray[np.float32]
Rng = np.random.Generator

_ONE_PITCH = 80.0  # cents; singers of a part who are closer than this sing one pitch


@dataclass(frozen=True, eq=False)
class Voice:
    """A voice.

    Attributes:
        audio: [T] at 16 kHz.
        f0: [N] Hz, 0 = silent.
    """

    audio: Audio
    f0: Track


def play_at_speed(voice: Voice, speed: float, n_frames: int) -> Voice:
    """Play a voice faster: `n_frames` frames of it, F0 and formants multiplied by `speed`."""
    n_samples = n_frames * HOP
    samples = soxr.resample(np.asarray(voice.audio, dtype=np.float32), RATE * speed, RATE)
    samples = np.pad(samples[:n_samples], (0, max(0, n_samples - len(samples))))
    times = np.arange(n_frames) * HOP / RATE * speed
    track = F0Contours.on_grid(voice.f0[:, None], ("voice",)).resample(times).f0[:, 0] * speed
    return Voice(samples, track)


def move_formants(voice: Voice, factor: float) -> Voice:
    """Multiply the frequencies of the formants; F0 stays."""
    if not (voice.f0 > 0).any():
        return voice
    hop = choose_fft(RATE) // 4
    times = np.arange(1 + len(voice.audio) // hop) * hop / HOP
    sung = np.flatnonzero(voice.f0)
    f0 = np.interp(times, sung, voice.f0[sung])
    shaped = shape_partials(voice.audio[None], f0, np.ones_like(f0), rate=RATE, formants=factor)
    return Voice(shaped[0], voice.f0)


def multiply(voice: Voice, n_copies: int, cents: float, seconds: float, rng: Rng) -> Voice:
    """Make a section of one voice: copies that differ in tuning and time, around the same F0.

    Args:
        voice: the voice.
        n_copies: singers of the section.
        cents: standard deviation of their tuning; its mean is that of the voice.
        seconds: standard deviation of their onsets.
        rng: of both.
    """
    tuning = rng.standard_normal(n_copies)
    tuning -= tuning.mean()
    tuning *= cents / max(float(np.sqrt(np.mean(tuning**2))), 1e-6)
    time = np.arange(len(voice.audio))
    middle = len(time) / 2
    total = np.zeros(len(time), np.float32)
    for off in tuning:
        speed = 2 ** (off / 1200)
        shift = round(float(np.clip(rng.normal(), -3, 3)) * seconds * RATE)
        copy = soxr.resample(voice.audio, RATE * speed, RATE)
        # Sample t of the copy is sample t * speed of the voice; both meet in the middle.
        start = round(middle - middle / speed) + shift
        total += _shift(copy, start, len(time))
    return Voice(total / np.float32(np.sqrt(n_copies)), voice.f0)


def _shift(audio: Audio, start: int, n_samples: int) -> Audio:
    """Put audio at sample `start`, which may be negative, of `n_samples`."""
    audio = audio[max(0, -start) :]
    start = max(0, start)
    out = np.zeros(n_samples, np.float32)
    kept = audio[: max(0, n_samples - start)]
    out[start : start + len(kept)] = kept
    return out


def find_centres(first: Track, second: Track) -> tuple[Track, Track]:
    """Give two singers of one part the pitch between them where they sing one note.

    Elsewhere both keep their own.

    Args:
        first, second: [N] Hz, 0 = silent.

    Returns:
        Two tracks [N].
    """
    both = (first > 0) & (second > 0)
    ratio = np.where(both, second, 1.0) / np.where(both, first, 1.0)
    close = both & (np.abs(1200 * np.log2(ratio)) < _ONE_PITCH)
    centre = np.sqrt(first * second)
    return np.where(close, centre, first), np.where(close, 0.0, second).astype(np.float32)
