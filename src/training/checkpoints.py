"""Checkpoints on disk: complete or not there, and what the last one says about its run."""

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
    """Writes beside the target and renames, so that a kill leaves the old checkpoint intact.

    Lightning's own writer goes through the folder for temporary files; from there to another
    file system the last step is a copy, which a kill can cut short.
    """

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | os.PathLike[str], storage_options: Any = None
    ) -> None:
        with replace_when_complete(Path(path)) as temporary:
            torch.save(checkpoint, temporary)


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Content of a training checkpoint; no code stored in the file is executed.

    Raises:
        UmssError: not a checkpoint.
    """
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
        content["state_dict"], content["callbacks"], content["epoch"]
    except Exception as error:  # torch.load raises half a dozen kinds for files it does not know
        raise UmssError(
            f"{path}: not a checkpoint to continue from ({type(error).__name__}); set "
            "overwrite=true to start afresh"
        ) from error
    return content


def explain_finish(checkpoint: dict[str, Any], trainer: pl.Trainer) -> str | None:
    """What ended the run that this checkpoint comes from, and how to go on; None if nothing did.

    Args:
        checkpoint: content of the last checkpoint.
        trainer: as configured now: with larger limits a finished run is unfinished again.
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
    """What `result.json` holds, from the last checkpoint of a run."""
    states = checkpoint["callbacks"].items()
    state: dict[str, Any] = next(
        (s for key, s in states if key.startswith(ModelCheckpoint.__name__) and s["monitor"]), {}
    )

    def number(key: str) -> float | None:
        value = state.get(key)
        return None if value is None else float(value)

    return {
        "epochs": checkpoint["epoch"] + 1,
        "steps": checkpoint["global_step"],
        "val_loss": number("current_score"),
        "best_val_loss": number("best_model_score"),
        "best_checkpoint": state.get("best_model_path"),
    }
