"""What a fit found of the voices, as the parameters that `src.fit.rendering` makes voices of."""

from __future__ import annotations

import torch
from torch import Tensor

from .explaining import Explanation
from .scene import Scene


def gather_parameters(
    explanation: Explanation,
    scene: Scene,
    weights: Tensor,
    spectrum: Tensor,
    *,
    hop: int,
    mask_hop: int,
) -> dict[str, Tensor]:
    """Gather what is known of the voices under the given F0s.

    Args:
        explanation: of B mixtures under the given F0s.
        scene: of all explanations.
        weights: [K, B, N'] of K opinions in the frames of spectrograms.
        spectrum: [B, F, N'] of the mixtures.
        hop, mask_hop: samples per frame of F0, and of spectrograms.

    Returns:
        By name, [B, J, N, size] per frame of F0 or [B, J, size].
    """
    tuned, fit = explanation.f0, explanation.fit
    n_voices, n_frames = tuned.shape[1:]
    frames = torch.arange(n_frames, device=tuned.device) * hop // mask_hop
    noise = fit.spectra.noise_envelope.transpose(1, 2)[:, frames]
    room = torch.stack([scene.seconds, scene.late], dim=-1)
    parameters = {
        "envelope_cosines": fit.spectra.envelope.transpose(2, 3)[:, :, frames],
        "noise_cosines": _repeat_for_voices(noise, n_voices),
        "tuned_f0": tuned.unsqueeze(-1),
        "section_cents": scene.cents[:, :, None, None].expand(-1, -1, n_frames, -1),
        "reverberation": _repeat_for_voices(room.unsqueeze(1).expand(-1, n_frames, -1), n_voices),
    }
    if len(weights) > 1:
        trusted = weights.permute(1, 2, 0)[:, frames]
        parameters["f0_weights"] = _repeat_for_voices(trusted, n_voices)
    scale = _measure_scale(spectrum, fit.level)
    parameters["scale"] = scale.unsqueeze(1).expand(-1, n_voices, -1)
    return parameters | fit.controls


def mix_amplitudes(amplitudes: Tensor, channels: Tensor, mixture: Tensor) -> Tensor:
    """Mix amplitudes of partials as a mixture is mixed from channels.

    Args:
        amplitudes: [B, J, C, frames, size] in the channels.
        channels: [B, C, T].
        mixture: [B, T], a weighted sum of the channels.

    Returns:
        [B, J, frames, size].
    """
    if channels.shape[1] == 1:
        return amplitudes[:, :, 0]
    heard = channels.double()
    products = heard @ heard.mT
    target = heard @ mixture.double().unsqueeze(-1)
    weights = (torch.linalg.pinv(products, rtol=1e-10, hermitian=True) @ target).to(amplitudes)
    return torch.einsum("bjcns,bc->bjns", amplitudes, weights.squeeze(-1))


def _measure_scale(spectrum: Tensor, level: Tensor) -> Tensor:
    """Measure the mean of spectrograms [B, F, N], relative to a level [B] and by itself: [B, 2]."""
    mean = spectrum.mean(dim=(1, 2))
    tiny = torch.finfo(level.dtype).tiny
    relative = torch.where(level > tiny, mean / level.clamp(min=tiny), 0.0)
    return torch.stack([relative, mean], dim=-1)


def _repeat_for_voices(x: Tensor, n_voices: int) -> Tensor:
    """Repeat a parameter [B, N, size] of the mixtures for each of J voices: [B, J, N, size]."""
    return x.unsqueeze(1).expand(-1, n_voices, -1, -1)
