"""`separator=fit`: masks from source models fitted to the mixture itself."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from src.baselines.pitch_model import without_glides
from src.dsp.stft import soft_masks, stft
from src.fit.hypotheses import F0Opinions, opinion_weights
from src.fit.spectra import FitSettings, FittedSpectra, comb_spectra, fit_spectra
from src.separator import MASK_POWERS, Separator


class FitSeparator(Separator):
    """Harmonics under smooth envelopes, fitted to each mixture.

    With `opinions`, the mixture is also explained with other F0 tracks than the given ones, and
    the masks are averaged (`src.fit.hypotheses`).

    Args:
        opinions: other F0 tracks; None = the given ones alone, and nothing at all is learned.
        evidence: how much a better explanation counts, see `opinion_weights`; spectrograms are
            relative to the mixture's mean.
        evidence_frames: radius of its average in time, in frames.
        trust: weight of the given F0s before any evidence; every opinion has 1.
        mask: "magnitude" or "power".
        n_fft: FFT size of spectrograms and masks.
        mask_hop: their hop in samples.
        settings: fields of `src.fit.spectra.FitSettings`.

    Raises:
        ValueError: a setting out of range.
    """

    def __init__(
        self,
        *,
        opinions: F0Opinions | None = None,
        evidence: float = 0.03,
        evidence_frames: int = 2,
        trust: float = 4.0,
        mask: str = "power",
        n_fft: int = 2048,
        mask_hop: int = 512,
        **settings: Any,
    ) -> None:
        super().__init__(mask=mask)
        if evidence < 0 or evidence_frames < 0:
            raise ValueError(
                f"evidence={evidence} and evidence_frames={evidence_frames} must not be negative"
            )
        if trust <= 0:
            raise ValueError(f"trust must be positive, got {trust}")
        self.opinions = opinions
        self.evidence = evidence
        self.evidence_frames = evidence_frames
        self.trust = trust
        self.n_fft = n_fft
        self.mask_hop = mask_hop
        self.settings = FitSettings(**settings)

    def estimate(
        self, mixture: Tensor, f0: Tensor, seed: Tensor, sources: Tensor | None
    ) -> tuple[Tensor, Tensor | None, dict[str, Tensor]]:
        domain = self.settings.domain
        spectrum = stft(mixture, n_fft=self.n_fft, hop=self.mask_hop).abs().pow(domain)
        fitted = self._fit(mixture, spectrum, f0)
        frames = torch.arange(f0.shape[-1], device=f0.device) * self.hop // self.mask_hop
        parameters = {
            "envelope_cosines": fitted.envelope.transpose(2, 3)[:, :, frames],
            "noise_cosines": _for_all(fitted.noise_envelope.transpose(1, 2)[:, frames], f0),
        }
        # A single singer gets the whole mixture under any F0.
        if self.opinions is not None and f0.shape[1] > 1:
            masks, weights = self._average(mixture, spectrum, f0, fitted)
            parameters["f0_weights"] = _for_all(weights.permute(1, 2, 0)[:, frames], f0)
        else:
            masks = self._masks(fitted)
        return masks, None, parameters

    def _average(
        self, mixture: Tensor, spectrum: Tensor, f0: Tensor, first: FittedSpectra
    ) -> tuple[Tensor, Tensor]:
        """Masks averaged over the given F0s and the opinions, and their weights [1 + K, B, N]."""
        assert self.opinions is not None
        all_masks = [self._masks(first)]
        divergences = [first.divergence]
        for opinion in self.opinions(mixture, f0):
            # From scratch: from the first fit they would stay near it, and look too good.
            fitted = self._fit(mixture, spectrum, opinion)
            all_masks.append(self._masks(fitted))
            divergences.append(fitted.divergence)
        weights = opinion_weights(
            torch.stack(divergences),
            evidence=self.evidence,
            frames=self.evidence_frames,
            trust=self.trust,
        )
        mean = torch.zeros_like(all_masks[0])
        for weight, part in zip(weights, all_masks, strict=True):
            mean.addcmul_(part, weight[:, None, None])
        return mean, weights

    def _fit(self, mixture: Tensor, spectrum: Tensor, f0: Tensor) -> FittedSpectra:
        """Fit to mixtures [B, T] and their spectrograms [B, F, N] with these F0s."""
        combs = comb_spectra(
            without_glides(f0),
            mixture.shape[-1],
            rate=self.rate,
            hop=self.hop,
            n_fft=self.n_fft,
            mask_hop=self.mask_hop,
            domain=self.settings.domain,
        )
        return fit_spectra(spectrum, combs, self.settings, rate=self.rate)

    def _masks(self, fitted: FittedSpectra) -> Tensor:
        # What no harmonic explains is shared by all.
        voices = fitted.voices + fitted.noise.unsqueeze(1) / fitted.voices.shape[1]
        return soft_masks(voices, power=MASK_POWERS[self.mask] / self.settings.domain)


def _for_all(x: Tensor, f0: Tensor) -> Tensor:
    """The mixtures' [B, N, size] as [B, J, N, size] of its sources."""
    return x.unsqueeze(1).expand(-1, f0.shape[1], -1, -1)
