"""The separation loss against SDR by hand, and its gradient."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from src.dsp.separation_loss import separation_loss


def spectra(seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    """Masks [2, 3, 5, 8], mixture and sources."""
    generator = torch.Generator().manual_seed(seed)
    sources = torch.randn(2, 3, 5, 8, generator=generator, dtype=torch.complex128)
    masks = torch.rand(2, 3, 5, 8, generator=generator, dtype=torch.float64)
    return masks, sources.sum(dim=1), sources


def test_is_minus_the_sdr_of_chunks() -> None:
    masks, mixture, sources = spectra()
    sources[0, 1, :, :4] = 0.0
    m, x, s = masks.numpy(), mixture.numpy(), sources.numpy()
    values = []
    for b, j, chunk in np.ndindex(2, 3, 2):
        n = slice(4 * chunk, 4 * chunk + 4)
        floor = 0.01 * np.sum(np.abs(x[b, :, n]) ** 2)
        error = np.sum(np.abs(m[b, j, :, n] * x[b, :, n] - s[b, j, :, n]) ** 2) + floor
        values.append(10 * np.log10(error / (np.sum(np.abs(s[b, j, :, n]) ** 2) + floor)))
    found = separation_loss(masks, mixture, sources, chunk_frames=4, floor=0.01)
    np.testing.assert_allclose(found.item(), np.mean(values), rtol=1e-12)


def test_gradient() -> None:
    masks, mixture, sources = spectra()
    assert torch.autograd.gradcheck(
        lambda x: separation_loss(x, mixture, sources, chunk_frames=4), masks.requires_grad_()
    )


def test_silence_stays_finite() -> None:
    masks, mixture, sources = spectra()
    masks.requires_grad_()
    loss = separation_loss(masks, 0.0 * mixture, 0.0 * sources)
    loss.backward()
    assert loss.item() == 0.0
    assert masks.grad is not None and torch.isfinite(masks.grad).all()
