"""Weights & Biases (W&B): a logger that never waits for input, and media to log."""

from __future__ import annotations

import netrc
import os
import sys
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pandas as pd
import pytorch_lightning as pl
import torch
from pytorch_lightning.loggers import WandbLogger
from pytorch_lightning.utilities import rank_zero_only
from torch import Tensor

from ..baselines.masks import CombSeparator
from ..dsp.stft import apply_masks, soft_masks, stft
from ..errors import UmssError
from ..files import write_text
from ..metrics.frames import SILENCE_ENERGY, cut_one_second_frames, frame_energy, si_sdr
from ..plots import draw_spectrogram

COLUMNS = ("epoch", "song", "mixture", "excerpt", "voice", "singer", "si_sdr", "si_sdr_comb")


def is_logged_in() -> bool:
    """Whether there are W&B credentials, checked without network or prompt.

    Looks at WANDB_API_KEY, WANDB_IDENTITY_TOKEN_FILE and the netrc file that `wandb login` writes.
    """
    if os.environ.get("WANDB_API_KEY") or os.environ.get("WANDB_IDENTITY_TOKEN_FILE"):
        return True
    host = urlsplit(os.environ.get("WANDB_BASE_URL", "https://api.wandb.ai")).netloc
    chosen = os.environ.get("NETRC")
    files = [Path(chosen)] if chosen else [Path.home() / ".netrc", Path.home() / "_netrc"]
    for file in files:
        try:
            if netrc.netrc(file).authenticators(host):
                return True
        except (OSError, netrc.NetrcParseError):
            continue
    return False


def choose_mode() -> dict[str, Any]:
    """Choose the argument `mode` of `wandb.init`; empty if WANDB_MODE decides.

    Raises:
        UmssError: WANDB_MODE=online without credentials.
    """
    mode = os.environ.get("WANDB_MODE")
    if mode == "online" and not is_logged_in():
        raise UmssError(
            "WANDB_MODE=online, but you are not logged in; run `wandb login`, set WANDB_API_KEY, "
            "or unset WANDB_MODE to log offline"
        )
    return {} if mode is not None else {"mode": "online" if is_logged_in() else "offline"}


def build_logger(
    save_dir: str | Path, *, project: str = "umss", name: str | None = None, **options: Any
) -> WandbLogger:
    """Build a logger that works offline unless the user is logged in or WANDB_MODE is set.

    A run that continues in `save_dir` keeps its W&B identity. Offline runs are written to
    `save_dir`/wandb; `wandb sync` uploads them.

    Args:
        save_dir: folder of the run.
        project: W&B project; WANDB_PROJECT takes precedence.
        name: name of the run.
        options: more arguments of `wandb.init`, e.g. `group`, `entity`, `tags`.

    Raises:
        UmssError: WANDB_MODE=online without credentials.
    """
    options |= choose_mode()
    identity = None
    if getattr(rank_zero_only, "rank", 0) == 0:
        file = Path(save_dir) / "wandb" / "run_id"
        if not file.is_file():
            write_text(file, uuid.uuid4().hex[:8] + "\n")
        identity = file.read_text(encoding="utf-8").strip()
    return WandbLogger(
        name=name,
        save_dir=save_dir,
        project=os.environ.get("WANDB_PROJECT", project),
        id=identity,
        **options,
    )


def finish_runs(*, failed: bool = False) -> None:
    """Close the W&B run of this job, if there is one, so that the next job opens its own."""
    wandb = sys.modules.get("wandb")  # None if W&B was never imported
    if wandb is not None and wandb.run is not None:
        wandb.finish(exit_code=int(failed))


def log_report(folder: Path, *, project: str = "umss", name: str | None = None) -> None:
    """Send a report (see `src.reporting`) to W&B as a run of its own, of job type "report".

    Every CSV file becomes a table, every PNG an image, and the page is shown as it is.

    Args:
        folder: folder of the report; the run's files go to its subfolder "wandb".
        project: W&B project; WANDB_PROJECT takes precedence.
        name: name of the run; by default the folder's.

    Raises:
        UmssError: WANDB_MODE=online without credentials.
    """
    import wandb

    content: dict[str, Any] = {}
    for file in sorted(folder.rglob("*.csv")):
        content[f"tables/{file.stem}"] = wandb.Table(dataframe=pd.read_csv(file))
    for file in sorted(folder.rglob("*.png")):
        content[f"figures/{file.stem}"] = wandb.Image(str(file))
    for file in sorted(folder.glob("*.html")):
        content[file.stem] = wandb.Html(file.read_text(encoding="utf-8"))
    run = wandb.init(
        project=os.environ.get("WANDB_PROJECT", project),
        name=name or folder.name,
        group="report",
        job_type="report",
        dir=folder,
        **choose_mode(),
    )
    run.log(content)
    finish_runs()


