"""The fully differentiable model without its training: mixture in, F0s and voices out.

See docs/fd.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from ..dsp.spectral_loss import FFT_SIZES
from .estimator import ParameterEstimator
from .fd_decisions import replace_gradient
from .salience_f0 import SalienceF0, VoiceF0
from .source_filter import SourceFilterVoice
from .source_filter_model import SourceFilterModel, render_voices


class FdModel(nn.Module):
    """What `src.models.fd_lit.FdTraining` trains, without the training.

    Args:
        salience: keyword arguments of `SalienceF0`.
        f0_gradient: factor on the gradient of the sources with respect to F0.
        voice, estimator, fft_sizes: see `SourceFilterModel`.
    """

    def __init__(
        self,
        *,
        salience: dict[str, Any] | None = None,
        f0_gradient: float = 0.1,
        voice: dict[str, Any] | None = None,
        estimator: dict[str, Any] | None = None,
        fft_sizes: Sequence[int] = FFT_SIZES,
    ) -> None:
        super().__init__()
        model = SourceFilterModel(voice=voice, estimator=estimator, fft_sizes=fft_sizes)
        # Under these names the weights stand in checkpoints.
        self.voice, self.estimator = model.voice, model.estimator
        self.salience = SalienceF0(**(salience or {}))
        self.f0_gradient = f0_gradient

    def forward(
        self, mixture: Tensor, f0: Tensor, seed: Tensor
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Synthesised sources [B, J, T] and their parameters by name, with their F0s.

        Args:
            mixture: [B, T].
            f0: [B, J, N]; only J is read.
            seed: [B] int64, of the noise.
        """
        found = self.salience(mixture, f0.shape[1])
        return sing_found(
            self.voice, self.estimator, mixture, found, seed, f0_gradient=self.f0_gradient
        )

    def sing_given(
        self, mixture: Tensor, f0: Tensor, seed: Tensor
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """As `forward`, but singing at the F0s from outside, [B, J, N] in Hz, as other models."""
        controls = self.estimator(mixture, f0)
        return render_voices(self.voice, f0, controls, seed, mixture.shape[-1])


def sing_found(
    voice: SourceFilterVoice,
    estimator: ParameterEstimator,
    mixture: Tensor,
    found: VoiceF0,
    seed: Tensor,
    *,
    f0_gradient: float,
) -> tuple[Tensor, dict[str, Tensor]]:
    """Synthesise voices at the F0s that were found in mixtures.

    Args:
        voice, estimator: of the source-filter model.
        mixture: [B, T].
        found: F0 and voicing of J voices.
        seed: [B] int64, of the noise.
        f0_gradient: factor on the gradient of the sources with respect to F0.

    Returns:
        Sources [B, J, T] and their parameters by name; `estimated_f0` [B, J, N, 1] joins them.
    """
    f0 = replace_gradient(found.f0, f0_gradient * found.f0)
    controls = estimator(mixture, f0)
    # Without effect on the values, for a voice without F0 has no harmonics. What it adds is the
    # gradient that can silence a voice.
    amplitude = controls["harmonic_amplitude"] * found.voicing.unsqueeze(-1)
    controls["harmonic_amplitude"] = amplitude
    sources, controls = render_voices(voice, f0, controls, seed, mixture.shape[-1])
    return sources, {**controls, "estimated_f0": found.f0.unsqueeze(-1)}
