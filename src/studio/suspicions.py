"""Suspicious places of tracks, the most doubtful first, each with a reason and, if one suggests
itself, an operation that would mend it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..f0.unsure import SURE
from .corrections import find_runs
from .operations import STEP
from .ridges import Ridges

NEAR_CENTS = 50.0
STRONG = 0.5  # log-odds of a pitch that surely sounds
CLEAR = 2.0  # of one that is no partial of another
WEAK = -2.5  # of one that hardly does
SHORTEST = 0.16  # seconds of a place
GAP = 0.25  # seconds between places that are one
EDGE = 0.5  # seconds that a place may be extended to where the track leaps
LEAP = 700.0  # cents between two frames, which nobody sings
EXCHANGE = 120.0  # cents that two lines may differ where they are exchanged ...
EXCHANGE_GAIN = 250.0  # ... and that the exchange must save
LONGEST_EXCHANGE = 20.0  # seconds
MOST = 200

Tracks = NDArray[np.float32]


@dataclass(frozen=True)
class Doubt:
    """A suspicious place.

    Attributes:
        begin, end: seconds.
        singers: whom it is about; none = everybody.
        kind: "octave", "exchange", "unexplained", "weak", "leap" or "unsure".
        doubt: 0 to 1.
        reason: one sentence.
        hertz: the pitch that should perhaps be there; None = unknown.
        remedy: an operation (`src.studio.operations`); None = none suggests itself.
    """

    begin: float
    end: float
    singers: tuple[int, ...]
    kind: str
    doubt: float
    reason: str
    hertz: float | None = None
    remedy: dict[str, Any] | None = None

    def describe(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "from": round(self.begin, 3),
            "to": round(self.end, 3),
            "singers": list(self.singers),
            "kind": self.kind,
            "doubt": round(self.doubt, 3),
            "reason": self.reason,
            "hz": None if self.hertz is None else round(self.hertz, 2),
            "remedy": self.remedy,
        }


def find_suspicions(
    f0: Tracks,
    locks: NDArray[np.bool_],
    names: Sequence[str],
    ridges: Ridges | None,
    confidence: NDArray[np.float32] | None,
) -> list[Doubt]:
    """Find suspicious places.

    Args:
        f0: [N, J] Hz on the 16-ms grid.
        locks: [N, J]; what is locked is right.
        names: J singers.
        ridges: of the salience; None = the tracks alone are looked at.
        confidence: [N, J] that each is one singer's; None = unknown.
    """
    found = [*_find_exchanges(f0, locks, names), *_find_leaps(f0, locks, names)]
    if ridges is not None:
        found += _compare(f0, locks, names, ridges)
    if confidence is not None and confidence.shape == f0.shape:
        found += _find_unsure(f0, locks, names, confidence)
    kept: list[Doubt] = []
    for place in sorted(found, key=lambda place: (-place.doubt, place.begin)):
        if not any(_says_the_same(place, other) for other in kept):
            kept.append(place)
    return kept[:MOST]


def _says_the_same(place: Doubt, other: Doubt) -> bool:
    """Whether a more doubtful place has been told of already: its singers, most of its time."""
    shared = min(place.end, other.end) - max(place.begin, other.begin)
    same = set(place.singers) <= set(other.singers) and bool(place.singers)
    return same and shared >= 0.5 * (place.end - place.begin) - STEP / 2


def measure_along(ridges: Ridges, f0: Tracks, ratio: float = 1.0) -> NDArray[np.float64]:
    """The largest log-odds [N, J] within 50 cents of the tracks times `ratio`; -14 where silent."""
    reach = max(1, round(NEAR_CENTS / ridges.cents))
    along = np.full(f0.shape, -14.0)
    frames, singers = np.nonzero(f0)
    frames, singers = frames[frames < ridges.odds.shape[1]], singers[frames < ridges.odds.shape[1]]
    centre = np.rint(ridges.find_row(f0[frames, singers] * ratio)).astype(np.int64)
    for offset in range(-reach, reach + 1):
        row = centre + offset
        inside = (row >= 0) & (row < len(ridges.odds))
        at = frames[inside], singers[inside]
        along[at] = np.maximum(along[at], ridges.odds[row[inside], frames[inside]])
    return along


def _compare(
    f0: Tracks, locks: NDArray[np.bool_], names: Sequence[str], ridges: Ridges
) -> list[Doubt]:
    """Compare tracks with salience: octaves, weak stretches, and what nobody sings."""
    along = measure_along(ridges, f0)
    free = _find_unexplained(f0, ridges)
    weak = (along < WEAK) & (f0 > 0) & ~locks
    places = []
    octaves = np.zeros_like(weak)
    for direction in (1, -1):
        ratio = 2.0**direction
        beyond = measure_along(ridges, f0, ratio)
        taken = _is_taken(f0, f0 * np.float32(ratio))
        better = (beyond > along + 2.0) & (beyond > 0.0) & ~taken & (f0 > 0) & ~locks
        octaves |= better
        for j, name in enumerate(names):
            for first, end in _find_places(better[:, j]):
                inside = better[first:end, j]
                low, high = _reach_edges(f0[:, j], first, end)
                gain = float((beyond - along)[first:end, j][inside].mean())
                word = "above" if direction > 0 else "below"
                pitch = float(np.median(f0[first:end, j][f0[first:end, j] > 0]))
                begin, stop = low * STEP, (high - 1) * STEP
                remedy = _propose("octave", j, begin, stop, direction=direction)
                places.append(
                    Doubt(
                        begin, stop, (j,), "octave", _bound(0.72 + 0.03 * gain),
                        f"an octave {word} {name} a pitch is heard that nobody sings, and hardly "
                        "one where the track is",
                        ratio * pitch, remedy,
                    )
                )  # fmt: skip
    for j, name in enumerate(names):
        for first, end in _find_places(weak[:, j] & ~octaves[:, j]):
            lack = float((WEAK - along[first:end, j]).clip(0, 6).mean())
            begin, stop = first * STEP, (end - 1) * STEP
            places.append(
                Doubt(
                    begin, stop, (j,), "weak", _bound(0.35 + 0.05 * lack),
                    f"hardly a pitch is heard where {name} has one",
                    None, _propose("silence", j, begin, stop),
                )
            )  # fmt: skip
    explained = octaves.any(axis=1)
    for first, end in _find_places(np.isfinite(free) & ~explained):
        part = free[first:end]
        pitch = float(2.0 ** np.nanmedian(np.log2(part)))
        places.append(
            Doubt(
                first * STEP, (end - 1) * STEP, (), "unexplained",
                _bound(0.5 + 0.05 * min(6.0, (end - first) * STEP * 4)),
                f"a pitch near {pitch:.0f} Hz is heard that nobody sings", pitch,
                _propose_singer(f0, first, end, part),
            )
        )  # fmt: skip
    return places


def _reach_edges(track: NDArray[Any], first: int, end: int) -> tuple[int, int]:
    """Extend a stretch to where the track rests or leaps, if that is near; else leave it."""
    cents = 1200 * np.log2(np.maximum(track, 1e-3).astype(np.float64))
    edges = np.append(np.abs(np.diff(cents)) > LEAP, True)  # after the frame; rests are leaps, too
    before = np.flatnonzero(edges[:first]) + 1
    low = int(before[-1]) if len(before) else 0
    high = end - 1 + int(np.argmax(edges[end - 1 :])) + 1
    reach = round(EDGE / STEP)
    return (low if first - low <= reach else first, high if high - end <= reach else end)


def _propose_singer(
    f0: Tracks, first: int, end: int, free: NDArray[np.float64]
) -> dict[str, Any] | None:
    """Give a free pitch to a singer who is silent there, the nearest one by usual pitch."""
    silent = [j for j in range(f0.shape[1]) if not f0[first:end, j].any() and f0[:, j].any()]
    if not silent:
        return None
    pitch = np.nanmedian(np.log2(free))
    usual = {j: float(np.median(np.log2(f0[:, j][f0[:, j] > 0]))) for j in silent}
    best = min(silent, key=lambda j: abs(usual[j] - pitch))
    points, last = [], -1.0
    for n in range(first, end):
        if np.isfinite(free[n - first]):
            points.append([round(n * STEP, 3), round(float(free[n - first]), 2)])
            last = n
    return (
        {"kind": "draw", "singer": best, "points": points, "snap": True} if last > first else None
    )


def _find_unexplained(f0: Tracks, ridges: Ridges) -> NDArray[np.float64]:
    """The strongest pitch of each frame that no track has nor has as a partial, Hz; NaN = none."""
    n_frames = min(len(f0), ridges.odds.shape[1])
    free = np.full(len(f0), np.nan)
    rows = np.arange(len(ridges.odds))[:, None] * ridges.cents
    for first in range(0, n_frames, 2048):
        count = min(2048, n_frames - first)
        odds = ridges.cut(first, count)
        peaks = np.zeros(odds.shape, np.bool_)
        peaks[1:-1] = (odds[1:-1] > odds[:-2]) & (odds[1:-1] >= odds[2:]) & (odds[1:-1] > STRONG)
        for track in f0[first : first + count].T:
            own = np.where(track > 0, ridges.find_row(track) * ridges.cents, -1e9)
            peaks &= np.abs(rows - own) > NEAR_CENTS
            # Faint pitches an octave or a twelfth above a singer may be partials.
            for partial in (1200.0, 1902.0):
                peaks &= (np.abs(rows - own - partial) > NEAR_CENTS) | (odds > CLEAR)
        height = np.where(peaks, odds, -np.inf)
        best = height.argmax(axis=0)
        there = np.isfinite(height[best, np.arange(count)])
        free[first : first + count] = np.where(there, ridges.find_hertz(best), np.nan)
    return free


def _is_taken(f0: Tracks, wanted: Tracks) -> NDArray[np.bool_]:
    """Whether another singer has the pitch that is wanted, [N, J]."""
    taken = np.zeros(f0.shape, np.bool_)
    safe = np.maximum(f0, 1e-3)
    for j in range(f0.shape[1]):
        away = np.abs(1200 * np.log2(safe / np.maximum(wanted[:, j : j + 1], 1e-3)))
        near = away < NEAR_CENTS
        near[:, j] = False
        taken[:, j] = near.any(axis=1)
    return taken


def _find_leaps(f0: Tracks, locks: NDArray[np.bool_], names: Sequence[str]) -> list[Doubt]:
    """Short stretches that a track leaps to and back from without a pause."""
    places = []
    cents = 1200 * np.log2(np.maximum(f0, 1e-3).astype(np.float64))
    for j, name in enumerate(names):
        both = (f0[1:, j] > 0) & (f0[:-1, j] > 0)
        steps = np.where(both, np.diff(cents[:, j]), 0.0)
        at = np.flatnonzero(np.abs(steps) > LEAP)
        k = 0
        while k < len(at) - 1:
            first, end = int(at[k]) + 1, int(at[k + 1]) + 1
            back = abs(steps[at[k]] + steps[at[k + 1]]) < 200
            if back and (end - first) * STEP <= 3.0 and not locks[first:end, j].all():
                size = steps[at[k]]
                octave = abs(abs(size) - 1200) < 100
                begin, stop = first * STEP, (end - 1) * STEP
                remedy = None
                if octave:
                    remedy = _propose("octave", j, begin, stop, direction=-int(np.sign(size)))
                word = "an octave" if octave else f"{abs(size) / 100:.0f} semitones"
                places.append(
                    Doubt(
                        begin, stop, (j,), "octave" if octave else "leap", 0.9 if octave else 0.6,
                        f"{name} leaps by {word} and back without a pause", None, remedy,
                    )
                )  # fmt: skip
                k += 1
            k += 1
    return places


def _find_exchanges(f0: Tracks, locks: NDArray[np.bool_], names: Sequence[str]) -> list[Doubt]:
    """Pairs that take each other's line at one moment, and perhaps take it back later."""
    places = []
    cents = 1200 * np.log2(np.maximum(f0, 1e-3).astype(np.float64))
    for a, b in combinations(range(f0.shape[1]), 2):
        sung: NDArray[np.bool_] = np.all(f0[:, [a, b]] > 0, axis=1)
        both = sung[1:] & sung[:-1]
        straight = np.abs(np.diff(cents[:, a])) + np.abs(np.diff(cents[:, b]))
        crossed = np.abs(cents[1:, a] - cents[:-1, b]) + np.abs(cents[1:, b] - cents[:-1, a])
        moments = np.flatnonzero(both & (crossed < EXCHANGE) & (straight - crossed > EXCHANGE_GAIN))
        points = [int(n) + 1 for n in moments]
        k = 0
        while k < len(points):
            first = points[k]
            paired = k + 1 < len(points) and (points[k + 1] - first) * STEP <= LONGEST_EXCHANGE
            end = points[k + 1] if paired else first + 1
            k += 2 if paired else 1
            if locks[first:end, [a, b]].all():
                continue
            begin, stop = first * STEP, (end - 1) * STEP
            remedy = _propose("swap", a, begin, stop, other=b) if paired else None
            until = f" and back at {end * STEP:.1f} s" if paired else ""
            places.append(
                Doubt(
                    begin, stop, (a, b), "exchange", 0.95 if paired else 0.8,
                    f"{names[a]} and {names[b]} take each other's line at {begin:.1f} s{until}",
                    None, remedy,
                )
            )  # fmt: skip
    return places


