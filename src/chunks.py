"""Separation of recordings of any length, rate and channel count, in overlapping chunks.

Only one chunk is in memory at a time. Neighbouring chunks overlap and are cross-faded; masks come
from the mono mix at the separator's rate and are applied to every channel, so that stems keep the
input's channels and sample rate.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from src.audio import resample
from src.f0.contours import F0Contours

if TYPE_CHECKING:
    from src.separator import Separator

Audio = NDArray[np.float32]


@dataclass(frozen=True)
class Piece:
    """A stretch of finished output; pieces follow each other without gap.

    Attributes:
        audio: [C, n] the input.
        stems: [J, C, n] the separated singers at the input's rate.
        parameters: by name, [J, frames, size] per frame, or [J, 1, size] per chunk.
        f0: [J, frames] Hz on the separator's frame grid.
    """

    audio: Audio
    stems: Audio
    parameters: dict[str, NDArray[np.floating]]
    f0: Audio

    @property
    def residual(self) -> Audio:
        """What no singer got, [C, n]: stems and residual sum to the input."""
        rest: Audio = self.audio - self.stems.sum(axis=0)
        return rest


def chunk_advance(chunk_seconds: float, overlap_seconds: float) -> float:
    """Seconds from the start of one chunk to the next, rounded to a multiple of two.

    Two seconds are whole samples at every sample rate and whole frames of 16 ms.

    Raises:
        ValueError: a negative overlap, or one not shorter than the chunk.
    """
    if overlap_seconds < 0 or chunk_seconds <= overlap_seconds:
        raise ValueError(
            f"chunk_seconds={chunk_seconds} must exceed overlap_seconds={overlap_seconds}, which "
            "must not be negative"
        )
    return max(2.0, 2.0 * round((chunk_seconds - overlap_seconds) / 2.0))


def separate_chunks(
    read: Callable[[int], Audio],
    rate: int,
    contours: F0Contours,
    separator: Separator,
    *,
    chunk_seconds: float = 9.0,
    overlap_seconds: float = 1.0,
    seed: int = 0,
) -> Iterator[Piece]:
    """Separate a stream of samples.

    Args:
        read: returns the next n samples as [C, n], fewer at the end, [C, 0] after it.
        rate: sample rate of the stream in Hz.
        contours: F0 tracks, from the highest voice to the lowest.
        separator: the method.
        chunk_seconds: length of a chunk.
        overlap_seconds: stretch in which neighbouring chunks are cross-faded.
        seed: seed of the method's noise.

    Yields:
        Pieces in order, together as long as the stream.

    Raises:
        ValueError: unusable chunk settings, or samples that are not finite.
    """
    advance_seconds = chunk_advance(chunk_seconds, overlap_seconds)
    advance, overlap = round(advance_seconds * rate), round(overlap_seconds * rate)
    fade = np.sin(0.5 * np.pi * (np.arange(overlap) + 0.5) / max(overlap, 1)) ** 2
    fade = fade.astype(np.float32)
    frames = round(advance_seconds * separator.rate / separator.hop)
    tail: Audio | None = None
    audio = read(advance + overlap)
    index = 0
    while audio.shape[-1]:
        following = read(advance) if audio.shape[-1] == advance + overlap else audio[:, :0]
        last = following.shape[-1] == 0
        stems, parameters, f0 = _separate_chunk(
            audio, rate, contours, index * advance_seconds, separator, seed + index
        )
        if tail is not None:
            head = stems[..., :overlap]
            head[...] = tail + fade[: head.shape[-1]] * (head - tail)
        emitted = audio.shape[-1] if last else advance
        kept = slice(None) if last else slice(frames)
        yield Piece(
            audio[:, :emitted],
            stems[..., :emitted],
            {k: v[:, kept] if v.shape[1] > 1 else v for k, v in parameters.items()},
            f0[:, kept],
        )
        if last:
            return
        tail = stems[..., advance:]
        audio = np.concatenate([audio[:, advance:], following], axis=-1)
        index += 1


def _separate_chunk(
    audio: Audio,
    rate: int,
    contours: F0Contours,
    start: float,
    separator: Separator,
    seed: int,
) -> tuple[Audio, dict[str, NDArray[np.floating]], Audio]:
    """Stems [J, C, n], parameters and F0 [J, frames] of the chunk that starts at `start` s."""
    if not np.isfinite(audio).all():
        raise ValueError(
            f"the audio holds NaN or infinite samples after {start:.0f} s; export it again"
        )
    channels = resample(audio, rate, separator.rate)
    n_samples = channels.shape[-1]
    n_frames = -(-n_samples // separator.hop)
    times = start + np.arange(n_frames) * separator.hop / separator.rate
    f0 = np.ascontiguousarray(contours.resample(times).f0.T)
    mono = torch.from_numpy(channels.mean(axis=0))
    result = separator(mono[None], torch.from_numpy(f0)[None], seed=seed)
    if len(channels) == 1:
        stems = result.sources[0].unsqueeze(1)
    else:
        stems = torch.stack(
            [separator.apply(torch.from_numpy(channel), result.masks[0]) for channel in channels],
            dim=1,
        )
    restored = resample(stems.numpy(), separator.rate, rate)
    missing = audio.shape[-1] - restored.shape[-1]
    if missing > 0:
        restored = np.pad(restored, [(0, 0), (0, 0), (0, missing)])
    parameters = {
        name: (value[0] if value.ndim == 4 else value[0].unsqueeze(1)).numpy()
        for name, value in result.parameters.items()
    }
    return restored[..., : audio.shape[-1]].copy(), parameters, f0
