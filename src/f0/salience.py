"""Salience: how likely a voice sounds at each frequency and time; the output of multi-F0 models."""

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
        UmssError: shapes that disagree.
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
    """A multi-F0 model: computes salience from a mixture."""

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
            audio: float32 [T] at 16 kHz, the recording, for methods that also use it.
            prior: float32 [N, J] in Hz at the times of the salience, 0 = rest, from the highest
                voice to the lowest: the notes of a score.

        Returns:
            float32 [N, J] in Hz at the times of the salience, 0 = silent, from the highest voice
            to the lowest.

        Raises:
            UmssError: a number of singers or a prior that the method cannot use.
        """

    def refuse_prior(self, prior: NDArray[np.float32] | None) -> None:
        """Raise an error if there is a prior, in methods that cannot use one.

        Raises:
            UmssError: there is one.
        """
        if prior is not None:
            raise UmssError(
                f"{type(self).__name__} cannot use a score; set multif0=default, or leave the "
                "score out"
            )
