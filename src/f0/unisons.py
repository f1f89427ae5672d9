"""Unisons: where one track sounds and another is silent, do both singers sing that pitch?

A tracker hears one pitch where two voices sing the same. Two voices beat: the levels of their
partials change faster and each in its own way. And a voice that disappears where another one is, or
comes back there, was not resting. How common unisons are is learned from the recording.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit

from ..dsp.tracks import HOP, RATE
from .timbre import STRIDE, Timbre

FRAMES = RATE / HOP  # per second
RARE = 0.02  # share of the sung time in which a singer must have a pitch to share another's
SHORTEST = 0.15  # seconds of one voice alone that may be a unison
BEATING, BEATING_SECONDS = 0.22, 6.0  # of one voice: what is expected, and how surely
MORE, SPREAD = 0.01, 0.04  # beating above that of one voice at which both are as likely; its scale
MOST = 1.5  # evidence per half second, at most
MEETING, APART, NEARBY = 0.7, 1.5, 0.25  # semitones, semitones, seconds
MET = 2.0  # nats for two voices that meet before or after, against them if one rests there
RANGE = 4.0  # semitones: standard deviation of a singer's pitches
PRIOR_SECONDS = 6.0  # how surely the share of unisons is expected
# A voice that is missed costs far more than one too many: the fit leaves silent what it does not
# need.
LIKELY = 0.02
MOSTLY = 0.52  # with a larger share of unisons, every silence beside a voice is one
PRIOR = {2: 0.5}  # share of unisons by the number of singers ...
PRIOR_OF_MORE = 0.25  # ... and of more than two


def share_unisons(f0: NDArray[np.float32], timbre: Timbre) -> NDArray[np.float32]:
    """Give pitches to a second singer where two sing in unison.

    Args:
        f0: [N, J] Hz on the 16-ms grid, by singer.
        timbre: of these tracks.

    Returns:
        [N, J]; more is voiced than in `f0`.
    """
    n_singers = f0.shape[1]
    note = np.where(f0 > 0, 12 * np.log2(np.maximum(f0, 1.0) / 440.0), np.nan)
    expected = _expect_beating(note, timbre)
    # Who has no pitch of his own may not be there at all.
    singing = (f0 > 0).sum(axis=0) > RARE * (f0 > 0).any(axis=1).sum()
    candidates = []
    for host in range(n_singers):
        for start, stop in _find_alone(note, host):
            beating = _compare_beating(timbre, host, start, stop, expected)
            guests = [
                (beating + _judge_guest(note, host, guest, start, stop), guest)
                for guest in range(n_singers)
                if guest != host and singing[guest] and np.isnan(note[start:stop, guest]).all()
            ]
            if guests:
                evidence, guest = max(guests)
                candidates.append((host, guest, start, stop, evidence))
    if not candidates:
        return f0
    seconds = np.array([stop - start for _, _, start, stop, _ in candidates]) / FRAMES
    odds = np.array([evidence for *_, evidence in candidates])
    usual = PRIOR.get(n_singers, PRIOR_OF_MORE)
    share = usual
    for _ in range(10):
        together = expit(odds + logit(share))
        share = (together @ seconds + PRIOR_SECONDS * usual) / (seconds.sum() + PRIOR_SECONDS)
    shared = f0.copy()
    for (host, guest, start, stop, _), probability in zip(candidates, together, strict=True):
        if probability > LIKELY or share > MOSTLY:
            shared[start:stop, guest] = f0[start:stop, host]
    return shared


def _find_alone(note: NDArray[np.float64], host: int) -> list[tuple[int, int]]:
    """Find where a singer has a pitch that no other has, while the same others are silent."""
    own = note[:, host]
    others = np.delete(note, host, axis=1)
    silent = np.isnan(others)
    alone = ~np.isnan(own) & silent.any(axis=1)
    alone &= ~(np.abs(others - own[:, None]) < 1.0).any(axis=1)
    at = np.flatnonzero(alone)
    if not len(at):
        return []
    broken = (np.diff(at) > 1) | (silent[at[1:]] != silent[at[:-1]]).any(axis=1)
    runs = np.split(at, np.flatnonzero(broken) + 1)
    return [(int(r[0]), int(r[-1]) + 1) for r in runs if len(r) >= SHORTEST * FRAMES]


def _expect_beating(note: NDArray[np.float64], timbre: Timbre) -> float:
    """Expect the beating of a single voice: that of the voices where all sing apart."""
    ordered = np.sort(note[::STRIDE], axis=1)
    apart = (np.diff(ordered, axis=1) > APART).all(axis=1)  # false where one is silent
    total, count = timbre.beating[apart].sum(axis=(0, 1))
    usual = BEATING_SECONDS * FRAMES / STRIDE * 6
    return float((total + BEATING * usual) / (count + usual))


def _compare_beating(timbre: Timbre, host: int, start: int, stop: int, expected: float) -> float:
    """Log-odds of two voices by the beating from frame `start` to `stop`."""
    total, count = timbre.beating[start // STRIDE : -(-stop // STRIDE), host].sum(axis=0)
    if count == 0:
        return 0.0
    more = (total / count - expected - MORE) / SPREAD
    halves = 2.0 * (stop - start) / FRAMES
    return float(np.clip(more, -MOST, MOST) * min(halves, 2.0))


def _judge_guest(note: NDArray[np.float64], host: int, guest: int, start: int, stop: int) -> float:
    """Log-odds that a silent singer sings the host's pitch, by what both do before and after."""
    nearby = round(NEARBY * FRAMES)
    own, other = note[:, host], note[:, guest]
    odds = 0.0
    for edge, around, beyond in (
        (start, np.arange(start - 1, max(-1, start - 1 - nearby), -1), start - 1),
        (stop - 1, np.arange(stop, min(len(note), stop + nearby)), stop),
    ):
        heard = around[~np.isnan(other[around])]
        if not len(heard):
            continue
        distance = abs(other[heard[0]] - own[edge])
        held = 0 <= beyond < len(note) and abs(own[beyond] - own[edge]) < 1.0
        if distance < MEETING:
            odds += MET
        elif distance > APART and held:
            odds -= MET
    return odds - 0.5 * ((np.median(own[start:stop]) - np.nanmedian(other)) / RANGE) ** 2