class MediaLogger(pl.Callback):
    """Logs pictures, sounds and scores of the first validation excerpts to W&B.

    Logs, every `every_n_epochs` epochs: spectrograms with F0 tracks (mixture, resynthesised
    mixture, every synthesised source), sounds (the same, and every masked estimate) and a table
    with the SI-SDR of every masked estimate, beside that of the comb, if there are stems. Without a
    W&B logger it does nothing. It draws no random numbers, so training is the same with and without
    it.

    Args:
        every_n_epochs: interval in epochs; the first epoch is always logged.
        n_mixtures: number of excerpts of the first validation batch.

    Raises:
        UmssError: a number below 1.
    """

    def __init__(self, *, every_n_epochs: int = 25, n_mixtures: int = 1) -> None:
        if every_n_epochs < 1 or n_mixtures < 1:
            raise UmssError("callbacks.media: every_n_epochs and n_mixtures must be at least 1")
        self.every_n_epochs = every_n_epochs
        self.n_mixtures = n_mixtures

    @rank_zero_only
    def on_validation_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: dict[str, Any],
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        loggers = [entry for entry in trainer.loggers if isinstance(entry, WandbLogger)]
        due = batch_idx == 0 and trainer.current_epoch % self.every_n_epochs == 0
        if not loggers or not due or trainer.sanity_checking:
            return
        first = {key: value[: self.n_mixtures] for key, value in batch.items()}
        content = build_media(pl_module, first, trainer.current_epoch)
        step = max(0, trainer.global_step - 1)  # where Lightning puts the losses of this epoch
        for entry in loggers:
            entry.experiment.log({**content, "trainer/global_step": step})


@torch.no_grad()
def build_media(model: torch.nn.Module, batch: dict[str, Any], epoch: int) -> dict[str, Any]:
    """Build W&B objects for a batch (see `src.data.datamodule`) by name, e.g. "audio/0/mixture".

    Args:
        model: maps mixture [B, T], F0 [B, J, N] (Hz) and seed [B] to (sources [B, J, T],
            parameters).
        batch: a small batch; all of its excerpts are logged.
        epoch: number of the epoch, for the table.
    """
    import wandb  # takes a second, so only on use

    synthesised, _ = model(batch["mixture"], batch["f0"], batch["seed"])
    synthesised = synthesised.float()
    mixture = batch["mixture"].float()
    estimates = apply_masks(mixture, soft_masks(stft(synthesised).abs()))
    comb = CombSeparator()(mixture.cpu(), batch["f0"].float().cpu(), seed=batch["seed"].cpu())
    content: dict[str, Any] = {}
    if "sources" in batch:
        table = tabulate_scores(batch, estimates, comb.sources, epoch)
        content["media/separation"] = wandb.Table(columns=list(COLUMNS), data=table)
    for b, voices in enumerate(batch["parts"]):
        f0 = batch["f0"][b].float().cpu().numpy()
        where = f"{batch['song'][b]}, {batch['mixture_name'][b]}, epoch {epoch}"
        resynthesised = synthesised[b].sum(dim=0)
        pictures = {
            "mixture": (mixture[b], f0, voices),
            "resynthesised": (resynthesised, f0, voices),
        } | {v: (synthesised[b, j], f0[j : j + 1], (v,)) for j, v in enumerate(voices)}
        sounds = {
            "mixture": mixture[b],
            "resynthesised": resynthesised,
            **{f"{v}_synthesised": synthesised[b, j] for j, v in enumerate(voices)},
            **{f"{v}_masked": estimates[b, j] for j, v in enumerate(voices)},
        }
        for name, (signal, tracks, names) in pictures.items():
            content[f"spectrogram/{b}/{name}"] = wandb.Image(
                _draw_picture(signal, tracks, names, f"{name}: {where}"), file_type="png"
            )
        for name, signal in sounds.items():
            samples = signal.float().cpu().numpy()
            # W&B writes integers, in which samples above full scale would wrap around.
            samples = samples / max(1.0, float(np.abs(samples).max()))
            content[f"audio/{b}/{name}"] = wandb.Audio(samples, sample_rate=16_000, caption=where)
    return content


def tabulate_scores(
    batch: dict[str, Any], estimates: Tensor, comb: Tensor, epoch: int
) -> list[list[Any]]:
    """Tabulate the mean SI-SDR (dB) of audible frames, one row (`COLUMNS`) per mixture and voice.

    Args:
        batch: a batch with `sources` [B, J, T].
        estimates, comb: [B, J, T].
        epoch: first column.
    """
    target = batch["sources"].float().cpu()
    peak = batch["full_mix_peak"].float().cpu().unsqueeze(-1)
    sounding = frame_energy(target, peak) >= SILENCE_ENERGY
    frames = cut_one_second_frames(target)
    scores = [si_sdr(cut_one_second_frames(e.float().cpu()), frames) for e in (estimates, comb)]
    rows: list[list[Any]] = []
    for b, voices in enumerate(batch["parts"]):
        for j, voice in enumerate(voices):
            kept = sounding[b, j]
            values = [float(s[b, j][kept].mean()) if kept.any() else None for s in scores]
            excerpt = int(batch["excerpt"][b])
            singer = batch["singers"][b][j]
            name = batch["mixture_name"][b]
            rows.append([epoch, batch["song"][b], name, excerpt, voice, singer, *values])
    return rows


def _draw_picture(
    signal: Tensor, tracks: np.ndarray, names: Sequence[str], title: str
) -> np.ndarray:
    """Draw a spectrogram as RGB image [height, width, 3]."""
    figure = draw_spectrogram(signal.cpu().numpy(), 16_000, tracks, names=names, title=title)
    figure.canvas.draw()
    return np.asarray(figure.canvas.buffer_rgba())[..., :3]  # type: ignore[attr-defined]
