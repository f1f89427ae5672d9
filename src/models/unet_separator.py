"""The trained U-Net baseline as a separator; what trains it is `src.models.unet_lit`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import Tensor, nn

from ..dsp.stft import istft, soft_masks, stft
from ..dsp.tracks import resample_f0
from ..errors import UmssError
from ..separator import MASK_POWERS, Estimate, Separator
from .loading import load_module
from .unet import ConditionedUnet


class UnetMasking:
    """What training and separation by a U-Net share; both are modules with `unet`."""

    unet: ConditionedUnet

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


class UnetModel(UnetMasking, nn.Module):
    """A U-Net without its training.

    Args:
        unet: keyword arguments of `ConditionedUnet`, plain numbers, strings and lists.
    """

    def __init__(self, *, unet: dict[str, Any] | None = None) -> None:
        nn.Module.__init__(self)
        self.unet = ConditionedUnet(**(unet or {}))


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
        self.model = load_module(
            checkpoint, UnetModel, experiment="unet_small", settings=("unet",)
        ).to(self.device)
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
