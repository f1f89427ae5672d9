"""Singers in unison: nothing in one channel tells who sings which part of a pitch that both sing.

Two voices under one track fit the mixture equally well however they divide it, so that each gets a
part by chance. Where two singers sing the same pitch most of the time, their stems get equal parts
of what both sing instead, which is the best guess and never worse than the mixture of the two. What
such singers sing apart is too little to know them well by: it is divided by how sure it is whose it
is.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ..dsp.control import interpolate_frames

SAME = 10.0  # cents between tracks that are one pitch
MOSTLY = 0.5  # of the time in which both sing; with less, what they sing apart tells them apart
SMOOTH = 3  # frames over which parts change


def share_what_both_sing(stems: Tensor, f0: Tensor, *, hop: int) -> Tensor:
    """Divide the sum of stems equally between singers in unison.

    Args:
        stems: [B, J, C, T].
        f0: [B, J, N] Hz, 0 = silent.
        hop: samples from one F0 frame to the next.

    Returns:
        [B, J, C, T] with the same sum over J; `stems` itself where nobody sings in unison.
    """
    same, mostly = find_unisons(f0)
    return _divide(stems, (same & mostly).to(stems), hop)


def share_by_confidence(stems: Tensor, f0: Tensor, confidence: Tensor, *, hop: int) -> Tensor:
    """As `share_what_both_sing`; what they sing apart is divided by how sure it is whose it is.

    Args:
        stems: [B, J, C, T].
        f0: [B, J, N] Hz, 0 = silent.
        confidence: [B, J, N] probability that a singer sings this track, not another's.
        hop: samples from one F0 frame to the next.

    Returns:
        [B, J, C, T] with the same sum over J; `stems` itself where nobody mostly sings in unison.
    """
    same, mostly = find_unisons(f0)
    sure = torch.minimum(confidence[:, :, None], confidence[:, None]).clamp(0.5, 1.0)
    # Beside 1 for the track's own singer.
    other = torch.where(same, 1.0, (1.0 - sure) / sure)
    return _divide(stems, (other * mostly).to(stems), hop)


def _divide(stems: Tensor, others: Tensor, hop: int) -> Tensor:
    """Divide stems between their singers, whose part is 1, and `others` [B, J, J, N]."""
    if not bool(others.any()):
        return stems
    n_singers = others.shape[1]
    one = torch.eye(n_singers).to(others)[None, :, :, None]
    joined = (others + one).flatten(1, 2)
    # Three who sing with each other only in part are divided by pairs.
    padded = torch.nn.functional.pad(joined, (SMOOTH // 2, SMOOTH // 2), mode="replicate")
    joined = torch.nn.functional.avg_pool1d(padded, SMOOTH, stride=1)
    joined = joined.unflatten(1, (n_singers, n_singers))
    parts = joined / joined.sum(dim=1, keepdim=True)
    shared = torch.zeros_like(stems)
    for giver in range(n_singers):
        over_time = interpolate_frames(parts[:, :, giver], hop=hop, n_samples=stems.shape[-1])
        shared += over_time[:, :, None] * stems[:, giver : giver + 1]
    return shared


def find_unisons(f0: Tensor) -> tuple[Tensor, Tensor]:
    """Find when pairs of singers sing one pitch, and which mostly do.

    Args:
        f0: [B, J, N] Hz, 0 = silent.

    Returns:
        bool [B, J, J, N] and [B, J, J, 1], symmetric.
    """
    sung = f0 > 0
    cents = 1200.0 * f0.clamp(min=1.0).log2()
    both = sung[:, :, None] & sung[:, None]
    same = both & ((cents[:, :, None] - cents[:, None]).abs() < SAME)
    same &= ~torch.eye(f0.shape[1], dtype=torch.bool, device=f0.device)[None, :, :, None]
    mostly = same.sum(dim=-1, keepdim=True) > MOSTLY * both.sum(dim=-1, keepdim=True)
    return same, mostly
