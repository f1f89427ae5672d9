"""The project's time grid, and the one rule for interpolating F0 tracks to other frames.

Between two voiced frames F0 is interpolated linearly. Next to silence the nearer frame is taken,
the earlier one in a tie, because linear interpolation would glide to 0 Hz. After the last frame
its value is held.
"""

from __future__ import annotations

import torch
from torch import Tensor

HOP = 256  # samples from one F0 frame to the next
RATE = 16_000  # Hz, sample rate of everything that is modelled


def interpolate_tracks(f0: Tensor, position: Tensor, voiced: Tensor | None = None) -> Tensor:
    """Interpolate F0 tracks between their frames by the rule of this module.

    Args:
        f0: [..., M] Hz, 0 where silent; or any other values that belong to the same frames.
        position: [N], in frames from 0; fractions are between two frames.
        voiced: [..., M], positive where voiced; None: where `f0` is positive.

    Returns:
        [..., N], in the dtype of `f0`.
    """
    last = f0.shape[-1] - 1
    left = position.floor().long().clamp(0, last)
    right = (left + 1).clamp(max=last)
    weight = (position - left).clamp(0.0, 1.0).to(f0.dtype)
    sung = (f0 if voiced is None else voiced) > 0
    both = sung[..., left] & sung[..., right]
    weight = torch.where(both, weight, (weight > 0.5).to(f0.dtype))
    low, high = f0[..., left], f0[..., right]
    return low + weight * (high - low)


def resample_f0(f0: Tensor, n_frames: int, *, hop: int = HOP, frame_hop: int = HOP) -> Tensor:
    """Resample F0 tracks to the frames of a spectrogram with another hop.

    Args:
        f0: [..., M] Hz, frame m at sample m * hop, 0 where silent.
        n_frames: N, number of output frames; frame n is at sample n * frame_hop.
        hop: samples from one input frame to the next.
        frame_hop: samples from one output frame to the next.

    Returns:
        [..., N] Hz.
    """
    frames = torch.arange(n_frames, device=f0.device, dtype=torch.float64)
    return interpolate_tracks(f0, frames * frame_hop / hop)


def remove_glides(f0: Tensor, *, min_hz: float = 60.0, max_semitones: float = 1.0) -> Tensor:
    """Silence the frames of F0 tracks that were interpolated towards 0 Hz.

    Published tracks were resampled linearly across the zeros of silence, so that the first or last
    frame of a phrase can lie anywhere between 0 Hz and the F0 next to it.

    Args:
        f0: [..., N] Hz, 0 where silent.
        min_hz: lower values become silence.
        max_semitones: a frame next to silence that is further below its voiced neighbour becomes
            silence too.

    Returns:
        [..., N] Hz.
    """
    f0 = torch.where(f0 < min_hz, 0.0, f0)
    # The first and last value are repeated beyond the ends.
    before = torch.cat([f0[..., :1], f0[..., :-1]], dim=-1)
    after = torch.cat([f0[..., 1:], f0[..., -1:]], dim=-1)
    floor = 2.0 ** (-max_semitones / 12.0)
    glides = ((before == 0) & (f0 < floor * after)) | ((after == 0) & (f0 < floor * before))
    return torch.where(glides, 0.0, f0)
