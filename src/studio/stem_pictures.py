"""Spectrograms of stems, drawn when they are looked at: ten seconds of them, or all in little.

A stem is drawn as bright as the recording is, so what is seen in two pictures can be compared.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import soundfile as sf
from numpy.typing import NDArray

from ..dsp.tracks import HOP, RATE
from ..listening.pictures import OVERVIEW_COLUMNS
from .arrays import open_array
from .pictures import COLUMNS, encode_levels, find_window, measure_levels
from .project import Project
from .sound import NoSoundError, find_heard

_KEPT = 96  # pictures; a minute of six tracks
_LOOKS = 2  # frames of a column of an overview, the louder of which is seen

Signal = NDArray[np.float32]


def draw_stem(project: Project, identifier: str, k: int | None) -> bytes:
    """Draw piece k of a stem, or of anything else that is heard; None = all of it in little.

    Returns:
        PNG, rows and columns as those of the recording's picture; at most `OVERVIEW_COLUMNS`
        columns for all of it.

    Raises:
        NoSoundError: there is no such sound, or the recording was not drawn.
    """
    path = find_heard(project, identifier).path or project.cache.samples_path
    samples = project.cache.load_samples()
    loudest = project.cache.read_loudest()
    if samples is None or loudest is None:
        raise NoSoundError("there is no such picture")
    n_frames = -(-len(samples) // HOP)
    if k is not None and not 0 <= k * COLUMNS < n_frames:
        raise NoSoundError(f"there is no piece {k}")
    return _draw(path, path.stat().st_mtime_ns, k, n_frames, loudest)


@lru_cache(maxsize=_KEPT)
def _draw(path: Path, stamp: int, k: int | None, n_frames: int, loudest: float) -> bytes:
    with _open(path) as sound:
        if k is not None:
            times = np.arange(k * COLUMNS, min(n_frames, (k + 1) * COLUMNS)) * HOP / RATE
            return encode_levels(_measure_all(sound, times), loudest)
        n = min(OVERVIEW_COLUMNS, n_frames)
        times = (np.arange(n * _LOOKS) + 0.5) * n_frames * HOP / RATE / (n * _LOOKS)
        levels = np.concatenate(
            [_measure_each(sound, times[a : a + COLUMNS]) for a in range(0, len(times), COLUMNS)],
            axis=1,
        )
        return encode_levels(levels.reshape(len(levels), n, _LOOKS).max(axis=2), loudest)


def _measure_all(sound: _Sound, times: NDArray[np.float64]) -> Signal:
    """Levels [ROWS, n] at times that lie close together, in seconds: all between is read."""
    window = find_window(sound.rate)
    starts = np.round(times * sound.rate).astype(int) - window // 2
    samples = sound.read(int(starts[0]), int(starts[-1] - starts[0]) + window)
    frames = np.lib.stride_tricks.sliding_window_view(samples, window)[starts - starts[0]]
    return measure_levels(frames, sound.rate)


def _measure_each(sound: _Sound, times: NDArray[np.float64]) -> Signal:
    """Levels [ROWS, n] at times that lie far apart, in seconds: only there is read."""
    window = find_window(sound.rate)
    starts = np.round(times * sound.rate).astype(int) - window // 2
    return measure_levels(np.stack([sound.read(int(s), window) for s in starts]), sound.rate)


@dataclass(frozen=True)
class _Sound:
    """What is drawn: its rate in Hz, its length in samples, and one channel of them."""

    rate: int
    length: int
    cut: Callable[[int, int], Signal]

    def read(self, start: int, n: int) -> Signal:
        """Samples [n] from `start` on, zeros outside."""
        first = min(max(0, start), self.length)
        stop = min(max(first, start + n), self.length)
        before = min(n, max(0, -start))
        return np.pad(self.cut(first, stop), (before, n - before - (stop - first)))


@contextmanager
def _open(path: Path) -> Iterator[_Sound]:
    """Open a file of sound, or the recording as the studio keeps it."""
    if path.suffix == ".npy":
        samples = open_array(path)
        yield _Sound(RATE, len(samples), lambda first, stop: np.array(samples[first:stop]))
        return
    with sf.SoundFile(path) as file:

        def cut(first: int, stop: int) -> Signal:
            file.seek(first)
            channels: Signal = file.read(stop - first, "float32", always_2d=True)
            return channels.mean(axis=1, dtype=np.float32)

        yield _Sound(file.samplerate, file.frames, cut)
