"""The trained model as a separator."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from src.models.lit import SourceFilterTraining
from src.separator import Separator


class CheckpointError(ValueError):
    """A checkpoint that cannot be used; the message names the file and the remedy."""


def load_training_module(path: str | Path) -> SourceFilterTraining:
    """Rebuild a trained model from a checkpoint file.

    Only tensors and plain values are read: no code stored in the file is executed, and the classes
    to build are chosen here, not by the file.

    Raises:
        CheckpointError: missing file, not a checkpoint, or one of another model.
    """
    path = Path(path)
    if not path.is_file():
        raise CheckpointError(
            f"{path}: no such checkpoint; train one with `python -m src.train "
            "experiment=us_small` or set separator.checkpoint"
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
    try:
        model = SourceFilterTraining(**hyper_parameters)
        model.load_state_dict(state)
    except (TypeError, ValueError, RuntimeError) as error:
        raise CheckpointError(
            f"{path}: the checkpoint holds another kind of model ({error})"
        ) from error
    return model.eval().requires_grad_(False)


class UmssSeparator(Separator):
    """Masks from the voices that a trained network synthesises.

    Args:
        checkpoint: file written by `python -m src.train`.
        mask: "magnitude" (the paper) or "power".
        device: where to compute, "cpu" or "cuda".

    Raises:
        CheckpointError: the checkpoint cannot be used.
    """

    stochastic = True

    def __init__(
        self, checkpoint: str | Path, *, mask: str = "magnitude", device: str = "cpu"
    ) -> None:
        super().__init__(mask=mask)
        self.device = torch.device(device)
        self.model = load_training_module(checkpoint).to(self.device)
        self.rate = self.model.voice.rate
        self.hop = self.model.voice.hop

    def estimate(
        self, mixture: Tensor, f0: Tensor, seed: Tensor, sources: Tensor | None
    ) -> tuple[Tensor, Tensor | None, dict[str, Tensor]]:
        peak = mixture.abs().amax(dim=-1, keepdim=True)
        scale = torch.where(peak > 0, peak, torch.ones_like(peak))
        voices, parameters = self.model(
            (mixture / scale).to(self.device), f0.to(self.device), seed.to(self.device)
        )
        masks = self._soft_masks(voices).to(mixture.device)
        parameters = {name: value.to(mixture.device) for name, value in parameters.items()}
        return masks, voices.to(mixture.device) * scale.unsqueeze(1), parameters
