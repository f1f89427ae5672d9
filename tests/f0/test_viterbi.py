"""The pair search against trying every pair of paths."""

import itertools

import numpy as np
import pytest

from src.f0.viterbi import find_best_pair

COSTS = dict(crossing=0.7, width=0.6, leap=3.0, leap_slope=0.1, onset=2.0)


def step_cost(before, now, pitch_before, pitch_now, costs):
    if before == 0 and now == 0:
        return 0.0
    if before == 0 or now == 0:
        return costs["onset"]
    step = abs(pitch_now - pitch_before)
    return min((step / costs["width"]) ** 2, costs["leap"] + costs["leap_slope"] * step)


def total(paths, pitch, unary, shared, costs):
    cost = 0.0
    for n in range(len(pitch)):
        a, b = paths[0][n], paths[1][n]
        cost += unary[0, n, a] + unary[1, n, b]
        if a and b:
            if a == b:
                cost += shared[n, a]
            elif pitch[n, a] < pitch[n, b]:
                cost += costs["crossing"]
        if n:
            for path in paths:
                i, j = path[n - 1], path[n]
                cost += step_cost(i, j, pitch[n - 1, i], pitch[n, j], costs)
    return cost


@pytest.mark.parametrize("seed", range(6))
def test_no_pair_of_paths_is_better(seed):
    rng = np.random.default_rng(seed)
    n_frames, n_states = 4, 3
    pitch = rng.uniform(-12, 12, (n_frames, n_states))
    unary = rng.normal(0, 2, (2, n_frames, n_states))
    shared = rng.uniform(0, 4, (n_frames, n_states))
    found, cost = find_best_pair(pitch, unary, shared, *COSTS.values())
    every = list(itertools.product(range(n_states), repeat=n_frames))
    best = min(total(pair, pitch, unary, shared, COSTS) for pair in itertools.product(every, every))
    assert cost == pytest.approx(best, abs=1e-9)
    assert total(found, pitch, unary, shared, COSTS) == pytest.approx(best, abs=1e-9)


def test_missing_candidates_are_never_taken():
    pitch = np.zeros((5, 3))
    unary = np.zeros((2, 5, 3))
    unary[:, :, 1] = np.inf
    unary[:, :, 2] = -1.0
    found, _ = find_best_pair(pitch, unary, np.zeros((5, 3)), *COSTS.values())
    assert not (found == 1).any()
