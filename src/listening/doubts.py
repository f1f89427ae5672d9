"""Places to listen to with care: where much is left over, and where singers share a pitch."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from .content import Recording, Remark
from .sound import LEVEL_SECONDS, Measured

LEFT_OVER = 10 ** (-6 / 10)  # of the recording's energy
AUDIBLE = 10 ** (-40 / 10)  # of the loudest tenth of a second
UNISON_CENTS = 40.0
SHORTEST_SECONDS = 0.5
MOST_SPANS = 12

# "at 3.2 s", "from 3.2 to 4.5 s"; not "lasts 3.2 s".
_TIME = re.compile(r"\b(?:at|from|between) (\d+(?:\.\d+)?)(?: (?:to|and) (\d+(?:\.\d+)?))? s\b")


def find_doubts(recording: Recording, measured: Sequence[Measured]) -> list[Remark]:
    """Find places to listen to with care, the longest first, in the order of time.

    Args:
        recording: its tracks.
        measured: what `src.listening.sound.measure` found.
    """
    remarks = []
    levels = {track.role: m.levels for track, m in zip(recording.tracks, measured, strict=True)}
    if {"mixture", "residual"} <= levels.keys():
        mixture, residual = levels["mixture"], levels["residual"]
        much = (residual > LEFT_OVER * mixture) & (mixture > AUDIBLE * mixture.max())
        spans = find_spans(much, LEVEL_SECONDS)
        if spans:
            remarks.append(Remark("Much of the sound went to no singer", spans))
    sung = [track for track in recording.tracks if track.role == "stem" and track.f0 is not None]
    for one, other in combinations(sung, 2):
        spans = find_spans(_find_unison(one.f0, other.f0), recording.frame_seconds)
        if spans:
            remarks.append(
                Remark(f"{one.name} and {other.name} sing one pitch and are hard to part", spans)
            )
    return remarks


def _find_unison(one: NDArray | None, other: NDArray | None) -> NDArray[np.bool_]:
    """Bool [N]: both sing, less than `UNISON_CENTS` apart."""
    a, b = (np.asarray(f0, dtype=np.float64) for f0 in (one, other))
    n = min(len(a), len(b))
    a, b = a[:n], b[:n]
    both = (a > 0) & (b > 0)
    cents = 1200 * np.abs(np.log2(np.where(both, a, 1.0) / np.where(both, b, 1.0)))
    found: NDArray[np.bool_] = both & (cents < UNISON_CENTS)
    return found


def find_spans(marked: NDArray[np.bool_], step: float) -> list[tuple[float, float]]:
    """Find the longest runs of true values, as (begin, end) in seconds in the order of time.

    Args:
        marked: [N].
        step: seconds from one value to the next.
    """
    edges = np.flatnonzero(np.diff(np.concatenate([[False], marked, [False]]).astype(int)))
    runs = [(float(a * step), float(b * step)) for a, b in edges.reshape(-1, 2)]
    long = [run for run in runs if run[1] - run[0] >= SHORTEST_SECONDS]
    return sorted(sorted(long, key=lambda run: run[0] - run[1])[:MOST_SPANS])


def read_warnings(warnings: Sequence[str]) -> list[Remark]:
    """Remarks of warnings; times that a sentence names (at 3.2 s, from 3.2 to 4.5 s) lead there."""
    remarks = []
    for warning in warnings:
        times = [(float(a), float(b or a)) for a, b in _TIME.findall(warning)]
        remarks.append(Remark(warning[:1].upper() + warning[1:], times))
    return remarks
