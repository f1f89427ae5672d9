"""Writes checkpoints safely, and reads the state of a run from its last checkpoint."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import EarlyStopping, ModelCheckpoint, Timer
from pytorch_lightning.plugins.io import TorchCheckpointIO

from ..archives import read_tensors
from ..errors import UmssError
from ..files import replace_when_complete
from .record import RunRecord
from .run_folder import FIRST_EPOCH, LAST
from .step_limit import StepLimit


class AtomicCheckpointIO(TorchCheckpointIO):
    """Writes a temporary file and renames it, so that a killed process keeps the old checkpoint.

    Lightning's own writer uses the system's folder for temporary files. If that is on another file
    system, the last step is a copy, which can be interrupted. Reading brings the paths in a
    checkpoint up to date (see `settle_paths`).
    """

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | os.PathLike[str], storage_options: Any = None
    ) -> None:
        """Write a checkpoint.

        Raises:
            OSError: it cannot be written, e.g. because the disk is full.
        """
        path = Path(path)
        with replace_when_complete(path) as temporary:
            _write(checkpoint, temporary, path)
        if path.name == LAST.name:  # from now on the run can continue
            (path.parent / FIRST_EPOCH.name).unlink(missing_ok=True)

    def load_checkpoint(self, path: Any, *args: Any, **options: Any) -> dict[str, Any]:
        """Read a checkpoint whose run may have been moved since."""
        return settle_paths(super().load_checkpoint(path, *args, **options), Path(path))


def _write(checkpoint: dict[str, Any], temporary: Path, path: Path) -> None:
    """Call `torch.save`, whose own errors do not tell a full disk from a fault of the program."""
    try:
        with temporary.open("wb") as file:
            torch.save(checkpoint, file)
    except RuntimeError as error:
        cause: BaseException | None = error
        while cause is not None and not isinstance(cause, OSError):
            cause = cause.__context__
        if cause is None:
            raise
        raise OSError(cause.errno, cause.strerror, str(path)) from error


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Read a training checkpoint without executing code that is stored in the file.

    Raises:
        UmssError: not a checkpoint.
    """
    try:
        content = read_tensors(path)
        content["state_dict"], content["callbacks"], content["epoch"]
    except Exception as error:  # torch.load raises many kinds of errors for other files
        best = path.with_name("best.ckpt")
        init = f" (with init={best} to begin with the best weights)" if best.is_file() else ""
        raise UmssError(
            f"{path}: not a checkpoint to continue from ({type(error).__name__}); put an "
            f"intact copy there, set overwrite=true to start afresh, or output=DIR to train "
            f"elsewhere{init}"
        ) from error
    return settle_paths(content, path)


def settle_paths(checkpoint: dict[str, Any], path: Path) -> dict[str, Any]:
    """Make the state of `ModelCheckpoint` true for the folder in which a checkpoint lies now.

    Lightning stores absolute paths, and forgets the best score if they are not those of the folder
    in which it continues. What best.ckpt holds is read from best.ckpt, because a killed process
    may have written it after the last checkpoint.

    Args:
        checkpoint: content of the last checkpoint of a run; changed in place.
        path: its file.
    """
    states = _list_checkpoint_states(checkpoint)
    here = path.parent.resolve()
    written = (
        Path(state["dirpath"])
        for state in states
        if state.get("dirpath") and Path(state.get("best_model_path") or "").name == path.name
    )
    before = next(written, None)
    if before is not None and before != here:
        if before.name == here.name:  # then the whole run was moved
            before, here = before.parent, here.parent
        for state in states:
            _replace_paths(state, lambda name: _move(name, before, here))
    for state in states:
        if state.get("monitor"):
            _adopt_best_score(state)
    return checkpoint


def _list_checkpoint_states(checkpoint: dict[str, Any]) -> list[dict[str, Any]]:
    states = checkpoint.get("callbacks", {}).items()
    return [state for key, state in states if key.startswith(ModelCheckpoint.__name__)]


