"""Edits of the parameters of voices, from which they are synthesised again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..chunks import OVERLAP
from ..renderer import Change, VoiceParameters
from ..resynthesis import VoiceFile
from ..voice_windows import VoiceWindow, walk
from .edits import Edit
from .pitch import FRAMES

Track = NDArray[np.float64]


def edit_voices(
    found: VoiceFile, edits: Mapping[str, Edit], ratios: Mapping[str, Track]
) -> VoiceFile:
    """Edit the parameters of voices.

    Args:
        found: the voices.
        edits: by singer; new voices (`Edit.copy_of`) follow the others.
        ratios: of the F0 to come and the one there is, [N], by singer; 1 where silent.

    Returns:
        Other arrays; the given ones stay as they are.

    Raises:
        UmssError: a voice that cannot be changed so.
    """
    added = [name for name in edits if name not in found.names]
    sources = [found.names.index(edits[name].find_source(name)) for name in added]
    arrays = dict(found.arrays)
    of_voices = {"f0", *found.renderer.per_frame}
    of_voices |= {f"{name}{OVERLAP}" for name in of_voices}
    of_voices |= {*found.renderer.per_window, *found.renderer.tracks}
    if added:
        shared = {name: torch.from_numpy(arrays[name]) for name in found.renderer.per_window}
        shared = found.renderer.add_voices(shared, len(added))
        arrays |= {name: value.numpy() for name, value in shared.items()}
    # Other arrays of voices belong to the separation, e.g. the weights of its opinions.
    n_voices = len(found.names)
    arrays = {
        name: np.concatenate([array, array[sources]]) if name in of_voices else array
        for name, array in arrays.items()
        if name in of_voices or array.ndim == 0 or not added or array.shape[0] != n_voices
    }
    names = (*found.names, *added)
    edited = replace(found, names=names, arrays=arrays)
    for name, edit in edits.items():
        voice = names.index(name)
        change = _build_change(found, voice, edit)
        for place in walk(edited):
            _edit_window(edited, place, voice, change, ratios[name])
    return edited


def _edit_window(
    edited: VoiceFile, place: VoiceWindow, voice: int, change: Change, ratio: Track
) -> None:
    """Edit the parameters of one voice in one window."""
    renderer, arrays = edited.renderer, edited.arrays
    f0 = place.take(arrays, "f0")[voice]
    frames = place.count_frames_before(FRAMES) + np.arange(len(f0))
    moved = torch.from_numpy(ratio[frames.clip(max=len(ratio) - 1)]).to(f0)
    parameters = {name: place.take(arrays, name)[voice] for name in renderer.per_frame}
    tracks = {
        name: torch.from_numpy(np.ascontiguousarray(arrays[name][voice, part]))
        for name, part in place.tracks.items()
    }
    result = renderer.change(
        VoiceParameters(f0, parameters, tracks, place.n_samples), moved, change
    )
    for name, value in {"f0": result.f0, **result.per_frame}.items():
        place.put(arrays, name, voice, value.to(torch.from_numpy(arrays[name])).numpy())
    for name, value in result.tracks.items():
        arrays[name][voice, place.tracks[name]] = value.numpy()


def _build_change(found: VoiceFile, voice: int, edit: Edit) -> Change:
    level = 10.0 ** (edit.gain / 20.0)
    timbre = None
    if edit.timbre is not None:
        source = found.names.index(edit.copy_of) if edit.copy_of is not None else voice
        timbre = (
            measure_timbre(found, source),
            measure_timbre(found, found.names.index(edit.timbre)),
        )
    return Change(
        formants=2.0 ** (edit.formants / 12.0),
        harmonics=level * 10.0 ** (edit.harmonics / 20.0),
        noise=level * 10.0 ** (edit.noise / 20.0),
        timbre=timbre,
    )


def measure_timbre(found: VoiceFile, voice: int) -> Tensor:
    """Measure how a voice is coloured over the whole recording (`Renderer.measure_timbre`)."""
    parameters = {
        name: torch.from_numpy(np.ascontiguousarray(found.arrays[name][voice]))
        for name in found.renderer.per_frame
    }
    f0 = torch.from_numpy(np.ascontiguousarray(found.arrays["f0"][voice]))
    return found.renderer.measure_timbre(f0, parameters)
