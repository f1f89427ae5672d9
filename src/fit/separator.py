"""`separator=fit`: masks from source models fitted to the mixture itself."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from src.baselines.pitch_model import without_glides
from src.dsp.stft import soft_masks, stft
from src.fit.spectra import FitSettings, comb_spectra, fit_spectra
from src.separator import MASK_POWERS, Separator


class FitSeparator(Separator):
    """Harmonics under smooth envelopes, fitted to each mixture; nothing is learned beforehand.

    Args:
        mask: "magnitude" or "power".
        n_fft: FFT size of spectrograms and masks.
        mask_hop: their hop in samples.
        settings: fields of `src.fit.spectra.FitSettings`.

    Raises:
        ValueError: a setting out of range.
    """

    def __init__(
        self, *, mask: str = "power", n_fft: int = 2048, mask_hop: int = 256, **settings: Any
    ) -> None:
        super().__init__(mask=mask)
        self.n_fft = n_fft
        self.mask_hop = mask_hop
        self.settings = FitSettings(**settings)

    def estimate(
        self, mixture: Tensor, f0: Tensor, seed: Tensor, sources: Tensor | None
    ) -> tuple[Tensor, Tensor | None, dict[str, Tensor]]:
        domain = self.settings.domain
        spectrum = stft(mixture, n_fft=self.n_fft, hop=self.mask_hop).abs().pow(domain)
        combs = comb_spectra(
            without_glides(f0),
            mixture.shape[-1],
            rate=self.rate,
            hop=self.hop,
            n_fft=self.n_fft,
            mask_hop=self.mask_hop,
            domain=domain,
        )
        fitted = fit_spectra(spectrum, combs, self.settings, rate=self.rate)
        # What no harmonic explains is shared by all.
        voices = fitted.voices + fitted.noise.unsqueeze(1) / f0.shape[1]
        masks = soft_masks(voices, power=MASK_POWERS[self.mask] / domain)
        frames = torch.arange(f0.shape[-1], device=f0.device) * self.hop // self.mask_hop
        envelope = fitted.envelope.transpose(2, 3)[:, :, frames]
        noise = fitted.noise_envelope.transpose(1, 2)[:, None, frames]
        parameters = {
            "envelope_cosines": envelope,
            "noise_cosines": noise.expand(-1, f0.shape[1], -1, -1),
        }
        return masks, None, parameters
