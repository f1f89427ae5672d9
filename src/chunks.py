"""Separation of recordings of any length, rate and channel count, in overlapping windows.

Two lengths are kept apart. A *window* is what the separator sees at once. Windows lie on a fixed
time grid of the recording, and each is separated in the same way whatever surrounds it; neighbours
are cross-faded where they overlap. A *chunk* is how much is read and separated at a time: its
windows go through the separator as one batch. Stems therefore depend on the windows but, up to
rounding, not on the chunks.

Masks come from the mono mix at the separator's rate and are applied to every channel, so that stems
keep the input's channels and sample rate.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from .audio import resample
from .errors import UmssError
from .f0.contours import F0Contours
from .hearing import Mix

if TYPE_CHECKING:
    from .separator import Separator

UNCOVERED = 1.0  # seconds without F0 at either end in which singers may sound
FADE = 0.1  # seconds
STEP = 2  # seconds: whole samples at every sample rate and whole frames of 16 ms

Audio = NDArray[np.float32]
Parameters = dict[str, NDArray[np.floating]]


@dataclass(frozen=True)
class Piece:
    """A stretch of finished output; pieces follow each other without gap.

    Attributes:
        audio: [C, n] the input.
        stems: [J, C, n] the separated singers at the input's rate.
        parameters: by name, [J, frames, size] per frame, or [J, 1, size] per window.
        f0: [J, frames] Hz on the separator's frame grid.
    """

    audio: Audio
    stems: Audio
    parameters: Parameters
    f0: Audio

    @property
    def residual(self) -> Audio:
        """What no singer got, [C, n]: stems and residual sum to the input."""
        rest: Audio = self.audio - self.stems.sum(axis=0)
        return rest


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
class _Window:
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


def separate_chunks(
    read: Callable[[int], Audio],
    rate: int,
    contours: F0Contours,
    separator: Separator,
    *,
    window_seconds: float = 9.0,
    overlap_seconds: float = 1.0,
    chunk_seconds: float = 9.0,
    seed: int = 0,
    mix: Mix | None = None,
    covered: tuple[float, float] = (0.0, math.inf),
) -> Iterator[Piece]:
    """Separate a stream of samples.

    Args:
        read: returns the next n samples as [C, n], fewer at the end, [C, 0] after it.
        rate: sample rate of the stream in Hz.
        contours: F0 tracks, from the highest voice to the lowest.
        separator: the method.
        window_seconds: what the separator sees at once, see `Grid`.
        overlap_seconds: stretch in which neighbouring windows are cross-faded.
        chunk_seconds: what is separated at a time, rounded up to whole windows. Longer chunks may
            be faster and need more memory; the stems are the same up to rounding.
        seed: seed of the method's noise; window k takes seed + k.
        mix: how channels are mixed for listening; None = their mean.
        covered: where singers may sound, from and to in seconds (`find_covered`); elsewhere stems
            are silent and the residual has everything.

    Yields:
        One piece per window, together as long as the stream.

    Raises:
        ValueError: unusable settings, or samples that are not finite.
    """
    grid = Grid.of(window_seconds, overlap_seconds, chunk_seconds)
    overlap = round(grid.overlap * rate)
    fade = np.sin(0.5 * np.pi * (np.arange(overlap) + 0.5) / max(overlap, 1)) ** 2
    fade = fade.astype(np.float32)
    tail: Audio | None = None
    position = 0
    for batch in _group_windows(_cut_windows(read, rate, grid), grid.per_chunk):
        results = _separate_windows(batch, rate, contours, separator, seed, mix or Mix())
        for window, (stems, parameters, f0) in zip(batch, results, strict=True):
            samples = window.choose_kept(grid, rate)
            frames = window.choose_kept(grid, separator.rate / separator.hop)
            if tail is not None:
                head = stems[..., samples.start :][..., :overlap]
                head[...] = tail + fade * (head - tail)
            audio = window.audio[:, samples]
            yield Piece(
                audio,
                _silence_outside(stems[..., samples], position / rate, rate, covered),
                {k: v[:, frames] if v.shape[1] > 1 else v for k, v in parameters.items()},
                f0[:, frames],
            )
            position += audio.shape[-1]
            tail = None if window.last else stems[..., samples.stop :].copy()


def find_covered(contours: F0Contours, seconds: float) -> tuple[float, float]:
    """Find where there is F0: from and to, seconds.

    Up to a second may lack at the beginning and at the end: voices sound on a little.
    """
    first, last = float(contours.times[0]), contours.duration
    return (
        first if first > UNCOVERED else 0.0,
        last if last < seconds - UNCOVERED else max(seconds, last),
    )


def _silence_outside(stems: Audio, start: float, rate: int, covered: tuple[float, float]) -> Audio:
    """Fade stems [..., n] that begin at `start` s out where there is no F0."""
    begin, end = covered
    if begin <= start and start + stems.shape[-1] / rate <= end:
        return stems
    times = start + np.arange(stems.shape[-1]) / rate
    inside = np.minimum(times - begin, end - times) / FADE + 1
    silenced: Audio = stems * np.clip(inside, 0, 1).astype(np.float32)
    return silenced


def _cut_windows(read: Callable[[int], Audio], rate: int, grid: Grid) -> Iterator[_Window]:
    """Cut a stream into windows as described in `Grid`."""
    advance = grid.advance * rate
    size = advance + round(grid.overlap * rate)
    audio = read(size)
    index = 0
    while audio.shape[-1]:
        following = read(advance) if audio.shape[-1] == size else audio[:, :0]
        last = following.shape[-1] == 0
        yield _Window(index, audio, index * grid.advance, last=last)
        if last:
            return
        index += 1
        skipped = STEP * -(-following.shape[-1] // (STEP * rate))
        audio = np.concatenate([audio[:, skipped * rate :], following], axis=-1)
        if skipped < grid.advance:
            repeats = grid.advance - skipped
            yield _Window(index, audio, index * grid.advance - repeats, repeats, last=True)
            return


def _group_windows(windows: Iterable[_Window], size: int) -> Iterator[list[_Window]]:
    """Group up to `size` windows of equal length; yields each group as soon as it is complete."""
    batch: list[_Window] = []
    for window in windows:
        if batch and window.audio.shape != batch[0].audio.shape:
            yield batch
            batch = []
        batch.append(window)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch


def _separate_windows(
    windows: list[_Window],
    rate: int,
    contours: F0Contours,
    separator: Separator,
    seed: int,
    mix: Mix,
) -> Iterator[tuple[Audio, Parameters, Audio]]:
    """Separate B equally long windows as one batch.

    Yields:
        Of each window: stems [J, C, n], parameters by name and F0 [J, frames].
    """
    for window in windows:
        finite = np.isfinite(window.audio).all(axis=0)
        if not finite.all():
            at = window.start + int(np.argmin(finite)) / rate
            raise UmssError(
                f"the audio sample at {at:.1f} s is NaN or infinite; export the recording again"
            )
    # Each window by itself: its samples depend neither on the chunk nor on what was read before.
    channels = np.stack([resample(window.audio, rate, separator.rate) for window in windows])
    frames = np.arange(-(-channels.shape[-1] // separator.hop)) * separator.hop / separator.rate
    f0 = np.stack([contours.resample(window.start + frames).f0.T for window in windows])
    heard = torch.from_numpy(channels)
    result = separator(
        heard.mean(dim=1) if mix.weights is None else torch.from_numpy(mix.apply(channels)),
        torch.from_numpy(np.ascontiguousarray(f0)),
        seed=torch.tensor([seed + window.index for window in windows]),
        channels=heard,
    )
    for b, window in enumerate(windows):
        n_samples = window.audio.shape[-1]
        restored = resample(result.sources[b].numpy(), separator.rate, rate)
        missing = n_samples - restored.shape[-1]
        if missing > 0:
            restored = np.pad(restored, [(0, 0), (0, 0), (0, missing)])
        # The cross-fade writes into the result, which must not be the separator's own memory.
        yield (
            restored[..., :n_samples].copy(),
            {
                name: (value[b] if value.ndim == 4 else value[b].unsqueeze(1)).numpy()
                for name, value in result.parameters.items()
            },
            f0[b],
        )
