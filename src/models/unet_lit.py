"""Training of the U-Net baseline, and the trained U-Net as a separator."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..dsp.noise import uniform_noise
from ..dsp.stft import istft, soft_masks, stft
from ..dsp.tracks import resample_f0
from ..errors import UmssError
from ..separator import MASK_POWERS, Estimate, Separator
from .lit import Batch, SeparationTraining
from .loading import load_module
from .unet import ConditionedUnet


class UnetTraining(SeparationTraining):
    """Supervised training of the U-Net: masked magnitudes must equal those of the target.

    A training item is one voice of a mixture, drawn by the item's seed, as is its dropout: nothing
    depends on what was drawn before, so that a run continued from a checkpoint is the same run.
    Validation takes every voice of every mixture as the target once, without dropout.

    Batches are dictionaries with `mixture` [B, T], `sources` [B, J, T], `f0` [B, J, N] in Hz and
    `seed` [B]; J may differ from batch to batch.

    Args:
        unet: keyword arguments of `ConditionedUnet`, plain numbers, strings and lists.
        lr: learning rate of Adam.
        weight_decay: L2 penalty.
        lr_decay: factor on the learning rate every `lr_decay_epochs` epochs.
        lr_decay_epochs: see above.
    """

    def __init__(
        self,
        *,
        unet: dict[str, Any] | None = None,
        lr: float = 1e-3,
        weight_decay: float = 0.0,
        lr_decay: float = 0.98,
        lr_decay_epochs: int = 200,
    ) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.unet = ConditionedUnet(**(unet or {}))

    def spectrum(self, signal: Tensor) -> Tensor:
        """Complex STFT [..., F, N] of signals [..., T]."""
        return stft(signal, n_fft=self.unet.n_fft, hop=self.unet.hop)

    def masks(self, magnitudes: Tensor, f0: Tensor) -> Tensor:
        """One mask per voice, each estimated for itself; they need not sum to one.

        Shape:
            - magnitudes: [B, F, N] of the mixtures
            - f0: [B, J, frames] Hz
            - output: [B, J, F, N], 0 to 1
        """
        n_sources = f0.shape[1]
        repeated = magnitudes.repeat_interleave(n_sources, dim=0)
        masks: Tensor = self.unet(repeated, extend_f0(f0.flatten(0, 1), magnitudes.shape[-1]))
        return masks.unflatten(0, (len(f0), n_sources))

    def forward(
        self, mixture: Tensor, f0: Tensor, seed: Tensor
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The mixtures [B, T] through the mask of every voice, [B, J, T], and no parameters.

        Nothing is drawn; `seed` is there because every model of this program takes one.
        """
        spectrum = self.spectrum(mixture)
        filtered = self.masks(spectrum.abs(), f0) * spectrum.unsqueeze(1)
        n_samples = mixture.shape[-1]
        return istft(filtered, n_samples, n_fft=self.unet.n_fft, hop=self.unet.hop), {}

    def loss(self, masked: Tensor, target: Tensor) -> Tensor:
        """L1 distance of masked and target magnitudes, mean over bins and frames."""
        return (masked - target).abs().mean()

    def _step(self, batch: Batch) -> Tensor:
        magnitudes = self.spectrum(batch["mixture"]).abs()
        if not self.training:
            masked = self.masks(magnitudes, batch["f0"]) * magnitudes.unsqueeze(1)
            return self.loss(masked, self.spectrum(batch["sources"]).abs())
        layers, maps = self.unet.n_draws
        draws = uniform_noise(batch["seed"], 1 + layers, max(maps, 1))
        target = choose_targets(draws[:, 0, 0], batch["f0"].shape[1])
        items = torch.arange(len(target), device=target.device)
        f0 = extend_f0(batch["f0"][items, target], magnitudes.shape[-1])
        masks = self.unet(magnitudes, f0, draws[:, 1:])
        return self.loss(masks * magnitudes, self.spectrum(batch["sources"][items, target]).abs())


def choose_targets(draws: Tensor, n_sources: int) -> Tensor:
    """Uniform numbers in [-1, 1) to indices 0 ... n_sources - 1, all equally likely."""
    return (0.5 * (draws + 1.0) * n_sources).long().clamp(max=n_sources - 1)


def extend_f0(f0: Tensor, n_frames: int) -> Tensor:
    """F0 [..., N] for the frames of the centred STFT, which may have one more; it repeats the last.

    Raises:
        ValueError: a number of frames that belongs to another recording.
    """
    if f0.shape[-1] not in (n_frames, n_frames - 1):
        raise UmssError(
            f"f0 must have {n_frames - 1} or {n_frames} frames for a spectrogram of {n_frames}, "
            f"got {f0.shape[-1]}"
        )
    return resample_f0(f0, n_frames)


class UnetSeparator(Separator):
    """Wiener masks from the magnitudes that a trained U-Net estimates for every voice.

    Args:
        checkpoint: file written by `umss train`.
        mask: "magnitude" or "power".
        device: where to compute, "cpu" or "cuda".

    Raises:
        CheckpointError: the checkpoint cannot be used.
    """

    n_fft = 1024
    mask_hop = 256

    def __init__(
        self, checkpoint: str | Path, *, mask: str = "magnitude", device: str = "cpu"
    ) -> None:
        super().__init__(mask=mask, device=device)
        self.model = load_module(checkpoint, UnetTraining, experiment="unet_small").to(self.device)
        self.n_fft = self.model.unet.n_fft
        self.mask_hop = self.hop = self.model.unet.hop

    def estimate(
        self, mixture: Tensor, f0: Tensor, seed: Tensor, sources: Tensor | None
    ) -> Estimate:
        magnitudes = self.model.spectrum(mixture.to(self.device)).abs()
        estimates = self.model.masks(magnitudes, f0.to(self.device))
        # The mixture's magnitude, a factor of every estimate, cancels in the masks.
        masks = soft_masks(estimates, power=MASK_POWERS[self.mask])
        return Estimate(masks.to(mixture.device))
