"""Ridges of salience: the pitches that a track may follow, and the best path through them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..f0.peaks import find_parabola_top
from .operation_error import OperationError

AUDIBLE_ODDS = -2.2  # log-odds of a salience of 0.1: less is no ridge
# Of a path, in nats, as in `src.f0.tracker`.
WIDTH_CENTS = 90.0  # a step per frame that costs 1
LEAP, LEAP_PER_CENT = 5.0, 0.002
ONSET = 3.0
BIAS, CEILING = 1.0, 3.0
TAKEN = 2.0  # cost of a pitch that another singer has ...
TAKEN_CENTS = 40.0  # ... this close
HINT_CENTS = 150.0  # standard deviation of a hint
MOST_STATES, MOST_FRAMES = 400, 4000

Pitches = NDArray[np.float64]


@dataclass(frozen=True)
class Ridges:
    """Salience of a recording on the 16-ms grid, as log-odds.

    Attributes:
        odds: [F, N], any float; may be a file in memory (`np.memmap`).
        lowest: Hz of the first row.
        cents: from one row to the next.
    """

    odds: NDArray[Any]
    lowest: float
    cents: float

    def find_row(self, hertz: Pitches) -> Pitches:
        """Find the row (a fraction) of frequencies in Hz; 0 Hz gives nonsense."""
        row: Pitches = 1200 * np.log2(np.maximum(hertz, 1e-3) / self.lowest) / self.cents
        return row

    def find_hertz(self, row: NDArray[Any]) -> Pitches:
        """Find the frequency of rows."""
        hertz: Pitches = self.lowest * 2.0 ** (np.asarray(row) * self.cents / 1200)
        return hertz

    def cut(self, first: int, count: int) -> NDArray[np.float64]:
        """Cut out frames: [F, count]; impossible where the salience has ended."""
        part = np.asarray(self.odds[:, first : first + count], np.float64)
        missing = count - part.shape[1]
        return np.pad(part, ((0, 0), (0, missing)), constant_values=-14.0) if missing else part

    def find_peaks(self, first: int, count: int, least: float = AUDIBLE_ODDS) -> list[Pitches]:
        """Find the pitches that sound in each of `count` frames, Hz ascending."""
        odds = self.cut(first, count)
        low, middle, high = odds[:-2], odds[1:-1], odds[2:]
        peaks = ((middle > low) & (middle >= high) & (middle >= least)).T
        frames, rows = np.nonzero(peaks)
        top = find_parabola_top(low[rows, frames], middle[rows, frames], high[rows, frames])
        hertz = self.find_hertz(rows + 1 + top)
        return np.split(hertz, np.cumsum(peaks.sum(axis=1))[:-1])


def follow_line(ridges: Ridges, first: int, line: Pitches, reach: float) -> Pitches:
    """Follow the ridge beside a line.

    Args:
        ridges: of the recording.
        first: frame of the line's first pitch.
        line: [n] Hz, positive.
        reach: the farthest that the ridge may be, cents.

    Returns:
        [n] Hz; the line itself where no ridge is near.
    """
    n = len(line)
    odds = ridges.cut(first, n)
    centre = np.rint(ridges.find_row(line)).astype(np.int64)
    half = max(1, int(reach / ridges.cents))
    rows = centre[:, None] + np.arange(-half, half + 1)
    inside = (rows >= 1) & (rows < len(odds) - 1)
    values = odds[np.clip(rows, 0, len(odds) - 1), np.arange(n)[:, None]]
    distance: Pitches = (rows - ridges.find_row(line)[:, None]) * ridges.cents / reach
    cost: Pitches = np.where(inside, -np.minimum(values, CEILING) + distance**2, 1e6)
    state = _find_path(cost, (rows * ridges.cents).astype(np.float64))
    chosen = rows[np.arange(n), state]
    found = _refine(ridges, odds, chosen)
    heard = inside[np.arange(n), state] & (values[np.arange(n), state] >= AUDIBLE_ODDS)
    near = np.abs(1200 * np.log2(found / line)) <= reach + ridges.cents
    return np.where(heard & near, found, line)


def track_box(
    ridges: Ridges,
    first: int,
    count: int,
    low: float,
    high: float,
    *,
    hint: Pitches | None = None,
    others: Pitches | None = None,
) -> Pitches:
    """Track one voice inside a box of time and pitch: the best path, or silence.

    Args:
        ridges: of the recording.
        first, count: frames of the box.
        low, high: Hz.
        hint: [count] Hz where the voice may be, 0 = no opinion.
        others: [count, J] Hz of the other singers, whose pitches are avoided.

    Returns:
        [count] Hz, 0 = silent.

    Raises:
        OperationError: a box without a row of the salience, or too large.
    """
    odds = ridges.cut(first, count)
    bottom, top = ridges.find_row(np.array([low, high]))
    rows = np.arange(max(1, int(np.ceil(bottom))), min(len(odds) - 2, int(np.floor(top))) + 1)
    if not len(rows):
        raise OperationError(
            f"there is nothing to track between {low:.0f} and {high:.0f} Hz; draw a higher box"
        )
    if len(rows) > MOST_STATES or count > MOST_FRAMES:
        raise OperationError("this box is too large; track at most a minute at a time")
    cost = -(np.minimum(odds[rows].T, CEILING) + BIAS)
    pitch = rows * ridges.cents
    if others is not None:
        near = np.abs(ridges.find_row(others)[:, :, None] * ridges.cents - pitch) < TAKEN_CENTS
        cost += TAKEN * (near & (others > 0)[:, :, None]).any(axis=1)
    if hint is not None:
        away = (pitch - ridges.find_row(hint)[:, None] * ridges.cents) / HINT_CENTS
        cost += np.where(hint[:, None] > 0, np.minimum(0.5 * away**2, 8.0), 0.0)
    state = _find_path(cost, np.broadcast_to(pitch, cost.shape), silence=True)
    sung = state >= 0
    chosen = rows[np.maximum(state, 0)]
    return np.where(sung, _refine(ridges, odds, chosen), 0.0)


def _refine(ridges: Ridges, odds: Pitches, rows: NDArray[np.int64]) -> Pitches:
    """Hz of rows [n] of odds [F, n], at the top of the parabola where they are peaks."""
    n = np.arange(len(rows))
    inner = np.clip(rows, 1, len(odds) - 2)
    low, middle, high = odds[inner - 1, n], odds[inner, n], odds[inner + 1, n]
    peak = (middle >= low) & (middle >= high)
    top = np.where(peak, find_parabola_top(low, middle, high), 0.0)
    return ridges.find_hertz(rows + top)


def _find_path(cost: Pitches, pitch: Pitches, *, silence: bool = False) -> NDArray[np.int64]:
    """Find the path of least cost through states.

    Args:
        cost: [n, M] of each state.
        pitch: [n, M] cents of each state.
        silence: whether there is a state of silence besides, which costs nothing.

    Returns:
        [n] states; -1 = silence.
    """
    n, size = cost.shape
    came = np.zeros((n, size + 1), np.int64)
    total = np.append(cost[0], 0.0 if silence else 1e9)
    own = np.arange(size + 1)
    for k in range(1, n):
        step = np.abs(pitch[k][None, :] - pitch[k - 1][:, None])
        move = np.minimum((step / WIDTH_CENTS) ** 2, LEAP + LEAP_PER_CENT * step)
        whole = np.full((size + 1, size + 1), ONSET)
        whole[:size, :size] = move
        whole[size, size] = 0.0 if silence else 1e9
        reached = total[:, None] + whole
        came[k] = reached.argmin(axis=0)
        total = reached[came[k], own] + np.append(cost[k], 0.0 if silence else 1e9)
    path = np.zeros(n, np.int64)
    path[-1] = int(total.argmin())
    for k in range(n - 1, 0, -1):
        path[k - 1] = came[k, path[k]]
    return np.where(path == size, -1, path)
