"""Train a separator: `umss train experiment=us_small`."""

from __future__ import annotations

import logging
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
from .errors import UmssError
from .files import write_json, write_text
from .models.loading import load_weights
from .sweeps import is_sweep
from .training.checkpoints import (
    AtomicCheckpointIO,
    explain_finish,
    list_checkpoints,
    read_checkpoint,
    read_result,
)
from .training.memory import keep_freed_memory
from .training.metrics_table import MetricsTable
from .training.model_artifact import is_model_missing, log_model
from .training.provenance import describe_run
from .training.quieten import quieten
from .training.record import RunRecord, complete_metrics
from .training.run_folder import (
    BEST,
    FIRST_EPOCH,
    LAST,
    begin_run,
    claim_folder,
    continue_metrics,
    find_last_checkpoint,
    find_last_version,
    find_next_version,
    is_main_process,
    remove_products,
    remove_remains,
)
from .training.step_limit import StepLimit
from .training.wandb_logging import RunLogger, finish_runs

log = logging.getLogger(__name__)

# Sections that decide what is learned: a run continues only if they are unchanged.
_IDENTITY = ("n_singers", "seed", "init", "data", "model")
# Fields of `data` that do not change the result, only speed and location.
_INCIDENTAL = ("cache_dir", "num_workers", "pin_memory", "progress", "test_set")


def train(cfg: DictConfig, output: Path) -> dict[str, Any]:
    """Run or continue one training, and return the content of `result.json` (see `read_result`).

    Raises:
        ClaimedError: another process trains in `output`.
        OutputExistsError: `output` holds a run of another configuration, or one that cannot
            continue.
        TrainingDivergedError: the loss is no longer a number.
        UmssError: configuration or data that cannot be used.
    """
    quieten()
    keep_freed_memory()
    precision_before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision(cfg.matmul_precision)
    if cfg.threads:
        torch.set_num_threads(cfg.threads)
    config = _describe_identity(cfg)
    # A dry run neither continues nor changes an earlier run.
    dry_run = bool(cfg.trainer.fast_dev_run)
    try:
        with claim_folder(output, dry_run=dry_run):
            result = _dry_run(cfg) if dry_run else _train(cfg, output, config)
    finally:
        torch.set_float32_matmul_precision(precision_before)
    return result


def _dry_run(cfg: DictConfig) -> dict[str, Any]:
    data, model = _build_data_and_model(cfg, init=True)
    _build_trainer(cfg).fit(model, datamodule=data)
    return {}


def _train(cfg: DictConfig, output: Path, config: dict[str, Any]) -> dict[str, Any]:
    checkpoint = None if cfg.overwrite else find_last_checkpoint(output, config)
    content = None if checkpoint is None else read_checkpoint(checkpoint)
    if cfg.overwrite:
        _check_init(cfg, output)
    data, model = _build_data_and_model(cfg, init=checkpoint is None)
    trainer = _build_trainer(cfg)
    if cfg.overwrite:
        _remove_former_run(data, output)
    finished = None if content is None else explain_finish(content, trainer)
    failed = True
    try:
        if content is not None and finished is not None:
            log.info(
                "%s: finished already: %s, or overwrite=true to start afresh", output, finished
            )
            result = read_result(content)
            _report_lost_best(output, result)
            for table in _build_loggers(cfg, find_last_version(output), only_tables=True):
                complete_metrics(table, content)
            if is_model_missing(output):
                log_model(_build_loggers(cfg, find_last_version(output)), output, result, cfg)
        else:
            if content is not None:
                log.info("continuing from %s", checkpoint)
                _report_lost_best(output, read_result(content))
                version = continue_metrics(output)
            else:
                begin_run(output, config)
                version = find_next_version(output)
            remove_remains(output)
            _save_settings(cfg, output)
            trainer.loggers = _build_loggers(cfg, version)
            for logger in trainer.loggers:
                if isinstance(logger, RunLogger):
                    logger.describe(describe_run(cfg))
            trainer.fit(model, datamodule=data, ckpt_path=checkpoint, weights_only=True)
            last = output / LAST
            result = read_result(read_checkpoint(last)) if last.is_file() else {}
            log_model(trainer.loggers, output, result, cfg)
        failed = False
    finally:
        finish_runs(failed=failed)
    if trainer.is_global_zero:
        # Without callbacks.last, no checkpoint has done that.
        (output / FIRST_EPOCH).unlink(missing_ok=True)
        remove_remains(output)
        if result:
            write_json(output / "result.json", result)
            log.info(
                "best validation loss %s, checkpoint %s",
                result["best_val_loss"],
                result["best_checkpoint"],
            )
    return result


