"""The windows of a file of parameters: which of its arrays' frames belong to which."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .audio import count_resampled
from .chunks import OVERLAP
from .windows import Audio, Window, cut_windows

if TYPE_CHECKING:
    from .resynthesis import VoiceFile

Arrays = Mapping[str, NDArray[Any]]


@dataclass(frozen=True)
class VoiceWindow:
    """Where the frames of one window stand in the arrays [J, n, size] of a file.

    Attributes:
        window: the window; its audio is silence.
        n_samples: T of the window at the renderer's rate.
        before, kept, after: frames of the window; those kept stand in NAME, the others in
            NAME_overlap.
        kept_at, beside_at: where its frames begin in NAME and in NAME_overlap.
        tracks: which frames of the tracks are its own, by name.
    """

    window: Window
    n_samples: int
    before: int
    kept: int
    after: int
    kept_at: int
    beside_at: int
    tracks: Mapping[str, slice]

    @property
    def beside(self) -> int:
        """Frames that neighbours have too."""
        return self.before + self.after

    def take(self, arrays: Arrays, name: str) -> Tensor:
        """Take all frames of the window, [J, N, size]."""
        kept = arrays[name][:, self.kept_at : self.kept_at + self.kept]
        beside = arrays[f"{name}{OVERLAP}"][:, self.beside_at : self.beside_at + self.beside]
        parts = [beside[:, : self.before], kept, beside[:, self.before :]]
        return torch.from_numpy(np.concatenate(parts, axis=1))

    def put(self, arrays: Arrays, name: str, voice: int, values: NDArray[Any]) -> None:
        """Put values [N, size] in the place of a voice's frames."""
        arrays[name][voice, self.kept_at : self.kept_at + self.kept] = values[
            self.before : self.before + self.kept
        ]
        beside = np.concatenate([values[: self.before], values[self.before + self.kept :]])
        arrays[f"{name}{OVERLAP}"][voice, self.beside_at : self.beside_at + self.beside] = beside

    def count_frames_before(self, per_second: float) -> int:
        """Count the frames of the recording before the window's first."""
        return round(self.window.start * per_second)


def walk(found: VoiceFile) -> Iterator[VoiceWindow]:
    """Find the windows of a file one after the other."""
    renderer, grid = found.renderer, found.grid
    kept_at = beside_at = 0
    starts = dict.fromkeys(renderer.tracks, 0)
    for window in _cut(found):
        n_samples = count_resampled(window.audio.shape[-1], found.rate, renderer.rate)
        n_frames = -(-n_samples // renderer.hop)
        kept = range(n_frames)[window.choose_kept(grid, renderer.rate / renderer.hop)]
        tracks = {
            name: slice(starts[name], starts[name] + count_track_frames(n_samples, hop))
            for name, (_, hop) in renderer.tracks.items()
        }
        after = n_frames - kept.start - len(kept)
        yield VoiceWindow(
            window, n_samples, kept.start, len(kept), after, kept_at, beside_at, tracks
        )
        kept_at += len(kept)
        beside_at += kept.start + after
        starts = {name: part.stop for name, part in tracks.items()}


def count_track_frames(n_samples: int, hop: int) -> int:
    """Count the frames of a track: one every `hop` samples, and one at the end."""
    return len(range(0, n_samples + hop - 1, hop))


def _cut(found: VoiceFile) -> Iterator[Window]:
    left = found.n_samples

    def read(n: int) -> Audio:
        nonlocal left
        n = min(n, left)
        left -= n
        return np.zeros((1, n), np.float32)

    return cut_windows(read, found.rate, found.grid)
