"""The paper's assignment of pitches to singers: by order where it is clear, else by continuity.

If a frame holds exactly J pitches, the lowest belongs to the lowest voice and so on, because voices
rarely cross. A run of frames with fewer or more pitches is filled from its ends: each frame takes
the assignment that moves least, in Hz, from the frame before (or after) it.
"""

from __future__ import annotations

import functools
import itertools
import math
from enum import Enum

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from ...errors import UmssError
from ..peaks import pick_peaks
from ..salience import Assigner, Salience

# Up to this number, all assignments of a frame are compared and the first of equals wins, as
# published; more (eight singers, or fifteen pitches) are solved as a linear assignment problem.
MOST_COMPARED = 5040


class PaperAssigner(Assigner):
    """Assigns peaks above a threshold to singers by the paper's heuristic.

    Args:
        threshold: smallest salience of a pitch; 0.5 is what Cuesta et al. chose for their network.
    """

    def __init__(self, threshold: float = 0.5) -> None:
        self.threshold = threshold

    def __call__(
        self,
        salience: Salience,
        n_singers: int,
        *,
        audio: NDArray[np.float32] | None = None,
        prior: NDArray[np.float32] | None = None,
    ) -> NDArray[np.float32]:
        """Tracks [N, J]; see `Assigner`. The audio is ignored."""
        self.refuse_prior(prior)
        return assign(pick_peaks(salience, self.threshold), n_singers).astype(np.float32)


def assign(peaks: list[NDArray[np.float64]], n_singers: int) -> NDArray[np.float64]:
    """Assign the pitches of each frame to J singers.

    Args:
        peaks: N arrays of frequencies in Hz.
        n_singers: J.

    Returns:
        [N, J] in Hz, 0 = silent, from the highest voice to the lowest.

    Raises:
        UmssError: `n_singers` is not positive.
    """
    if n_singers < 1:
        raise UmssError(f"n_singers must be positive, got {n_singers}")
    heuristic = _Heuristic(peaks, n_singers)
    for first, last in heuristic.find_runs():
        heuristic.fill(first, last)
    return heuristic.tracks[:, ::-1].copy()


def resample_like_published(tracks: NDArray[np.float64], n_frames: int) -> NDArray[np.float32]:
    """Stretch tracks [N, J] to `n_frames` frames as the published tracks were.

    Interpolates linearly across the ends of notes as well, which leaves values between F0 and 0 Hz,
    and maps the first and last input frame to the first and last output frame, whatever their
    times are. Use it only for comparison; `F0Contours.resample` is better.
    """
    position = (np.arange(n_frames) + 0.5) * len(tracks) / n_frames - 0.5
    source = np.arange(len(tracks))
    columns = [np.interp(position, source, track) for track in tracks.T]
    return np.stack(columns, axis=1).astype(np.float32)


class _Label(Enum):
    SILENT = 0  # no pitch
    PARTIAL = 1  # fewer pitches than singers
    FULL = 2  # as many
    CROWDED = 3  # more


