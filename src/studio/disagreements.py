"""Where tracks disagree with the salience: octaves, what is hardly heard, what nobody sings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .doubt import LEAP, Doubt, bound, find_places, propose
from .operations import STEP
from .ridges import Ridges

NEAR_CENTS = 50.0
STRONG = 0.5  # log-odds of a pitch that surely sounds
CLEAR = 2.0  # of one that is no partial of another
WEAK = -2.5  # of one that hardly does
EDGE = 0.5  # seconds that a place may be extended to where the track leaps

Tracks = NDArray[np.float32]


def find_disagreements(
    f0: Tracks, locks: NDArray[np.bool_], names: Sequence[str], ridges: Ridges
) -> list[Doubt]:
    """Find where tracks disagree with the salience.

    Args:
        f0: [N, J] Hz on the 16-ms grid.
        locks: [N, J]; what is locked is right.
        names: J singers.
        ridges: of the salience.

    Returns:
        Octaves, weak stretches, and pitches that nobody sings.
    """
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
            for first, end in find_places(better[:, j]):
                inside = better[first:end, j]
                low, high = _reach_edges(f0[:, j], first, end)
                gain = float((beyond - along)[first:end, j][inside].mean())
                word = "above" if direction > 0 else "below"
                pitch = float(np.median(f0[first:end, j][f0[first:end, j] > 0]))
                begin, stop = low * STEP, (high - 1) * STEP
                remedy = propose("octave", j, begin, stop, direction=direction)
                places.append(
                    Doubt(
                        begin, stop, (j,), "octave", bound(0.72 + 0.03 * gain),
                        f"an octave {word} {name} a pitch is heard that nobody sings, and hardly "
                        "one where the track is",
                        ratio * pitch, remedy,
                    )
                )  # fmt: skip
    for j, name in enumerate(names):
        for first, end in find_places(weak[:, j] & ~octaves[:, j]):
            lack = float((WEAK - along[first:end, j]).clip(0, 6).mean())
            begin, stop = first * STEP, (end - 1) * STEP
            places.append(
                Doubt(
                    begin, stop, (j,), "weak", bound(0.35 + 0.05 * lack),
                    f"hardly a pitch is heard where {name} has one",
                    None, propose("silence", j, begin, stop),
                )
            )  # fmt: skip
    explained = octaves.any(axis=1)
    for first, end in find_places(np.isfinite(free) & ~explained):
        part = free[first:end]
        pitch = float(2.0 ** np.nanmedian(np.log2(part)))
        places.append(
            Doubt(
                first * STEP, (end - 1) * STEP, (), "unexplained",
                bound(0.5 + 0.05 * min(6.0, (end - first) * STEP * 4)),
                f"a pitch near {pitch:.0f} Hz is heard that nobody sings", pitch,
                _propose_singer(f0, first, end, part),
            )
        )  # fmt: skip
    return places


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
