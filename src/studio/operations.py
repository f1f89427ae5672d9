"""Corrections as the page sends them: checked, made, described, and taken back.

An operation is JSON: {"kind": "octave", "singer": 1, "from": 3.2, "to": 4.1, "direction": 1}.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..dsp.tracks import HOP, RATE
from . import corrections
from .operation_error import OperationError
from .ridges import Ridges

STEP = HOP / RATE  # seconds of a frame
MOST_POINTS = 10_000
MOST_CENTS = 4800.0

Tracks = NDArray[np.float32]
Locks = NDArray[np.bool_]
Tune = Callable[[Tracks, slice], Tracks]

# Kind: what it is called, and which fields it has besides singer, from and to.
KINDS: dict[str, tuple[str, tuple[str, ...]]] = {
    "candidate": ("next candidate", ("direction",)),
    "octave": ("octave", ("direction",)),
    "shift": ("moved by cents", ("cents",)),
    "silence": ("silenced", ()),
    "extend": ("extended", ()),
    "join": ("joined", ()),
    "cut": ("cut", ("at",)),
    "swap": ("swapped", ("other",)),
    "give": ("given", ("other", "keep")),
    "draw": ("drawn", ("points", "snap")),
    "retrack": ("tracked again", ("low", "high", "hint")),
    "tune": ("tuned to the partials", ()),
    "lock": ("locked", ()),
    "unlock": ("unlocked", ()),
}
_OF_ALL = ("tune", "lock", "unlock")
_TUNED = ("candidate", "extend", "join", "draw", "retrack")


@dataclass(frozen=True)
class Means:
    """What operations may look at.

    Attributes:
        names: J singers.
        ridges: of the salience; None = there is none (imported tracks).
        tune: fine tuning of tracks [N, J] in a slice of frames to the recording; None = there is
            no recording to hear.
    """

    names: Sequence[str]
    ridges: Ridges | None = None
    tune: Tune | None = None


@dataclass(frozen=True)
class Outcome:
    """What an operation leads to.

    Attributes:
        f0: [N, J] Hz.
        locks: [N, J].
        said: what was done, for people.
    """

    f0: Tracks
    locks: Locks
    said: str


def apply(operation: Any, f0: Tracks, locks: Locks, means: Means) -> Outcome:
    """Make an operation.

    Args:
        operation: JSON, see the module.
        f0: [N, J] Hz on the 16-ms grid.
        locks: [N, J], true where frames must stay.
        means: what it may look at.

    Raises:
        OperationError: it is malformed, cannot be made, or changes nothing.
    """
    given = _Given(operation, f0, means.names)
    kind = given.kind
    if kind in ("lock", "unlock"):
        marked = locks.copy()
        marked[given.part, given.singers] = kind == "lock"
        if np.array_equal(marked, locks):
            raise OperationError(f"this stretch is {kind}ed already")
        return Outcome(f0, marked, given.describe())
    changed = _change(given, f0, means)
    pair = [given.singers[0], given.other] if kind in ("swap", "give") else given.singers
    held = np.zeros_like(locks)
    # What two singers exchange stays where it is locked for either.
    held[:, pair] = locks[:, pair].any(axis=1, keepdims=True) if len(pair) > 1 else locks[:, pair]
    if kind == "tune":
        held = locks
    kept = np.where(held, f0, changed)
    if kind in _TUNED and means.tune is not None and given.snaps:
        rows = np.flatnonzero((kept != f0).any(axis=1))
        if len(rows):
            part = slice(int(rows[0]), int(rows[-1]) + 1)
            tuned = means.tune(kept, part)
            moved = (kept != f0) & (kept > 0)
            kept[part] = np.where(moved[part], tuned, kept[part])
    if np.array_equal(kept, f0):
        if not np.array_equal(changed, f0):
            raise OperationError("this stretch is locked; unlock it first")
        raise OperationError("this changes nothing: the track is like that already")
    return Outcome(kept, locks, given.describe())


def _change(given: _Given, f0: Tracks, means: Means) -> Tracks:
    kind, part, singer = given.kind, given.part, given.singers[0]
    if kind == "octave":
        return corrections.shift(f0, part, singer, 1200.0 * given.read_direction())
    if kind == "shift":
        return corrections.shift(
            f0, part, singer, given.read_number("cents", -MOST_CENTS, MOST_CENTS)
        )
    if kind == "silence":
        return corrections.silence(f0, part, singer)
    if kind == "cut":
        return corrections.cut(f0, given.part.start, singer)
    if kind == "swap":
        return corrections.swap(f0, part, singer, given.other)
    if kind == "give":
        return corrections.give(
            f0, part, singer, given.other, keep=given.read_switch("keep", False)
        )
    if kind == "extend":
        return corrections.extend(f0, part, singer, means.ridges)
    if kind == "join":
        return corrections.join(f0, part, singer, means.ridges)
    if kind == "draw":
        ridges = means.ridges if given.snaps else None
        return corrections.draw(f0, singer, given.points, ridges, step=STEP)
    if kind == "tune":
        if means.tune is None:
            raise OperationError("there is no sound to tune to; open the recording again")
        tuned = f0.copy()
        tuned[part, given.singers] = means.tune(f0, part)[:, given.singers]
        return tuned
    if means.ridges is None:
        raise OperationError("these tracks were not estimated here: there are no candidates")
    if kind == "candidate":
        return corrections.move_to_candidate(f0, part, singer, given.read_direction(), means.ridges)
    low = given.read_number("low", corrections.LOWEST, corrections.HIGHEST)
    high = given.read_number("high", corrections.LOWEST, corrections.HIGHEST)
    return corrections.retrack(
        f0, part, singer, min(low, high), max(low, high), given.read_hint(), means.ridges
    )


class _Given:
    """The fields of an operation, checked."""

    def __init__(self, operation: Any, f0: Tracks, names: Sequence[str]) -> None:
        if not isinstance(operation, Mapping) or not isinstance(operation.get("kind"), str):
            raise OperationError("an operation has a kind, e.g. octave")
        self.kind = operation["kind"]
        if self.kind not in KINDS:
            raise OperationError(f"there is no operation of the kind {self.kind[:40]!r}")
        known = {"kind", "singer", "from", "to", *KINDS[self.kind][1]}
        unknown = sorted(str(key)[:40] for key in operation.keys() - known)
        if unknown:
            raise OperationError(f"{self.kind} has no field {unknown[0]!r}")
        self._fields = operation
        self._names = names
        self._n_frames = len(f0)
        self.singers = self._read_singers()
        self.points: list[tuple[float, float]] = []
        self.snaps = self.read_switch("snap", True)
        if self.kind == "draw":
            self.points = read_points("points", operation.get("points"))
            self._begin, self._end = self.points[0][0], self.points[-1][0]
            self.part = slice(0, 0)
        elif self.kind == "cut":
            self._begin = self._end = self.read_number("at", 0.0, math.inf)
            frame = round(self._begin / STEP)
            if frame >= self._n_frames:
                raise OperationError("this is after the end of the tracks")
            self.part = slice(frame, frame + 1)
        else:
            self.part = self._read_part()
        self.other = self._read_singer("other") if "other" in KINDS[self.kind][1] else -1

    def _read_singers(self) -> list[int]:
        if self.kind in _OF_ALL and self._fields.get("singer") is None:
            return list(range(len(self._names)))
        return [self._read_singer("singer")]

    def _read_singer(self, key: str) -> int:
        value: Any = self._fields.get(key)
        whole = isinstance(value, int) and not isinstance(value, bool)
        if not whole or not 0 <= value < len(self._names):
            raise OperationError(f"{key} must be a number from 0 to {len(self._names) - 1}")
        return int(value)

    def _read_part(self) -> slice:
        self._begin = self.read_number("from", -math.inf, math.inf)
        self._end = self.read_number("to", -math.inf, math.inf)
        part = find_frames(self._begin, self._end, self._n_frames)
        if part is None:
            raise OperationError("this stretch is shorter than a frame, or outside the recording")
        return part

    def read_number(self, key: str, least: float, most: float) -> float:
        value: Any = self._fields.get(key)
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if not number or not math.isfinite(value) or not least <= value <= most:
            bounds = "" if math.isinf(least) else f" of at least {least:g}"
            bounds = f" from {least:g} to {most:g}" if math.isfinite(most) else bounds
            raise OperationError(f"{key} must be a number{bounds}")
        return float(value)

    def read_switch(self, key: str, default: bool) -> bool:
        value = self._fields.get(key, default)
        if not isinstance(value, bool):
            raise OperationError(f"{key} must be true or false")
        return value

    def read_direction(self) -> int:
        value = self._fields.get("direction")
        if isinstance(value, bool) or value not in (1, -1):
            raise OperationError("direction must be 1 (up) or -1 (down)")
        return int(value)

    def read_hint(self) -> NDArray[np.float64] | None:
        """The hint of tracking again, [n] Hz, 0 = no opinion; None = there is none."""
        value = self._fields.get("hint")
        n = self.part.stop - self.part.start
        if value is None:
            return None
        if isinstance(value, list):
            times, pitches = np.array(read_points("hint", value)).T
            frames = np.arange(self.part.start, self.part.stop) * STEP
            line = np.exp2(np.interp(frames, times, np.log2(np.maximum(pitches, 1.0))))
            near = (frames >= times[0] - STEP) & (frames <= times[-1] + STEP) & (line > 1.0)
            return np.where(near, line, 0.0)
        return np.full(n, self.read_number("hint", corrections.LOWEST, corrections.HIGHEST))

    def describe(self) -> str:
        """What the operation does, e.g. "octave up: alto, 3.2 to 4.1 s"."""
        words = KINDS[self.kind][0]
        if "direction" in KINDS[self.kind][1]:
            words += " up" if self._fields["direction"] > 0 else " down"
        who = self._names[self.singers[0]] if len(self.singers) == 1 else "all"
        if self.other >= 0:
            who += (" and " if self.kind == "swap" else " to ") + self._names[self.other]
        if self.kind == "cut":
            return f"{words}: {who}, {self._begin:.1f} s"
        return f"{words}: {who}, {self._begin:.1f} to {self._end:.1f} s"


def read_points(key: str, value: Any) -> list[tuple[float, float]]:
    """Check a line of points [[seconds, Hz], ...].

    Raises:
        OperationError: they are no such points, or not in the order of time.
    """
    if not isinstance(value, list) or not 2 <= len(value) <= MOST_POINTS:
        raise OperationError(f"{key} must be 2 to {MOST_POINTS} points [seconds, Hz]")
    points: list[tuple[float, float]] = []
    for point in value:
        fine = (
            isinstance(point, list)
            and len(point) == 2
            and all(isinstance(x, (int, float)) and not isinstance(x, bool) for x in point)
            and all(math.isfinite(x) for x in point)
            and (point[1] == 0 or corrections.LOWEST <= point[1] <= corrections.HIGHEST)
        )
        if not fine or (points and point[0] <= points[-1][0]):
            raise OperationError(
                f"{key} must be points [seconds, Hz] in the order of time, from "
                f"{corrections.LOWEST:g} to {corrections.HIGHEST:g} Hz, or 0 for silence"
            )
        points.append((float(point[0]), float(point[1])))
    return points


def find_frames(begin: float, end: float, n_frames: int) -> slice | None:
    """Find the frames from one time to another, both included; None = there are none."""
    first = max(0, math.ceil(max(begin, 0.0) / STEP - 1e-6))
    last = min(n_frames - 1, math.floor(min(end, n_frames * STEP) / STEP + 1e-6))
    return slice(first, last + 1) if first <= last else None


def find_changes(before: Tracks, after: Tracks) -> list[dict[str, Any]]:
    """Find what differs, as {"singer", "first", "before": [Hz], "after": [Hz]} per singer."""
    changes = []
    for singer in range(before.shape[1]):
        rows = np.flatnonzero(before[:, singer] != after[:, singer])
        if len(rows):
            part = slice(int(rows[0]), int(rows[-1]) + 1)
            changes.append(
                {
                    "singer": singer,
                    "first": part.start,
                    "before": list_pitches(before[part, singer]),
                    "after": list_pitches(after[part, singer]),
                }
            )
    return changes


def list_pitches(track: Tracks) -> list[float]:
    """Pitches as JSON: nine digits restore any float32 exactly."""
    return [float(f"{value:.9g}") for value in track]


def list_locks(locks: Locks) -> list[list[list[int]]]:
    """Locks [N, J] as JSON: per singer, [first, one after the last] of its stretches."""
    return [[[a, b] for a, b in corrections.find_runs(column)] for column in locks.T]


def read_locks(stretches: Sequence[Sequence[Sequence[int]]], n_frames: int) -> Locks:
    """Locks [N, J] of what `list_locks` made."""
    locks = np.zeros((n_frames, len(stretches)), np.bool_)
    for singer, parts in enumerate(stretches):
        for first, end in parts:
            locks[first:end, singer] = True
    return locks
