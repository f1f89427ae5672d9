"""`separator=umss_fit`: a trained network's voices, fitted to the mixture."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from torch import Tensor

from src.baselines.pitch_model import without_glides
from src.dsp.stft import stft
from src.fit.separator import FitSeparator
from src.fit.spectra import FittedSpectra, fit_spectra
from src.models.umss import Estimate, UmssSeparator


class UmssFitSeparator(FitSeparator):
    """As `FitSeparator`, beginning with the harmonics of the network's voices.

    The envelopes multiply what the network has filtered, and begin flat.

    Args:
        checkpoint: file written by `python -m src.train`; None = the one of this package.
        device: where the network computes, "cpu" or "cuda".
        finetune_steps, finetune_lr: as `src.models.umss.UmssSeparator`; with the given F0s.
        settings: as `FitSeparator`.

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
        **settings: Any,
    ) -> None:
        super().__init__(**settings)
        self.network = UmssSeparator(
            checkpoint, device=device, finetune_steps=finetune_steps, finetune_lr=finetune_lr
        )

    def estimate(
        self, mixture: Tensor, f0: Tensor, seed: Tensor, sources: Tensor | None
    ) -> Estimate:
        fit = partial(super().estimate, sources=sources)
        return self.network.fine_tuning(fit, mixture, f0, seed)

    def _fit(self, mixture: Tensor, spectrum: Tensor, f0: Tensor) -> FittedSpectra:
        voices = self.network.harmonics(mixture, without_glides(f0))
        combs = stft(voices, n_fft=self.n_fft, hop=self.mask_hop).abs().pow(self.settings.domain)
        return fit_spectra(spectrum, combs, self.settings, rate=self.rate, rolled_off=True)
