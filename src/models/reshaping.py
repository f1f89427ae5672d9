"""Changes of a source-filter voice's parameters: its formants, its colour, its levels."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from ..dsp.lpc import lpc_response, lsf_from_increments, lsf_to_lpc, reflection_to_lpc
from ..errors import UmssError
from ..renderer import Change
from .source_filter import SourceFilterVoice

N_FFT = 2048  # of the frequency responses that are compared
_KNEE = 0.8  # of the Nyquist frequency; formants that would pass it are squeezed below the end
_LEAST = 1e-6  # least increment, relative to their sum


def measure_filter(voice: SourceFilterVoice, parameters: Mapping[str, Tensor]) -> Tensor:
    """Measure the all-pole filter and the roll-off of the harmonics, over frequency.

    Args:
        voice: whose parameters they are.
        parameters: [N, size] by name.

    Returns:
        [N, N_FFT // 2 + 1] natural logarithms of amplitudes, float64.
    """
    if voice.parameterisation == "lsf":
        increments = parameters["lsf_increments"]
        lpc = lsf_to_lpc(lsf_from_increments(increments, minimum_gap=voice.minimum_gap))
    else:
        lpc = reflection_to_lpc(parameters["reflection"])
    rolloff = torch.fft.rfft(voice.rolloff.double(), n=N_FFT).abs()
    return torch.log(lpc_response(lpc, N_FFT).abs() * rolloff)


def change_controls(
    voice: SourceFilterVoice, parameters: Mapping[str, Tensor], change: Change
) -> dict[str, Tensor]:
    """Change the controls of a voice; moving its F0 takes nothing else.

    Moved or exchanged resonances change how loud the filter is; levels make up for that.

    Args:
        voice: whose parameters they are.
        parameters: [N, size] by name.
        change: what is changed; `timbre` as found by `measure_colour`.

    Raises:
        UmssError: formants or timbre of a voice with reflection coefficients.
    """
    changed = dict(parameters)
    levels = {"harmonic_amplitude": change.harmonics, "noise_gain": change.noise}
    if change.formants != 1.0 or change.timbre is not None:
        if voice.parameterisation != "lsf":
            raise UmssError(
                "formants and timbre of a voice with reflection coefficients cannot be changed in "
                "its parameters; use rendering=stem"
            )
        steps = parameters["lsf_increments"].double()
        total = steps.sum(dim=-1, keepdim=True)
        steps = steps / total
        if change.timbre is not None:
            own, wanted = change.timbre
            steps = steps * torch.exp(wanted - own)
            steps = steps / steps.sum(dim=-1, keepdim=True)
        if change.formants != 1.0:
            steps = _warp(steps, change.formants, voice.minimum_gap)
        changed["lsf_increments"] = (steps * total).to(parameters["lsf_increments"].dtype)
        loudness = [_measure_power(voice, x) for x in (parameters, changed)]
        makeup = torch.sqrt(loudness[0] / loudness[1]).float()
        for name in levels:
            if name in changed:
                changed[name] = changed[name] * makeup
    for name, factor in levels.items():
        if name in changed:
            changed[name] = changed[name] * factor
    return changed


def measure_colour(
    voice: SourceFilterVoice, f0: Tensor, parameters: Mapping[str, Tensor]
) -> Tensor:
    """Measure the mean resonances of a voice where it has pitch: [K + 1], logarithms.

    Raises:
        UmssError: a voice with reflection coefficients.
    """
    if voice.parameterisation != "lsf":
        raise UmssError(
            "the timbre of a voice with reflection coefficients cannot be changed in its "
            "parameters; use rendering=stem"
        )
    steps = parameters["lsf_increments"][f0 > 0].double()
    steps = steps / steps.sum(dim=-1, keepdim=True)
    return torch.log(steps.clamp(min=_LEAST)).mean(dim=0)


def _measure_power(voice: SourceFilterVoice, parameters: Mapping[str, Tensor]) -> Tensor:
    """Power of the filtered roll-off, [N, 1]."""
    return torch.exp(2.0 * measure_filter(voice, parameters)).mean(dim=-1, keepdim=True)


def _warp(steps: Tensor, factor: float, minimum_gap: float) -> Tensor:
    """Multiply line spectral frequencies by a factor, in normalised increments [N, K + 1]."""
    lsf = lsf_from_increments(steps, minimum_gap=minimum_gap)
    knee = _KNEE * math.pi / max(factor, 1.0)
    above = _KNEE * math.pi if factor > 1.0 else factor * knee
    beyond = above + (lsf - knee) * (math.pi - above) / (math.pi - knee)
    moved = torch.where(lsf < knee, factor * lsf, beyond)
    bounds = torch.nn.functional.pad(moved, (1, 0))
    bounds = torch.nn.functional.pad(bounds, (0, 1), value=math.pi)
    gaps = bounds.diff(dim=-1) / math.pi
    # The inverse of what `lsf_from_increments` does about the gap.
    gaps = (gaps - minimum_gap / gaps.shape[-1]) / (1.0 - minimum_gap)
    gaps = gaps.clamp(min=_LEAST)
    return gaps / gaps.sum(dim=-1, keepdim=True)
