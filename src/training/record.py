"""What Lightning's checkpoints leave out: the last validation loss, and the lines of metrics."""

from __future__ import annotations

from typing import Any

import pytorch_lightning as pl
from torch import Tensor

from .metrics_table import MetricsTable

_KEY = "metrics_table"


class RunRecord(pl.Callback):
    """Keeps the validation loss and the state of `MetricsTable` in checkpoints.

    Lightning writes a checkpoint before it logs the training losses of the same epoch. If the
    process dies in between, the line would be missing; so the checkpoint holds it.
    """

    state_key = "RunRecord"

    def __init__(self) -> None:
        self.val_loss: float | None = None

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        loss = trainer.callback_metrics.get("val/loss")
        if loss is not None and not trainer.sanity_checking:
            self.val_loss = float(loss)

    def state_dict(self) -> dict[str, Any]:
        return {"val_loss": self.val_loss}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.val_loss = state_dict["val_loss"]

    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        for table in _list_tables(trainer):
            checkpoint[_KEY] = {"rows": table.count_rows(), "next": _predict_row(trainer)}

    def on_load_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        stored = checkpoint.get(_KEY)
        for table in _list_tables(trainer):
            if stored is None:  # a run of version 0.1.0
                table.keep_epochs(checkpoint["epoch"])
            else:
                table.keep_rows(stored["rows"])
                if stored["next"] is not None:
                    table.log_metrics(**stored["next"])
                    table.save()


def complete_metrics(table: MetricsTable, checkpoint: dict[str, Any]) -> None:
    """Write the last line of metrics of a finished run that was killed just before it did that."""
    stored = checkpoint.get(_KEY)
    if stored is None or stored["next"] is None:
        return
    rows = table.experiment.read()
    if rows and len(rows) == stored["rows"]:
        table.keep_rows(len(rows))
        table.log_metrics(**stored["next"])
        table.save()


def _list_tables(trainer: pl.Trainer) -> list[MetricsTable]:
    return [
        logger
        for logger in trainer.loggers
        if isinstance(logger, MetricsTable) and trainer.is_global_zero
    ]


def _predict_row(trainer: pl.Trainer) -> dict[str, Any] | None:
    """The line that Lightning will log when the epoch's last hook has run; None within an epoch."""
    connector = trainer._logger_connector
    if connector._first_loop_iter is not None or trainer.validating:
        return None
    metrics = {
        name: value.item() if isinstance(value, Tensor) else value
        for name, value in connector.metrics["log"].items()
    }
    if not metrics:
        return None
    step = trainer.fit_loop.epoch_loop._batches_that_stepped - 1
    return {"metrics": {**metrics, "epoch": trainer.current_epoch}, "step": step}
