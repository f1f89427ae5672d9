"""Train the multi-F0 network of this package: `umss train-f0 output=DIR`."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf
from pytorch_lightning.callbacks import ModelCheckpoint
from torch.utils.data import DataLoader

from .cli import launch
from .data.prepared import PreparedSong, prepare
from .data.readers import build_reader
from .data.salience_mixtures import Pool, SalienceMixtures
from .data.salience_variation import Variation
from .data.sampler import EpochSampler
from .data.splits import select_songs
from .errors import OutputExistsError, UmssError
from .f0.network import VoiceSalience, start_from
from .f0.training import SalienceTraining
from .files import replace_when_complete
from .training.averaging import WarmingAverage
from .training.checkpoints import AtomicCheckpointIO, read_checkpoint
from .training.memory import keep_freed_memory
from .training.metrics_table import MetricsTable
from .training.quieten import quieten
from .training.record import RunRecord
from .training.run_folder import (
    LAST,
    begin_run,
    claim_folder,
    continue_metrics,
    find_last_checkpoint,
    find_next_version,
    remove_products,
    remove_remains,
)

log = logging.getLogger(__name__)

# Settings that do not change what is learned, only speed and location.
_INCIDENTAL = ("output", "overwrite", "paths", "num_workers", "threads", "accelerator")
# What a run writes besides what every training does; newest.ckpt and numbered ones did 0.1.0.
_PRODUCTS = ("voice_salience.pt", "checkpoints/newest*.ckpt", "checkpoints/last-v*.ckpt")


def open_pool(pool: dict[str, Any], cache_dir: str) -> Pool:
    """Prepare the songs of a pool (see conf/train_f0.yaml)."""
    options = dict(pool.get("options") or {})
    kind = pool.get("f0", "cached")
    songs: list[PreparedSong] = []
    for seed in pool.get("performances") or [None]:
        if seed is not None:
            options["seed"] = seed
        reader = build_reader(pool["reader"], pool.get("root"), **options)
        names = [song.name for song in reader.songs()]
        chosen = select_songs(names, pool.get("songs"), "songs") or names
        prepared = prepare(reader, cache_dir, kind, songs=set(chosen))
        songs += [prepared.song(name) for name in chosen]
    singers = pool.get("singers")
    return Pool(
        tuple(songs),
        kind,
        None if singers is None else tuple(str(singer) for singer in singers),
        float(pool.get("share", 1.0)),
    )


def _open_pools(pools: DictConfig, cache_dir: str) -> list[Pool]:
    """Prepare all pools that are not null."""
    plain: Any = OmegaConf.to_container(pools, resolve=True)
    return [open_pool(pool, cache_dir) for pool in plain.values() if pool]


def _build_loader(
    dataset: SalienceMixtures, cfg: DictConfig, *, shuffle: bool
) -> DataLoader[tuple[torch.Tensor, torch.Tensor]]:
    return DataLoader(
        dataset,
        batch_size=cfg.batch_size // cfg.parts_of_batch,
        sampler=EpochSampler(len(dataset), seed=cfg.seed, shuffle=shuffle),
        num_workers=cfg.num_workers,
        persistent_workers=cfg.num_workers > 0,
        generator=torch.Generator().manual_seed(cfg.seed),
    )


def main(cfg: DictConfig) -> None:
    """Train, or continue the training that lies in `output`, and write its weights.

    Raises:
        ClaimedError: another process trains in `output`.
        OutputExistsError: `output` holds weights, or a run that cannot continue.
        UmssError: a configuration, data or a checkpoint that cannot be used.
    """
    quieten()
    output = Path(cfg.output)
    weights = output / "voice_salience.pt"
    with claim_folder(output):
        if weights.exists() and not cfg.overwrite:
            raise OutputExistsError(
                f"{weights}: exists; set overwrite=true or choose another output"
            )
        config = _describe_identity(cfg)
        checkpoint = None if cfg.overwrite else find_last_checkpoint(output, config)
        if checkpoint is not None:
            read_checkpoint(checkpoint)  # Lightning does not explain what is wrong with it
        _train(cfg, output, config, checkpoint)
        averaged = read_average(output / LAST)
        state = {k: v.half() if v.is_floating_point() else v for k, v in averaged.items()}
        with replace_when_complete(weights) as temporary:
            torch.save(state, temporary)
        log.info("wrote %s", weights)


def _describe_identity(cfg: DictConfig) -> dict[str, Any]:
    """Collect the settings that decide what is learned: a run continues only with the same."""
    config: Any = OmegaConf.to_container(cfg, resolve=True)
    return {key: value for key, value in config.items() if key not in _INCIDENTAL}


def _train(cfg: DictConfig, output: Path, config: dict[str, Any], checkpoint: Path | None) -> None:
    if cfg.batch_size % cfg.parts_of_batch:
        raise UmssError(
            f"batch_size={cfg.batch_size}: give a multiple of parts_of_batch={cfg.parts_of_batch}"
        )
    keep_freed_memory()
    if cfg.threads is not None:
        torch.set_num_threads(cfg.threads)
    pl.seed_everything(cfg.seed, workers=True, verbose=False)
    pools = _open_pools(cfg.pools, cfg.paths.cache_dir)
    held_out = _open_pools(cfg.validation, cfg.paths.cache_dir)
    variation: Variation = instantiate(cfg.variation, _convert_="all")
    settings = {"seconds": cfg.seconds, "variation": variation}
    train_set = SalienceMixtures(
        pools, n_items=cfg.batches_per_epoch * cfg.batch_size, seed=cfg.seed, **settings
    )
    val_set = SalienceMixtures(
        held_out, n_items=cfg.validation_items, seed=1, fixed=True, **settings
    )
    module = SalienceTraining(
        total_steps=cfg.epochs * cfg.batches_per_epoch,
        lr=cfg.lr,
        n_blocks=cfg.n_blocks,
        freeze_norms=cfg.freeze_norms,
    )
    if cfg.init is not None and checkpoint is None:
        start_from(module.network, VoiceSalience(cfg.init).network.state_dict())
    if cfg.overwrite:
        remove_products(output, _PRODUCTS)
    table = MetricsTable(output, name="csv")
    if checkpoint is None:
        begin_run(output, config)
        table.open_version(find_next_version(output))
    else:
        log.info("continuing from %s", checkpoint)
        table.open_version(continue_metrics(output))
    remove_remains(output)
    last = output / LAST
    trainer = pl.Trainer(
        accelerator=cfg.accelerator,
        devices=1,
        precision=cfg.precision,
        max_epochs=cfg.epochs,
        gradient_clip_val=1.0,
        accumulate_grad_batches=cfg.parts_of_batch,
        default_root_dir=output,
        logger=table,
        callbacks=[
            WarmingAverage(0.995),
            ModelCheckpoint(last.parent, filename=last.stem, enable_version_counter=False),
            RunRecord(),
        ],
        plugins=[AtomicCheckpointIO()],
        enable_model_summary=False,
    )
    trainer.fit(
        module,
        _build_loader(train_set, cfg, shuffle=True),
        _build_loader(val_set, cfg, shuffle=False),
        ckpt_path=checkpoint,
        weights_only=True,
    )


def read_average(checkpoint: Path) -> dict[str, torch.Tensor]:
    """Read the running average of the network's weights from a checkpoint, without name prefix."""
    state: dict[str, torch.Tensor] = torch.load(checkpoint, weights_only=True)["state_dict"]
    return {k.removeprefix("network."): v for k, v in state.items() if k.startswith("network.")}


if __name__ == "__main__":
    launch("train-f0")
