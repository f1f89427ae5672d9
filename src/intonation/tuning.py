"""The tuning of an ensemble over time, which nobody's mistakes and no drift of all can hide.

A note in equal temperament says its distance from the next semitone, not from which one it was
meant to have. The tuning is therefore followed on a circle of 100 cents, by dynamic programming,
and unrolled: an ensemble may sink by more than a semitone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .estimates import Values, find_common
from .sung import SungNote

STEP = 1.0  # seconds
ODD = 10.0  # cents by which a singer is off the others, beyond which the others are right
_STATES = 100  # of one cent
_WIDTH = 12.0  # cents by which notes scatter; what is much further away does not count
_PACE = 1.0  # cents by which an ensemble moves within a second
_BLUR = 3.0  # seconds over which the tuning is averaged in the end
_PRIOR = 0.5  # seconds of a note that would say that the path is right
_ROUNDS = 10


@dataclass(frozen=True, eq=False)
class Tuning:
    """Where the ensemble is.

    Attributes:
        times: [S] seconds.
        cents: [S] from equal temperament with A4 = 440 Hz, without jumps; -50 to 50 at first.
        own: [J] cents by which each singer is higher than most, by and large.
    """

    times: Values
    cents: Values
    own: Values

    def read(self, seconds: Values | float) -> Values:
        """The tuning at some times, cents."""
        return np.asarray(np.interp(seconds, self.times, self.cents))


def wrap(cents: Values) -> Values:
    """Distances from the nearest semitone, -50 to 50 cents."""
    wrapped: Values = (cents + 50.0) % 100.0 - 50.0
    return wrapped


def follow_tuning(notes: Sequence[SungNote], n_singers: int) -> Tuning:
    """Follow the tuning that most singers share.

    Args:
        notes: at least one.
        n_singers: J.
    """
    cents = np.array([100.0 * note.middle for note in notes])
    singer = np.array([note.singer for note in notes])
    centre = np.array([note.centre for note in notes])
    seconds = np.array([note.end - note.start for note in notes])
    n_steps = int(max(note.end for note in notes) / STEP) + 2
    times: Values = STEP * np.arange(n_steps, dtype=np.float64)
    own = np.zeros(n_singers)
    path: Values = np.zeros(n_steps)
    for _ in range(_ROUNDS):
        path = _find_path(cents - own[singer], notes, n_steps)
        rest = wrap(cents - own[singer] - np.interp(centre, times, path))
        path = path + _average(times, centre, rest, seconds)
        apart = wrap(cents - np.interp(centre, times, path))
        own = _find_own(apart, singer, seconds, own)
    return Tuning(times, path, own)


def _find_path(cents: Values, notes: Sequence[SungNote], n_steps: int) -> Values:
    """Find the most likely path of the tuning, [S] cents without jumps."""
    states = np.arange(_STATES, dtype=np.float64)
    cost = np.zeros((n_steps, _STATES))
    for value, note in zip(cents, notes, strict=True):
        far = 1.0 - np.exp(-0.5 * (wrap(states - value) / _WIDTH) ** 2)
        for k in range(int(note.start / STEP), int(note.end / STEP) + 1):
            inside = min(note.end, (k + 1) * STEP) - max(note.start, k * STEP)
            cost[k] += max(inside, 0.0) * far
    moves = wrap(states[:, None] - states) ** 2 / (2.0 * _PACE**2 * STEP)  # to, from
    total = cost[0]
    back = np.zeros((n_steps, _STATES), np.int64)
    for k in range(1, n_steps):
        through = moves + total
        back[k] = through.argmin(axis=1)
        total = cost[k] + through.min(axis=1)
    path = np.zeros(n_steps, np.int64)
    path[-1] = int(total.argmin())
    for k in range(n_steps - 1, 0, -1):
        path[k - 1] = back[k, path[k]]
    first = wrap(states[path[:1]])
    return np.concatenate([first, first + np.cumsum(wrap(np.diff(states[path])))])


def _average(times: Values, centre: Values, rest: Values, seconds: Values) -> Values:
    """Average what notes are off the path over some seconds, [S] cents; far ones count less."""
    weight = seconds * np.exp(-0.5 * (rest / _WIDTH) ** 2)
    near = weight * np.exp(-0.5 * ((times[:, None] - centre) / _BLUR) ** 2)
    average: Values = near @ rest / (near.sum(axis=1) + _PRIOR)
    return average


def _find_own(apart: Values, singer: NDArray[np.int64], seconds: Values, own: Values) -> Values:
    """Find by how much every singer is higher than the tuning, as far as they differ."""
    found = own.copy()
    present = np.unique(singer)
    for j in present:
        mine = singer == j
        # On the circle, around what was found before.
        values = own[j] + wrap(apart[mine] - own[j])
        found[j] = _find_weighted_median(values, seconds[mine])
    return found - find_common(found[present], ODD)


def _find_weighted_median(values: Values, weights: Values) -> float:
    order = np.argsort(values, kind="stable")
    below = np.cumsum(weights[order])
    return float(values[order][np.searchsorted(below, 0.5 * below[-1])])
