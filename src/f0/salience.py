"""Salience: how likely a voice sounds at each frequency and time; what multi-F0 models yield."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..errors import UmssError


@dataclass(frozen=True, eq=False)
class Salience:
    """Salience of a recording on a grid of frequencies and times.

    Attributes:
        values: float32 [F, N], 0 to 1.
        frequencies: float64 [F], Hz, increasing in equal steps of cents.
        times: float64 [N], seconds, strictly increasing.

    Raises:
        ValueError: shapes that disagree.
    """

    values: NDArray[np.float32]
    frequencies: NDArray[np.float64]
    times: NDArray[np.float64]

    def __post_init__(self) -> None:
        if self.values.shape != (len(self.frequencies), len(self.times)):
            raise UmssError(
                f"values must be [F, N] = {(len(self.frequencies), len(self.times))}, "
                f"got {self.values.shape}"
            )

    @property
    def cents_per_bin(self) -> float:
        """Width of one frequency bin, cents."""
        return 1200.0 * float(np.log2(self.frequencies[1] / self.frequencies[0]))


class SalienceModel(ABC):
    """A multi-F0 model: a mixture in, salience out."""

    @abstractmethod
    def __call__(self, audio: NDArray[np.float32]) -> Salience:
        """Salience of a mono recording.

        Args:
            audio: float32 [T] at 16 kHz.
        """


class Assigner(ABC):
    """Turns salience into one F0 track per singer."""

    @abstractmethod
    def __call__(
        self,
        salience: Salience,
        n_singers: int,
        *,
        audio: NDArray[np.float32] | None = None,
        prior: NDArray[np.float32] | None = None,
    ) -> NDArray[np.float32]:
        """Tracks of the singers.

        Args:
            salience: of the whole recording.
            n_singers: J.
            audio: float32 [T] at 16 kHz, the recording, for methods that look at it again.
            prior: float32 [N, J] in Hz on the salience's times, 0 = rest, from the highest voice
                to the lowest: what a score says.

        Returns:
            float32 [N, J] in Hz on the salience's times, 0 = silent, from the highest voice to the
            lowest.

        Raises:
            ValueError: a number of singers or a prior that the method cannot use.
        """

    def refuse_prior(self, prior: NDArray[np.float32] | None) -> None:
        """For methods that cannot use a prior.

        Raises:
            ValueError: there is one.
        """
        if prior is not None:
            raise UmssError(
                f"{type(self).__name__} cannot use a score; set multif0=default, or leave the "
                "score out"
            )
