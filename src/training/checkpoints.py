"""Writes checkpoints safely, and reads the state of a run from its last checkpoint."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import EarlyStopping, ModelCheckpoint, Timer
from pytorch_lightning.plugins.io import TorchCheckpointIO

from ..errors import UmssError
from ..files import replace_when_complete


class AtomicCheckpointIO(TorchCheckpointIO):
    """Writes a temporary file and renames it, so that a killed process keeps the old checkpoint.

    Lightning's own writer uses the system's folder for temporary files. If that is on another file
    system, the last step is a copy, which can be interrupted.
    """

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | os.PathLike[str], storage_options: Any = None
    ) -> None:
        with replace_when_complete(Path(path)) as temporary:
            torch.save(checkpoint, temporary)


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Read a training checkpoint without executing code that is stored in the file.

    Raises:
        UmssError: not a checkpoint.
    """
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
        content["state_dict"], content["callbacks"], content["epoch"]
    except Exception as error:  # torch.load raises many kinds of errors for other files
        raise UmssError(
            f"{path}: not a checkpoint to continue from ({type(error).__name__}); set "
            "overwrite=true to start afresh"
        ) from error
    return content


def explain_finish(checkpoint: dict[str, Any], trainer: pl.Trainer) -> str | None:
    """Explain what ended the run of this checkpoint and how to continue; None if unfinished.

    Args:
        checkpoint: content of the last checkpoint.
        trainer: the trainer as configured now; with larger limits, a finished run can continue.
    """
    states = checkpoint["callbacks"]
    epochs = checkpoint["epoch"] + 1
    if trainer.max_epochs not in (None, -1) and epochs >= trainer.max_epochs:
        return f"{epochs} epochs are done; set trainer.max_epochs higher to continue"
    for callback in trainer.callbacks:  # type: ignore[attr-defined]
        state = states.get(callback.state_key, {})
        if isinstance(callback, EarlyStopping) and state:
            if state["wait_count"] >= callback.patience:
                return (
                    f"no better validation loss for {state['wait_count']} epochs; set "
                    "callbacks.early_stopping.patience higher to continue"
                )
        elif isinstance(callback, Timer) and state and callback._duration is not None:
            elapsed = state["time_elapsed"]["train"]
            if elapsed >= callback._duration:
                return (
                    f"{elapsed:.0f} s of training are over; set trainer.max_time higher to continue"
                )
    return None


def read_result(checkpoint: dict[str, Any]) -> dict[str, Any]:
    """Read the content of `result.json` from the last checkpoint of a run."""
    states = checkpoint["callbacks"].items()
    state: dict[str, Any] = next(
        (s for key, s in states if key.startswith(ModelCheckpoint.__name__) and s["monitor"]), {}
    )

    def read_number(key: str) -> float | None:
        value = state.get(key)
        return None if value is None else float(value)

    return {
        "epochs": checkpoint["epoch"] + 1,
        "steps": checkpoint["global_step"],
        "val_loss": read_number("current_score"),
        "best_val_loss": read_number("best_model_score"),
        "best_checkpoint": state.get("best_model_path"),
    }
