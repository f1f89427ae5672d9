"""LightningModules: unsupervised and supervised training of the source-filter separator."""

from __future__ import annotations

import inspect
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

import pytorch_lightning as pl
import torch
from torch import Tensor
from torch.nn.utils import get_total_norm

from src.dsp.separation_loss import separation_loss
from src.dsp.spectral_loss import FFT_SIZES, multi_scale_spectral_loss
from src.dsp.stft import soft_masks, stft
from src.models.estimator import ParameterEstimator
from src.models.source_filter import SourceFilterVoice

Batch = dict[str, Any]


class TrainingDivergedError(FloatingPointError):
    """The loss is no longer a finite number."""


class CheckpointError(ValueError):
    """A checkpoint that cannot be used; the message names the file and the remedy."""


# Steps on an accelerator between two looks at losses and gradients: each look waits for the device.
_CHECK_EVERY = 50

# A hyper-parameter that one kind of model alone has, and the separator that takes such models.
_SEPARATORS = {"salience": "fd", "voice": "umss", "unet": "unet"}


class SeparationTraining(pl.LightningModule):
    """What every training of a separator shares: steps, learning rate, and notice of divergence.

    A subclass saves the hyper-parameters `lr`, `weight_decay`, `lr_decay` and `lr_decay_epochs`,
    and computes the loss of a batch in `_step`.
    """

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


Trained = TypeVar("Trained", bound=SeparationTraining)


def load_module(path: str | Path, kind: type[Trained], *, experiment: str) -> Trained:
    """Rebuild a trained model from a checkpoint file.

    Only tensors and plain values are read: no code stored in the file is executed, and the class to
    build is chosen by the caller, not by the file.

    Args:
        path: file written by `python -m src.train`.
        kind: class to build.
        experiment: an experiment that trains one, for the message.

    Raises:
        CheckpointError: missing file, not a checkpoint, or one of another model.
    """
    hyper_parameters, state = _read(Path(path), experiment, "separator.checkpoint")
    try:
        model = kind(**hyper_parameters)
        model.load_state_dict(state)
    except (TypeError, ValueError, RuntimeError) as error:
        raise CheckpointError(
            f"{path}: the checkpoint holds another kind of model ({error})"
            f"{_right_separator(hyper_parameters, kind)}"
        ) from error
    return model.eval().requires_grad_(False)


def _read(path: Path, experiment: str, field: str) -> tuple[Any, Any]:
    """Hyper-parameters and weights of a checkpoint file, named by a field of the configuration."""
    if not path.is_file():
        raise CheckpointError(
            f"{path}: no such checkpoint; train one with `python -m src.train "
            f"experiment={experiment}` or set {field}"
        )
    try:
        content: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        hyper_parameters = content["hyper_parameters"]
        state = content["state_dict"]
    except Exception as error:  # torch.load raises half a dozen kinds for files it does not know
        raise CheckpointError(
            f"{path}: not a checkpoint of this program ({type(error).__name__}); "
            "use a .ckpt file written by `python -m src.train`"
        ) from error
    return hyper_parameters, state


def begin_with(model: SeparationTraining, path: str | Path) -> None:
    """Give a model the weights of a checkpoint file, of US, SV or any other training.

    Raises:
        CheckpointError: missing file, not a checkpoint, or weights of another network.
    """
    _, state = _read(Path(path), "us_small", "init")
    try:
        model.load_state_dict(state)
    except (TypeError, RuntimeError) as error:
        raise CheckpointError(
            f"init={path}: holds the weights of another network ({error}); choose the model that "
            "it was trained with (model=..., model.estimator, model.voice)"
        ) from error


def _right_separator(hyper_parameters: Any, kind: type) -> str:
    """What to add to the message if the checkpoint fits a separator that we know."""
    expected = inspect.signature(kind).parameters
    for name, separator in _SEPARATORS.items():
        if isinstance(hyper_parameters, dict) and name in hyper_parameters.keys() - expected.keys():
            return f"; use it with separator={separator}"
    return ""


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

    Raises:
        ValueError: a mask weight without stems to hold the masks against.
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
    ) -> None:
        super().__init__()
        if mask_weight < 0 or (mask_weight and isinstance(self, UnsupervisedTraining)):
            raise ValueError(
                f"model.mask_weight={mask_weight}: must be 0 or more, and 0 without supervision"
            )
        # Hyper-parameters stay plain Python, so that checkpoints load without unpickling code.
        self.save_hyperparameters()
        self.voice = SourceFilterVoice(**(voice or {}))
        self.estimator = ParameterEstimator(self.voice.controls, **(estimator or {}))

    def forward(
        self, mixture: Tensor, f0: Tensor, seed: Tensor
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Synthesised sources [B, J, T] and their parameters by name."""
        return self.render(f0, self.estimator(mixture, f0), seed, mixture.shape[-1])

    def render(
        self, f0: Tensor, controls: dict[str, Tensor], seed: Tensor, n_samples: int
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Sources [B, J, T] of the estimator's parameters, and these as they were used."""
        # The synthesis needs full precision whatever the network runs in.
        with torch.autocast(f0.device.type, enabled=False):
            controls = {
                name: value if value.dtype == torch.float64 else value.float()
                for name, value in controls.items()
            }
            return self.voice(f0, controls, seed, n_samples), controls

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

    def loss(self, sources: Tensor, batch: Batch) -> Tensor:
        loss = multi_scale_spectral_loss(
            sources.flatten(0, 1),
            batch["sources"].flatten(0, 1),
            fft_sizes=self.hparams["fft_sizes"],
        )
        weight: float = self.hparams["mask_weight"]
        if weight:
            masks = soft_masks(stft(sources).abs(), power=2.0)
            separation = separation_loss(masks, stft(batch["mixture"]), stft(batch["sources"]))
            loss = loss + weight * separation
        return loss
