"""A choir and a model so small that training them takes seconds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import soundfile as sf
import torch
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, open_dict

from src.models.lit import SupervisedTraining, UnsupervisedTraining

ROOT = Path(__file__).parents[1]
F0 = {"soprano": 520.0, "alto": 390.0, "tenor": 260.0, "bass": 130.0}
ESTIMATOR = {"encoder_width": 8, "latent": 8, "decoder_width": 8}


def write_choir(root: Path, seconds: int = 3) -> Path:
    """Two songs of four voices with harmonics and vibrato, in the layout of reader `folder`."""
    t = np.arange(seconds * 16_000) / 16_000
    for s, song in enumerate(("one", "two")):
        (root / song).mkdir(parents=True)
        for j, (part, base) in enumerate(F0.items()):
            f0 = base * 2 ** ((t // 1 * 2 + s) / 12) * (1 + 0.005 * np.sin(2 * np.pi * 5 * t + j))
            phase = 2 * np.pi * np.cumsum(f0) / 16_000
            voice = 0.1 * sum(np.sin(i * phase) / i for i in range(1, 9))
            sf.write(root / song / f"{part}.wav", voice, 16_000)
    return root


def overrides(choir: Path, output: Path, *more: str) -> list[str]:
    """Command-line overrides for a training in seconds, prepared data beside the choir."""
    estimator = [f"model.estimator.{key}={value}" for key, value in ESTIMATOR.items()]
    return [
        "data=folder",
        "matmul_precision=highest",
        f"data.root={choir}",
        "data.split.full.train=[one]",
        "data.split.full.val=[two]",
        "data.excerpt_seconds=1",
        "data.batch_size=2",
        "data.progress=false",
        f"paths.cache_dir={choir.parent / 'prepared'}",
        "model.voice.order=6",
        "model.fft_sizes=[512,128]",
        *estimator,
        "trainer=cpu",
        "threads=1",
        f"output={output}",
        *more,
    ]


def compose_config(name: str, changes: list[str], output: Path | None = None) -> DictConfig:
    """A configuration as an entry point gets it."""
    GlobalHydra.instance().clear()
    with initialize_config_dir(version_base="1.3", config_dir=str(ROOT / "conf")):
        cfg = compose(name, changes, return_hydra_config=True)
    with open_dict(cfg):
        cfg.hydra.runtime.output_dir = str(output or "unused")
    HydraConfig.instance().set_config(cfg)
    with open_dict(cfg):
        del cfg["hydra"]
    return cfg


def tiny_model(
    kind: str = "us", *, voice: dict[str, Any] | None = None, **options: Any
) -> UnsupervisedTraining | SupervisedTraining:
    """US or SV model with a small network."""
    cls = {"us": UnsupervisedTraining, "sv": SupervisedTraining}[kind]
    return cls(
        voice={"order": 6, **(voice or {})},
        estimator=dict(ESTIMATOR),
        fft_sizes=(512, 128),
        **options,
    )


def tiny_checkpoint(folder: Path, **voice: Any) -> Path:
    """File of a small US model with its initial weights."""
    torch.manual_seed(0)
    model = tiny_model(voice=voice)
    path = folder / "best.ckpt"
    torch.save({"state_dict": model.state_dict(), "hyper_parameters": dict(model.hparams)}, path)
    return path


class RankWeights(pl.Callback):
    """Saves the final weights of every process."""

    def __init__(self, folder: str) -> None:
        self.folder = Path(folder)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        torch.save(pl_module.state_dict(), self.folder / f"rank{trainer.global_rank}.pt")
