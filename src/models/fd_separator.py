"""The trained fully differentiable model as a separator; what trains it is `src.models.fd_lit`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import Tensor, nn

from ..errors import UmssError
from ..separator import Estimate, Separator
from .estimator import ParameterEstimator
from .fd_decisions import straight_through
from .loading import load_module
from .salience_f0 import SalienceF0, VoiceF0
from .source_filter import SourceFilterVoice
from .source_filter_model import SourceFilterModel, render_voices
from .umss import synthesise


class FdVoices:
    """What training and separation share: voices that sing at F0s from networks inside the model.

    Attributes:
        salience: finds the F0s.
        estimator, voice: the source-filter model.
        f0_gradient: factor on the gradient of the voices with respect to F0.
    """

    salience: SalienceF0
    estimator: ParameterEstimator
    voice: SourceFilterVoice
    f0_gradient: float

    def forward(
        self, mixture: Tensor, f0: Tensor, seed: Tensor
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Synthesised sources [B, J, T] and their parameters by name, with their F0s.

        Args:
            mixture: [B, T].
            f0: [B, J, N]; only J is read.
            seed: [B].
        """
        return self.synthesise(mixture, self.salience(mixture, f0.shape[1]), seed)

    def synthesise(
        self, mixture: Tensor, found: VoiceF0, seed: Tensor
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Voices that sing at the F0s that were found; `estimated_f0` joins their parameters."""
        share = self.f0_gradient
        f0 = straight_through(found.f0, share * found.f0)
        controls = self.estimator(mixture, f0)
        # Without effect on the values, for a voice without F0 has no harmonics. What it adds is the
        # gradient that can silence a voice.
        amplitude = controls["harmonic_amplitude"] * found.voicing.unsqueeze(-1)
        controls["harmonic_amplitude"] = amplitude
        sources, controls = render_voices(self.voice, f0, controls, seed, mixture.shape[-1])
        return sources, {**controls, "estimated_f0": found.f0.unsqueeze(-1)}

    def sing_given(
        self, mixture: Tensor, f0: Tensor, seed: Tensor
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Synthesised sources and their parameters at F0s from outside, as in the other models."""
        controls = self.estimator(mixture, f0)
        return render_voices(self.voice, f0, controls, seed, mixture.shape[-1])


class FdModel(FdVoices, nn.Module):
    """The fully differentiable model without its training.

    Args:
        voice, estimator: see `SourceFilterModel`.
        salience: keyword arguments of `SalienceF0`.
    """

    f0_gradient = 0.0

    def __init__(
        self,
        *,
        voice: dict[str, Any] | None = None,
        estimator: dict[str, Any] | None = None,
        salience: dict[str, Any] | None = None,
    ) -> None:
        nn.Module.__init__(self)
        model = SourceFilterModel(voice=voice, estimator=estimator)
        self.voice, self.estimator = model.voice, model.estimator
        self.salience = SalienceF0(**(salience or {}))


class FdSeparator(Separator):
    """Masks from the voices that a trained fully differentiable model synthesises.

    The F0s given to it say how many singers there are; it sings at its own, which the parameters
    hold as `estimated_f0` [B, J, N, 1].

    Args:
        checkpoint: file written by `umss train experiment=fd_small`.
        mask: "magnitude" (the paper) or "power".
        f0: "own", or "given" to have the estimator sing at the F0s from outside.
        device: where to compute, "cpu" or "cuda".

    Raises:
        CheckpointError: the checkpoint cannot be used.
        ValueError: unknown `f0`.
    """

    stochastic = True

    def __init__(
        self,
        checkpoint: str | Path,
        *,
        mask: str = "magnitude",
        f0: str = "own",
        device: str = "cpu",
    ) -> None:
        super().__init__(mask=mask, device=device)
        if f0 not in ("own", "given"):
            raise UmssError(f"separator.f0 must be own or given, got {f0!r}")
        self.own_f0 = f0 == "own"
        self.model = load_module(
            checkpoint, FdModel, experiment="fd_small", settings=("voice", "estimator", "salience")
        ).to(self.device)
        self.rate = self.model.voice.rate
        self.hop = self.model.voice.hop

    def estimate(
        self, mixture: Tensor, f0: Tensor, seed: Tensor, sources: Tensor | None
    ) -> Estimate:
        sing = self.model if self.own_f0 else self.model.sing_given
        return synthesise(sing, mixture, f0, seed, device=self.device, masks=self._soft_masks)
