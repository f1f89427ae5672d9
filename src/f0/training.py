"""Training of the salience network."""

from __future__ import annotations

from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor

from .features import BINS_PER_OCTAVE, LOWEST, N_BINS
from .network import N_BLOCKS, SalienceNetwork

TARGET_WIDTH = 0.8  # standard deviation of a target peak, bins


class SalienceTraining(pl.LightningModule):
    """Binary cross-entropy between the network's salience and a bump at every singer's F0.

    Args:
        lr: highest learning rate of the one-cycle schedule.
        weight_decay: weight decay of AdamW.
        total_steps: length of the schedule in steps.
        n_blocks: blocks of the network.
        freeze_norms: keep the statistics of the batch norms, for going on from a trained network;
            batches may then be small.
    """

    def __init__(
        self,
        *,
        total_steps: int,
        lr: float = 4e-3,
        weight_decay: float = 1e-4,
        n_blocks: int = N_BLOCKS,
        freeze_norms: bool = False,
    ) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.network = SalienceNetwork(n_blocks=n_blocks)
        self.lr, self.weight_decay, self.total_steps = lr, weight_decay, total_steps
        self.freeze_norms = freeze_norms
        self.train()

    def train(self, mode: bool = True) -> SalienceTraining:
        """Set the mode of training; frozen norms stay as they are."""
        super().train(mode)
        if self.freeze_norms:
            for layer in self.network.modules():
                if isinstance(layer, torch.nn.BatchNorm2d):
                    layer.eval()
        return self

    def _loss(self, batch: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        mixture, f0 = batch
        with torch.autocast(mixture.device.type, enabled=False):
            features = self.network.spectrogram(mixture.float())
        logits = self.network(features).float()
        target = build_targets(f0)
        losses = torch.nn.functional.binary_cross_entropy_with_logits(
            logits, target, reduction="none"
        )
        # Summed over frequency: a frame's loss in nats.
        return losses.sum(1).mean(), logits, target

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        """Loss of a batch (mixture [B, T], F0 [B, J, N])."""
        loss = self._loss(batch)[0]
        self.log("train/loss", loss, on_step=False, on_epoch=True, prog_bar=True)
        return loss

    def validation_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        """Loss, and precision and recall of the peaks above one half."""
        loss, logits, target = self._loss(batch)
        self.log("val/loss", loss, prog_bar=True, batch_size=len(logits))
        found, truth = _mark_peaks(torch.sigmoid(logits)), _mark_peaks(target)
        # Within 1.5 bins = 50 cents; a peak on the grid is within half a bin of the F0.
        near = torch.nn.functional.max_pool2d
        hits = (found * near(truth[:, None], (3, 1), 1, (1, 0))[:, 0]).sum()
        self.log("val/precision", hits / found.sum().clamp(min=1), batch_size=len(logits))
        self.log("val/recall", hits / truth.sum().clamp(min=1), prog_bar=True, batch_size=1)

    def configure_optimizers(self) -> Any:
        """AdamW with a one-cycle learning rate."""
        optimiser = torch.optim.AdamW(self.parameters(), lr=self.lr, weight_decay=self.weight_decay)
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimiser, self.lr, total_steps=self.total_steps, pct_start=0.1
        )
        return {
            "optimizer": optimiser,
            "lr_scheduler": {"scheduler": schedule, "interval": "step"},
        }


def build_targets(f0: Tensor) -> Tensor:
    """Build the target salience [B, N_BINS, N], a bump per voice, of F0 [B, J, N] in Hz."""
    bins = BINS_PER_OCTAVE * torch.log2(f0.clamp(min=1.0) / LOWEST)
    grid = torch.arange(N_BINS, device=f0.device, dtype=f0.dtype)
    salience = f0.new_zeros(f0.shape[0], N_BINS, f0.shape[-1])
    for j in range(f0.shape[1]):
        distance = grid[None, :, None] - bins[:, j, None, :]
        bump = torch.exp(-0.5 * (distance / TARGET_WIDTH) ** 2)
        salience = torch.maximum(salience, bump * (f0[:, j, None, :] > 0))
    return salience


def _mark_peaks(salience: Tensor) -> Tensor:
    """Mark local maxima along frequency of at least 0.5 with 1.0, else 0: [B, F, N]."""
    padded = torch.nn.functional.pad(salience, (0, 0, 1, 1))
    higher = (salience > padded[:, :-2]) & (salience >= padded[:, 2:])
    return (higher & (salience >= 0.5)).to(salience.dtype)
