"""Progress of training: a bar on a terminal, otherwise one line per epoch."""

from __future__ import annotations

import logging
import sys
import time
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import ProgressBar, RichProgressBar

log = logging.getLogger(__name__)


class EpochLines(ProgressBar):
    """One log line per epoch: losses and seconds, readable in files and CI output."""

    def __init__(self) -> None:
        super().__init__()
        self._enabled = True
        self._start = 0.0

    def enable(self) -> None:
        self._enabled = True

    def disable(self) -> None:
        """Lightning calls this on every rank but the first."""
        self._enabled = False

    def on_train_epoch_start(self, trainer: pl.Trainer, *_: Any) -> None:
        self._start = time.monotonic()

    def on_train_epoch_end(self, trainer: pl.Trainer, *_: Any) -> None:
        if not self._enabled:
            return
        metrics = trainer.callback_metrics
        losses = ", ".join(
            f"{label} loss {float(metrics[key]):.4f}"
            for label, key in (("train", "train/loss"), ("validation", "val/loss"))
            if key in metrics
        )
        seconds = time.monotonic() - self._start
        log.info(
            "epoch %d/%s: %s (%.1f s)",
            trainer.current_epoch + 1,
            trainer.max_epochs,
            losses,
            seconds,
        )


def build_progress() -> ProgressBar:
    """Build a progress bar if the output is a terminal, else `EpochLines`."""
    return RichProgressBar(leave=False) if sys.stdout.isatty() else EpochLines()
