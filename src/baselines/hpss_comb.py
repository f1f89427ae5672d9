"""Comb masks for the harmonic part of a mixture, and shares by voice energy for the rest.

A comb knows nothing of consonants, breath and room noise: between its teeth it shares them out by
whatever harmonic happens to be near. Here a harmonic-percussive-residual decomposition
(`src.dsp.hpss`) first takes out what is no steady tone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from ..dsp.hpss import hpss
from ..dsp.stft import stft
from ..separator import Estimate
from .masks import CombSeparator


class HpssCombSeparator(CombSeparator):
    """Comb masks on the harmonic part; the rest of every frame goes to the voices by their energy.

    With the harmonic mask h, comb masks c_j and shares w_j, the mask of voice j is
    h c_j + (1 - h) w_j. In every frame, w_j is voice j's part of the energy of h c_j |X| summed
    over bins and voiced voices. Frames in which no F0 is given, or the voiced voices have no
    energy, keep the masks of the comb. All masks sum to 1 over the voices, so that the stems sum to
    the mixture.

    Args:
        kernel_size, power, margin: of the decomposition, see `src.dsp.hpss.hpss`. A short
            kernel along time keeps vibrato in the harmonic part; a long one along frequency reaches
            from partial to partial of a soprano.
        mask, noise_level, f0_edges: see `CombSeparator`.
    """

    def __init__(
        self,
        *,
        kernel_size: int | Sequence[int] = (5, 201),
        power: float = 4.0,
        margin: float | Sequence[float] = 1.0,
        mask: str = "magnitude",
        noise_level: float = 1e-4,
        f0_edges: str = "glide",
    ) -> None:
        super().__init__(mask=mask, noise_level=noise_level, f0_edges=f0_edges)
        self.kernel_size = kernel_size
        self.power = power
        self.margin = margin
        # Wrong settings are to be reported now, not after the data have been read.
        hpss(torch.zeros(1, 1), kernel_size=kernel_size, power=power, margin=margin)

    def estimate(
        self, mixture: Tensor, f0: Tensor, seed: Tensor, sources: Tensor | None
    ) -> Estimate:
        by_comb = super().estimate(mixture, f0, seed, sources)
        magnitude = stft(mixture, n_fft=self.n_fft, hop=self.mask_hop).abs()
        harmonic = hpss(
            magnitude,
            kernel_size=self.kernel_size,
            power=self.power,
            margin=self.margin,
            mask=True,
        )[0].unsqueeze(1)
        energy = (harmonic * magnitude.unsqueeze(1) * by_comb.masks).square().sum(dim=-2)
        energy = energy * self._find_voiced(f0, magnitude.shape[-1])
        loudest = energy.amax(dim=1, keepdim=True)
        # Relative to the loudest voice, so that the sum of quiet frames does not underflow.
        relative = energy / loudest.masked_fill(loudest == 0, 1.0)
        shares = relative / relative.sum(dim=1, keepdim=True).clamp(min=1.0)
        masks = harmonic * by_comb.masks + (1.0 - harmonic) * shares.unsqueeze(-2)
        nobody = (loudest == 0).unsqueeze(-2)
        return replace(by_comb, masks=torch.where(nobody, by_comb.masks, masks))

    def _find_voiced(self, f0: Tensor, n_frames: int) -> Tensor:
        """Which voices are voiced in every mask frame: [B, J, n_frames], from F0 [B, J, N]."""
        nearest = torch.arange(n_frames, device=f0.device) * self.mask_hop // self.hop
        return (f0 > 0)[..., nearest.clamp(max=f0.shape[-1] - 1)]