def _find_unsure(
    f0: Tracks, locks: NDArray[np.bool_], names: Sequence[str], confidence: NDArray[np.float32]
) -> list[Doubt]:
    """Stretches in which nothing tells who sings what."""
    unsure = (confidence < SURE) & (f0 > 0) & ~locks
    places = []
    anybody: NDArray[np.bool_] = np.any(unsure, axis=1)
    for first, end in _find_places(anybody):
        part = unsure[first:end]
        if (end - first) * STEP < 0.5:
            continue
        singers = tuple(int(j) for j in np.flatnonzero(part.any(axis=0)))
        lack = float(1 - confidence[first:end][part].mean())
        begin, stop = first * STEP, (end - 1) * STEP
        remedy = None
        if len(singers) == 2:
            remedy = _propose("swap", singers[0], begin, stop, other=singers[1])
        who = ", ".join(names[j] for j in singers)
        places.append(
            Doubt(
                begin, stop, singers, "unsure", _bound(0.3 + 0.6 * lack),
                f"nothing tells apart who sings what ({who})", None, remedy,
            )
        )  # fmt: skip
    return places


def _find_places(marked: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Runs of marked frames, brief gaps closed, that last."""
    runs: list[tuple[int, int]] = []
    for first, end in find_runs(marked):
        if runs and (first - runs[-1][1]) * STEP <= GAP:
            runs[-1] = (runs[-1][0], end)
        else:
            runs.append((first, end))
    least = round(SHORTEST / STEP)
    return [(a, b) for a, b in runs if b - a >= least and marked[a:b].mean() > 0.5]


def _propose(kind: str, singer: int, begin: float, end: float, **fields: int) -> dict[str, Any]:
    """An operation on a stretch of whole frames."""
    stretch = {"from": round(begin, 3), "to": round(end, 3)}
    return {"kind": kind, "singer": singer, **stretch, **fields}


def _bound(doubt: float) -> float:
    return float(np.clip(doubt, 0.0, 1.0))
