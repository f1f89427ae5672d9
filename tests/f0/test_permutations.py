"""The chain over permutations, against the sum over all of its paths."""

from __future__ import annotations

import itertools

import numpy as np

from src.f0.permutations import (
    find_best_permutations,
    give_tracks,
    list_blocks,
    list_permutations,
    weigh_permutations,
)


def test_neighbours_exchange_two_tracks() -> None:
    states, pairs, neighbours = list_permutations(4)
    assert len(states) == 24 and neighbours.shape == (24, 6)
    for s, p in itertools.product(range(24), range(6)):
        differ = np.flatnonzero(states[s] != states[neighbours[s, p]])
        np.testing.assert_array_equal(differ, pairs[p])


def test_chain_agrees_with_all_paths() -> None:
    rng = np.random.default_rng(0)
    states, _, neighbours = list_permutations(3)
    evidence, exchange = rng.normal(size=(4, 3, 3)), rng.uniform(0, 2, (4, 3))
    scores = {}
    for path in itertools.product(range(6), repeat=4):
        score = sum(evidence[n, a, states[s, a]] for n, s in enumerate(path) for a in range(3))
        for n in range(1, 4):
            if path[n] != path[n - 1]:
                joined = np.flatnonzero(neighbours[path[n - 1]] == path[n])
                score -= exchange[n, joined[0]] if len(joined) else np.inf
        scores[path] = score
    best = find_best_permutations(evidence, exchange, states, neighbours)
    assert tuple(best) == max(scores, key=scores.__getitem__)
    share, likelihood = weigh_permutations(evidence, exchange, states, neighbours)
    weights = np.exp(list(scores.values()))
    expected = np.zeros((4, 3, 3))
    for weight, path in zip(weights / weights.sum(), scores, strict=True):
        for n, s in enumerate(path):
            expected[n, np.arange(3), states[s]] += weight
    np.testing.assert_allclose(share, expected, atol=1e-12)
    np.testing.assert_allclose(likelihood, np.log(weights.sum() / 6), rtol=1e-12)


def test_blocks_cover_all_tracks() -> None:
    for n in range(1, 17):
        covered = {t for first in list_blocks(n) for t in range(first, min(first + 4, n))}
        assert covered == set(range(n))


def test_tracks_are_given_to_their_singers() -> None:
    values, singer = np.array([[5.0, 6.0, 7.0]]), np.array([[2, 0, 1]])
    np.testing.assert_array_equal(give_tracks(values, singer), [[6.0, 7.0, 5.0]])
    np.testing.assert_array_equal(
        give_tracks(values[:, :, None], singer)[..., 0], [[6.0, 7.0, 5.0]]
    )
