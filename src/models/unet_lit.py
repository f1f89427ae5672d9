"""Training of the U-Net baseline."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ..dsp.noise import uniform_noise
from .lit import Batch, SeparationTraining
from .unet import ConditionedUnet, extend_f0


class UnetTraining(SeparationTraining):
    """Supervised training of the U-Net: masked magnitudes must equal those of the target.

    A training item is one voice of a mixture, drawn by the item's seed, as is its dropout: nothing
    depends on what was drawn before, so that a run continued from a checkpoint is the same run.
    Validation takes every voice of every mixture as the target once, without dropout.

    Batches are dictionaries with `mixture` [B, T], `sources` [B, J, T], `f0` [B, J, N] in Hz and
    `seed` [B]; J may differ from batch to batch.

    Args:
        unet: keyword arguments of `ConditionedUnet`, plain numbers, strings and lists.
        lr: learning rate of Adam.
        weight_decay: L2 penalty.
        lr_decay: factor on the learning rate every `lr_decay_epochs` epochs.
        lr_decay_epochs: see above.
    """

    needs_sources = True

    def __init__(
        self,
        *,
        unet: dict[str, Any] | None = None,
        lr: float = 1e-3,
        weight_decay: float = 0.0,
        lr_decay: float = 0.98,
        lr_decay_epochs: int = 200,
    ) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.unet = ConditionedUnet(**(unet or {}))

    def forward(
        self, mixture: Tensor, f0: Tensor, seed: Tensor
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The mixtures [B, T] through the mask of every voice, [B, J, T], and no parameters.

        Nothing is drawn; `seed` is there because every model of this program takes one.
        """
        return self.unet.filter(mixture, f0), {}

    def loss(self, masked: Tensor, target: Tensor) -> Tensor:
        """L1 distance of masked and target magnitudes, mean over bins and frames."""
        return (masked - target).abs().mean()

    def _step(self, batch: Batch) -> Tensor:
        magnitudes = self.unet.compute_spectrum(batch["mixture"]).abs()
        if not self.training:
            masked = self.unet.estimate_masks(magnitudes, batch["f0"]) * magnitudes.unsqueeze(1)
            return self.loss(masked, self.unet.compute_spectrum(batch["sources"]).abs())
        layers, maps = self.unet.n_draws
        draws = uniform_noise(batch["seed"], 1 + layers, max(maps, 1))
        target = choose_targets(draws[:, 0, 0], batch["f0"].shape[1])
        items = torch.arange(len(target), device=target.device)
        f0 = extend_f0(batch["f0"][items, target], magnitudes.shape[-1])
        masks = self.unet(magnitudes, f0, draws[:, 1:])
        return self.loss(
            masks * magnitudes, self.unet.compute_spectrum(batch["sources"][items, target]).abs()
        )


def choose_targets(draws: Tensor, n_sources: int) -> Tensor:
    """Uniform numbers in [-1, 1) to indices 0 ... n_sources - 1, all equally likely."""
    return (0.5 * (draws + 1.0) * n_sources).long().clamp(max=n_sources - 1)
