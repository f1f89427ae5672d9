"""Train a separator: `umss train experiment=us_small`."""

from __future__ import annotations

import logging
import shutil
import warnings
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from hydra.core.hydra_config import HydraConfig
from hydra.errors import InstantiationException
from hydra.utils import instantiate
from lightning_fabric.utilities.exceptions import MisconfigurationException
from omegaconf import DictConfig, OmegaConf
from pytorch_lightning.callbacks import ModelCheckpoint
from pytorch_lightning.utilities import rank_zero_only

from .cli import launch
from .errors import OutputExistsError, UmssError
from .files import write_json, write_text
from .models.loading import begin_with
from .sweeps import is_sweep
from .training.checkpoints import AtomicCheckpointIO, explain_finish, read_checkpoint, read_result
from .training.memory import keep_freed_memory
from .training.wandb_logging import finish_runs

log = logging.getLogger(__name__)

# Sections that decide what is learned: a run continues only if they are unchanged.
_IDENTITY = ("n_singers", "seed", "init", "data", "model")
# Fields of `data` that do not change the result, only speed and location.
_INCIDENTAL = ("cache_dir", "num_workers", "pin_memory", "progress")
# Files and folders that a run writes and `overwrite=true` removes.
_PRODUCTS = ("checkpoints", "csv", "wandb", "config.yaml", "result.json")
_NOISE = (
    ".*LeafSpec.*",  # Lightning's own use of PyTorch
    ".*does not have many workers.*",  # excerpts are memory-mapped, so loading is fast
    "Checkpoint directory .* exists and is not empty.*",  # expected when a run continues
    ".*smaller than the logging interval.*",
    "Be aware that when using `ckpt_path`.*",  # a run continued without its time limit
)


def find_last_checkpoint(output: Path, config: dict[str, Any]) -> Path | None:
    """Find the checkpoint to continue from; None if `output` holds no run.

    Raises:
        OutputExistsError: `output` holds a run of another configuration.
        UmssError: its configuration cannot be read.
    """
    checkpoint = output / "checkpoints" / "last.ckpt"
    if not checkpoint.is_file():
        return None
    try:
        stored = OmegaConf.to_container(OmegaConf.load(output / "config.yaml"))
        assert isinstance(stored, dict)
    except Exception as error:  # YAML and OmegaConf have no common base class
        raise UmssError(
            f"{output / 'config.yaml'}: not readable ({type(error).__name__}), so it is unknown "
            "what the checkpoint beside it was trained on; set overwrite=true to start afresh"
        ) from error
    changed = _list_differences(stored, config)
    if changed:
        raise OutputExistsError(
            f"{output}: holds a run with another {', '.join(changed)}; set overwrite=true to "
            "replace it, or output=DIR to train elsewhere"
        )
    return checkpoint


def train(cfg: DictConfig, output: Path) -> dict[str, Any]:
    """Run or continue one training, and return the content of `result.json`.

    Raises:
        OutputExistsError: `output` holds a run of another configuration.
        TrainingDivergedError: the loss is no longer a number.
        UmssError: configuration or data that cannot be used.
    """
    _quieten()
    keep_freed_memory()
    precision_before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision(cfg.matmul_precision)
    if cfg.threads:
        torch.set_num_threads(cfg.threads)
    config = _describe_identity(cfg)
    # A dry run neither continues nor changes an earlier run.
    dry_run = bool(cfg.trainer.fast_dev_run)
    if cfg.overwrite and not dry_run:
        _remove_products(output)
    checkpoint = None if dry_run or cfg.overwrite else find_last_checkpoint(output, config)
    pl.seed_everything(cfg.seed, workers=True, verbose=False)

    failed = True
    try:
        data = instantiate(cfg.data, _convert_="all")
        model = instantiate(cfg.model)
        if cfg.init is not None and checkpoint is None:
            begin_with(model, cfg.init)
        trainer = _build_trainer(cfg)
        content = read_checkpoint(checkpoint) if checkpoint is not None else None
        finished = explain_finish(content, trainer) if content is not None else None
        if content is not None and finished is not None:
            log.info(
                "%s: finished already: %s, or overwrite=true to start afresh", output, finished
            )
            result = read_result(content)
        else:
            if checkpoint is not None:
                log.info("continuing from %s", checkpoint)
            elif not dry_run:
                _save_config(output, config)
            trainer.fit(model, datamodule=data, ckpt_path=checkpoint, weights_only=True)
            last = output / "checkpoints" / "last.ckpt"
            result = read_result(read_checkpoint(last)) if not dry_run and last.is_file() else {}
        failed = False
    finally:
        torch.set_float32_matmul_precision(precision_before)
        finish_runs(failed=failed)
    if trainer.is_global_zero and result:
        write_json(output / "result.json", result)
        log.info(
            "best validation loss %s, checkpoint %s",
            result["best_val_loss"],
            result["best_checkpoint"],
        )
    return result


