"""`separator=umss_fit`: a trained network's voices, fitted to the mixture."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Literal

from torch import Tensor

from ..models.umss import UmssSeparator, separate_one_by_one
from ..separator import Separation
from .hypotheses import F0Opinions
from .partials import PartialSettings
from .separator import PARTIALS, SPECTRA, TUNING, FitSeparator
from .spectra import FitSettings, FittedSpectra, fit_spectra
from .tuning import TuningSettings


class UmssFitSeparator(FitSeparator):
    """As `FitSeparator`, beginning with the harmonics of the network's voices.

    The envelopes multiply what the network has filtered, and begin flat.

    Args:
        checkpoint: file written by `umss train`; None = the one of this package.
        device: where the network computes, "cpu" or "cuda".
        finetune_steps, finetune_lr: as `src.models.umss.UmssSeparator`; with the given F0s.
        opinions, evidence, residual_evidence, doubt, evidence_frames, trust, retune, partials,
            tuning, mask, n_fft, mask_hop, spectra: see `FitSeparator`.

    Raises:
        CheckpointError: the checkpoint cannot be used.
        UmssError: a setting out of range.
    """

    def __init__(
        self,
        checkpoint: str | Path | None = None,
        *,
        device: str = "cpu",
        finetune_steps: int = 0,
        finetune_lr: float = 1e-4,
        opinions: F0Opinions | Literal["default"] | None = "default",
        evidence: float = 0.03,
        residual_evidence: float = 8.0,
        doubt: float = 0.1,
        evidence_frames: int = 2,
        trust: float = 2.0,
        retune: bool = True,
        partials: PartialSettings | None = PARTIALS,
        tuning: TuningSettings | None = TUNING,
        mask: str = "power",
        n_fft: int = 2048,
        mask_hop: int = 512,
        spectra: FitSettings = SPECTRA,
    ) -> None:
        super().__init__(
            opinions=opinions,
            evidence=evidence,
            residual_evidence=residual_evidence,
            doubt=doubt,
            evidence_frames=evidence_frames,
            trust=trust,
            retune=retune,
            partials=partials,
            tuning=tuning,
            mask=mask,
            n_fft=n_fft,
            mask_hop=mask_hop,
            spectra=spectra,
            device=device,
        )
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
            return separate_one_by_one(self.tune_to, mixture, f0, seed, channels)
        return super().separate(mixture, f0, seed, sources, channels)

    def tune_to(self, mixture: Tensor, f0: Tensor, seed: Tensor) -> UmssFitSeparator:
        """Copy this separator, with a network that is fine-tuned on one mixture [1, T]."""
        other = copy.copy(self)
        other.network = self.network.tune_to(mixture, f0, seed)
        return other

    def _fit(self, mixture: Tensor, spectrum: Tensor, f0: Tensor) -> FittedSpectra:
        combs = self._compute_spectrum(self.network.synthesise_harmonics(mixture, f0))
        return fit_spectra(spectrum, combs, self.spectra, rate=self.rate, rolled_off=True)
