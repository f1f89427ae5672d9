"""Edits of a recording that was separated in memory: `umss.edit(result, soprano={...})`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ..errors import UmssError
from ..resynthesis import VoiceFile, build_voices
from ..separated import SeparatedRecording
from .plan import build_plan

Signal = NDArray[np.float32]


def edit(
    result: SeparatedRecording,
    edits: Mapping[str, Any] | None = None,
    *,
    rendering: str = "stem",
    **singers: Any,
) -> SeparatedRecording:
    """Edit the singers of a separated recording.

    Args:
        result: what `umss.separate` gave, or an earlier edit.
        edits: what is changed, by the singer's name: fields of `src.editing.edits.Edit`. A name
            that is new, with `copy_of`, adds a voice.
        rendering: "stem": the separated stem is moved along its own partials, and keeps what the
            model of the voice does not know; "synthesis": the model sings (the paper).
        singers: the same by keyword, e.g. `soprano={"transpose": 2.0}`.

    Returns:
        The recording with edited stems and F0. What is not named is the given result's. Stems and
        residual sum to its `mix`.

    Raises:
        UmssError: edits that cannot be made.

    Example:
        >>> import numpy as np
        >>> import umss
        >>> t = np.arange(16000) / 16000
        >>> audio = np.sin(2 * np.pi * 440 * t) + np.sin(2 * np.pi * 165 * t)
        >>> f0 = np.repeat([[440.0], [165.0]], 63, axis=1)
        >>> result = umss.separate(audio, 16000, f0=f0, method="comb")
        >>> edited = umss.edit(result, singer1={"transpose": 2, "vibrato": 0.5})
        >>> round(float(edited.f0.f0[10, 0]), 1), edited.mix.shape
        (493.9, (16000,))
    """
    both = {**(edits or {}), **singers}
    if len(both) < len(edits or {}) + len(singers):
        raise UmssError("a singer is given both in edits and by keyword; give one of them")
    arrays = {name: np.asarray(value) for name, value in result.parameters.items()}
    names = tuple(result.stems)
    voices = _build_voices(result, arrays)
    first = next(iter(result.stems.values()))
    convert = torch.from_numpy if isinstance(first, torch.Tensor) else np.asarray

    def load(name: str) -> Signal:
        return np.atleast_2d(np.asarray(result.stems[name], np.float32))

    plan = build_plan(names, arrays, voices, both, load, result.rate, rendering)
    sung = plan.synthesise()
    stems = dict(result.stems)
    for name in plan.edits:
        rendered = plan.render(name, sung.get(name))
        stems[name] = convert(rendered[0] if np.ndim(first) == 1 else rendered)
    synthesised = {}
    if result.synthesised and sung:
        changed = {name: convert(voice) for name, voice in sung.items()}
        synthesised = {**result.synthesised, **changed}
    return replace(
        result,
        stems=stems,
        f0=plan.contours,
        parameters={name: convert(value) for name, value in plan.parameters.items()},
        synthesised=synthesised,
        edited=(*result.edited, *(name for name in plan.edits if name not in result.edited)),
    )


def _build_voices(result: SeparatedRecording, arrays: dict[str, Any]) -> VoiceFile | None:
    """The models of the voices, None where the method has none."""
    if not result.synthesised:
        return None
    return build_voices(
        {
            **arrays,
            "names": np.array(list(result.stems)),
            "description": np.array(result.description),
        }
    )
