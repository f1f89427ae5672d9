"""Stretches of F0 tracks that one singer surely sings, and what an exchange of singers costs.

A track may change hands where two tracks meet or cross, at rests, and at leaps that both make at
once. Between such places it is one singer's.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..dsp.tracks import HOP, RATE
from .timbre import STRIDE, Timbre

NEAR = 1.0  # semitones between tracks whose partials cannot be told apart
STEP = 0.9  # semitones per frame; a larger step begins another note
LENGTH = 0.3  # seconds: what counts as one observation of a voice
ENOUGH = 0.25  # seconds; shorter observations count less

# An exchange costs what the steps of the pitch cost more than without it, as in the tracker.
WIDTH = 0.9  # semitones per frame that cost 1
LEAP, LEAP_SLOPE = 5.0, 0.2  # the most that a step costs, plus so much per semitone
ONSET = 3.0  # beginning or ending a note where the track does not
MEMORY = 0.5  # seconds of rest after which a step costs 1 / e of it


@dataclass(frozen=True, eq=False)
class Stretches:
    """M observations of voices, in the order of their time.

    Attributes:
        features: [M, D] what tells voices apart.
        pitch: [M] semitones above 440 Hz.
        weight: [M] 0 to 1, how much of an observation it is.
        track: [M] index of the track.
        first, last: [M] F0 frames, from `first` to before `last`.
    """

    features: NDArray[np.float64]
    pitch: NDArray[np.float64]
    weight: NDArray[np.float64]
    track: NDArray[np.int64]
    first: NDArray[np.int64]
    last: NDArray[np.int64]


def cut_stretches(f0: NDArray[np.float32], timbre: Timbre) -> Stretches:
    """Cut tracks where they meet another, rest or leap, and measure each piece's mean timbre.

    Args:
        f0: [N, J] Hz on the 16-ms grid, 0 = silent.
        timbre: of the same tracks.
    """
    rows = [
        (part[0], part[-1] + 1, j) for j in range(f0.shape[1]) for part in _cut_track(_note(f0), j)
    ]
    first, last, track = np.array(sorted(rows), dtype=np.int64).reshape(-1, 3).T
    weight = timbre.weight
    values = np.concatenate([timbre.features, timbre.pitch[:, :, None]], axis=2)
    heard = np.concatenate([np.zeros((1, weight.shape[1])), np.cumsum(weight, axis=0)])
    total = np.concatenate(
        [np.zeros((1, *values.shape[1:])), np.cumsum(weight[:, :, None] * values, axis=0)]
    )
    start, stop = -(-first // STRIDE), np.minimum(-(-last // STRIDE), len(weight))
    frames = heard[stop, track] - heard[start, track]
    kept = frames > 0.5
    start, stop, track, frames = start[kept], stop[kept], track[kept], frames[kept]
    means = (total[stop, track] - total[start, track]) / frames[:, None]
    seconds = frames * STRIDE * HOP / RATE
    return Stretches(
        means[:, :-1], means[:, -1], np.minimum(1.0, seconds / ENOUGH), track,
        first[kept], last[kept],
    )  # fmt: skip


def weigh_exchanges(
    f0: NDArray[np.float32], pairs: NDArray[np.int64], least: float
) -> NDArray[np.float64]:
    """Weigh what it costs that the singers of two tracks are exchanged before each frame.

    Args:
        f0: [N, J] Hz, 0 = silent.
        pairs: [P, 2] indices of tracks.
        least: cost of an exchange where the pitches speak for neither.

    Returns:
        [N, P] nats.
    """
    n_frames, n_tracks = f0.shape
    voiced, note = f0 > 0, np.nan_to_num(_note(f0))
    frame, column = np.arange(n_frames)[:, None], np.arange(n_tracks)
    latest = np.maximum.accumulate(np.where(voiced, frame, -1), axis=0)
    latest = np.concatenate([np.full((1, n_tracks), -1), latest[:-1]])
    following = np.minimum.accumulate(np.where(voiced, frame, n_frames)[::-1], axis=0)[::-1]
    before = note[np.maximum(latest, 0), column]
    after = note[np.minimum(following, n_frames - 1), column]
    sang = np.concatenate([np.zeros((1, n_tracks), dtype=np.bool_), voiced[:-1]])

    def weigh_move(a: int, b: int) -> NDArray[np.float64]:
        """Cost of a singer who leaves track a for track b."""
        step = np.abs(after[:, b] - before[:, a])
        cost = np.minimum((step / WIDTH) ** 2, LEAP + LEAP_SLOPE * step)
        rest = (frame[:, 0] - latest[:, a] - 1) + (following[:, b] - frame[:, 0])
        cost = cost * np.exp(-rest * HOP / RATE / MEMORY)
        known = (latest[:, a] >= 0) & (following[:, b] < n_frames)
        turned: NDArray[np.bool_] = sang[:, a] != voiced[:, b]
        return np.where(known, cost, 0.0) + ONSET * turned

    cost = np.empty((n_frames, len(pairs)))
    for p, (a, b) in enumerate(pairs):
        more = weigh_move(a, b) + weigh_move(b, a) - weigh_move(a, a) - weigh_move(b, b)
        cost[:, p] = np.maximum(more, 0.0) + least
    return cost


def _note(f0: NDArray[np.float32]) -> NDArray[np.float64]:
    """Semitones above 440 Hz of f0 [N, J] in Hz; NaN where silent."""
    note = 12 * np.log2(np.maximum(f0.astype(np.float64), 1.0) / 440.0)
    return np.where(f0 > 0, note, np.nan)


def _cut_track(note: NDArray[np.float64], track: int) -> list[NDArray[np.int64]]:
    """Frames of each stretch of one of the tracks [N, J] in semitones, NaN where silent."""
    own = note[:, track]
    others = np.delete(note, track, axis=1)
    alone = ~(np.abs(others - own[:, None]) < NEAR).any(axis=1) & ~np.isnan(own)
    at = np.flatnonzero(alone)
    if not len(at):
        return []
    broken = (np.diff(at) > 1) | (np.abs(np.diff(own[at])) > STEP)
    size = LENGTH * RATE / HOP
    return [
        part
        for run in np.split(at, np.flatnonzero(broken) + 1)
        for part in np.array_split(run, max(1, round(len(run) / size)))
    ]
