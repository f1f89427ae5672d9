"""A suspicious place of tracks: where, about whom, how doubtful, why, and what would mend it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .corrections import find_runs
from .operations import STEP

SHORTEST = 0.16  # seconds of a place
LEAP = 700.0  # cents between two frames, which nobody sings
GAP = 0.25  # seconds between places that are one


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


def find_places(marked: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Find runs of marked frames [N], brief gaps closed, that last: [first, end) each."""
    runs: list[tuple[int, int]] = []
    for first, end in find_runs(marked):
        if runs and (first - runs[-1][1]) * STEP <= GAP:
            runs[-1] = (runs[-1][0], end)
        else:
            runs.append((first, end))
    least = round(SHORTEST / STEP)
    return [(a, b) for a, b in runs if b - a >= least and marked[a:b].mean() > 0.5]


def propose(kind: str, singer: int, begin: float, end: float, **fields: int) -> dict[str, Any]:
    """Propose an operation on a stretch of whole frames, in seconds (`src.studio.operations`)."""
    stretch = {"from": round(begin, 3), "to": round(end, 3)}
    return {"kind": kind, "singer": singer, **stretch, **fields}


def bound(doubt: float) -> float:
    """Clip a doubt to 0 to 1."""
    return float(np.clip(doubt, 0.0, 1.0))
