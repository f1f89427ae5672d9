"""Decisions on the salience of voices, and on what time grid, with straight-through gradients."""

from __future__ import annotations

import torch
from torch import Tensor

from ..dsp.tracks import HOP, RATE, interpolate_tracks
from ..f0.published.hcqt import HOP as HCQT_HOP
from ..f0.published.hcqt import RATE as HCQT_RATE


def replace_gradient(value: Tensor, smooth: Tensor) -> Tensor:
    """`value` forward; backward, the gradient goes to `smooth` instead."""
    # In this order the value is exact: what is added to it is zero.
    return value.detach() + (smooth - smooth.detach())


def find_parabola_top(salience: Tensor, place: Tensor) -> Tensor:
    """Top of the parabola through a bin and its neighbours, -0.5 to 0.5 bins from its middle.

    Args:
        salience: [..., F, M].
        place: [..., M], chosen bins.

    Returns:
        [..., M]; 0 in the lowest and highest bin, and where the three values lie on a line.
    """
    index = place.unsqueeze(-2)
    n_bins = salience.shape[-2]
    below, middle, above = (
        salience.gather(-2, (index + step).clamp(0, n_bins - 1)).squeeze(-2) for step in (-1, 0, 1)
    )
    curvature = below - 2.0 * middle + above
    usable = (curvature < -1e-9) & (place > 0) & (place < n_bins - 1)
    top = 0.5 * (below - above) / torch.where(usable, curvature, -torch.ones_like(curvature))
    return torch.where(usable, top, torch.zeros_like(top)).clamp(-0.5, 0.5)


def resample_decisions(f0: Tensor, voicing: Tensor, n_frames: int) -> tuple[Tensor, Tensor]:
    """From the frames of the HCQT (11.6 ms) to those of the separator (16 ms).

    HCQT frame m lies at 256 m / 22 050 s, frame n at 256 n / 16 000 s; the rule is that of
    `src.dsp.tracks`.

    Shape:
        - f0, voicing: [..., M]; F0 in Hz, 0 where voicing is 0
        - output: the same, [..., N]
    """
    frames = torch.arange(n_frames, device=f0.device, dtype=torch.float64)
    position = frames * (HOP / RATE) * (HCQT_RATE / HCQT_HOP)
    return interpolate_tracks(f0, position, voicing), interpolate_tracks(voicing, position, voicing)


def choose_strongest(voicing: Tensor, peak: Tensor, n_singers: int) -> Tensor:
    """Indices [B, J], ascending, of the voices that are found in the most frames.

    Args:
        voicing: [B, V, M], 0 or 1.
        peak: [B, V, M], highest salience, which decides between voices found equally often.
        n_singers: J.
    """
    score = voicing.mean(dim=2) + 1e-3 * peak.mean(dim=2)
    return score.topk(n_singers, dim=1).indices.sort(dim=1).values
