"""The trained model as a separator."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from src.models.lit import CheckpointError as CheckpointError
from src.models.lit import SourceFilterTraining, load_module
from src.separator import Separator

# Trained on singers that may be redistributed, see docs/model_card.md.
SHIPPED = Path(__file__).parent / "voices.ckpt"


def load_training_module(path: str | Path) -> SourceFilterTraining:
    """Rebuild a trained source-filter model from a checkpoint file; see `src.models.lit`.

    Raises:
        CheckpointError: missing file, not a checkpoint, or one of another model.
    """
    return load_module(path, SourceFilterTraining, experiment="us_small")


class UmssSeparator(Separator):
    """Masks from the voices that a trained network synthesises.

    Args:
        checkpoint: file written by `python -m src.train`; None = the one of this package.
        mask: "power" (Wiener) or "magnitude" (the paper).
        device: where to compute, "cpu" or "cuda".

    Raises:
        CheckpointError: the checkpoint cannot be used.
    """

    stochastic = True

    def __init__(
        self,
        checkpoint: str | Path | None = None,
        *,
        mask: str = "power",
        device: str = "cpu",
    ) -> None:
        super().__init__(mask=mask)
        self.device = torch.device(device)
        self.model = load_training_module(SHIPPED if checkpoint is None else checkpoint).to(
            self.device
        )
        self.rate = self.model.voice.rate
        self.hop = self.model.voice.hop

    def harmonics(self, mixture: Tensor, f0: Tensor) -> Tensor:
        """The network's voices without their noise, [B, J, T], as loud as the mixture's."""
        scale = peak_of(mixture)
        heard, tracks = (mixture / scale).to(self.device), f0.to(self.device)
        controls = self.model.estimator(heard, tracks)
        silence = {"noise_gain": torch.zeros_like(controls["noise_gain"])}
        seed = torch.zeros(len(heard), dtype=torch.int64, device=self.device)
        voices: Tensor = self.model.voice(tracks, controls | silence, seed, heard.shape[-1])
        return voices.to(mixture.device) * scale.unsqueeze(1)

    def estimate(
        self, mixture: Tensor, f0: Tensor, seed: Tensor, sources: Tensor | None
    ) -> tuple[Tensor, Tensor | None, dict[str, Tensor]]:
        scale = peak_of(mixture)
        voices, parameters = self.model(
            (mixture / scale).to(self.device), f0.to(self.device), seed.to(self.device)
        )
        masks = self._soft_masks(voices).to(mixture.device)
        parameters = {name: value.to(mixture.device) for name, value in parameters.items()}
        return masks, voices.to(mixture.device) * scale.unsqueeze(1), parameters


def peak_of(mixture: Tensor) -> Tensor:
    """Peaks [B, 1] of mixtures [B, T]; 1 for silence. The networks hear mixtures of peak 1."""
    peak = mixture.abs().amax(dim=-1, keepdim=True)
    return torch.where(peak > 0, peak, torch.ones_like(peak))
