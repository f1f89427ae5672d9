"""An estimator of F0 that knows the answer: the pitch of every part of the songs for tests."""

from __future__ import annotations

from typing import Any

import numpy as np

from src.dsp.tracks import HOP, RATE
from src.f0.contours import F0Contours
from src.f0.estimate import F0Estimate
from src.f0.salience import Salience
from tests.data.songs import PITCH

CALLS: list[dict[str, Any]] = []
"""Everything that estimators in this process were given."""


class ByName:
    """Constant tracks by the singers' names.

    Args:
        factor: of all frequencies.
        swap: share of the frames, from the start, in which the two highest voices are swapped.
        weights: a file that it does not read.
        warnings: what it warns of.
    """

    def __init__(
        self,
        factor: float = 1.0,
        swap: float = 0.0,
        weights: str | None = None,
        warnings: tuple[str, ...] = (),
    ) -> None:
        self.factor = factor
        self.swap = swap
        self.warnings = warnings

    def __call__(self, audio: np.ndarray, n_singers: int, names: list[str]) -> F0Estimate:
        CALLS.append({"audio": audio, "n_singers": n_singers, "names": names})
        n_frames = -(-len(audio) // HOP)
        row = self.factor * np.array([PITCH[name] for name in names])
        f0 = np.tile(row, (n_frames, 1)).astype(np.float32)
        until = round(self.swap * n_frames)
        f0[:until, :2] = f0[:until, 1::-1]
        grid = np.arange(n_frames) * HOP / RATE
        empty = Salience(np.zeros((2, n_frames), np.float32), np.array([100.0, 200.0]), grid)
        return F0Estimate(F0Contours.on_grid(f0, tuple(names)), empty, list(self.warnings))


class Chord:
    """Constant tracks, 400 Hz and downwards, whatever is heard; none in what is quieter than noise.

    Args:
        least: share of the samples near the peak (a tenth) below which nothing is found.
    """

    def __init__(self, least: float = 0.0) -> None:
        self.least = least

    def __call__(
        self,
        audio: np.ndarray,
        n_singers: int,
        names: list[str],
        *,
        score: F0Contours | None = None,
    ) -> F0Estimate:
        CALLS.append({"audio": audio, "n_singers": n_singers, "names": names, "score": score})
        n_frames = -(-len(audio) // HOP)
        found = np.mean(np.abs(audio) > 0.1 * np.abs(audio).max()) >= self.least
        row = 400.0 / np.arange(1, n_singers + 1) * found
        f0 = np.tile(row, (n_frames, 1)).astype(np.float32)
        grid = np.arange(n_frames) * HOP / RATE
        empty = Salience(np.zeros((2, n_frames), np.float32), np.array([100.0, 200.0]), grid)
        return F0Estimate(F0Contours.on_grid(f0, tuple(names)), empty, [])
