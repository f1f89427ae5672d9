"""Corrections of F0 tracks: pure functions from tracks to tracks.

Tracks are float32 [N, J] in Hz on the 16-ms grid, 0 = silent. A stretch is a slice of frames. No
function looks at locks: `src.studio.operations` puts locked frames back.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..f0.columns import MAX_F0
from .operation_error import OperationError
from .ridges import Ridges, follow_line, track_box

LOWEST, HIGHEST = 20.0, MAX_F0  # Hz that a track may have
SNAP_CENTS = 100.0  # reach of a drawn line
BRIDGE_CENTS = 80.0  # reach of a bridged or extended one
LEAST_STEP = 70.0  # cents to the next candidate
MOST_STEP = 2600.0
ENOUGH = 0.2  # share of the stretch in which a candidate must be heard
CUT_FRAMES = 3

Tracks = NDArray[np.float32]


def _copy(f0: Tracks) -> Tracks:
    return np.array(f0, np.float32)


def _need_pitch(f0: Tracks, part: slice, singer: int) -> NDArray[np.bool_]:
    sung: NDArray[np.bool_] = f0[part, singer] > 0
    if not sung.any():
        raise OperationError("nobody sings in this stretch of the track; choose one with a pitch")
    return sung


def shift(f0: Tracks, part: slice, singer: int, cents: float) -> Tracks:
    """Move a stretch by cents.

    Raises:
        OperationError: it is silent, or would leave 20 to 8000 Hz.
    """
    sung = _need_pitch(f0, part, singer)
    moved = _copy(f0)
    moved[part, singer] *= np.float32(2.0 ** (cents / 1200))
    pitches = moved[part, singer][sung]
    if pitches.min() < LOWEST or pitches.max() > HIGHEST:
        raise OperationError(
            f"this would lead outside {LOWEST:.0f} to {HIGHEST:.0f} Hz, where nobody sings"
        )
    return moved


def silence(f0: Tracks, part: slice, singer: int) -> Tracks:
    """Make a stretch silent.

    Raises:
        OperationError: it is silent already.
    """
    _need_pitch(f0, part, singer)
    moved = _copy(f0)
    moved[part, singer] = 0.0
    return moved


def cut(f0: Tracks, frame: int, singer: int) -> Tracks:
    """Part a track at a frame: three frames become silent."""
    first = max(0, frame - CUT_FRAMES // 2)
    return silence(f0, slice(first, first + CUT_FRAMES), singer)


def swap(f0: Tracks, part: slice, singer: int, other: int) -> Tracks:
    """Exchange a stretch between two singers."""
    _need_two(singer, other)
    moved = _copy(f0)
    moved[part, [singer, other]] = f0[part, [other, singer]]
    return moved


def give(f0: Tracks, part: slice, singer: int, other: int, *, keep: bool = False) -> Tracks:
    """Give a stretch to another singer, whose own pitches stay where the stretch is silent.

    Args:
        f0: [N, J] Hz.
        part: the stretch.
        singer, other: from whom, to whom.
        keep: the first one sings it, too: a unison.

    Raises:
        OperationError: the stretch is silent, or both are one singer.
    """
    _need_two(singer, other)
    sung = _need_pitch(f0, part, singer)
    moved = _copy(f0)
    given = f0[part, singer]
    moved[part, other] = np.where(sung, given, f0[part, other])
    if not keep:
        moved[part, singer] = 0.0
    return moved


def _need_two(singer: int, other: int) -> None:
    if singer == other:
        raise OperationError("this takes two different singers; choose another one")


def move_to_candidate(
    f0: Tracks, part: slice, singer: int, direction: int, ridges: Ridges
) -> Tracks:
    """Move a stretch to the next ridge of the salience above or below.

    How far is decided once for the stretch; then every frame follows the ridge.

    Raises:
        OperationError: the stretch is silent, or there is no ridge.
    """
    sung = _need_pitch(f0, part, singer)
    own = f0[part, singer].astype(np.float64)
    peaks = ridges.find_peaks(part.start, len(own))
    steps = []
    for pitch, found in zip(own, peaks, strict=True):
        if pitch > 0 and len(found):
            away = direction * 1200 * np.log2(found / pitch)
            away = away[(away > LEAST_STEP) & (away < MOST_STEP)]
            if len(away):
                steps.append(float(away.min()))
    if len(steps) < max(1, ENOUGH * sung.sum()):
        where = "above" if direction > 0 else "below"
        raise OperationError(f"there is no candidate {where}: no other pitch is heard there")
    # The nearest ridge that a good part of the stretch has, not a blip of a few frames.
    step = float(np.quantile(np.array(steps), 0.25))
    target = own * 2.0 ** (direction * step / 1200)
    moved = _copy(f0)
    for begin, end in find_runs(sung):
        line = target[begin:end]
        moved[part.start + begin : part.start + end, singer] = follow_line(
            ridges, part.start + begin, line, SNAP_CENTS
        )
    return _keep_possible(moved)


def extend(f0: Tracks, part: slice, singer: int, ridges: Ridges | None) -> Tracks:
    """Fill the silent frames of a stretch from the voiced neighbours that they touch.

    Raises:
        OperationError: nothing is silent, or no neighbour sings.
    """
    moved = _copy(f0)
    track = f0[:, singer]
    filled = False
    for begin, end in find_runs(track[part] <= 0):
        first, last = part.start + begin, part.start + end
        left = float(track[first - 1]) if first > 0 else 0.0
        right = float(track[last]) if last < len(track) else 0.0
        if left > 0 or right > 0:
            line = draw_line(left, right, last - first)
            moved[first:last, singer] = _follow(ridges, first, line, BRIDGE_CENTS)
            filled = True
    if not filled:
        raise OperationError(
            "there is nothing to extend: choose a silent stretch that begins or ends at a pitch"
        )
    return _keep_possible(moved)


def join(f0: Tracks, part: slice, singer: int, ridges: Ridges | None) -> Tracks:
    """Bridge the gaps between voiced frames of a stretch.

    Raises:
        OperationError: there is no gap between two pitches.
    """
    sung = f0[part, singer] > 0
    gaps = [(a, b) for a, b in find_runs(~sung) if a > 0 and b < len(sung)]
    if not gaps:
        raise OperationError("there is no gap between two pitches in this stretch")
    moved = _copy(f0)
    for begin, end in gaps:
        first, last = part.start + begin, part.start + end
        line = draw_line(float(f0[first - 1, singer]), float(f0[last, singer]), end - begin)
        moved[first:last, singer] = _follow(ridges, first, line, BRIDGE_CENTS)
    return _keep_possible(moved)


def draw(
    f0: Tracks,
    singer: int,
    points: Sequence[tuple[float, float]],
    ridges: Ridges | None,
    *,
    step: float,
) -> Tracks:
    """Draw a line through points (seconds, Hz) in place of the track.

    Args:
        f0: [N, J] Hz.
        singer: whose track.
        points: in the order of time; 0 Hz = silent from there to the next point.
        ridges: to which the line snaps; None = it stays as it is drawn.
        step: seconds of a frame.

    Raises:
        OperationError: the line lies outside the recording.
    """
    times, pitches = np.array(points, np.float64).T
    first = max(0, int(np.ceil(times[0] / step - 1e-6)))
    last = min(len(f0) - 1, int(np.floor(times[-1] / step + 1e-6)))
    if last < first:
        raise OperationError("this line is shorter than a frame, or outside the recording")
    frames = np.arange(first, last + 1) * step
    right = np.clip(np.searchsorted(times, frames, side="right"), 1, len(times) - 1)
    both = (pitches[right - 1] > 0) & (pitches[right] > 0)
    heights = np.log2(np.maximum(pitches, 1.0))
    line = np.where(both, 2.0 ** np.interp(frames, times, heights), 0.0)
    moved = _copy(f0)
    moved[first : last + 1, singer] = line
    if ridges is not None:
        for begin, end in find_runs(line > 0):
            moved[first + begin : first + end, singer] = follow_line(
                ridges, first + begin, line[begin:end], SNAP_CENTS
            )
    return _keep_possible(moved)


def retrack(
    f0: Tracks,
    part: slice,
    singer: int,
    low: float,
    high: float,
    hint: NDArray[np.float64] | None,
    ridges: Ridges,
) -> Tracks:
    """Track one singer anew inside a box; see `src.studio.ridges.track_box`."""
    moved = _copy(f0)
    others = np.delete(f0[part], singer, axis=1).astype(np.float64)
    count = part.stop - part.start
    moved[part, singer] = track_box(ridges, part.start, count, low, high, hint=hint, others=others)
    return _keep_possible(moved)


def draw_line(left: float, right: float, n: int) -> NDArray[np.float64]:
    """Draw n pitches from one to another, straight in cents; 0 = only the other is there."""
    if left <= 0 or right <= 0:
        return np.full(n, max(left, right))
    return np.geomspace(left, right, n + 2)[1:-1]


def find_runs(marked: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Find the runs of true values: first, and one after the last."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], marked, [False]]).astype(np.int8)))
    return [(int(a), int(b)) for a, b in edges.reshape(-1, 2)]


def _follow(
    ridges: Ridges | None, first: int, line: NDArray[np.float64], reach: float
) -> NDArray[np.float64]:
    return line if ridges is None else follow_line(ridges, first, line, reach)


def _keep_possible(f0: Tracks) -> Tracks:
    """Pitches that no singer has become silence."""
    return np.where((f0 >= LOWEST) & (f0 <= HIGHEST), f0, np.float32(0.0))
