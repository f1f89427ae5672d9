"""The trained model's voices, from their parameters alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from ..renderer import Change, VoiceParameters
from .reshaping import change_controls, measure_colour
from .source_filter import SourceFilterVoice
from .source_filter_model import render_voices


class SourceFilterRenderer:
    """`src.renderer.Renderer` of the source-filter voice (paper section III-A).

    Args:
        voice: arguments of `SourceFilterVoice`.

    Raises:
        UmssError: a setting out of range.
    """

    def __init__(self, *, voice: Mapping[str, Any]) -> None:
        self.voice = SourceFilterVoice(**voice)
        self.rate, self.hop = self.voice.rate, self.voice.hop
        self.per_frame = {spec.name: spec.size for spec in self.voice.controls if spec.per_frame}
        of_window = {spec.name: spec.size for spec in self.voice.controls if not spec.per_frame}
        self.per_window = of_window | {"scale": 1}
        self.tracks: dict[str, tuple[int, int]] = {}

    @torch.inference_mode()
    def render(
        self,
        f0: Tensor,
        parameters: Mapping[str, Tensor],
        tracks: Mapping[str, Tensor],
        seed: Tensor,
        n_samples: int,
    ) -> Tensor:
        """Synthesise voices [B, J, T]: `scale` [B, J, 1] is the peak of what was listened to."""
        controls = {spec.name: parameters[spec.name] for spec in self.voice.controls}
        voices, _ = render_voices(self.voice, f0, controls, seed, n_samples)
        return voices * parameters["scale"]

    def measure_timbre(self, f0: Tensor, parameters: Mapping[str, Tensor]) -> Tensor:
        """Measure the mean resonances, see `src.models.reshaping`."""
        return measure_colour(self.voice, f0, parameters)

    def change(self, voice: VoiceParameters, ratio: Tensor, change: Change) -> VoiceParameters:
        """Change the parameters of a voice; its filter stays where the F0 moves."""
        controls = change_controls(self.voice, voice.per_frame, change)
        return VoiceParameters(voice.f0 * ratio, controls, {}, voice.n_samples)

    def add_voices(self, per_window: Mapping[str, Tensor], count: int) -> dict[str, Tensor]:
        """Voices do not depend on their number."""
        return dict(per_window)
