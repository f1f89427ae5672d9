"""Which track is which: F0 tracks brought into the order of others that they resemble."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from .permutations import (
    BLOCK,
    find_best_permutations,
    give_tracks,
    list_blocks,
    list_permutations,
)

FAR = 2.0  # semitones; pitches further apart differ as much as a pitch and a silence do
EXCHANGE = 20.0  # semitones times frames that an exchange of two tracks must gain


def match_tracks(given: NDArray[np.float32], tracks: NDArray[np.float32]) -> NDArray[np.int64]:
    """Find the order of tracks that resembles given ones most, as a whole.

    Of all assignments, the one with the least sum of distances in semitones, counted up to two and
    as two where only one of both is silent.

    Args:
        given, tracks: [N, J] Hz, 0 = silent.

    Returns:
        [J] indices: `tracks[:, indices]` is in the order of `given`.
    """
    distance = np.stack(
        [_measure_distance(given[:, k, None], tracks).sum(axis=0) for k in range(given.shape[1])]
    )
    order: NDArray[np.int64] = linear_sum_assignment(distance)[1]
    return order


def follow_tracks(given: NDArray[np.float32], tracks: NDArray[np.float32]) -> NDArray[np.float32]:
    """Order tracks like the given ones that they resemble, in every frame anew.

    An exchange has its price, so that a short error of one track does not move the others.

    Args:
        given, tracks: [N, J] Hz, 0 = silent.

    Returns:
        [N, J], the pitches of `tracks` in every frame.
    """
    ordered = tracks[:, match_tracks(given, tracks)]
    for first in list_blocks(given.shape[1]):
        block = slice(first, first + BLOCK)
        part = ordered[:, block]
        states, pairs, neighbours = list_permutations(part.shape[1])
        distance = _measure_distance(given[:, None, block], part[:, :, None])
        price = np.full((len(part), len(pairs)), EXCHANGE)
        path = find_best_permutations(-distance, price, states, neighbours)
        ordered[:, block] = give_tracks(part, states[path])
    return ordered


def _measure_distance(
    given: NDArray[np.float32], tracks: NDArray[np.float32]
) -> NDArray[np.float64]:
    """Semitones between pitches in Hz, up to `FAR`; shaped as both are when broadcast."""
    voiced = given > 0, tracks > 0
    pitch = [12 * np.log2(np.maximum(x, 1.0).astype(np.float64)) for x in (given, tracks)]
    distance = np.minimum(np.abs(pitch[0] - pitch[1]), FAR)
    return np.where(voiced[0] & voiced[1], distance, FAR * (voiced[0] != voiced[1]))
