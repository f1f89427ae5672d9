"""The trained model as a separator."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..errors import UmssError
from ..separator import Estimate, Separation, Separator
from .finetuning import fine_tune, separate_one_by_one
from .loading import load_model


class UmssSeparator(Separator):
    """Masks from the voices that a trained network synthesises.

    Args:
        checkpoint: file written by `umss train`; None = the one of this package.
        mask: "power" (Wiener) or "magnitude" (the paper).
        device: where to compute, "cpu" or "cuda".
        finetune_steps: steps of fine-tuning on each mixture before it is separated
            (`src.models.finetuning`); 0 = none.
        finetune_lr: their learning rate.

    Raises:
        CheckpointError: the checkpoint cannot be used.
        ValueError: a setting out of range.
    """

    stochastic = True

    def __init__(
        self,
        checkpoint: str | Path | None = None,
        *,
        mask: str = "power",
        device: str = "cpu",
        finetune_steps: int = 0,
        finetune_lr: float = 1e-4,
    ) -> None:
        super().__init__(mask=mask, device=device)
        if finetune_steps < 0 or finetune_lr <= 0:
            raise UmssError(
                f"finetune_steps={finetune_steps} must not be negative, and "
                f"finetune_lr={finetune_lr} must be positive"
            )
        self.finetune_steps = finetune_steps
        self.finetune_lr = finetune_lr
        self.model = load_model(checkpoint).to(self.device)
        self.rate = self.model.voice.rate
        self.hop = self.model.voice.hop

    def fine_tune(self, mixture: Tensor, f0: Tensor, seed: Tensor) -> UmssSeparator:
        """A separator with this one's network fine-tuned on mixtures; it does not tune again.

        Args:
            mixture: [B, T].
            f0: [B, J, N] Hz, 0 where silent.
            seed: [B] int64, of the noise.

        Raises:
            TrainingDivergedError: the loss is no longer a number.
        """
        tuned = copy.copy(self)
        tuned.finetune_steps = 0
        tuned.model = fine_tune(
            self.model,
            (mixture / measure_peak(mixture)).to(self.device),
            f0.to(self.device),
            seed.to(self.device),
            steps=self.finetune_steps,
            learning_rate=self.finetune_lr,
        )
        return tuned

    def synthesise_harmonics(
        self, mixture: Tensor, tracks: Sequence[Tensor]
    ) -> tuple[list[Tensor], dict[str, Tensor], Tensor]:
        """The network's voices without their noise, along several opinions about their F0.

        The network hears the mixture with the first tracks; the same voices, with the same
        parameters, sing along the others.

        Args:
            mixture: [B, T].
            tracks: K times [B, J, N] Hz, 0 where silent.

        Returns:
            K times the voices [B, J, T], as loud as the mixture's; their parameters by name; the
            mixture's peaks [B, 1].
        """
        scale = measure_peak(mixture)
        heard = (mixture / scale).to(self.device)
        controls = self.model.estimator(heard, tracks[0].to(self.device))
        silent = controls | {"noise_gain": torch.zeros_like(controls["noise_gain"])}
        seed = torch.zeros(len(heard), dtype=torch.int64, device=self.device)
        voices = [
            self.model.voice(f0.to(self.device), silent, seed, heard.shape[-1]).to(mixture.device)
            * scale.unsqueeze(1)
            for f0 in tracks
        ]
        at_home = {name: value.to(mixture.device) for name, value in controls.items()}
        return voices, at_home, scale

    def separate(
        self,
        mixture: Tensor,
        f0: Tensor,
        seed: Tensor,
        sources: Tensor | None,
        channels: Tensor,
    ) -> Separation:
        if self.finetune_steps:
            return separate_one_by_one(self.fine_tune, mixture, f0, seed, channels)
        return super().separate(mixture, f0, seed, sources, channels)

    def estimate(
        self, mixture: Tensor, f0: Tensor, seed: Tensor, sources: Tensor | None
    ) -> Estimate:
        found = synthesise(
            self.model, mixture, f0, seed, device=self.device, masks=self._build_masks
        )
        scale = measure_peak(mixture).unsqueeze(1).expand(-1, f0.shape[1], -1)
        return replace(found, parameters=found.parameters | {"scale": scale})

    def describe_voice(self) -> dict[str, Any]:
        return {"kind": "source_filter", "voice": self.model.voice.settings}


def synthesise(
    model: Callable[..., tuple[Tensor, dict[str, Tensor]]],
    mixture: Tensor,
    f0: Tensor,
    seed: Tensor,
    *,
    device: torch.device,
    masks: Callable[[Tensor], Tensor],
) -> Estimate:
    """Masks, voices as loud as the mixtures, and parameters of a model on a device."""
    scale = measure_peak(mixture)
    voices, parameters = model((mixture / scale).to(device), f0.to(device), seed.to(device))
    at_home = {name: value.to(mixture.device) for name, value in parameters.items()}
    loud = voices.to(mixture.device) * scale.unsqueeze(1)
    return Estimate(masks(voices).to(mixture.device), loud, at_home)


def measure_peak(mixture: Tensor) -> Tensor:
    """Peaks [B, 1] of mixtures [B, T]; 1 for silence. The networks hear mixtures of peak 1."""
    peak = mixture.abs().amax(dim=-1, keepdim=True)
    return torch.where(peak > 0, peak, torch.ones_like(peak))
