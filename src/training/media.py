"""Sounds, pictures and scores of fixed validation excerpts on a W&B page."""

from __future__ import annotations

import tempfile
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import pytorch_lightning as pl
import soundfile as sf
from pytorch_lightning.utilities import rank_zero_only
from torch import Tensor

from ..data.items import Item, collate
from ..data.readers.base import RATE
from ..errors import UmssError
from ..plots import draw_spectrogram, save_figure
from .excerpts import MIXTURE, Track, separate_excerpt
from .growing_table import GrowingTable
from .wandb_logging import RunLogger, keep_uploads

TABLE = "media/excerpts"
SCORES = "val/si_sdr_excerpts"
COMB_SCORES = "val/si_sdr_comb_excerpts"
COLUMNS = (
    "epoch", "step", "song", "mixture", "excerpt", "voice", "singer", "audio", "picture",
    "si_sdr", "si_sdr_comb",
)  # fmt: skip


class MediaLogger(pl.Callback):
    """Logs sounds, pictures and scores of the first validation excerpts to W&B.

    One table, `media/excerpts`, gets a row for every voice of every excerpt, with the masked
    estimate, its spectrogram with the F0 track, and its SI-SDR beside the comb's; a row for the
    resynthesised mixture; and, once, one for the mixture, which does not change. The means over the
    excerpts are curves (`val/si_sdr_excerpts/VOICE`, `val/si_sdr_comb_excerpts/VOICE`). Without a
    W&B logger it does nothing. It draws no random numbers, so training is the same with and without
    it.

    Args:
        every_n_epochs: interval in epochs; the first epoch is always logged.
        n_mixtures: number of excerpts, from the first of the validation set on.

    Raises:
        UmssError: a number below 1.
    """

    def __init__(self, *, every_n_epochs: int = 25, n_mixtures: int = 1) -> None:
        if every_n_epochs < 1 or n_mixtures < 1:
            raise UmssError("callbacks.media: every_n_epochs and n_mixtures must be at least 1")
        self.every_n_epochs = every_n_epochs
        self.n_mixtures = n_mixtures
        self._table: GrowingTable | None = None
        self._state: dict[str, Any] = {}

    def state_dict(self) -> dict[str, Any]:
        return self._state if self._table is None else self._table.state_dict()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._state = state_dict

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
        # Within the validation, where the model has its averaged weights.
        loggers = [entry for entry in trainer.loggers if isinstance(entry, RunLogger)]
        due = batch_idx == 0 and trainer.current_epoch % self.every_n_epochs == 0
        if not loggers or not due or trainer.sanity_checking:
            return
        table = self._table
        if table is None:
            table = self._table = build_table()
            table.load_state_dict(self._state)
        data = trainer.datamodule.val_set  # type: ignore[attr-defined]
        items: list[Item] = [data[k] for k in range(min(self.n_mixtures, len(data)))]
        tracks = []
        for item in items:
            converted = trainer.precision_plugin.convert_input(collate([item]))
            tracks.append(separate_excerpt(pl_module, trainer.strategy.batch_to_device(converted)))
        epoch = trainer.current_epoch
        step = max(0, trainer.global_step - 1)  # where Lightning puts the losses of this epoch
        for entry in loggers:
            run = entry.experiment
            with tempfile.TemporaryDirectory() as folder, keep_uploads(entry.folder):
                rows = [
                    [epoch, step, *cells]
                    for item, excerpt in zip(items, tracks, strict=True)
                    for cells in fill_rows(
                        item,
                        (t for t in excerpt if t.voice != MIXTURE or table.is_empty(run)),
                        Path(folder),
                        label=f"epoch {epoch}",
                    )
                ]
                scores = average_scores(tracks)
                table.log(run, rows, **scores, **{"trainer/global_step": step})


def build_table() -> GrowingTable:
    """Build the table, whose columns keep their types also where a cell is empty."""
    import wandb  # takes a second, so only on use

    kinds: dict[str, Any] = dict.fromkeys(COLUMNS, str)
    kinds |= dict.fromkeys(("epoch", "step", "excerpt"), int)
    kinds |= dict.fromkeys(("si_sdr", "si_sdr_comb"), float)
    return GrowingTable(TABLE, kinds | {"audio": wandb.Audio, "picture": wandb.Image})


def fill_rows(
    item: Item, tracks: Iterable[Track], folder: Path, *, label: str
) -> Iterable[list[Any]]:
    """Fill the rows of an excerpt, from the column "song" on.

    Args:
        item: the excerpt.
        tracks: its sounds.
        folder: an empty one for media, which W&B copies from there when the table is logged.
        label: for the titles of pictures.
    """
    import wandb

    place = [item["song"], item["mixture_name"], item["excerpt"]]
    for track in tracks:
        # Two excerpts may be alike in everything but the song, which may be any text.
        name = f"{len(list(folder.iterdir())):03d}_{track.voice.replace('/', '-')}"
        sound, picture = folder / f"{name}.wav", folder / f"{name}.png"
        sf.write(sound, _limit(track.samples), RATE)
        title = f"{track.voice}: {place[0]}, {place[1]}, excerpt {place[2]}, {label}"
        samples, f0 = track.samples.numpy(), track.f0.numpy()
        save_figure(picture, draw_spectrogram(samples, RATE, f0, names=track.names, title=title))
        yield [
            *place,
            track.voice,
            track.singer,
            wandb.Audio(str(sound), caption=title),
            wandb.Image(str(picture)),
            track.si_sdr,
            track.si_sdr_comb,
        ]


def average_scores(excerpts: Iterable[Iterable[Track]]) -> dict[str, float]:
    """Average the scores of every voice over the excerpts, by the names of the curves."""
    scores: dict[str, list[float]] = defaultdict(list)
    for track in (track for excerpt in excerpts for track in excerpt):
        if track.si_sdr is not None and track.si_sdr_comb is not None:
            scores[f"{SCORES}/{track.voice}"].append(track.si_sdr)
            scores[f"{COMB_SCORES}/{track.voice}"].append(track.si_sdr_comb)
    return {name: fmean(values) for name, values in scores.items()}


def _limit(samples: Tensor) -> np.ndarray:
    """Samples within full scale: files of integers would clip what is above."""
    values = samples.float().numpy()
    return values / max(1.0, float(np.abs(values).max()))
