"""Voices of a dynamic mixture: read from the memory maps, transposed, and added."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import soxr
import torch
from numpy.typing import NDArray

from ..f0.contours import F0Contours
from .items import Item
from .readers.base import HOP, RATE, StemKey
from .store import PreparedSong, name_mixture

# Speeds are whole multiples of 1 / NORMAL_SPEED (steps of 1.7 cents): NORMAL_SPEED samples played
# are then a whole number of samples read, and nothing is off the grid.
NORMAL_SPEED = 1024


@dataclass(frozen=True)
class Voice:
    """One voice of a mixture: a stem from a sample on.

    Attributes:
        song, key: the stem.
        start: first sample, a multiple of 256.
        region: (first sample, end) of the song that may be heard.
        speed: how fast the stem is played, in 1 / NORMAL_SPEED; F0 and formants move with it.
    """

    song: PreparedSong
    key: StemKey
    start: int
    region: tuple[int, int]
    speed: int = NORMAL_SPEED


def find_speed(semitones: float) -> int:
    """Find the speed, in 1 / NORMAL_SPEED, that transposes by about `semitones`."""
    return round(NORMAL_SPEED * 2 ** (semitones / 12))


def count_samples(length: int, speed: int) -> int:
    """Count the samples to read for `length` samples played at a speed."""
    return -(-length * speed // NORMAL_SPEED)


def read_audio(voice: Voice, length: int, lead: int = 0) -> NDArray[np.float32]:
    """Read a voice and play it at its speed.

    Args:
        voice: the voice to play.
        length: T, samples from the voice's start on.
        lead: L, samples to play before the start, because they reverberate into the excerpt.

    Returns:
        [L + T]; zero outside of the voice's region.
    """
    if voice.speed == NORMAL_SPEED:
        return _cut(voice, voice.start - lead, lead + length)
    # Resampling needs some samples on both sides; before the start, as many as stay on the grid.
    before = (-(-lead // NORMAL_SPEED) + 1) * NORMAL_SPEED
    first = voice.start - before * voice.speed // NORMAL_SPEED
    wanted = count_samples(before + length + NORMAL_SPEED, voice.speed)
    played = soxr.resample(_cut(voice, first, wanted), voice.speed, NORMAL_SPEED)
    return played[before - lead : before + length].astype(np.float32, copy=False)


def read_f0(voice: Voice, kind: str, n_frames: int) -> NDArray[np.float32]:
    """Read the F0 of a voice played at its speed: frame n is 256 n samples after its start.

    Args:
        voice: the voice that is played.
        kind: kind of F0, see `PreparedSong.f0`.
        n_frames: N.

    Returns:
        [N] Hz, 0 = silent.
    """
    first = voice.start // HOP
    stop = first + n_frames
    if voice.speed == NORMAL_SPEED:
        return voice.song.f0((voice.key,), kind, first, stop)[:, 0]
    stop = min(first + count_samples(n_frames, voice.speed) + 1, voice.song.n_frames)
    stored = F0Contours.on_grid(voice.song.f0((voice.key,), kind, first, stop), ("voice",))
    factor = voice.speed / NORMAL_SPEED
    times = np.arange(n_frames, dtype=np.float64) * HOP / RATE * factor
    return stored.resample(times).f0[:, 0] * np.float32(factor)


def build_mixed_item(
    voices: Sequence[Voice], sources: NDArray[np.float32], f0: NDArray[np.float32], seed: int
) -> Item:
    """Build the mixture of voices, ordered by mean F0 and divided by its peak.

    Args:
        voices: the voices, in the order of the arrays.
        sources: [J, T].
        f0: [J, N] Hz, 0 = silent.
        seed: the item's seed.
    """
    order = np.argsort([-average_f0(track) for track in f0], kind="stable")
    mix = sources.sum(axis=0)
    peak = float(np.abs(mix).max())
    scale = np.float32(peak or 1.0)
    keys = [voices[j].key for j in order]
    return Item(
        mixture=torch.from_numpy(mix / scale),
        sources=torch.from_numpy(sources[order] / scale),
        f0=torch.from_numpy(f0[order]),
        seed=torch.tensor(seed, dtype=torch.int64),
        song="+".join(dict.fromkeys(voices[j].song.name for j in order)),
        mixture_name=name_mixture(keys),
        excerpt=voices[0].start // HOP,
        start=voices[0].start,
        parts=tuple(part for part, _ in keys),
        singers=tuple(singer for _, singer in keys),
        full_mix_peak=1.0 if peak else 0.0,
    )


def average_f0(track: NDArray[np.float32]) -> float:
    """Average the voiced frames of a track [N] in Hz; 0 if there are none."""
    voiced = track[track > 0]
    return float(voiced.mean(dtype=np.float64)) if len(voiced) else 0.0


def _cut(voice: Voice, first: int, length: int) -> NDArray[np.float32]:
    """Cut samples out of the stem, zero outside the voice's region."""
    begin, end = voice.region
    inside = voice.song.audio(voice.key)[max(first, begin) : min(first + length, end)]
    before = max(begin - first, 0)
    return np.pad(inside, (before, length - before - len(inside)))
