"""`separator=umss_fit`: a trained network's voices, fitted to the mixture."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Unpack

from torch import Tensor

from ..models.finetuning import separate_one_by_one
from ..models.source_filter import NOISE_CONTROLS
from ..models.umss import UmssSeparator
from ..separator import Separation
from .explaining import Excitation
from .separator import FitOptions, FitSeparator


class UmssFitSeparator(FitSeparator):
    """As `FitSeparator`, beginning with the harmonics of the network's voices.

    The envelopes multiply what the network has filtered, and begin flat.

    Args:
        checkpoint: file written by `umss train`; None = the one of this package.
        device: where the network computes, "cpu" or "cuda".
        finetune_steps, finetune_lr: as `src.models.umss.UmssSeparator`; with the given F0s.
        options: those of `FitSeparator`.

    Raises:
        CheckpointError: the checkpoint cannot be used.
        ValueError: a setting out of range.
    """

    def __init__(
        self,
        checkpoint: str | Path | None = None,
        *,
        device: str = "cpu",
        finetune_steps: int = 0,
        finetune_lr: float = 1e-4,
        **options: Unpack[FitOptions],
    ) -> None:
        super().__init__(device=device, **options)
        self.network = UmssSeparator(
            checkpoint, device=device, finetune_steps=finetune_steps, finetune_lr=finetune_lr
        )

    def separate(
        self,
        mixture: Tensor,
        f0: Tensor,
        seed: Tensor,
        sources: Tensor | None,
        channels: Tensor,
    ) -> Separation:
        if self.network.finetune_steps:
            return separate_one_by_one(self.fine_tune, mixture, f0, seed, channels)
        return super().separate(mixture, f0, seed, sources, channels)

    def fine_tune(self, mixture: Tensor, f0: Tensor, seed: Tensor) -> UmssFitSeparator:
        """This separator with its network fine-tuned on mixtures, see `UmssSeparator.fine_tune`."""
        tuned = copy.copy(self)
        tuned.network = self.network.fine_tune(mixture, f0, seed)
        return tuned

    def _describe(self) -> dict[str, Any]:
        return super()._describe() | {"network": self.network.model.voice.settings}

    def _excite(self, mixture: Tensor, tracks: Sequence[Tensor]) -> list[Excitation]:
        voices, controls, peak = self.network.synthesise_harmonics(mixture, tracks)
        # What the network sings before it is made as loud as the mixture.
        gain = peak.squeeze(-1).pow(self.spectra.domain)
        kept = {name: value for name, value in controls.items() if name not in NOISE_CONTROLS}
        return [
            Excitation(self._explainer.compute_spectrum(sung), gain, kept, rolled_off=True)
            for sung in voices
        ]