def _build_data_and_model(cfg: DictConfig, *, init: bool) -> tuple[Any, Any]:
    pl.seed_everything(cfg.seed, workers=True, verbose=False)
    data = instantiate(cfg.data, _convert_="all")
    model = instantiate(cfg.model)
    if model.needs_sources:
        data.require_stems("model")
    if cfg.init is not None and init:
        load_weights(model, cfg.init)
    return data, model


def _check_init(cfg: DictConfig, output: Path) -> None:
    """Refuse weights to begin with that `overwrite=true` would remove."""
    inside = [(output / name).resolve() for name in (BEST, LAST)]
    if cfg.init is not None and Path(cfg.init).resolve() in inside:
        raise UmssError(
            f"init={cfg.init}: overwrite=true would remove this file; copy it to another folder, "
            "or set output=DIR to train elsewhere"
        )


def _remove_former_run(data: Any, output: Path) -> None:
    """Remove what lies in the folder, but only if the data of the new run can be used."""
    if not is_main_process():
        return
    state = torch.get_rng_state()
    data.prepare("fit")
    data.setup("fit")
    torch.set_rng_state(state)
    remove_products(output, list_checkpoints(output))


def _report_lost_best(output: Path, result: dict[str, Any]) -> None:
    if result["best_checkpoint"] is None and result["best_val_loss"] is not None:
        log.warning(
            "%s: missing or damaged, so the weights with the best validation loss, %s, are lost; "
            "only an epoch with a lower loss will replace them, and last.ckpt holds the last epoch",
            output / BEST,
            result["best_val_loss"],
        )


def _build_trainer(cfg: DictConfig) -> pl.Trainer:
    if is_sweep() and cfg.trainer.get("strategy") == "ddp":
        # DDP starts this command again for every process, and each would start the whole sweep.
        raise UmssError(
            "trainer.strategy=ddp does not work in a multirun; start the runs one by one"
        )
    callbacks = [instantiate(entry) for entry in cfg.callbacks.values() if entry]
    if cfg.trainer.fast_dev_run:  # Lightning would write last.ckpt even then
        callbacks = [entry for entry in callbacks if not isinstance(entry, ModelCheckpoint)]
    max_steps = cfg.trainer.get("max_steps", -1)
    max_steps = -1 if max_steps is None else max_steps
    max_epochs = cfg.trainer.max_epochs
    if max_epochs is None and max_steps >= 0:  # Lightning would stop after 1000 epochs
        max_epochs = -1
    try:
        trainer: pl.Trainer = instantiate(
            cfg.trainer,
            callbacks=[*callbacks, RunRecord(), StepLimit(max_steps)],
            max_steps=-1,  # see StepLimit
            max_epochs=max_epochs,
            logger=False,  # follow when the folder is ready
            plugins=[AtomicCheckpointIO()],
            enable_checkpointing=not cfg.trainer.fast_dev_run,
        )
    except InstantiationException as error:
        if isinstance(error.__cause__, MisconfigurationException):
            raise UmssError(f"trainer: {error.__cause__}") from error
        raise
    return trainer


def _build_loggers(cfg: DictConfig, version: int, *, only_tables: bool = False) -> list[Any]:
    """Build the loggers; the metrics go to `csv/version_N`."""
    loggers = [
        instantiate(entry)
        for entry in cfg.logger.values()
        if entry and (not only_tables or entry["_target_"].endswith(f".{MetricsTable.__name__}"))
    ]
    for logger in loggers:
        if isinstance(logger, MetricsTable):
            logger.open_version(version)
    return loggers


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


@rank_zero_only
def _save_settings(cfg: DictConfig, output: Path) -> None:
    """Write what Hydra would write, which it does even if the folder is another process's."""
    write_text(output / ".hydra" / "config.yaml", OmegaConf.to_yaml(cfg))
    given = list(HydraConfig.get().overrides.task) if HydraConfig.initialized() else []
    write_text(output / ".hydra" / "overrides.yaml", OmegaConf.to_yaml(given))


def main(cfg: DictConfig) -> float | None:
    """Train, and return the best validation loss, which a hyper-parameter sweep minimises."""
    result = train(cfg, Path(HydraConfig.get().runtime.output_dir))
    best: float | None = result.get("best_val_loss")
    return best


if __name__ == "__main__":
    launch("train")
