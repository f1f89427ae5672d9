"""How long a step takes, as a curve on a W&B page."""

from __future__ import annotations

import time
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.utilities import rank_zero_only

from .wandb_logging import RunLogger

SECONDS = "time/seconds_per_step"


class StepClock(pl.Callback):
    """Logs the mean seconds per optimiser step of every epoch to W&B, without its validation.

    Not to the CSV file, which is the same however fast the machine is. Without a W&B logger it does
    nothing.
    """

    def __init__(self) -> None:
        self._begin = 0.0
        self._end = 0.0
        self._first_step = 0

    def on_train_epoch_start(self, trainer: pl.Trainer, *_: Any) -> None:
        self._begin = self._end = time.monotonic()
        self._first_step = trainer.global_step

    def on_train_batch_end(self, *_: Any) -> None:
        self._end = time.monotonic()

    @rank_zero_only
    def on_train_epoch_end(self, trainer: pl.Trainer, *_: Any) -> None:
        steps = trainer.global_step - self._first_step
        loggers = [entry for entry in trainer.loggers if isinstance(entry, RunLogger)]
        for entry in loggers if steps else []:
            seconds = (self._end - self._begin) / steps
            entry.log_metrics({SECONDS: seconds}, step=trainer.global_step - 1)
