"""The best weights of a training as an artifact of its W&B run."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig
from pytorch_lightning.loggers import Logger
from pytorch_lightning.utilities import rank_zero_only

from ..files import write_text
from .checkpoints import read_best
from .provenance import describe_run
from .run_folder import BEST
from .wandb_logging import RunLogger, keep_uploads

# Beside `run_id`: digest of the best.ckpt whose weights W&B has got.
_LOGGED = Path("wandb", "model_logged")


@rank_zero_only
def log_model(
    loggers: Iterable[Logger], output: Path, result: dict[str, Any], cfg: DictConfig
) -> None:
    """Give W&B the best weights, with what `separator.checkpoint` and `init` read: no state of the
    optimiser, and no paths of this machine.

    The artifact is called model-RUN, its file best.ckpt. The same weights give the same file, of
    which W&B makes no new version.

    Args:
        loggers: those of the run.
        output: folder of the run.
        result: see `read_result`.
        cfg: configuration of the run.
    """
    wanted = [entry for entry in loggers if isinstance(entry, RunLogger) and entry.artifact]
    if not wanted or result.get("best_checkpoint") is None:
        return
    import wandb  # takes a second, so only on use

    content = read_best(result["best_checkpoint"])
    weights = {key: content[key] for key in ("state_dict", "hyper_parameters")}
    metadata = {
        "epoch": result["best_epoch"],
        "val/loss": result["best_val_loss"],
        "config": describe_run(cfg),
    }
    for entry in wanted:
        run = entry.experiment
        artifact = wandb.Artifact(
            f"model-{run.id}",
            "model",
            description="Weights of the best validation loss; see umss separate --help, "
            "separator.checkpoint",
            metadata=metadata,
        )
        with tempfile.TemporaryDirectory() as folder, keep_uploads(entry.folder):
            path = Path(folder) / BEST.name
            torch.save(weights, path)
            artifact.add_file(str(path))
            run.log_artifact(artifact, aliases=["best", "latest"])
    write_text(output / _LOGGED, _digest(output) + "\n")


def is_model_missing(output: Path) -> bool:
    """Whether a run on W&B was killed after its last checkpoint, before W&B got the weights."""
    if not (output / "wandb" / "run_id").is_file() or not (output / BEST).is_file():
        return False
    logged = output / _LOGGED
    return not logged.is_file() or logged.read_text(encoding="utf-8").strip() != _digest(output)


def _digest(output: Path) -> str:
    with (output / BEST).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
