"""How many singers a recording has, from how many pitches sound at once.

A pitch is a peak of the salience; the salience at the peak says how likely it is that somebody
sings it. Summed over the peaks of a frame, this is the number of pitches to be expected there.
Where most singers sing at once, it is close to their number up to four, and falls behind it
beyond, because the network misses more of them: that is measured (`experiments/f0/count.py`) and
put right here. Singers in unison are one pitch, and count as one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter1d

from .salience import Salience

MOST = 8  # singers that are told apart; the last class stands for eight and more
PEAK = 0.3  # salience from which a peak is counted
SUNG = 0.5  # somebody sings in frames with a peak of this height
SMOOTH_SECONDS = 0.15
RARELY = 0.02  # share of the sung time in which more pitches sound than are counted

# Number of pitches from which there are more than 1, 2, ... singers, rather than not, and how fast
# this becomes sure (scale of a logistic function). Measured on mixtures of 1 to 8 singers.
_BOUNDS = (1.79, 2.79, 3.66, 4.28, 4.57, 5.0, 5.6)
_SCALES = (0.06, 0.07, 0.08, 0.1, 0.16, 0.25, 0.35)
# Share of the recordings that are unlike those measured.
_STRANGE = 0.03


@dataclass(frozen=True, eq=False)
class SingerCount:
    """How many singers a recording seems to have.

    Attributes:
        probabilities: [8] of 1, 2, ... 7 singers, and of eight or more.
    """

    probabilities: NDArray[np.float64]

    @property
    def n_singers(self) -> int:
        """The most probable number of singers."""
        return int(self.probabilities.argmax()) + 1

    @property
    def confidence(self) -> float:
        """The probability of this number, 0 to 1."""
        return float(self.probabilities.max())

    def is_more(self, n_singers: int) -> float:
        """Probability of more than `n_singers`; of nine and more, nothing is known."""
        return float(self.probabilities[n_singers:].sum())

    def is_fewer(self, n_singers: int) -> float:
        """Probability of fewer than `n_singers`."""
        return float(self.probabilities[: min(n_singers, MOST) - 1].sum())


def count_singers(salience: Salience) -> SingerCount:
    """Count the singers of a recording.

    Args:
        salience: of the whole recording, by a model whose values are probabilities.

    Returns:
        Equal probabilities where nobody sings.
    """
    strange = np.full(MOST, 1.0 / MOST)
    pitches = measure_pitches(salience)
    if not pitches:
        return SingerCount(strange)
    more = 1.0 / (1.0 + np.exp(-(pitches - np.array(_BOUNDS)) / np.array(_SCALES)))
    more = np.minimum.accumulate(more)
    at_least = np.concatenate([[1.0], more, [0.0]])
    return SingerCount((1.0 - _STRANGE) * -np.diff(at_least) + _STRANGE * strange)


def measure_pitches(salience: Salience) -> float:
    """Measure how many pitches sound at once, where they are many.

    The expected number, averaged over 0.15 s, that is exceeded in 2 % of the time in which somebody
    sings; 0 where nobody does.
    """
    values = salience.values
    middle = values[1:-1]
    peaks = (middle > values[:-2]) & (middle >= values[2:]) & (middle >= PEAK)
    expected = np.where(peaks, middle, 0.0).sum(axis=0, dtype=np.float64)
    sung = (peaks & (middle >= SUNG)).any(axis=0)
    if not sung.any():
        return 0.0
    times = salience.times
    step = float(times[-1] - times[0]) / max(1, len(times) - 1)
    width = max(1, round(SMOOTH_SECONDS / step)) if step > 0 else 1
    smooth = uniform_filter1d(expected, min(width, len(times)), mode="nearest")
    return float(np.quantile(smooth[sung], 1.0 - RARELY))
