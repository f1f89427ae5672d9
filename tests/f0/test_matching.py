"""Tracks in the order of others."""

from __future__ import annotations

import itertools

import numpy as np

from src.f0.matching import follow_tracks, match_tracks


def test_order_is_the_best_of_all_permutations() -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        given, tracks = 110.0 * 2 ** rng.uniform(0, 1, (2, 30, 4)).astype(np.float32)
        given[rng.random(given.shape) < 0.3] = 0.0
        tracks[rng.random(tracks.shape) < 0.3] = 0.0

        def cost(order: tuple[int, ...], given=given, tracks=tracks) -> float:
            total = 0.0
            for a, b in zip(given.ravel(), tracks[:, list(order)].ravel(), strict=True):
                if a > 0 and b > 0:
                    total += min(2.0, abs(12 * np.log2(a / b)))
                elif a > 0 or b > 0:
                    total += 2.0
            return total

        best = min(itertools.permutations(range(4)), key=cost)
        np.testing.assert_array_equal(match_tracks(given, tracks), best)


def test_tracks_follow_singers_that_cross() -> None:
    for n in (2, 3, 6):
        lines = 200.0 * 1.3 ** np.arange(n, dtype=np.float32)
        given = np.tile(lines, (90, 1))
        given[45:, [0, 1]] = given[45:, [1, 0]]
        tracks = -np.sort(-given, axis=1)  # from the highest down, whoever sings it
        np.testing.assert_array_equal(follow_tracks(given, tracks), given)


def test_a_short_error_moves_no_other_track() -> None:
    given = np.tile(np.float32([400, 300]), (60, 1))
    tracks = given.copy()
    tracks[30:33] = [300, 0]
    np.testing.assert_array_equal(follow_tracks(given, tracks), tracks)
