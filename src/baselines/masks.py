"""Baselines without learning: harmonic comb, oracle masks, and the mixture itself."""

from __future__ import annotations

import torch
from torch import Tensor

from ..dsp.harmonic import harmonic_source
from ..dsp.noise import fir_filter, rolloff_fir, uniform_noise
from ..dsp.stft import stft
from ..separator import Estimate, Separator


class CombSeparator(Separator):
    """Masks from F0 alone: unit harmonic sources through the fixed roll-off filter.

    Every source is the harmonic source with amplitude 1 where voiced, each harmonic 1 / I_n,
    filtered by r(t), plus faint noise that shares out the bins no comb reaches.

    Args:
        mask: "magnitude" or "power".
        noise_level: amplitude of the uniform noise.
        f0_edges: "glide" (the paper interpolates F0 through the zeros of silent frames, and this
            baseline is defined by its harmonic source) or "hold", see
            `src.dsp.harmonic.interpolate_f0`.
    """

    def __init__(
        self, *, mask: str = "magnitude", noise_level: float = 1e-4, f0_edges: str = "glide"
    ) -> None:
        super().__init__(mask=mask)
        self.noise_level = noise_level
        self.f0_edges = f0_edges

    def estimate(
        self, mixture: Tensor, f0: Tensor, seed: Tensor, sources: Tensor | None
    ) -> Estimate:
        n_samples = mixture.shape[-1]
        amplitude = (f0 > 0).to(mixture.dtype)
        comb = harmonic_source(
            f0,
            amplitude,
            n_samples=n_samples,
            hop=self.hop,
            rate=self.rate,
            edges=self.f0_edges,
        )
        comb = fir_filter(comb, rolloff_fir(rate=self.rate).to(comb))
        comb = comb + self.noise_level * uniform_noise(seed, f0.shape[1], n_samples)
        return Estimate(
            self._build_masks(comb), comb, {"harmonic_amplitude": amplitude.unsqueeze(-1)}
        )


class OracleSeparator(Separator):
    """Masks from the true sources: the upper bound of real-valued masking.

    Args:
        mask: "magnitude" (ratio mask), "power" (Wiener) or "phase_sensitive" (the real part of
            source over mixture, cut to [0, 1]).
    """

    needs_sources = True
    mask_kinds = ("magnitude", "power", "phase_sensitive")

    def __init__(self, *, mask: str = "magnitude") -> None:
        super().__init__(mask=mask)

    def estimate(
        self, mixture: Tensor, f0: Tensor, seed: Tensor, sources: Tensor | None
    ) -> Estimate:
        assert sources is not None  # `Separator` has checked
        if self.mask != "phase_sensitive":
            return Estimate(self._build_masks(sources))
        whole = stft(mixture).unsqueeze(1)
        aligned = (stft(sources) * whole.conj()).real
        power = whole.abs().square().clamp(min=torch.finfo(aligned.dtype).tiny)
        return Estimate((aligned / power).clamp(0.0, 1.0))


class MixtureSeparator(Separator):
    """Every estimate is the mixture: the lower bound."""

    def estimate(
        self, mixture: Tensor, f0: Tensor, seed: Tensor, sources: Tensor | None
    ) -> Estimate:
        spectrum = stft(mixture)
        ones = torch.ones_like(spectrum.real).unsqueeze(1)
        return Estimate(ones.expand(-1, f0.shape[1], -1, -1))