def _move(name: str, before: Path, here: Path) -> str:
    path = Path(name)
    return str(here / path.relative_to(before)) if name and path.is_relative_to(before) else name


def _replace_paths(state: dict[str, Any], move: Callable[[str], str]) -> None:
    for key in ("dirpath", "best_model_path", "kth_best_model_path", "last_model_path"):
        if state.get(key):
            state[key] = move(state[key])
    models = state.get("best_k_models", {})
    state["best_k_models"] = {move(name): score for name, score in models.items()}


def _adopt_best_score(state: dict[str, Any]) -> None:
    path = state.get("best_model_path") or ""
    if not path or set(state.get("best_k_models", {})) - {path}:  # several are kept
        return
    own = next(
        (s for s in _list_checkpoint_states(read_best(path)) if s["monitor"] == state["monitor"]),
        None,
    )
    if own is None or own["best_model_score"] is None:
        return
    score = own["best_model_score"]
    state |= {"best_model_score": score, "kth_value": score, "kth_best_model_path": path}
    state["best_k_models"] = {path: score}


def read_best(path: str | Path) -> dict[str, Any]:
    """Read the best checkpoint; an empty dictionary if it is missing or damaged."""
    try:
        # Mapped, because only its small fields are looked at.
        content = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
        return content if isinstance(content, dict) else {}
    except Exception:  # torch.load raises many kinds of errors for other files
        return {}


def list_checkpoints(output: Path) -> list[str]:
    """List the checkpoints of a run that its last one knows of, relative to its folder."""
    path = output / LAST
    content = settle_paths(read_best(path), path)
    names = {
        name
        for state in _list_checkpoint_states(content)
        for name in (state.get("best_model_path"), *state.get("best_k_models", {}))
        if name
    }
    folder = output.resolve()
    return [
        Path(name).relative_to(folder).as_posix()
        for name in sorted(names)
        if Path(name).is_relative_to(folder)
    ]


def explain_finish(checkpoint: dict[str, Any], trainer: pl.Trainer) -> str | None:
    """Explain what ended the run of this checkpoint and how to continue; None if unfinished.

    Args:
        checkpoint: content of the last checkpoint.
        trainer: the trainer as configured now; with larger limits, a finished run can continue.
    """
    states = checkpoint["callbacks"]
    epochs, steps = checkpoint["epoch"] + 1, checkpoint["global_step"]
    if trainer.max_epochs not in (None, -1) and epochs >= trainer.max_epochs:
        return f"{epochs} epochs are done; set trainer.max_epochs higher to continue"
    for callback in trainer.callbacks:  # type: ignore[attr-defined]
        state = states.get(callback.state_key, {})
        if isinstance(callback, StepLimit) and callback.is_reached(steps):
            return f"{steps} steps are done; set trainer.max_steps higher to continue"
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
    """Read the content of `result.json` from the last checkpoint of a run.

    Args:
        checkpoint: as `read_checkpoint` returns it.

    Returns:
        `epochs` and `steps`; `val_loss`, that of the last validation, None if there was none;
        `best_val_loss`; `best_epoch` (from 1) and `best_checkpoint` (absolute path), both None if
        there is no such file (any more).
    """
    best: dict[str, Any] = next(
        (state for state in _list_checkpoint_states(checkpoint) if state["monitor"]), {}
    )
    score = best.get("best_model_score")
    path = best.get("best_model_path") or ""
    content = read_best(path) if path else {}
    record = checkpoint["callbacks"].get(RunRecord.__name__, {})
    val_loss = record.get("val_loss")
    if not record and content.get("epoch") == checkpoint["epoch"] and score is not None:
        val_loss = float(score)  # a run of version 0.1.0
    return {
        "epochs": checkpoint["epoch"] + 1,
        "steps": checkpoint["global_step"],
        "val_loss": val_loss,
        "best_val_loss": None if score is None else float(score),
        "best_epoch": content["epoch"] + 1 if "epoch" in content else None,
        "best_checkpoint": path if content else None,
    }