def _build_trainer(cfg: DictConfig) -> pl.Trainer:
    if is_sweep() and cfg.trainer.get("strategy") == "ddp":
        # DDP starts this command again for every process, and each would start the whole sweep.
        raise UmssError(
            "trainer.strategy=ddp does not work in a multirun; start the runs one by one"
        )
    callbacks = [instantiate(entry) for entry in cfg.callbacks.values() if entry]
    if cfg.trainer.fast_dev_run:  # Lightning would write last.ckpt even then
        callbacks = [entry for entry in callbacks if not isinstance(entry, ModelCheckpoint)]
    loggers = [instantiate(entry) for entry in cfg.logger.values() if entry]
    try:
        trainer: pl.Trainer = instantiate(
            cfg.trainer,
            callbacks=callbacks,
            logger=loggers,
            plugins=[AtomicCheckpointIO()],
            enable_checkpointing=not cfg.trainer.fast_dev_run,
        )
    except InstantiationException as error:
        if isinstance(error.__cause__, MisconfigurationException):
            raise UmssError(f"trainer: {error.__cause__}") from error
        raise
    return trainer


def _describe_identity(cfg: DictConfig) -> dict[str, Any]:
    """Collect the settings that identify a run. Only these are resolved, because others may refer
    to Hydra's runtime, which does not exist everywhere."""
    config: dict[str, Any] = {
        key: OmegaConf.to_container(cfg[key], resolve=True)
        if OmegaConf.is_config(cfg[key])
        else cfg[key]
        for key in _IDENTITY
    }
    config["data"] = {k: v for k, v in config["data"].items() if k not in _INCIDENTAL}
    if config["data"]["f0"] != "estimated":  # the estimator is not used then
        config["data"].pop("estimator")
    # The settings of augmentations that are off do not matter either.
    mixing = config["data"]["mixing"]
    if mixing["n_singers"] is None:
        config["data"].pop("mixing")
    else:
        if mixing["pitch_semitones"] == 0:
            mixing.pop("pitch_semitones")
        if mixing["room"]["share"] == 0:
            mixing.pop("room")
    if config["data"]["f0_augmentation"]["probability"] == 0:
        config["data"].pop("f0_augmentation")
    return config


def _list_differences(stored: Any, wanted: Any, name: str = "") -> list[str]:
    """List the dotted names of the fields that differ."""
    if not (isinstance(stored, dict) and isinstance(wanted, dict)):
        return [] if stored == wanted else [name]
    return [
        field
        for key in dict.fromkeys((*stored, *wanted))
        for field in _list_differences(
            stored.get(key), wanted.get(key), f"{name}.{key}" if name else str(key)
        )
    ]


@rank_zero_only
def _save_config(output: Path, config: dict[str, Any]) -> None:
    write_text(output / "config.yaml", OmegaConf.to_yaml(OmegaConf.create(config)))


@rank_zero_only
def _remove_products(output: Path) -> None:
    for name in _PRODUCTS:
        path = output / name
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def _quieten() -> None:
    """Hide messages of Lightning that users of this program cannot act on."""
    for pattern in _NOISE:
        warnings.filterwarnings("ignore", message=pattern)
    messages = logging.getLogger("pytorch_lightning.utilities.rank_zero")
    if _is_useful not in messages.filters:
        messages.addFilter(_is_useful)


def _is_useful(record: logging.LogRecord) -> bool:
    message = record.getMessage()
    return not any(noise in message for noise in ("Tip: For seamless cloud", "TPU available"))


def main(cfg: DictConfig) -> float | None:
    """Train, and return the best validation loss, which a hyper-parameter sweep minimises."""
    result = train(cfg, Path(HydraConfig.get().runtime.output_dir))
    best: float | None = result.get("best_val_loss")
    return best


if __name__ == "__main__":
    launch("train")
