"""LightningModules: unsupervised and supervised training of the source-filter separator."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor
from torch.nn.utils import get_total_norm

from ..dsp.separation_loss import separation_loss
from ..dsp.spectral_loss import FFT_SIZES, multi_scale_spectral_loss
from ..dsp.stft import soft_masks, stft
from ..errors import TrainingDivergedError, UmssError
from .source_filter_model import SourceFilterModel, render_voices

Batch = dict[str, Any]


# Steps on an accelerator between two looks at losses and gradients: each look waits for the device.
_CHECK_EVERY = 50


class SeparationTraining(pl.LightningModule):
    """What every training of a separator shares: steps, learning rate, and notice of divergence.

    A subclass saves the hyper-parameters `lr`, `weight_decay`, `lr_decay` and `lr_decay_epochs`,
    and computes the loss of a batch in `_step`.

    Attributes:
        needs_sources: whether it learns from single voices, so that mixtures are not enough.
    """

    needs_sources = False

    def __init__(self) -> None:
        super().__init__()
        self._unseen: list[tuple[str, Tensor]] = []

    def _step(self, batch: Batch) -> Tensor:
        """Loss of a batch."""
        raise NotImplementedError

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        loss = self._step(batch)
        self._check("training loss", loss)
        self.log(
            "train/loss",
            loss,
            on_step=False,
            on_epoch=True,
            sync_dist=True,
            batch_size=len(batch["mixture"]),
            prog_bar=True,
        )
        return loss

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        loss = self._step(batch)
        self._check("validation loss", loss)
        self.log(
            "val/loss",
            loss,
            sync_dist=True,
            batch_size=len(batch["mixture"]),
            prog_bar=True,
        )

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        norm = get_total_norm(p.grad for p in self.parameters() if p.grad is not None)
        # Before the step: it would carry the NaN into the weights, and those into the checkpoint.
        self._check("gradient", norm)
        self._log_epoch("train/gradient_norm", norm)

    def on_train_epoch_end(self) -> None:
        # Lightning writes checkpoints after this hook.
        self._look()

    def on_train_epoch_start(self) -> None:
        # A function of the epoch alone: Lightning steps its schedulers only after the checkpoint of
        # an epoch is written, so that a run continued from one would miss a step.
        h = self.hparams
        lr = h["lr"] * h["lr_decay"] ** (self.current_epoch // h["lr_decay_epochs"])
        optimizer = self.optimizers()
        assert not isinstance(optimizer, list)
        for group in optimizer.param_groups:
            group["lr"] = lr
        self._log_epoch("train/lr", lr)

    def _check(self, what: str, value: Tensor) -> None:
        """Stop if the value is not finite; on an accelerator, some steps later."""
        self._unseen.append((what, value.detach()))
        if value.device.type == "cpu" or len(self._unseen) >= _CHECK_EVERY:
            self._look()

    def _look(self) -> None:
        unseen, self._unseen = self._unseen, []
        if not unseen:
            return
        for (what, _), value in zip(
            unseen, torch.stack([value for _, value in unseen]).tolist(), strict=True
        ):
            if not math.isfinite(value):
                raise TrainingDivergedError(
                    f"the {what} became {value} in epoch {self.current_epoch + 1}; run again "
                    "with a lower trainer.gradient_clip_val to continue from the last checkpoint, "
                    "or with a lower model.lr and overwrite=true to start afresh"
                )

    def _log_epoch(self, name: str, value: Tensor | float) -> None:
        self.log(name, value, on_step=False, on_epoch=True, sync_dist=True, batch_size=1)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        h = self.hparams
        return torch.optim.Adam(
            self.parameters(),
            lr=h["lr"],
            weight_decay=h["weight_decay"],
            fused=self.device.type == "cuda",
        )


class SourceFilterTraining(SeparationTraining):
    """Estimator and voices, with everything that their trainings share.

    Batches are dictionaries with `mixture` [B, T], `f0` [B, J, N] in Hz, `seed` [B] and, for
    supervised training, `sources` [B, J, T]; J may differ from batch to batch.

    Args:
        voice: keyword arguments of `SourceFilterVoice`, plain numbers and strings.
        estimator: keyword arguments of `ParameterEstimator`.
        lr: learning rate of Adam.
        weight_decay: L2 penalty.
        lr_decay: factor on the learning rate every `lr_decay_epochs` epochs.
        lr_decay_epochs: see above.
        fft_sizes: scales of the spectral loss.
        mask_weight: weight of the separation itself (`src.dsp.separation_loss`, with power masks),
            per dB; supervised training only.
        sum_over_sources: whether the supervised loss is the sum over the voices (the paper) or
            their mean (its released code).

    Raises:
        ValueError: a mask weight, or a sum over voices, without stems to hold them against.
    """

    def __init__(
        self,
        *,
        voice: dict[str, Any] | None = None,
        estimator: dict[str, Any] | None = None,
        lr: float = 1e-4,
        weight_decay: float = 1e-5,
        lr_decay: float = 0.98,
        lr_decay_epochs: int = 200,
        fft_sizes: Sequence[int] = FFT_SIZES,
        mask_weight: float = 0.0,
        sum_over_sources: bool = False,
    ) -> None:
        super().__init__()
        if sum_over_sources and isinstance(self, UnsupervisedTraining):
            raise UmssError(
                "model.sum_over_sources=true: there are no single voices without supervision; set "
                "it with model=sv only"
            )
        if mask_weight < 0 or (mask_weight and isinstance(self, UnsupervisedTraining)):
            raise UmssError(
                f"model.mask_weight={mask_weight}: must be 0 or more, and 0 without supervision"
            )
        # Hyper-parameters stay plain Python, so that checkpoints load without unpickling code.
        self.save_hyperparameters()
        model = SourceFilterModel(voice=voice, estimator=estimator, fft_sizes=fft_sizes)
        # Under these names the weights stand in checkpoints.
        self.voice, self.estimator = model.voice, model.estimator

    def forward(
        self, mixture: Tensor, f0: Tensor, seed: Tensor
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Synthesised sources [B, J, T] and their parameters by name."""
        return self.render(f0, self.estimator(mixture, f0), seed, mixture.shape[-1])

    def render(
        self, f0: Tensor, controls: dict[str, Tensor], seed: Tensor, n_samples: int
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """See `src.models.source_filter_model.render_voices`."""
        return render_voices(self.voice, f0, controls, seed, n_samples)

    def loss(self, sources: Tensor, batch: Batch) -> Tensor:
        """Distance between synthesised sources [B, J, T] and what the batch offers."""
        raise NotImplementedError

    def _step(self, batch: Batch) -> Tensor:
        sources, _ = self(batch["mixture"], batch["f0"], batch["seed"])
        return self.loss(sources, batch)


class UnsupervisedTraining(SourceFilterTraining):
    """US: the sum of the voices must sound like the mixture (paper eq. 12-14); no stems needed."""

    def loss(self, sources: Tensor, batch: Batch) -> Tensor:
        return multi_scale_spectral_loss(
            sources.sum(dim=1), batch["mixture"], fft_sizes=self.hparams["fft_sizes"]
        )


class SupervisedTraining(SourceFilterTraining):
    """SV: every voice must sound like its own stem; the paper's upper reference for US."""

    needs_sources = True

    def loss(self, sources: Tensor, batch: Batch) -> Tensor:
        loss = multi_scale_spectral_loss(
            sources.flatten(0, 1),
            batch["sources"].flatten(0, 1),
            fft_sizes=self.hparams["fft_sizes"],
        )
        if self.hparams["sum_over_sources"]:
            loss = loss * sources.shape[1]
        weight: float = self.hparams["mask_weight"]
        if weight:
            masks = soft_masks(stft(sources).abs(), power=2.0)
            separation = separation_loss(masks, stft(batch["mixture"]), stft(batch["sources"]))
            loss = loss + weight * separation
        return loss
