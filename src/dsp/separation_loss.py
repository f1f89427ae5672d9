"""Loss between masked mixtures and sources, on spectrograms and in dB."""

from __future__ import annotations

import torch
from torch import Tensor


def separation_loss(
    masks: Tensor,
    mixture: Tensor,
    sources: Tensor,
    *,
    chunk_frames: int = 63,
    floor: float = 1e-3,
) -> Tensor:
    """Mean ratio of error to source in dB: minus the SDR of the masked mixture, bounded.

    The spectrograms are cut in time, like the frames of the evaluation, and every chunk of every
    source has the same weight. `floor` times the energy of the mixture is added to error and
    source, so that the loss is defined for silent sources, and errors far below the mixture hardly
    matter.

    Args:
        masks: [B, J, F, N] real.
        mixture: [B, F, N] complex spectrogram.
        sources: [B, J, F, N] complex spectrograms.
        chunk_frames: length of a chunk; the default is a second at a hop of 16 ms.
        floor: ratio of energies, see above.

    Returns:
        A number, 0 where the estimates are silent, negative for good ones.
    """
    error = (masks * mixture.unsqueeze(1) - sources).abs().square().sum(dim=-2)
    energies = [error, sources.abs().square().sum(dim=-2)]
    energies.append(mixture.abs().square().sum(dim=-2).unsqueeze(1).expand_as(error))
    n_chunks = max(1, error.shape[-1] // chunk_frames)
    error, energy, whole = (
        torch.stack([part.sum(dim=-1) for part in x.tensor_split(n_chunks, dim=-1)], dim=-1)
        for x in energies
    )
    least = floor * whole + torch.finfo(error.dtype).tiny ** 0.5
    return 10.0 * torch.log10((error + least) / (energy + least)).mean()
