"""Multi-scale spectral distance (paper eq. 13, 14)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

FFT_SIZES = (2048, 1024, 512, 256, 128, 64)


def covering_magnitudes(x: Tensor, n_fft: int) -> Tensor:
    """Magnitudes sqrt(re^2 + im^2 + 1e-10) with 75 % overlap.

    Zeros are added around the signal, so that every sample, including the first and the last, is
    covered by four windows and has the same weight.

    Shape:
        - x: [..., T]
        - output: [..., n_fft // 2 + 1, frames]
    """
    hop = n_fft // 4
    margin = n_fft - hop
    flat = x.reshape(-1, x.shape[-1])
    right = margin + (-x.shape[-1]) % hop
    padded = torch.nn.functional.pad(flat, (margin, right))
    window = torch.hann_window(n_fft, dtype=x.dtype, device=x.device)
    spectrum = torch.stft(padded, n_fft, hop, window=window, center=False, return_complex=True)
    power = torch.view_as_real(spectrum).square().sum(dim=-1)
    return (power + 1e-10).sqrt().reshape(*x.shape[:-1], *power.shape[-2:])


def multi_scale_spectral_loss(
    estimate: Tensor, target: Tensor, *, fft_sizes: Sequence[int] = FFT_SIZES
) -> Tensor:
    """Sum over FFT sizes of mean |M - M'| + mean |ln M - ln M'|.

    Means run over batch, bins and frames, as in the reference implementation, so that the value
    does not depend on batch size or length.

    Shape:
        - estimate, target: [..., T], the same shape; no gradient flows into `target`
        - output: scalar

    Raises:
        ValueError: shapes differ.
    """
    if estimate.shape != target.shape:
        raise ValueError(
            f"estimate {tuple(estimate.shape)} and target {tuple(target.shape)} differ in shape"
        )
    if estimate.device.type == "cpu":
        from .spectral_loss_cpu import MultiScaleDistance

        rows = estimate.reshape(-1, estimate.shape[-1])
        distance: Tensor = MultiScaleDistance.apply(  # type: ignore[no-untyped-call]
            rows, target.detach().reshape(rows.shape), tuple(fft_sizes)
        )
        return distance
    return _compute_with_tensors(estimate, target, fft_sizes)


def _compute_with_tensors(estimate: Tensor, target: Tensor, fft_sizes: Sequence[int]) -> Tensor:
    """Compute the loss with tensor operations, on any device."""
    loss = estimate.new_zeros(())
    for n_fft in fft_sizes:
        with torch.no_grad():
            wanted = covering_magnitudes(target, n_fft)
        found = covering_magnitudes(estimate, n_fft)
        loss = loss + (found - wanted).abs().mean() + (found.log() - wanted.log()).abs().mean()
    return loss
