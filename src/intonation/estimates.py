"""Means and slopes with intervals, and what singers have in common apart from their own."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from scipy.stats import mstats, theilslopes, trim_mean

Values = NDArray[np.float64]

CONFIDENCE = 0.95
TRIMMED = 0.1  # share of the values that is left out at either end: wrong notes are no intonation
_MOST = 1500  # values of a slope, whose pairs are all compared
_FEWEST = 5
_ROUNDS = 50


@dataclass(frozen=True)
class Estimate:
    """A number and its 95 % interval.

    Attributes:
        value: NaN where it cannot be told.
        low, high: ends of the interval, NaN with fewer than three values.
        count: of the values behind it.
    """

    value: float
    low: float
    high: float
    count: int


def estimate_mean(values: Values) -> Estimate:
    """Estimate a mean without the tenth at either end, and its interval (Tukey, McLaughlin 1963).

    Args:
        values: [n]; NaN are left out.
    """
    known = values[np.isfinite(values)]
    if not len(known):
        return Estimate(np.nan, np.nan, np.nan, 0)
    limits = (TRIMMED, TRIMMED)
    value = float(mstats.trimmed_mean(known, limits=limits))
    if len(known) < 3:
        return Estimate(value, np.nan, np.nan, len(known))
    ends = mstats.trimmed_mean_ci(known, limits=limits, alpha=1.0 - CONFIDENCE)
    return Estimate(value, float(ends[0]), float(ends[1]), len(known))


def estimate_slope(x: Values, y: Values) -> Estimate:
    """Estimate a slope that outliers do not change: the median of those of all pairs (Sen 1968).

    Args:
        x, y: [n]; beyond 1500 values, medians of neighbours stand for them.
    """
    order = np.argsort(x, kind="stable")
    parts = np.array_split(order, min(len(order), _MOST)) if len(order) else []
    if len(order) < _FEWEST or x[order[-1]] - x[order[0]] <= 0:
        return Estimate(np.nan, np.nan, np.nan, len(order))
    places = np.array([np.median(x[part]) for part in parts])
    values = np.array([np.median(y[part]) for part in parts])
    found = theilslopes(values, places, CONFIDENCE)
    return Estimate(float(found.slope), float(found.low_slope), float(found.high_slope), len(order))


def find_common(values: Values, width: float) -> float:
    """Find what most of a few values agree on; those much further away than `width` do not count.

    Of four values the median would move by several cents if one of them moved from the middle to
    the edge (Welsch's estimator, from the median on). Of two, the mean.
    """
    if len(values) < 3:
        return float(np.mean(values))
    common = float(np.median(values))
    for _ in range(_ROUNDS):
        weights = np.exp(-0.5 * ((values - common) / width) ** 2)
        common = float(weights @ values / weights.sum())
    return common


def split_levels(values: Values, width: float) -> tuple[Values, Values]:
    """Split a table into what each row and what each column has of its own, robustly.

    Columns are compared pair by pair, by the means of the middle half of their differences in the
    rows that both have; what they have of their own is what explains these best. A column that is
    off by a constant so moves no row: with four singers, one who is always sharp leaves the levels
    of the chords where they are.

    Args:
        values: [R, J], NaN where there is none.
        width: distance of a column from the others beyond which it is odd.

    Returns:
        Levels [R], NaN for rows with fewer than two values; and what the columns have of their own
        [J], 0 for what most have (`find_common`), and for empty columns.
    """
    known = np.isfinite(values)
    rows = known.sum(axis=1) >= 2
    there = known[rows].any(axis=0)
    own = np.zeros(values.shape[1])
    equations, differences = [], []
    for a, b in combinations(np.flatnonzero(there), 2):
        both = known[:, a] & known[:, b]
        if both.any():
            weight = np.sqrt(both.sum())
            equations.append(weight * (np.eye(len(own))[a] - np.eye(len(own))[b]))
            differences.append(weight * trim_mean(values[both, a] - values[both, b], 0.25))
    levels = np.full(len(values), np.nan)
    if equations:
        own = np.linalg.lstsq(np.array(equations), np.array(differences), rcond=None)[0]
        own = np.where(there, own - find_common(own[there], width), 0.0)
        levels[rows] = np.nanmedian(values[rows] - own, axis=1)
    return levels, own
