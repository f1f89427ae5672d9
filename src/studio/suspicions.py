"""Suspicious places of tracks, the most doubtful first, each with a reason and, if one suggests
itself, an operation that would mend it."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from ..f0.unsure import SURE
from .disagreements import find_disagreements
from .doubt import LEAP, Doubt, bound, find_places, propose
from .operations import STEP
from .ridges import Ridges

EXCHANGE = 120.0  # cents that two lines may differ where they are exchanged ...
EXCHANGE_GAIN = 250.0  # ... and that the exchange must save
LONGEST_EXCHANGE = 20.0  # seconds
MOST = 200

Tracks = NDArray[np.float32]


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
        found += find_disagreements(f0, locks, names, ridges)
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
                    remedy = propose("octave", j, begin, stop, direction=-int(np.sign(size)))
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
            remedy = propose("swap", a, begin, stop, other=b) if paired else None
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
    for first, end in find_places(anybody):
        part = unsure[first:end]
        if (end - first) * STEP < 0.5:
            continue
        singers = tuple(int(j) for j in np.flatnonzero(part.any(axis=0)))
        lack = float(1 - confidence[first:end][part].mean())
        begin, stop = first * STEP, (end - 1) * STEP
        remedy = None
        if len(singers) == 2:
            remedy = propose("swap", singers[0], begin, stop, other=singers[1])
        who = ", ".join(names[j] for j in singers)
        places.append(
            Doubt(
                begin, stop, singers, "unsure", bound(0.3 + 0.6 * lack),
                f"nothing tells apart who sings what ({who})", None, remedy,
            )
        )  # fmt: skip
    return places
