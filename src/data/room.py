"""Room reverberation: impulse responses of direct sound and exponentially decaying noise."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.signal import fftconvolve

from .readers.base import RATE, DataError

# First reflections come this long after the direct sound, in s.
_GAP = (0.002, 0.02)


@dataclass(frozen=True)
class Room:
    """Random rooms for training mixtures (`data.mixing.room`).

    All voices of a mixture share the reverberation time and the level of the reflections; each has
    its own reflections, like singers at different places. The direct sound comes without
    delay, so that F0 tracks still fit.

    Args:
        share: share of the mixtures with a room; 0 = none.
        decay_seconds: bounds of the reverberation time (60 dB of decay), drawn evenly in log.
        direct_db: bounds of the energy of the direct sound over that of the reflections, in dB.

    Raises:
        DataError: values out of range.
    """

    share: float = 0.0
    decay_seconds: Sequence[float] = (0.3, 1.5)
    direct_db: Sequence[float] = (0.0, 15.0)

    def __post_init__(self) -> None:
        if not 0 <= self.share <= 1:
            raise DataError(f"data.mixing.room.share={self.share}: must lie between 0 and 1")
        for name, lowest, highest in (("decay_seconds", 0.05, 10.0), ("direct_db", -20.0, 60.0)):
            bounds = getattr(self, name)
            if isinstance(bounds, (int, float, str)) or len(bounds) != 2:
                raise DataError(f"data.mixing.room.{name}={bounds}: expected [lowest, highest]")
            if not lowest <= bounds[0] <= bounds[1] <= highest:
                raise DataError(
                    f"data.mixing.room.{name}={list(bounds)}: must rise, within {lowest:g} to "
                    f"{highest:g}"
                )
            object.__setattr__(self, name, tuple(bounds))

    def draw(self, n_voices: int, rng: np.random.Generator) -> NDArray[np.float32] | None:
        """Draw impulse responses [J, R] of one mixture's voices, or None if it gets no room."""
        if self.share == 0 or rng.random() >= self.share:
            return None
        shortest, longest = map(math.log, self.decay_seconds)
        decay = math.exp(rng.uniform(shortest, longest))
        lowest, highest = self.direct_db
        return draw_impulse_responses(n_voices, decay, rng.uniform(lowest, highest), rng)


def draw_impulse_responses(
    n_voices: int, decay: float, direct_db: float, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Draw impulse responses of one room: a unit impulse, a short gap, decaying Gaussian noise.

    Args:
        n_voices: J.
        decay: time in which the noise falls by 60 dB, s.
        direct_db: energy of the impulse over that of the noise, dB.
        rng: random generator of the noise and of the gap of every voice.

    Returns:
        float32 [J, R].
    """
    time = np.arange(round(decay * RATE)) / RATE
    noise = rng.standard_normal((n_voices, len(time))) * 10 ** (-3 * time / decay)
    noise[time < rng.uniform(*_GAP, (n_voices, 1))] = 0.0
    level = 10 ** (-direct_db / 20) / np.linalg.norm(noise, axis=1, keepdims=True)
    responses = noise * level
    responses[:, 0] = 1.0
    return responses.astype(np.float32)


def reverberate(
    sources: NDArray[np.float32], responses: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Convolve sources [J, L + T] with responses [J, L + 1]: [J, T], the first L samples cut."""
    length = responses.shape[1] - 1
    wet = fftconvolve(sources, responses, axes=1)
    return wet[:, length : sources.shape[1]].astype(np.float32, copy=False)
