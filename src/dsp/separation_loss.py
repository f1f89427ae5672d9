"""How far masked mixtures are from the sources, on spectrograms and in dB."""

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

    The spectrograms are cut in time, as the frames of the evaluation are, and every chunk of every
    source counts alike. Error and source are both raised by `floor` times the mixture, so that
    chunks in which a source is silent ask for silence, and an error far below the mixture is good
    enough.

    Args:
        masks: [B, J, F, N] real.
        mixture: [B, F, N] complex spectrogram.
        sources: [B, J, F, N] complex spectrograms.
        chunk_frames: length of a chunk; the default is a second at a hop of 16 ms.
        floor: see above, a ratio of energies.

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
