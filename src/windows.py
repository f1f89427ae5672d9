"""Where the windows of a recording lie, and how neighbours are cross-faded."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .errors import UmssError

FADE = 0.1  # seconds
STEP = 2  # seconds: whole samples at every sample rate and whole frames of 16 ms

Audio = NDArray[np.float32]


@dataclass(frozen=True)
class Grid:
    """Where the windows of a recording lie.

    Window k starts at k * advance and is advance + overlap long. The last one ends with the
    recording. It starts earlier than its place, by whole steps of two seconds, so that it is at
    most two seconds shorter than the others: a much shorter one would be separated worse, from too
    little context. The part that the window before it already covers is dropped. A recording that
    is no longer than a window is one window.

    Attributes:
        advance: seconds from the start of a window to that of the next, a multiple of `STEP`.
        overlap: seconds in which neighbours are cross-faded.
        per_chunk: windows that are separated at a time.
    """

    advance: int
    overlap: float
    per_chunk: int

    @classmethod
    def of(cls, window_seconds: float, overlap_seconds: float, chunk_seconds: float) -> Grid:
        """Round the advance to a multiple of two seconds, and the chunk up to whole windows.

        Raises:
            ValueError: a negative overlap, one not shorter than the window, or a chunk that is not
                a positive number.
        """
        if overlap_seconds < 0 or not overlap_seconds < window_seconds < math.inf:
            raise UmssError(
                f"window_seconds={window_seconds} must exceed overlap_seconds={overlap_seconds}, "
                "which must not be negative"
            )
        if not 0 < chunk_seconds < math.inf:
            raise UmssError(
                f"chunk_seconds={chunk_seconds} must be a positive number of seconds; 9 needs "
                "little memory"
            )
        advance = max(STEP, STEP * round((window_seconds - overlap_seconds) / STEP))
        # Rounding must not make another window of settings that fit exactly.
        per_chunk = math.ceil((chunk_seconds - overlap_seconds) / advance - 1e-9)
        return cls(advance, overlap_seconds, max(1, per_chunk))

    def count(self, seconds: float) -> int:
        """Number of windows of a recording."""
        return 1 + max(0, math.ceil((seconds - self.overlap) / self.advance - 1e-9) - 1)


@dataclass(frozen=True)
class Window:
    """A window of the recording.

    Attributes:
        index: its number.
        audio: [C, n].
        start: seconds, a multiple of `STEP`.
        repeats: seconds at its beginning that lie before its place on the grid.
        last: whether the recording ends with it.
    """

    index: int
    audio: Audio
    start: int
    repeats: int = 0
    last: bool = False

    def choose_kept(self, grid: Grid, per_second: float) -> slice:
        """Choose what is kept of its output: from its place on the grid to the next window's.

        The last window is kept to its end.

        Args:
            grid: where windows lie.
            per_second: samples or frames per second of what is to be sliced.
        """
        stop = None if self.last else round(grid.advance * per_second)
        return slice(round(self.repeats * per_second), stop)


def cut_windows(read: Callable[[int], Audio], rate: int, grid: Grid) -> Iterator[Window]:
    """Cut a stream into windows as described in `Grid`."""
    advance = grid.advance * rate
    size = advance + round(grid.overlap * rate)
    audio = read(size)
    index = 0
    while audio.shape[-1]:
        following = read(advance) if audio.shape[-1] == size else audio[:, :0]
        last = following.shape[-1] == 0
        yield Window(index, audio, index * grid.advance, last=last)
        if last:
            return
        index += 1
        skipped = STEP * -(-following.shape[-1] // (STEP * rate))
        audio = np.concatenate([audio[:, skipped * rate :], following], axis=-1)
        if skipped < grid.advance:
            repeats = grid.advance - skipped
            yield Window(index, audio, index * grid.advance - repeats, repeats, last=True)
            return


class CrossFade:
    """Joins the signals of consecutive windows, cross-faded where they overlap.

    Args:
        overlap: samples in which neighbours are cross-faded.
    """

    def __init__(self, overlap: int) -> None:
        fade = np.sin(0.5 * np.pi * (np.arange(overlap) + 0.5) / max(overlap, 1)) ** 2
        self._overlap = overlap
        self._fade = fade.astype(np.float32)
        self._tail: Audio | None = None

    def join(self, signal: Audio, kept: slice, *, last: bool) -> Audio:
        """Fade the window before into the signal [..., n] of the next, and return what is kept.

        Args:
            signal: of the next window; written into.
            kept: samples from its place to that of the window after it.
            last: whether no window follows.
        """
        if self._tail is not None:
            head = signal[..., kept.start :][..., : self._overlap]
            head[...] = self._tail + self._fade * (head - self._tail)
        self._tail = None if last else signal[..., kept.stop :].copy()
        return signal[..., kept]


def fit_length(restored: Audio, n_samples: int) -> Audio:
    """Cut what was resampled, or fill it up with zeros, to n_samples: a copy, [..., n]."""
    missing = n_samples - restored.shape[-1]
    if missing > 0:
        restored = np.pad(restored, [*[(0, 0)] * (restored.ndim - 1), (0, missing)])
    return restored[..., :n_samples].copy()


def silence_outside(signals: Audio, start: float, rate: int, covered: tuple[float, float]) -> Audio:
    """Fade signals [..., n] that begin at `start` s out where there is no F0."""
    begin, end = covered
    if begin <= start and start + signals.shape[-1] / rate <= end:
        return signals
    times = start + np.arange(signals.shape[-1]) / rate
    inside = np.minimum(times - begin, end - times) / FADE + 1
    silenced: Audio = signals * np.clip(inside, 0, 1).astype(np.float32)
    return silenced


def silence_between(
    signals: Audio, start: float, rate: int, stretches: NDArray[np.float64]
) -> Audio:
    """Fade signals [..., n] that begin at `start` s out where none of the stretches is.

    Args:
        signals: what is faded.
        start: of the signals, seconds.
        rate: in Hz.
        stretches: [K, 2] from and to in seconds, increasing, further apart than they fade.
    """
    stop = start + signals.shape[-1] / rate
    if any(begin <= start and stop <= end for begin, end in stretches):
        return signals
    if not len(stretches):
        return np.zeros_like(signals)
    times = start + np.arange(signals.shape[-1]) / rate
    knots = stretches[:, :1] * [1, 1, 0, 0] + stretches[:, 1:] * [0, 0, 1, 1]
    knots = knots + FADE * np.array([-1, 0, 0, 1])
    levels = np.tile([0.0, 1.0, 1.0, 0.0], len(stretches))
    gain = np.interp(times, knots.ravel(), levels)
    silenced: Audio = signals * gain.astype(np.float32)
    return silenced
