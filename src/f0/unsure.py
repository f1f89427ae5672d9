"""Where nothing tells voices apart: warnings with times."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .contours import F0Contours

SURE = 0.75  # probability that a singer sings the track; below, it might be another's
SHORTEST = 1.0  # seconds that are worth a warning
GAP = 0.5  # seconds between stretches that are reported as one
MOST = 5  # stretches that are named


def warn_of_doubtful_singers(contours: F0Contours) -> list[str]:
    """Say where it is uncertain which of the singers sings what: one sentence, or none.

    Args:
        contours: tracks with `confidence`.
    """
    if contours.confidence is None:
        return []
    doubtful = contours.voiced & (contours.confidence < SURE)
    stretches = _find_stretches(doubtful, contours.times)
    if not stretches:
        return []
    named = [_describe(contours, doubtful, *stretch) for stretch in stretches[:MOST]]
    more = len(stretches) - len(named)
    return [
        f"nothing tells apart who sings what at {', '.join(named)}"
        + (f", and in {more} other places" if more else "")
        + ": the tracks may have changed singers there; correct them in a CSV file if so"
    ]


def _find_stretches(
    doubtful: NDArray[np.bool_], times: NDArray[np.float64]
) -> list[tuple[int, int]]:
    """First and last frame of the stretches that last, in which any of [N, J] is true."""
    at = np.flatnonzero(doubtful.any(axis=1))
    if not len(at):
        return []
    runs = np.split(at, np.flatnonzero(np.diff(times[at]) > GAP) + 1)
    return [(int(r[0]), int(r[-1])) for r in runs if times[r[-1]] - times[r[0]] >= SHORTEST]


def _describe(contours: F0Contours, doubtful: NDArray[np.bool_], first: int, last: int) -> str:
    begin, end = contours.times[first], contours.times[last]
    names = [
        name
        for name, unsure in zip(contours.names, doubtful[first : last + 1].T, strict=True)
        if unsure.any()
    ]
    return f"{begin:.1f} to {end:.1f} s ({', '.join(names)})"