class _Heuristic:
    """State of the assignment; tracks [N, J] run from the lowest voice to the highest."""

    def __init__(self, peaks: list[NDArray[np.float64]], n_singers: int) -> None:
        self.n_singers = n_singers
        self.tracks = np.zeros((len(peaks), n_singers))
        self.labels = [_label(len(pitches), n_singers) for pitches in peaks]
        self.pitches = [_pad(pitches, n_singers) for pitches in peaks]
        for frame, label in enumerate(self.labels):
            if label is _Label.FULL:
                self.tracks[frame] = self.pitches[frame]
        self.full = np.flatnonzero([label is _Label.FULL for label in self.labels])
        self._widened: set[tuple[int, int]] = set()
        # Passes over overlapping spans repeat steps; a step depends on frame and reference alone.
        self._steps: dict[tuple[int, bytes], tuple[NDArray[np.float64], float]] = {}

    def find_runs(self) -> list[tuple[int, int]]:
        """Find (first, last + 1) of each run of frames that are neither silent nor full."""
        is_open = np.array([label in (_Label.PARTIAL, _Label.CROWDED) for label in self.labels])
        edges = np.flatnonzero(np.diff(np.concatenate([[False], is_open, [False]])))
        return [(int(first), int(last)) for first, last in edges.reshape(-1, 2)]

    def fill(self, first: int, last: int) -> None:
        """Assign the run of frames `first` to `last` - 1."""
        starts_full = first > 0 and self.labels[first - 1] is _Label.FULL
        ends_full = last < len(self.labels) and self.labels[last] is _Label.FULL
        if starts_full and ends_full:
            self._fill_both_ways(first, last, count_far_end=True)
        elif starts_full:
            self.tracks[first:last] = self._walk(first, last, forward=True)[0]
        elif ends_full:
            self.tracks[first:last] = self._walk(first, last, forward=False)[0]
        else:
            self._fill_between_silences(first, last)

    def _fill_between_silences(self, first: int, last: int) -> None:
        """Assign a run between silences: decide again all frames between the nearest full ones."""
        position = int(np.searchsorted(self.full, first))
        has_before, has_after = position > 0, position < len(self.full)
        first = int(self.full[position - 1]) + 1 if has_before else first
        last = int(self.full[position]) if has_after else last
        if has_before and has_after:
            if (first, last) in self._widened:
                return  # nothing has changed since
            self._widened.add((first, last))
        self._fill_both_ways(first, last, count_far_end=False)

    def _fill_both_ways(self, first: int, last: int, *, count_far_end: bool) -> None:
        """Assign from the left and from the right; keep the pass that moves less in total."""
        self.tracks[first:last] = 0
        forward, forward_cost = self._walk(first, last, forward=True)
        backward, backward_cost = self._walk(first, last, forward=False)
        if count_far_end:
            forward_cost += _measure_distance(forward[-1], self.tracks[last])
            backward_cost += _measure_distance(backward[0], self.tracks[first - 1])
        self.tracks[first:last] = forward if forward_cost <= backward_cost else backward

    def _walk(self, first: int, last: int, *, forward: bool) -> tuple[NDArray[np.float64], float]:
        """Assign in one pass: tracks [last - first, J] and the sum of their steps in Hz."""
        outside = self.tracks[:first][::-1] if forward else self.tracks[last:]
        reference = _find_nearest_sounding(outside)
        result = np.zeros((last - first, self.n_singers))
        total = 0.0
        for frame in range(first, last) if forward else range(last - 1, first - 1, -1):
            if self.labels[frame] is _Label.SILENT:
                continue
            chosen, distance = self._step(frame, reference)
            result[frame - first] = chosen
            total += distance
            reference = np.where(chosen > 0, chosen, reference)
        return result, total

    def _step(
        self, frame: int, reference: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], float]:
        key = (frame, reference.tobytes())
        if key not in self._steps:
            self._steps[key] = _find_closest(self.pitches[frame], reference)
        return self._steps[key]


def _label(n_pitches: int, n_singers: int) -> _Label:
    if n_pitches == 0:
        return _Label.SILENT
    if n_pitches < n_singers:
        return _Label.PARTIAL
    return _Label.FULL if n_pitches == n_singers else _Label.CROWDED


def _pad(pitches: NDArray[np.float64], n_singers: int) -> NDArray[np.float64]:
    """Put zeros before ascending pitches, so that there are at least J values."""
    return np.concatenate([np.zeros(max(0, n_singers - len(pitches))), np.sort(pitches)])


def _find_nearest_sounding(tracks: NDArray[np.float64]) -> NDArray[np.float64]:
    """Find the first non-zero value of each track [N, J]: [J] Hz, 0 where there is none."""
    if len(tracks) == 0:
        return np.zeros(tracks.shape[1])
    return tracks[(tracks > 0).argmax(axis=0), np.arange(tracks.shape[1])].copy()


def _measure_distance(frame: NDArray[np.float64], reference: NDArray[np.float64]) -> float:
    return float(np.abs(frame - reference)[frame > 0].sum())


def _find_closest(
    pitches: NDArray[np.float64], reference: NDArray[np.float64]
) -> tuple[NDArray[np.float64], float]:
    """Find the J of `pitches`, in order, that are closest to `reference` [J], and their distance.

    Zeros in `pitches` are silences and cost nothing wherever they are placed.
    """
    if math.perm(len(pitches), len(reference)) <= MOST_COMPARED:
        orders = pitches[_list_orders(len(pitches), len(reference))]
        distances = np.where(orders > 0, np.abs(orders - reference), 0.0).sum(axis=1)
        best = int(distances.argmin())
        return orders[best], float(distances[best])
    moves = np.where(pitches > 0, np.abs(pitches - reference[:, None]), 0.0)
    # The square breaks ties, which are frequent, in favour of voices that do not cross.
    _, order = linear_sum_assignment(moves + 1e-9 * moves**2)
    return pitches[order], float(moves[np.arange(len(reference)), order].sum())


@functools.cache
def _list_orders(n_pitches: int, n_singers: int) -> NDArray[np.intp]:
    """List all ordered choices of J out of n, [n! / (n - J)!, J], in lexicographic order."""
    return np.array(list(itertools.permutations(range(n_pitches), n_singers)), dtype=np.intp)
