"""Train a separator: `python -m src.train experiment=us_small`."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import hydra
import pytorch_lightning as pl
import torch
from hydra.core.hydra_config import HydraConfig
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

from src.cli import entry_point
from src.files import write_json

log = logging.getLogger(__name__)

# Sections that decide what is learned: a run continues only where they are unchanged.
_IDENTITY = ("n_singers", "seed", "data", "model")


def last_checkpoint(output: Path, config: dict[str, Any], *, overwrite: bool) -> Path | None:
    """The checkpoint to continue from, or None to start afresh.

    Raises:
        FileExistsError: `output` holds a run of another configuration and `overwrite` is false.
    """
    checkpoint = output / "checkpoints" / "last.ckpt"
    if overwrite or not checkpoint.is_file():
        return None
    stored = OmegaConf.to_container(OmegaConf.load(output / "config.yaml"))
    assert isinstance(stored, dict)
    changed = [key for key in _IDENTITY if stored.get(key) != config.get(key)]
    if changed:
        raise FileExistsError(
            f"{output}: holds a run with another {', '.join(changed)}; set overwrite=true to "
            "replace it, or output=DIR to train elsewhere"
        )
    return checkpoint


def train(cfg: DictConfig, output: Path) -> dict[str, Any]:
    """Run or continue one training; the content of `result.json` is returned.

    Raises:
        FileExistsError: see `last_checkpoint`.
        ValueError: configuration or data that cannot be used.
    """
    # Only what identifies the run is resolved: the rest may refer to Hydra's runtime.
    config = {key: _plain(cfg[key]) for key in _IDENTITY}
    checkpoint = last_checkpoint(output, config, overwrite=cfg.overwrite)
    if cfg.threads:
        torch.set_num_threads(cfg.threads)
    pl.seed_everything(cfg.seed, workers=True, verbose=False)

    data = instantiate(cfg.data, _convert_="all")
    model = instantiate(cfg.model)
    callbacks = [instantiate(c) for c in cfg.callbacks.values() if c]
    loggers = [instantiate(entry) for entry in cfg.logger.values() if entry]
    trainer: pl.Trainer = instantiate(cfg.trainer, callbacks=callbacks, logger=loggers)
    if trainer.is_global_zero:
        output.mkdir(parents=True, exist_ok=True)
        OmegaConf.save(OmegaConf.create(config), output / "config.yaml")
    if checkpoint is not None:
        log.info("continuing from %s", checkpoint)
    trainer.fit(model, datamodule=data, ckpt_path=checkpoint, weights_only=True)

    best = trainer.checkpoint_callback
    result: dict[str, Any] = {
        "epochs": trainer.current_epoch,
        "steps": trainer.global_step,
        "interrupted": trainer.interrupted,
        "val_loss": _number(trainer.callback_metrics.get("val/loss")),
        "best_val_loss": _number(getattr(best, "best_model_score", None)),
        "best_checkpoint": getattr(best, "best_model_path", None),
    }
    if trainer.is_global_zero:
        write_json(output / "result.json", result)
        log.info(
            "best validation loss %s, checkpoint %s",
            result["best_val_loss"],
            result["best_checkpoint"],
        )
    return result


def _plain(value: Any) -> Any:
    return OmegaConf.to_container(value, resolve=True) if OmegaConf.is_config(value) else value


def _number(value: torch.Tensor | None) -> float | None:
    return None if value is None else float(value)


@hydra.main(version_base="1.3", config_path="../conf", config_name="train")
@entry_point
def main(cfg: DictConfig) -> None:
    train(cfg, Path(HydraConfig.get().runtime.output_dir))


if __name__ == "__main__":
    main()
