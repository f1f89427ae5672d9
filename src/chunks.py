"""Separation of recordings of any length, rate and channel count, in overlapping windows.

Two lengths are kept apart. A *window* is what the separator sees at once. Windows lie on a fixed
time grid of the recording, and each is separated in the same way whatever surrounds it; neighbours
are cross-faded where they overlap. A *chunk* is how much is read at a time: its windows go through
the separator as one batch, and several chunks are separated at the same time, each by its share of
the processor's threads. Stems therefore depend on the windows but, up to rounding, neither on the
chunks nor on the threads.

Masks come from the mono mix at the separator's rate and are applied to every channel, so that stems
keep the input's channels and sample rate. What a recording has above the separator's band is shared
out by `src.dsp.high_band`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from .audio import resample
from .dsp.high_band import share_high_band
from .errors import UmssError
from .f0.contours import F0Contours
from .fit.together import share_by_confidence
from .hearing import Mix
from .threads import map_in_threads
from .windows import (
    FADE,
    Audio,
    CrossFade,
    Window,
    cut_windows,
    fit_length,
    silence_between,
    silence_outside,
)
from .windows import Grid as Grid

if TYPE_CHECKING:
    from .separator import Separator

OVERLAP = "_overlap"  # ends the names of frames that two windows have
UNCOVERED = 1.0  # seconds without F0 at either end in which singers may sound
_MOST_CHUNKS = 8  # separated at the same time; each needs a quarter of a gigabyte

Parameters = dict[str, NDArray[np.floating]]


@dataclass(frozen=True)
class Piece:
    """A stretch of finished output; pieces follow each other without gap.

    Attributes:
        audio: [C, n] the input.
        stems: [J, C, n] the separated singers at the input's rate.
        parameters: by name, [J, frames, size] per frame, or [J, 1, size] per window; beside those
            of the voices, identity_confidence where the tracks have it.
        f0: [J, frames] Hz on the separator's frame grid.
        beside: what the window's voices are synthesised from again, besides `parameters` and `f0`:
            NAME_overlap, the frames of both that the neighbouring windows have too, and tracks
            [J, n, size] on grids of their own; empty without voices.
        synthesised: [J, n] the voices as the models sing them at the input's rate; None where they
            were not asked for, or there are none.
    """

    audio: Audio
    stems: Audio
    parameters: Parameters
    f0: Audio
    beside: Parameters = field(default_factory=dict)
    synthesised: Audio | None = None

    @property
    def residual(self) -> Audio:
        """What no singer got, [C, n]: stems and residual sum to the input."""
        rest: Audio = self.audio - self.stems.sum(axis=0)
        return rest


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
    synthesise: bool = False,
    full_band: bool = True,
) -> Iterator[Piece]:
    """Separate a stream of samples.

    Args:
        read: returns the next n samples as [C, n], fewer at the end, [C, 0] after it.
        rate: sample rate of the stream in Hz.
        contours: F0 tracks, from the highest voice to the lowest.
        separator: the method.
        window_seconds: what the separator sees at once, see `Grid`.
        overlap_seconds: stretch in which neighbouring windows are cross-faded.
        chunk_seconds: what is separated as one batch, rounded up to whole windows; up to eight such
            chunks, one per thread, are separated at the same time. Longer chunks need more memory;
            the stems are the same up to rounding.
        seed: seed of the method's noise; window k takes seed + k.
        mix: how channels are mixed for listening; None = their mean.
        covered: where singers may sound, from and to in seconds (`find_covered`); elsewhere stems
            are silent and the residual has everything, as where nobody has sung for a second and
            nobody will for another (`find_sung`).
        synthesise: also give what the models of the voices sing.
        full_band: share out what is above the separator's band too; else it stays in the residual.

    Yields:
        One piece per window, together as long as the stream.

    Raises:
        ValueError: unusable settings, or samples that are not finite.
    """
    grid = Grid.of(window_seconds, overlap_seconds, chunk_seconds)
    join_stems, join_voices = (CrossFade(round(grid.overlap * rate)) for _ in range(2))
    with_voices = separator.describe_voice() is not None
    stretches = find_sung(contours)
    position = 0

    def separate_batch(windows: list[Window]) -> list[SeparatedWindow]:
        return list(
            separate_windows(
                windows, rate, contours, separator, seed, mix or Mix(), full_band=full_band
            )
        )

    batches = _group_windows(cut_windows(read, rate, grid), grid.per_chunk)
    # A GPU is busy with one chunk.
    most = _MOST_CHUNKS if separator.device.type == "cpu" else 1
    for batch, results in map_in_threads(separate_batch, batches, most=most):
        for window, found in zip(batch, results, strict=True):
            samples = window.choose_kept(grid, rate)
            frames = window.choose_kept(grid, separator.rate / separator.hop)
            stems = join_stems.join(found.stems, samples, last=window.last)
            stems = silence_between(stems, position / rate, rate, stretches)
            audio = window.audio[:, samples]
            voices = None
            if synthesise and found.synthesised is not None:
                sung = resample(found.synthesised, separator.rate, rate)
                sung = fit_length(sung, window.audio.shape[-1])
                voices = join_voices.join(sung, samples, last=window.last)
                voices = silence_outside(voices, position / rate, rate, covered)
            yield Piece(
                audio,
                silence_outside(stems, position / rate, rate, covered),
                {k: v[:, frames] if v.shape[1] > 1 else v for k, v in found.parameters.items()},
                found.f0[:, frames],
                found.collect_beside(frames) if with_voices else {},
                voices,
            )
            position += audio.shape[-1]


@dataclass(frozen=True)
class SeparatedWindow:
    """One window, separated: see `Piece`; with the samples and frames that neighbours have too.

    Attributes:
        stems: [J, C, n] of the whole window, at the recording's rate.
        parameters, f0: of all its frames.
        per_frame: the names of parameters that have frames.
        tracks: on grids of their own.
        synthesised: [J, T] at the separator's rate; None without voices.
    """

    stems: Audio
    parameters: Parameters
    f0: Audio
    per_frame: frozenset[str]
    tracks: Parameters
    synthesised: Audio | None

    def collect_beside(self, kept: slice) -> Parameters:
        """Collect what is not kept of the frames, and the tracks."""
        whole = {"f0": self.f0} | {name: self.parameters[name] for name in self.per_frame}
        return self.tracks | {
            f"{name}{OVERLAP}": np.concatenate(
                [x[:, : kept.start], x[:, kept.stop :] if kept.stop is not None else x[:, :0]],
                axis=1,
            )
            for name, x in whole.items()
        }


def find_covered(contours: F0Contours, seconds: float) -> tuple[float, float]:
    """Find where there is F0: from and to, seconds.

    Up to a second may lack at the beginning and at the end: voices sound on a little.
    """
    first, last = float(contours.times[0]), contours.duration
    return (
        first if first > UNCOVERED else 0.0,
        last if last < seconds - UNCOVERED else max(seconds, last),
    )


def find_sung(contours: F0Contours) -> NDArray[np.float64]:
    """Find where singers may sound: a second before somebody has a pitch, to a second after.

    Breath, consonants and reverberation lie there; what sounds elsewhere, such as speech, applause
    or a prelude, is not sung.

    Returns:
        [K, 2] from and to in seconds, increasing; pauses of two seconds and less are not left out.
    """
    rows = np.flatnonzero(contours.voiced.any(axis=1))
    if not len(rows):
        return np.zeros((0, 2))
    sung = contours.times[rows]
    # Rows of a table may be seconds apart; the pitch goes on between them.
    pauses = (np.diff(rows) > 1) & (np.diff(sung) > 2 * (UNCOVERED + FADE))
    begins = sung[np.concatenate([[True], pauses])]
    ends = sung[np.concatenate([pauses, [True]])]
    return np.stack([begins - UNCOVERED, ends + UNCOVERED], axis=1)


def _group_windows(windows: Iterable[Window], size: int) -> Iterator[list[Window]]:
    """Group up to `size` windows of equal length; yields each group as soon as it is complete."""
    batch: list[Window] = []
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


def separate_windows(
    windows: list[Window],
    rate: int,
    contours: F0Contours,
    separator: Separator,
    seed: int,
    mix: Mix,
    *,
    full_band: bool,
) -> Iterator[SeparatedWindow]:
    """Separate B equally long windows as one batch."""
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
    tracks = [contours.resample(window.start + frames) for window in windows]
    f0 = np.stack([x.f0.T for x in tracks])
    heard = torch.from_numpy(channels)
    notes = [x.accompaniment.T for x in tracks if x.accompaniment is not None]
    result = separator(
        heard.mean(dim=1) if mix.weights is None else torch.from_numpy(mix.apply(channels)),
        torch.from_numpy(np.ascontiguousarray(f0)),
        seed=torch.tensor([seed + window.index for window in windows]),
        channels=heard,
        accompaniment=torch.from_numpy(np.stack(notes)) if notes else None,
    )
    sources = result.sources
    sure = [x.confidence.T for x in tracks if x.confidence is not None]
    if sure:
        sources = share_by_confidence(
            sources, torch.from_numpy(f0), torch.from_numpy(np.stack(sure)), hop=separator.hop
        )
    for b, window in enumerate(windows):
        stems = fit_length(
            resample(sources[b].numpy(), separator.rate, rate), window.audio.shape[-1]
        )
        if full_band and rate > separator.rate:
            # The fit knows F0s better than the tracks, which partials above the band need.
            tuned = result.parameters.get("tuned_f0")
            sung = torch.from_numpy(f0[b]) if tuned is None else tuned[b].squeeze(-1)
            low = fit_length(resample(channels[b], separator.rate, rate), stems.shape[-1])
            stems += share_high_band(
                torch.from_numpy(window.audio - low),
                sources[b],
                sung,
                rate=rate,
                stem_rate=separator.rate,
                hop=separator.hop,
            ).numpy()
        # The cross-fade writes into the result, which must not be the separator's own memory.
        parameters = {
            name: (value[b] if value.ndim == 4 else value[b].unsqueeze(1)).numpy()
            for name, value in result.parameters.items()
        }
        confidence = tracks[b].confidence
        if confidence is not None:
            parameters["identity_confidence"] = confidence.T[:, :, None]
        yield SeparatedWindow(
            stems,
            parameters,
            f0[b],
            frozenset(name for name, value in result.parameters.items() if value.ndim == 4),
            {name: value[b].numpy() for name, value in result.tracks.items()},
            None if result.synthesised is None else result.synthesised[b].numpy(),
        )
