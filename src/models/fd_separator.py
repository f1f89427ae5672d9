"""A trained fully differentiable model as a separator."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor

from ..errors import UmssError
from ..separator import Estimate, Separator
from .fd_model import FdModel
from .loading import load_module
from .umss import synthesise


class FdSeparator(Separator):
    """Masks from the voices that a trained fully differentiable model synthesises.

    The F0s given to it say how many singers there are; it sings at its own, which the parameters
    hold as `estimated_f0` [B, J, N, 1].

    Args:
        checkpoint: file written by `umss train experiment=fd_small`.
        mask: "magnitude" (the paper) or "power".
        f0: "own", or "given" to have the estimator sing at the F0s from outside.
        device: where to compute, "cpu" or "cuda".

    Raises:
        CheckpointError: the checkpoint cannot be used.
        ValueError: unknown `f0`.
    """

    stochastic = True

    def __init__(
        self,
        checkpoint: str | Path,
        *,
        mask: str = "magnitude",
        f0: str = "own",
        device: str = "cpu",
    ) -> None:
        super().__init__(mask=mask, device=device)
        if f0 not in ("own", "given"):
            raise UmssError(f"separator.f0 must be own or given, got {f0!r}")
        self.own_f0 = f0 == "own"
        self.model = load_module(checkpoint, FdModel, experiment="fd_small").to(self.device)
        self.rate = self.model.voice.rate
        self.hop = self.model.voice.hop

    def estimate(
        self, mixture: Tensor, f0: Tensor, seed: Tensor, sources: Tensor | None
    ) -> Estimate:
        sing = self.model if self.own_f0 else self.model.sing_given
        return synthesise(sing, mixture, f0, seed, device=self.device, masks=self._build_masks)
