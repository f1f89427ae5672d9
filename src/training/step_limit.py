"""The end of a training after a number of steps."""

from __future__ import annotations

from typing import Any

import pytorch_lightning as pl


class StepLimit(pl.Callback):
    """Stops a training after that many optimiser steps, with a validation and a checkpoint.

    Lightning's own `max_steps` ends within an epoch without a validation, and a run that continues
    with it counts epochs that it does not train.

    Args:
        max_steps: in all, including those before the run was continued; -1: no limit.
    """

    def __init__(self, max_steps: int) -> None:
        self.max_steps = max_steps

    def is_reached(self, steps: int) -> bool:
        """Whether so many steps are enough."""
        return 0 <= self.max_steps <= steps

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._stop_if_reached(trainer)

    def on_train_batch_end(self, trainer: pl.Trainer, *_: Any) -> None:
        self._stop_if_reached(trainer)

    def _stop_if_reached(self, trainer: pl.Trainer) -> None:
        if self.is_reached(trainer.global_step):
            trainer.should_stop = True
