"""`separator=umss_fit`: a trained network's voices, fitted to the mixture."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import Tensor

from src.baselines.pitch_model import without_glides
from src.dsp.stft import stft
from src.fit.separator import FitSeparator
from src.fit.spectra import FittedSpectra, fit_spectra
from src.models.umss import UmssSeparator


class UmssFitSeparator(FitSeparator):
    """As `FitSeparator`, beginning with the harmonics of the network's voices.

    The envelopes multiply what the network has filtered, and begin flat.

    Args:
        checkpoint: file written by `python -m src.train`; None = the one of this package.
        device: where the network computes, "cpu" or "cuda".
        settings: as `FitSeparator`.

    Raises:
        CheckpointError: the checkpoint cannot be used.
        ValueError: a setting out of range.
    """

    def __init__(
        self, checkpoint: str | Path | None = None, *, device: str = "cpu", **settings: Any
    ) -> None:
        super().__init__(**settings)
        self.network = UmssSeparator(checkpoint, device=device)

    def _fit(self, mixture: Tensor, spectrum: Tensor, f0: Tensor) -> FittedSpectra:
        voices = self.network.harmonics(mixture, without_glides(f0))
        combs = stft(voices, n_fft=self.n_fft, hop=self.mask_hop).abs().pow(self.settings.domain)
        return fit_spectra(spectrum, combs, self.settings, rate=self.rate, rolled_off=True)
