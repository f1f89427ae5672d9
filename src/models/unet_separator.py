"""A trained U-Net as a separator."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import Tensor, nn

from ..dsp.stft import soft_masks
from ..separator import MASK_POWERS, Estimate, Separator
from .loading import load_module
from .unet import ConditionedUnet


class UnetModel(nn.Module):
    """What `src.models.unet_lit.UnetTraining` trains, without the training.

    Args:
        unet: keyword arguments of `ConditionedUnet`.
    """

    def __init__(self, *, unet: dict[str, Any] | None = None) -> None:
        super().__init__()
        # Under this name the weights stand in checkpoints.
        self.unet = ConditionedUnet(**(unet or {}))

    def forward(
        self, mixture: Tensor, f0: Tensor, seed: Tensor
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The mixtures [B, T] through the mask of every voice, [B, J, T], and no parameters.

        Nothing is drawn; `seed` is there because every model of this program takes one.
        """
        return self.unet.filter(mixture, f0), {}


class UnetSeparator(Separator):
    """Wiener masks from the magnitudes that a trained U-Net estimates for every voice.

    Args:
        checkpoint: file written by `umss train`.
        mask: "magnitude" or "power".
        device: where to compute, "cpu" or "cuda".

    Raises:
        CheckpointError: the checkpoint cannot be used.
    """

    n_fft = 1024
    mask_hop = 256

    def __init__(
        self, checkpoint: str | Path, *, mask: str = "magnitude", device: str = "cpu"
    ) -> None:
        super().__init__(mask=mask, device=device)
        self.model = load_module(checkpoint, UnetModel, experiment="unet_small").to(self.device)
        self.n_fft = self.model.unet.n_fft
        self.mask_hop = self.hop = self.model.unet.hop

    def estimate(
        self, mixture: Tensor, f0: Tensor, seed: Tensor, sources: Tensor | None
    ) -> Estimate:
        magnitudes = self.model.unet.compute_spectrum(mixture.to(self.device)).abs()
        estimates = self.model.unet.estimate_masks(magnitudes, f0.to(self.device))
        # The mixture's magnitude, a factor of every estimate, cancels in the masks.
        masks = soft_masks(estimates, power=MASK_POWERS[self.mask])
        return Estimate(masks.to(mixture.device))
