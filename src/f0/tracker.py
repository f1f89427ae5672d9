"""Finds one F0 track per singer in salience: the best joint paths through pitch candidates.

The candidates of a frame are the peaks of its salience. The tracks of all singers together minimise
one cost. A chosen candidate lowers it by its log-odds, only once if several singers share it. Steps
and leaps of pitch, entries, exits, crossings and pitches outside a singer's range raise it. The
minimum is searched by exact joint Viterbi passes over pairs of singers, with the others fixed,
until no pair improves. A pair can exchange notes or silence, which is impossible for one singer at
a time.

Ranges are learned from the recording: first from the frames with one clear peak per singer, then
from the tracks. Nothing has to be known about the ensemble.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from .peaks import A4, Candidates, find_candidates
from .salience import Assigner, Salience
from .viterbi import find_best_in_order, find_best_pair


class VoiceTracker(Assigner):
    """Tracks of J singers by pairwise joint Viterbi search (see the module).

    Costs are in nats, as are the log-odds of the salience.

    Args:
        threshold: smallest salience of a candidate.
        n_candidates: candidates per frame beyond the number of singers.
        refine: place peaks between the bins.
        strength: use the log-odds of peaks; otherwise every candidate counts the same.
        bias: added to the log-odds of every candidate; larger values give more singing.
        ceiling: upper bound of the log-odds.
        width, leap, leap_slope: cost of steps in pitch, see `src.f0.viterbi.find_best_pair`; with
            continuity=False steps cost nothing.
        continuity: whether steps in pitch cost anything, see `width`.
        onset: cost of beginning and of ending a note; 0 with voicing=False.
        voicing: whether beginnings and ends cost anything, see `onset`.
        ranges: learn every singer's range from the recording.
        range_width: standard deviation of a range in semitones.
        range_cost: largest cost of a pitch outside the range, per frame.
        local_seconds: ranges follow the singer's own line over this time.
        crossing: cost per frame of a crossing.
        unison: cost per frame of two singers sharing a candidate; None forbids it.
        sweeps: largest number of passes over all pairs.
        prior_width: distance in semitones from a score's note that costs half of `prior_cost`.
        prior_cost: largest cost, per frame, of contradicting the score.
    """

    def __init__(
        self,
        *,
        threshold: float = 0.15,
        n_candidates: int = 4,
        refine: bool = True,
        strength: bool = True,
        bias: float = 1.0,
        ceiling: float = 3.0,
        continuity: bool = True,
        width: float = 0.9,
        leap: float = 5.0,
        leap_slope: float = 0.2,
        voicing: bool = True,
        onset: float = 3.0,
        ranges: bool = True,
        range_width: float = 9.0,
        range_cost: float = 0.5,
        local_seconds: float = 1.5,
        crossing: float = 0.2,
        unison: float | None = 0.0,
        sweeps: int = 4,
        prior_width: float = 1.0,
        prior_cost: float = 4.0,
    ) -> None:
        self.threshold = threshold
        self.n_candidates = n_candidates
        self.refine = refine
        self.strength = strength
        self.bias = bias
        self.ceiling = ceiling
        self.width = width if continuity else 1e6
        self.leap = leap if continuity else 0.0
        self.leap_slope = leap_slope if continuity else 0.0
        self.onset = onset if voicing else 0.0
        self.ranges = ranges
        self.range_width = range_width
        self.range_cost = range_cost
        self.local_seconds = local_seconds
        self.crossing = crossing
        self.unison = 1e6 if unison is None else unison
        self.sweeps = sweeps
        self.prior_width = prior_width
        self.prior_cost = prior_cost

    def __call__(
        self,
        salience: Salience,
        n_singers: int,
        *,
        audio: NDArray[np.float32] | None = None,
        prior: NDArray[np.float32] | None = None,
    ) -> NDArray[np.float32]:
        """Tracks [N, J] in Hz, 0 = silent, from the highest singer to the lowest."""
        found = find_candidates(
            salience, n_singers + self.n_candidates, self.threshold, refine=self.refine
        )
        gain = np.minimum(found.gain, self.ceiling)
        if not self.strength:
            gain = np.where(np.isfinite(gain), 1.0, gain)
        gain[:, 1:] += self.bias
        found = Candidates(found.pitch, gain)
        seconds = float(salience.times[1] - salience.times[0]) if len(salience.times) > 1 else 1.0
        centres = self._guess_centres(found, n_singers)
        score = None if prior is None else self._weigh_score(found, prior)
        paths = find_best_in_order(
            found.pitch, self._weigh_candidates(found, centres, score, self.range_cost)
        )
        range_cost = self.range_cost if self.ranges else 0.0
        for sweep in range(self.sweeps):
            unary = self._weigh_candidates(found, centres, score, range_cost)
            changed = self._sweep(found, unary, paths)
            if not changed and sweep:
                break
            if self.ranges:
                centres = self._follow(found, paths, centres, self.local_seconds / seconds)
        pitch = np.take_along_axis(found.pitch, paths.T, axis=1)
        f0 = np.where(paths.T > 0, A4 * 2 ** (pitch / 12), 0.0).astype(np.float32)
        return f0 if prior is not None else _sort_high_to_low(f0)

    def _guess_centres(self, found: Candidates, n_singers: int) -> NDArray[np.float64]:
        """Guess each singer's typical pitch, [J, 1] semitones, from frames with J clear peaks."""
        clear = found.gain[:, 1:] > self.bias  # more likely than not
        count = clear.sum(axis=1)
        full = count == n_singers
        if full.sum() < 20:
            everything = found.pitch[:, 1:][clear]
            if everything.size == 0:
                return np.zeros((n_singers, 1))
            shares = 1 - (np.arange(n_singers) + 0.5) / n_singers
            return np.quantile(everything, shares)[:, None]
        pitch = np.where(clear, found.pitch[:, 1:], -np.inf)[full]
        ordered = -np.sort(-pitch, axis=1)[:, :n_singers]
        return np.median(ordered, axis=0)[:, None]

    def _weigh_candidates(
        self,
        found: Candidates,
        centres: NDArray[np.float64],
        score: NDArray[np.float64] | None,
        range_cost: float,
    ) -> NDArray[np.float64]:
        """Weigh each candidate for each singer, independently of the others: cost [J, N, M]."""
        distance = (found.pitch[None] - centres[:, :, None]) / self.range_width
        # Bounded, so that an unusual note costs more but is never impossible.
        outside = range_cost * (1 - np.exp(-0.5 * distance**2))
        outside[:, :, 0] = 0.0
        unary = outside - found.gain[None]
        return unary if score is None else unary + score

    def _sweep(
        self, found: Candidates, unary: NDArray[np.float64], paths: NDArray[np.int64]
    ) -> bool:
        """Improve the paths of all pairs of singers in place; return whether anything changed."""
        n_singers = len(paths)
        shared = np.where(np.isfinite(found.gain), found.gain + self.unison, 0.0)
        if n_singers == 1:
            pairs: Sequence[tuple[int, int]] = [(0, 0)]
        else:
            pairs = sorted(itertools.combinations(range(n_singers), 2), key=lambda p: p[1] - p[0])
        changed = False
        for high, low in pairs:
            costs = np.stack(
                [
                    self._weigh_others(found, unary[j], shared, paths, j, (high, low))
                    for j in (high, low)
                ]
            )
            if n_singers == 1:
                costs[1, :, 1:] = np.inf
            best, _ = find_best_pair(
                found.pitch, costs, shared, self.crossing,
                self.width, self.leap, self.leap_slope, self.onset,
            )  # fmt: skip
            chosen = best[: 1 if n_singers == 1 else 2]
            places = [high, low][: len(chosen)]
            changed |= bool((paths[places] != chosen).any())
            paths[places] = chosen
        return changed

    def _weigh_others(
        self,
        found: Candidates,
        unary: NDArray[np.float64],
        shared: NDArray[np.float64],
        paths: NDArray[np.int64],
        singer: int,
        pair: tuple[int, int],
    ) -> NDArray[np.float64]:
        """Weigh candidates for a singer, given the paths of those outside the pair: cost [N, M]."""
        cost = unary.copy()
        frames = np.arange(len(cost))
        for other, path in enumerate(paths):
            if other in pair:
                continue
            sounding = path > 0
            taken = found.pitch[frames, path][:, None]
            crossed = found.pitch < taken if singer < other else found.pitch > taken
            crossed &= sounding[:, None]
            crossed[:, 0] = False
            cost += self.crossing * crossed
            cost[frames[sounding], path[sounding]] += shared[frames[sounding], path[sounding]]
        return cost

    def _follow(
        self,
        found: Candidates,
        paths: NDArray[np.int64],
        centres: NDArray[np.float64],
        frames: float,
    ) -> NDArray[np.float64]:
        """Compute each singer's running mean pitch [J, N]; in silence, the overall mean."""
        followed = []
        for path, before in zip(paths, centres, strict=True):
            pitch = np.take_along_axis(found.pitch, path[:, None], axis=1)[:, 0]
            voiced = (path > 0).astype(np.float64)
            overall = np.median(pitch[path > 0]) if voiced.any() else float(np.mean(before))
            weight = gaussian_filter1d(voiced, frames, mode="constant")
            total = gaussian_filter1d(voiced * pitch, frames, mode="constant")
            followed.append((total + 0.3 * overall) / (weight + 0.3))
        return np.stack(followed)

    def _weigh_score(self, found: Candidates, prior: NDArray[np.float32]) -> NDArray[np.float64]:
        """Weigh contradictions to the score (other pitches, singing in rests): cost [J, N, M]."""
        notes = 12 * np.log2(np.maximum(prior.T, 1.0).astype(np.float64) / A4)
        distance = (found.pitch[None] - notes[:, :, None]) / self.prior_width
        cost = self.prior_cost * distance**2 / (1 + distance**2)
        resting = (prior.T <= 0)[:, :, None]
        cost = np.where(resting, self.prior_cost, cost)
        cost[:, :, 0] = 0.0
        return cost


def _sort_high_to_low(f0: NDArray[np.float32]) -> NDArray[np.float32]:
    """Sort the columns of [N, J] by median pitch, silent ones last."""
    medians = [float(np.median(t[t > 0])) if (t > 0).any() else 0.0 for t in f0.T]
    return f0[:, np.argsort([-m for m in medians], kind="stable")]
