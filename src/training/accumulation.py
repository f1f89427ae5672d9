"""Gradient accumulation in which every excerpt of an optimiser step has the same weight."""

from __future__ import annotations

from typing import Any

import pytorch_lightning as pl
from torch import Tensor
from torch.utils.data import DataLoader

from ..data.sampler import EqualSizeBatches


def compute_step_share(batch: int, *, accumulate: int, batch_size: int, n_items: int) -> float:
    """Compute the weight of a batch in its step: its excerpts divided by those of the step.

    Args:
        batch: index of the batch in its epoch, from 0.
        accumulate: batches per step; the last step of an epoch may have fewer.
        batch_size: excerpts per batch; the last batch of an epoch may have fewer.
        n_items: excerpts in all batches of the epoch.
    """
    first = batch - batch % accumulate
    step = min((first + accumulate) * batch_size, n_items) - first * batch_size
    return min(batch_size, n_items - batch * batch_size) / step


class EvenAccumulation(pl.Callback):
    """Makes an accumulated step equal to one step with a large batch, also at an epoch's end.

    Lightning divides the loss of every batch by `accumulate_grad_batches`. That is the mean over
    the step's excerpts only if all steps have that many batches of equal size. At the end of an
    epoch, the gradient of a step with fewer batches would be too small, and the excerpts of a
    smaller last batch would count more than others. Processes of DDP need no communication,
    because they have equal batches.
    """

    def __init__(self) -> None:
        self._weight = 1.0

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        accumulate = trainer.accumulate_grad_batches
        loader = trainer.train_dataloader
        if accumulate == 1 or not isinstance(loader, DataLoader):
            self._weight = 1.0
            return
        if isinstance(loader.batch_sampler, EqualSizeBatches):
            first = batch_idx - batch_idx % accumulate
            until = min(first + accumulate, int(trainer.num_training_batches))
            lengths = loader.batch_sampler.list_lengths()
            self._weight = accumulate * lengths[batch_idx] / sum(lengths[first:until])
            return
        batch_size = loader.batch_size or 1
        # Batches beyond trainer.limit_train_batches belong to no step.
        n_items = min(len(loader.sampler), int(trainer.num_training_batches) * batch_size)  # type: ignore[arg-type]
        self._weight = accumulate * compute_step_share(
            batch_idx, accumulate=accumulate, batch_size=batch_size, n_items=n_items
        )

    def on_before_backward(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, loss: Tensor
    ) -> None:
        weight = self._weight
        if weight != 1.0:
            loss.register_hook(lambda gradient: gradient * weight)
