"""Who sings which track, frame by frame: hidden Markov chain over permutations (compiled)."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

BLOCK = 4  # tracks whose permutations are all tried; of more, one block after the other


def list_blocks(n_tracks: int) -> list[int]:
    """List the first tracks of blocks of `BLOCK` tracks, which overlap and cover them all."""
    last = max(0, n_tracks - BLOCK)
    return [*range(0, last, BLOCK // 2), last]


def give_tracks(values: NDArray[Any], singer: NDArray[np.int64]) -> NDArray[Any]:
    """Give what belongs to tracks, [N, J] or [N, J, D], to their singers [N, J]; shaped alike."""
    given = np.empty_like(values)
    places = singer if values.ndim == 2 else singer[:, :, None]
    np.put_along_axis(given, places, values, axis=1)
    return given


def list_permutations(n: int) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """List the permutations of n tracks and how exchanges of two tracks join them.

    Returns:
        Permutations [S, n]: entry [s, a] is the singer of track a; pairs [P, 2] of tracks; and
        neighbours [S, P]: the permutation that follows when the singers of a pair are exchanged.
    """
    states = np.array(list(itertools.permutations(range(n))), dtype=np.int64)
    pairs = np.array(list(itertools.combinations(range(n), 2)), dtype=np.int64).reshape(-1, 2)
    place = {tuple(s): i for i, s in enumerate(states.tolist())}
    neighbours = np.empty((len(states), len(pairs)), dtype=np.int64)
    for s, state in enumerate(states):
        for p, (a, b) in enumerate(pairs):
            exchanged = state.copy()
            exchanged[[a, b]] = state[[b, a]]
            neighbours[s, p] = place[tuple(exchanged.tolist())]
    return states, pairs, neighbours


@njit(cache=True)
def find_best_permutations(
    evidence: NDArray[np.float64],
    exchange: NDArray[np.float64],
    states: NDArray[np.int64],
    neighbours: NDArray[np.int64],
) -> NDArray[np.int64]:
    """Find the likeliest sequence of permutations (Viterbi).

    Args:
        evidence: [N, J, J] log-likelihood of track a being sung by singer k.
        exchange: [N, P] cost of exchanging the singers of a pair of tracks before frame n.
        states, neighbours: see `list_permutations`.

    Returns:
        [N] indices of permutations.
    """
    n_frames, n_tracks, _ = evidence.shape
    n_states, n_pairs = neighbours.shape
    score = np.zeros(n_states)
    after = np.empty(n_states)
    before = np.empty((n_frames, n_states), dtype=np.uint16)
    for n in range(n_frames):
        for s in range(n_states):
            best, which = score[s], s
            if n > 0:
                for p in range(n_pairs):
                    value = score[neighbours[s, p]] - exchange[n, p]
                    if value > best:
                        best, which = value, neighbours[s, p]
            before[n, s] = which
            for a in range(n_tracks):
                best += evidence[n, a, states[s, a]]
            after[s] = best
        score[:] = after
    path = np.empty(n_frames, dtype=np.int64)
    path[-1] = int(np.argmax(score))
    for n in range(n_frames - 1, 0, -1):
        path[n - 1] = before[n, path[n]]
    return path


@njit(cache=True)
def weigh_permutations(
    evidence: NDArray[np.float64],
    exchange: NDArray[np.float64],
    states: NDArray[np.int64],
    neighbours: NDArray[np.int64],
) -> tuple[NDArray[np.float64], float]:
    """Weigh all sequences of permutations (forward-backward).

    Args:
        evidence, exchange, states, neighbours: see `find_best_permutations`.

    Returns:
        [N, J, J] probability that track a is sung by singer k, and the log-likelihood of all.
    """
    n_frames, n_tracks, _ = evidence.shape
    n_states, n_pairs = neighbours.shape
    forward = np.empty((n_frames, n_states))
    likelihood = np.empty((n_frames, n_states))  # relative to the likeliest of its frame
    alpha = np.full(n_states, 1.0 / n_states)
    total = 0.0
    for n in range(n_frames):
        if n > 0:
            for s in range(n_states):
                value = forward[n - 1, s]
                for p in range(n_pairs):
                    value += forward[n - 1, neighbours[s, p]] * np.exp(-exchange[n, p])
                alpha[s] = value
        top = -np.inf
        for s in range(n_states):
            value = 0.0
            for a in range(n_tracks):
                value += evidence[n, a, states[s, a]]
            likelihood[n, s] = value
            top = max(top, value)
        norm = 0.0
        for s in range(n_states):
            likelihood[n, s] = np.exp(likelihood[n, s] - top)
            alpha[s] *= likelihood[n, s]
            norm += alpha[s]
        for s in range(n_states):
            forward[n, s] = alpha[s] / norm
        total += top + np.log(norm)
    share = np.zeros((n_frames, n_tracks, n_tracks))
    beta = np.ones(n_states)
    carried = np.empty(n_states)
    for n in range(n_frames - 1, -1, -1):
        norm = 0.0
        for s in range(n_states):
            norm += forward[n, s] * beta[s]
        for s in range(n_states):
            for a in range(n_tracks):
                share[n, a, states[s, a]] += forward[n, s] * beta[s] / norm
        for s in range(n_states):
            carried[s] = beta[s] * likelihood[n, s]
        norm = 0.0
        for s in range(n_states):
            value = carried[s]
            for p in range(n_pairs):
                value += carried[neighbours[s, p]] * np.exp(-exchange[n, p])
            beta[s] = value
            norm += value
        for s in range(n_states):
            beta[s] /= norm
    return share, total
