"""Estimator and voices as one network: from a mixture and F0 to synthesised sources."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ..dsp.spectral_loss import FFT_SIZES
from ..errors import UmssError
from ..ranges import check_whole
from .estimator import ParameterEstimator
from .source_filter import SourceFilterVoice


class SourceFilterModel(nn.Module):
    """What `src.models.lit.SourceFilterTraining` trains, without the training.

    Args:
        voice: keyword arguments of `SourceFilterVoice`, plain numbers and strings.
        estimator: keyword arguments of `ParameterEstimator`.
        fft_sizes: scales of the spectral loss that the network was trained with, in samples.

    Raises:
        UmssError: a setting out of range.
    """

    def __init__(
        self,
        *,
        voice: dict[str, Any] | None = None,
        estimator: dict[str, Any] | None = None,
        fft_sizes: Sequence[int] = FFT_SIZES,
    ) -> None:
        super().__init__()
        self.voice = SourceFilterVoice(**(voice or {}))
        self.estimator = ParameterEstimator(self.voice.controls, **(estimator or {}))
        if isinstance(fft_sizes, str) or not 1 <= len(fft_sizes) <= 64:
            raise UmssError(f"fft_sizes={fft_sizes!r}: give a list of numbers of samples")
        for size in fft_sizes:
            check_whole("fft_sizes", size, 4, 2**20)
        self.fft_sizes = tuple(fft_sizes)

    def forward(
        self, mixture: Tensor, f0: Tensor, seed: Tensor
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Synthesised sources [B, J, T] and their parameters by name.

        Args:
            mixture: [B, T] of peak 1.
            f0: [B, J, N] Hz, 0 where silent.
            seed: [B] int64, of the noise.
        """
        controls = self.estimator(mixture, f0)
        return render_voices(self.voice, f0, controls, seed, mixture.shape[-1])


def render_voices(
    voice: SourceFilterVoice, f0: Tensor, controls: dict[str, Tensor], seed: Tensor, n_samples: int
) -> tuple[Tensor, dict[str, Tensor]]:
    """Sources [B, J, T] of the estimator's parameters, and these as they were used.

    The synthesis needs full precision whatever the network runs in.
    """
    with torch.autocast(f0.device.type, enabled=False):
        controls = {
            name: value if value.dtype == torch.float64 else value.float()
            for name, value in controls.items()
        }
        return voice(f0, controls, seed, n_samples), controls
