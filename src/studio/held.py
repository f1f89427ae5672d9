"""Pitches that a fit must keep: those that a person locked or corrected."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..fit.hypotheses import F0Opinions
from ..fit.separator import FitSeparator
from ..separator import Separator


class HeldOpinions(F0Opinions):
    """Opinions that agree with the given tracks where these are held.

    A fit evens out what it takes for mistakes of the tracks by other opinions about them
    (`src.fit.hypotheses`). What a person has corrected is no mistake.

    Args:
        opinions: of the fit.

    Attributes:
        held: [J, N], true where the given tracks of the mixture that comes next are right; None =
            nowhere.
    """

    def __init__(self, opinions: F0Opinions) -> None:
        super().__init__(opinions.estimators, readiness=opinions.readiness)
        self.held: NDArray[np.bool_] | None = None

    def __call__(self, mixture: Tensor, f0: Tensor) -> Tensor:
        """Opinions [K, B, J, N] about mixtures [B, T] with given tracks [B, J, N]."""
        found = super().__call__(mixture, f0)
        if self.held is None:
            return found
        return torch.where(torch.from_numpy(self.held).to(f0.device), f0, found)


def hold(separator: Separator) -> HeldOpinions | None:
    """Make a fit keep what is held; None = the method has no opinions of its own."""
    if not isinstance(separator, FitSeparator) or separator.opinions is None:
        return None
    if not isinstance(separator.opinions, HeldOpinions):
        separator.opinions = HeldOpinions(separator.opinions)
    return separator.opinions


def cut_held(held: NDArray[np.bool_], first: int, count: int) -> NDArray[np.bool_]:
    """Cut out frames of what is held [N, J]: [J, count]; nothing is held after the end."""
    part = held[first : first + count]
    padded = np.pad(part, ((0, count - len(part)), (0, 0)))
    return np.ascontiguousarray(padded.T)
