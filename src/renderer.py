"""Voices from parameters alone: what a renderer is, and which there are."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, cast

from torch import Tensor

from .errors import UmssError

# Where the renderers are, by the kind that `Separator.describe_voice` gives.
_PLACES = {
    "source_filter": ("models.rendering", "SourceFilterRenderer"),
    "fit": ("fit.rendering", "FitRenderer"),
}
# What reading a description that somebody has damaged may raise.
_FAULTS = (KeyError, TypeError, AttributeError, UmssError)


@dataclass(frozen=True)
class Change:
    """What is changed about the parameters of one voice, besides its F0.

    Attributes:
        formants: factor on the frequencies of the formants.
        harmonics, noise: factors on the amplitudes of what has pitch and what has none.
        timbre: what `Renderer.measure_timbre` found of this voice and of the one whose colour it
            is to have; None = its own.
    """

    formants: float = 1.0
    harmonics: float = 1.0
    noise: float = 1.0
    timbre: tuple[Tensor, Tensor] | None = None


@dataclass(frozen=True)
class VoiceParameters:
    """The parameters of one voice in one window.

    Attributes:
        f0: [N] Hz, 0 = silent.
        per_frame: [N, size] by name.
        tracks: [n, size] by name, see `Renderer.tracks`.
        n_samples: of the window, T.
    """

    f0: Tensor
    per_frame: Mapping[str, Tensor]
    tracks: Mapping[str, Tensor] = field(default_factory=dict)
    n_samples: int = 0


class Renderer(Protocol):
    """Synthesises voices from their parameters, exactly as the separation did.

    Attributes:
        rate: sample rate in Hz.
        hop: samples per F0 frame.
        per_frame: sizes of the parameters [B, J, N, size], by name.
        per_window: sizes of the parameters [B, J, size], by name.
        tracks: sizes of the tracks [B, J, n, size], and their hops in samples, by name; a track has
            a frame every `hop` samples and one at the end of the window.
    """

    rate: int
    hop: int
    per_frame: Mapping[str, int]
    per_window: Mapping[str, int]
    tracks: Mapping[str, tuple[int, int]]

    def render(
        self,
        f0: Tensor,
        parameters: Mapping[str, Tensor],
        tracks: Mapping[str, Tensor],
        seed: Tensor,
        n_samples: int,
    ) -> Tensor:
        """Synthesise voices [B, J, T] from F0s [B, J, N] in Hz, parameters and seeds [B]."""

    def measure_timbre(self, f0: Tensor, parameters: Mapping[str, Tensor]) -> Tensor:
        """Measure how a voice is coloured on average, for `Change.timbre`.

        Args:
            f0: [N] Hz, 0 = silent.
            parameters: [N, size] by name.
        """

    def change(self, voice: VoiceParameters, ratio: Tensor, change: Change) -> VoiceParameters:
        """Change the parameters of a voice.

        Args:
            voice: its parameters.
            ratio: [N] of the F0 it is to have and the one it has; formants stay where they are.
            change: what else is changed.

        Raises:
            UmssError: the voice cannot be changed so.
        """

    def add_voices(self, per_window: Mapping[str, Tensor], count: int) -> dict[str, Tensor]:
        """Adapt parameters [J, windows, size] to `count` further voices, whose rows follow."""


def build_renderer(description: Mapping[str, Any]) -> Renderer:
    """Build the renderer that a separator describes (`Separator.describe_voice`).

    Raises:
        UmssError: the description is not one of this version.
    """
    try:
        place, name = _PLACES[description["kind"]]
        settings = {key: value for key, value in description.items() if key != "kind"}
        kind = getattr(importlib.import_module(f".{place}", __package__), name)
        return cast(Renderer, kind(**settings))
    except _FAULTS as error:
        raise UmssError(f"the settings of its voices cannot be used ({error})") from error
