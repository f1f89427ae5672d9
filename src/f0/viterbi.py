"""Best joint path of two voices through the pitch candidates of a recording (compiled)."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray


@njit(cache=True, fastmath=True)
def _fill_transitions(
    before: NDArray[np.float64],
    now: NDArray[np.float64],
    width: float,
    leap: float,
    leap_slope: float,
    onset: float,
    cost: NDArray[np.float64],
) -> None:
    """Fill `cost` with the cost of moving from each candidate to each (index 0 is silence)."""
    n = len(now)
    for i in range(n):
        for j in range(n):
            if i == 0 and j == 0:
                cost[i, j] = 0.0
            elif i == 0 or j == 0:
                cost[i, j] = onset
            else:
                step = abs(now[j] - before[i])
                cost[i, j] = min((step / width) ** 2, leap + leap_slope * step)


@njit(cache=True, fastmath=True)
def find_best_pair(
    pitch: NDArray[np.float64],
    unary: NDArray[np.float64],
    shared: NDArray[np.float64],
    crossing: float,
    width: float,
    leap: float,
    leap_slope: float,
    onset: float,
) -> tuple[NDArray[np.int64], float]:
    """Find the two paths of least total cost.

    Args:
        pitch: [N, M] semitones of the candidates of each frame; column 0 stands for silence.
        unary: [2, N, M] cost of each candidate for the higher and the lower voice (infinite where
            there is no candidate).
        shared: [N, M] extra cost where both voices take the same candidate.
        crossing: extra cost per frame in which the higher voice is below the lower one.
        width: semitones per frame that cost 1.
        leap, leap_slope: largest cost of a step, and its growth per semitone.
        onset: cost of beginning or ending a note.

    Returns:
        Indices of the candidates [2, N] and the total cost.
    """
    n_frames, n_states = pitch.shape
    score = np.empty((n_states, n_states))
    half = np.empty((n_states, n_states))
    first = np.empty((n_frames, n_states, n_states), dtype=np.uint8)
    second = np.empty((n_frames, n_states, n_states), dtype=np.uint8)
    move = np.empty((n_states, n_states))
    for a in range(n_states):
        for b in range(n_states):
            score[a, b] = 0.0
    for n in range(n_frames):
        if n > 0:
            _fill_transitions(pitch[n - 1], pitch[n], width, leap, leap_slope, onset, move)
            # The moves of the two voices are independent, so the best predecessor is found
            # for one voice after the other.
            for a in range(n_states):
                for b in range(n_states):
                    best, which = np.inf, 0
                    for i in range(n_states):
                        value = score[i, b] + move[i, a]
                        if value < best:
                            best, which = value, i
                    half[a, b] = best
                    first[n, a, b] = which
            for a in range(n_states):
                for b in range(n_states):
                    best, which = np.inf, 0
                    for i in range(n_states):
                        value = half[a, i] + move[i, b]
                        if value < best:
                            best, which = value, i
                    score[a, b] = best
                    second[n, a, b] = which
        for a in range(n_states):
            for b in range(n_states):
                extra = 0.0
                if a > 0 and b > 0:
                    if a == b:
                        extra = shared[n, a]
                    elif pitch[n, a] < pitch[n, b]:
                        extra = crossing
                score[a, b] += unary[0, n, a] + unary[1, n, b] + extra
    paths = np.empty((2, n_frames), dtype=np.int64)
    best, a, b = np.inf, 0, 0
    for i in range(n_states):
        for j in range(n_states):
            if score[i, j] < best:
                best, a, b = score[i, j], i, j
    for n in range(n_frames - 1, -1, -1):
        paths[0, n], paths[1, n] = a, b
        if n > 0:
            b_before = second[n, a, b]
            a_before = first[n, a, b_before]
            a, b = a_before, b_before
    return paths, best


@njit(cache=True)
def find_best_in_order(pitch: NDArray[np.float64], unary: NDArray[np.float64]) -> NDArray[np.int64]:
    """Find the cheapest candidates of each frame alone, singers from high to low, none shared.

    Args:
        pitch: [N, M] semitones; column 0 stands for silence.
        unary: [J, N, M] cost of each candidate for each singer.

    Returns:
        Indices of the candidates [J, N].
    """
    n_singers, n_frames, n_states = unary.shape
    paths = np.zeros((n_singers, n_frames), dtype=np.int64)
    cost = np.empty((n_singers + 1, n_states))
    choice = np.empty((n_singers, n_states), dtype=np.int64)
    for n in range(n_frames):
        order = np.argsort(-pitch[n, 1:]) + 1
        # cost[j, m]: the j highest singers use only the m highest candidates.
        cost[0, :] = 0.0
        for j in range(n_singers):
            cost[j + 1, 0] = cost[j, 0] + unary[j, n, 0]
            choice[j, 0] = 0
            for m in range(1, n_states):
                silent = cost[j, m] + unary[j, n, 0]
                unused = cost[j + 1, m - 1]
                sung = cost[j, m - 1] + unary[j, n, order[m - 1]]
                if sung < silent and sung < unused:
                    cost[j + 1, m], choice[j, m] = sung, 1
                elif silent <= unused:
                    cost[j + 1, m], choice[j, m] = silent, 0
                else:
                    cost[j + 1, m], choice[j, m] = unused, 2
        j, m = n_singers - 1, n_states - 1
        while j >= 0:
            if choice[j, m] == 2:
                m -= 1
                continue
            if choice[j, m] == 1:
                paths[j, n] = order[m - 1]
                m -= 1
            j -= 1
    return paths
