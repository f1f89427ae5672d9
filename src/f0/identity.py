"""Who sings what: gives the pieces of F0 tracks to singers by what tells their voices apart.

A tracker follows pitches. Where lines cross, meet or rest, its tracks may go on with another voice.
Here each singer is a Gaussian of the spectral envelope, learned from the recording itself: the
covariance is shared and the influence of pitch on timbre removed, so that what tells singers apart
is a linear discriminant. Expectation maximisation alternates between that and the probabilities of
all permutations of singers in time (forward-backward); a permutation changes only at a price, which
is low where tracks meet. It begins several times, from the tracker's tracks and from random
exchanges, and the likeliest result is taken.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..dsp.tracks import HOP, RATE
from ..errors import UmssError
from .permutations import (
    BLOCK,
    find_best_permutations,
    give_tracks,
    list_blocks,
    list_permutations,
    weigh_permutations,
)
from .stretches import Stretches, cut_stretches, weigh_exchanges
from .timbre import Timbre, measure_timbre
from .unisons import share_unisons

APART = 1.0  # seconds around a stretch from which its singers are not learned
ROUNDS = 12
# Of the evidence, for the confidence: with less of it, probabilities are as often right as they say
# on singers 1 and 2 of Niño Dios and on ChoralSynth.
DOUBT = 0.25
BLIND = 3  # of the rounds from random singers do not know their ranges
CONVERGED = 0.05  # nats
CHEAP = 5.0  # nats above the least cost, up to which random exchanges are tried


@dataclass(frozen=True, eq=False)
class Identified:
    """Tracks of singers.

    Attributes:
        f0: float32 [N, J] Hz, every column one singer.
        confidence: float32 [N, J] probability that the singer sings this track, not another's.
    """

    f0: NDArray[np.float32]
    confidence: NDArray[np.float32]


@dataclass(frozen=True)
class SingerIdentity:
    """Gives the pieces of tracks to singers (see the module). Costs are in nats.

    Attributes:
        trust: weight of a third of a second of one voice's timbre.
        exchange: least cost of an exchange of two singers.
        range_width: standard deviation of a singer's pitches, semitones.
        freedom: degrees of freedom of the evidence (Student's t); less: outliers count less.
        mean_prior: stretches that the mean of all voices is worth for each singer.
        covariance_prior: stretches that a covariance without correlations is worth.
        starts: how often it begins with two singers, the first time from the given tracks; half
            as often with three or four, a quarter as often with more.
        unisons: a singer who is silent in his track may sing another's (`src.f0.unisons`).
        places: where singers are tells them apart, too, in recordings of several channels
            (`src.f0.places`).

    Raises:
        UmssError: a setting out of range.
    """

    trust: float = 2.0
    exchange: float = 0.5
    range_width: float = 4.0
    freedom: float = 10.0
    mean_prior: float = 5.0
    covariance_prior: float = 10.0
    starts: int = 16
    unisons: bool = True
    places: bool = True

    def __post_init__(self) -> None:
        for name in ("range_width", "freedom", "mean_prior", "covariance_prior"):
            if not getattr(self, name) > 0:
                raise UmssError(f"identity.{name} must be positive, got {getattr(self, name)}")
        if self.trust < 0 or self.exchange < 0 or self.starts < 1:
            raise UmssError(
                f"identity.trust={self.trust} and identity.exchange={self.exchange} must not be "
                f"negative, and identity.starts={self.starts} must be at least 1"
            )

    def __call__(
        self,
        audio: NDArray[np.float32],
        f0: NDArray[np.float32],
        *,
        extra: NDArray[np.float64] | None = None,
    ) -> Identified:
        """Give tracks to singers.

        Args:
            audio: recording [T] or [C, T] at 16 kHz.
            f0: [N, J] Hz on the 16-ms grid, 0 = silent, in any assignment.
            extra: [N', J, E] more that tells voices apart, in every `src.f0.timbre.STRIDE`-th
                frame, e.g. where they are (`src.f0.places`); NaN where unknown.

        Returns:
            The same pitches in every frame, by singer.
        """
        n_tracks = f0.shape[1]
        sure = np.ones(f0.shape, dtype=np.float32)
        if n_tracks < 2 or not (f0 > 0).any():
            return Identified(f0, sure)
        timbre = measure_timbre(audio if audio.ndim == 1 else audio.mean(axis=0), f0)
        if extra is not None:
            timbre = timbre.extend(extra)
        found = Identified(f0.copy(), sure)
        starts = -(-self.starts // {2: 1, 3: 2, 4: 2}.get(n_tracks, 4))
        for first in list_blocks(n_tracks):
            block = slice(first, first + BLOCK)
            singer, share = self._assign(found.f0[:, block], timbre.choose(block), starts)
            likely = np.take_along_axis(share, singer[:, :, None], axis=2)[:, :, 0]
            likely = np.minimum(found.confidence[:, block], likely)
            found.f0[:, block] = give_tracks(found.f0[:, block], singer)
            found.confidence[:, block] = give_tracks(likely, singer)
            timbre = timbre.give(block, singer)
        return replace(found, f0=share_unisons(found.f0, timbre)) if self.unisons else found

    def _assign(
        self, f0: NDArray[np.float32], timbre: Timbre, starts: int
    ) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Singer of each track [N, J], and the probability [N, J, J] of track a and singer k."""
        n_frames, n_tracks = f0.shape
        states, pairs, neighbours = list_permutations(n_tracks)
        stretches = cut_stretches(f0, timbre)
        if not len(stretches.weight):
            same = np.tile(np.arange(n_tracks), (n_frames, 1))
            return same, np.full((n_frames, n_tracks, n_tracks), 1.0 / n_tracks)
        exchange = weigh_exchanges(f0, pairs, self.exchange)
        generator = np.random.default_rng(0)
        best = -np.inf
        for start in range(starts):
            singer = np.tile(np.arange(n_tracks), (n_frames, 1))
            if start:
                _shuffle(singer, pairs, exchange < self.exchange + CHEAP, generator)
            share = np.eye(n_tracks)[singer]
            before = -np.inf
            for n in range(ROUNDS):
                # Random singers have the same range: it would sort them by height at once.
                width = np.inf if start and n < BLIND else self.range_width
                average = _average(stretches, share)
                likelihood, constant = self._compare(stretches, average, width)
                evidence = self._spread(stretches, likelihood, n_frames)
                share, value = weigh_permutations(evidence, exchange, states, neighbours)
                top = likelihood.max(axis=1) - constant
                value += self.trust * float(stretches.weight @ top)
                if n >= BLIND and abs(value - before) < CONVERGED:
                    break
                before = value
            if value > best:
                best, chosen = value, evidence
        path = find_best_permutations(chosen, exchange, states, neighbours)
        share, _ = weigh_permutations(DOUBT * chosen, exchange, states, neighbours)
        return states[path], share

    def _compare(
        self, stretches: Stretches, share: NDArray[np.float64], range_width: float
    ) -> tuple[NDArray[np.float64], float]:
        """Compare stretches with singers, each learned from the stretches at other times.

        Args:
            share: [M, J] probability of each singer.
            range_width: of a singer's pitches, semitones.

        Returns:
            Log-likelihood [M, J] but for a constant, and minus that constant.
        """
        values = np.concatenate([stretches.features, stretches.pitch[:, None]], axis=1)
        weight = stretches.weight[:, None] * share
        centre = 0.5 * (stretches.first + stretches.last)
        order = np.argsort(centre, kind="stable")
        apart = APART * RATE / HOP
        start = np.searchsorted(centre[order], centre - apart)
        stop = np.searchsorted(centre[order], centre + apart, side="right")

        def sum_elsewhere(x: NDArray[np.float64]) -> NDArray[np.float64]:
            sums = np.concatenate([np.zeros((1, *x.shape[1:])), np.cumsum(x[order], axis=0)])
            elsewhere: NDArray[np.float64] = sums[-1] - (sums[stop] - sums[start])
            return elsewhere

        middle = stretches.weight @ values / stretches.weight.sum()
        centred = values - middle
        total = sum_elsewhere(weight[:, :, None] * centred[:, None])
        mean = total / (sum_elsewhere(weight) + self.mean_prior)[:, :, None]
        rest = centred[:, None] - mean
        spread = np.einsum("mj,mjd,mje->de", weight, rest, rest)
        variance = stretches.weight @ centred**2 / stretches.weight.sum()
        spread += self.covariance_prior * np.diag(variance + 1e-9)
        spread /= weight.sum() + self.covariance_prior
        # Timbre given the pitch: sung higher, the same voice sounds different.
        slope = spread[:-1, -1] / spread[-1, -1]
        factor = np.linalg.cholesky(spread[:-1, :-1] - np.outer(slope, spread[-1, :-1]))
        timbre = rest[..., :-1] - rest[..., -1:] * slope
        size = timbre.shape[-1]
        white = np.linalg.solve(factor, timbre.reshape(-1, size).T)
        distance = (white**2).sum(axis=0).reshape(weight.shape)
        likelihood = -0.5 * (self.freedom + size) * np.log1p(distance / self.freedom)
        likelihood -= 0.5 * (rest[..., -1] / range_width) ** 2
        return likelihood, float(np.log(np.diag(factor)).sum())

    def _spread(
        self, stretches: Stretches, likelihood: NDArray[np.float64], n_frames: int
    ) -> NDArray[np.float64]:
        """Spread the log-likelihoods [M, J] of stretches over their frames: [N, J, J]."""
        evidence = likelihood - likelihood.max(axis=1, keepdims=True)
        length = stretches.last - stretches.first
        evidence *= (self.trust * stretches.weight / length)[:, None]
        n_tracks = evidence.shape[1]
        changes = np.zeros((n_frames + 1, n_tracks, n_tracks))
        np.add.at(changes, (stretches.first, stretches.track), evidence)
        np.subtract.at(changes, (stretches.last, stretches.track), evidence)
        frames: NDArray[np.float64] = np.cumsum(changes, axis=0)[:-1]
        return frames


def _average(stretches: Stretches, share: NDArray[np.float64]) -> NDArray[np.float64]:
    """Average probabilities [N, J, J] over the frames of each stretch: [M, J]."""
    sums = np.concatenate([np.zeros((1, *share.shape[1:])), np.cumsum(share, axis=0)])
    first, last, track = stretches.first, stretches.last, stretches.track
    average: NDArray[np.float64] = (sums[last, track] - sums[first, track]) / (last - first)[
        :, None
    ]
    return average


def _shuffle(
    singer: NDArray[np.int64],
    pairs: NDArray[np.int64],
    cheap: NDArray[np.bool_],
    generator: np.random.Generator,
) -> None:
    """Exchange the singers [N, J] of each pair of tracks at random between cheap places [N, P]."""
    for (a, b), places in zip(pairs, cheap.T, strict=True):
        begins = np.diff(places.astype(np.int64), prepend=0) > 0
        piece = np.cumsum(begins)
        turned = generator.integers(0, 2, piece[-1] + 1, dtype=np.int64)[piece] > 0
        singer[turned, a], singer[turned, b] = singer[turned, b], singer[turned, a]
