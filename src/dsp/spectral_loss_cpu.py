"""Multi-scale spectral distance and its gradient on the CPU, in one pass over the spectra.

Distance and gradient of a bin need the same few values, so both come from one compiled loop, and of
every scale only the gradient's share of the signal is kept: memory does not grow with the number of
scales. Signals are handled one by one, so that their spectra stay in the cache.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from .compiled import jit

# Bins at a time: their intermediate values stay in the innermost cache.
_BLOCK = 1024


@jit
def _compare(found, wanted, floor, half, ratio, work):  # type: ignore[no-untyped-def]
    """Sum |M - M'| of two flat spectra re, im, re, im, ... with M = sqrt(re^2 + im^2 + floor).

    `found` becomes the gradient by re and im; ratio: M^2 / M'^2 per bin; work [3, _BLOCK].
    """
    zero = half - half
    one = half + half
    distance = 0.0
    for start in range(0, len(ratio), _BLOCK):
        count = min(_BLOCK, len(ratio) - start)
        p, q, factor = work[0], work[1], work[2]
        for i in range(count):
            j = 2 * (start + i)
            p[i] = found[j] * found[j] + found[j + 1] * found[j + 1] + floor
            q[i] = wanted[j] * wanted[j] + wanted[j + 1] * wanted[j + 1] + floor
        total = zero
        for i in range(count):
            magnitude = np.sqrt(p[i])
            total += abs(magnitude - np.sqrt(q[i]))
            ratio[start + i] = p[i] / q[i]
            # |M - M'| and |ln M - ln M'| grow and shrink together: dM = re / M, d ln M = re / M^2.
            slope = (magnitude + one) / p[i]
            factor[i] = slope if p[i] > q[i] else (-slope if p[i] < q[i] else zero)
        for i in range(count):
            j = 2 * (start + i)
            found[j] *= factor[i]
            found[j + 1] *= factor[i]
        distance += total
    return distance


def _transform(padded: Tensor, window: Tensor, hop: int) -> Tensor:
    """[T] to [frames, F], complex."""
    return torch.fft.rfft(padded.unfold(-1, len(window), hop) * window)


def _overlap_add(frames: Tensor, hop: int) -> Tensor:
    """[frames, 4 hop] to [(frames + 3) hop]."""
    count = len(frames)
    total = frames.new_zeros(count + 3, hop)
    for k in range(4):
        total[k : k + count] += frames[:, k * hop : (k + 1) * hop]
    return total.flatten()


class MultiScaleDistance(torch.autograd.Function):
    """`src.dsp.spectral_loss.multi_scale_spectral_loss` of rows [R, T]."""

    @staticmethod
    def forward(ctx: Any, estimate: Tensor, target: Tensor, fft_sizes: Sequence[int]) -> Tensor:
        rows, n_samples = estimate.shape
        gradient = torch.zeros_like(estimate)
        distance = 0.0
        work = np.empty((3, _BLOCK), dtype=estimate.numpy().dtype)
        half, floor = np.array([0.5, 1e-10], dtype=estimate.numpy().dtype)
        for n_fft in fft_sizes:
            hop = n_fft // 4
            margin = n_fft - hop
            window = torch.hann_window(n_fft, dtype=estimate.dtype)
            padding = (margin, margin + (-n_samples) % hop)
            for r in range(rows):
                pair = torch.stack([estimate[r], target[r]])
                padded = torch.nn.functional.pad(pair, padding)
                found = _transform(padded[0], window, hop)
                wanted = _transform(padded[1], window, hop)
                bins = found.numel()
                ratio = torch.empty(found.shape, dtype=estimate.dtype)
                ours, theirs = (torch.view_as_real(x).numpy().reshape(-1) for x in (found, wanted))
                linear = _compare(ours, theirs, floor, half, ratio.numpy().reshape(-1), work)
                logarithmic = 0.5 * float(ratio.log_().abs_().sum())
                distance += (linear + logarithmic) / (bins * rows)
                if ctx.needs_input_grad[0]:
                    # The inverse counts every bin twice but the first and the last.
                    found[:, 1:-1] *= 0.5
                    frames = torch.fft.irfft(found, n=n_fft) * (window * (n_fft / (bins * rows)))
                    signal = _overlap_add(frames, hop)
                    gradient[r] += signal[margin : margin + n_samples]
        ctx.save_for_backward(gradient)
        return estimate.new_tensor(distance)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        (gradient,) = ctx.saved_tensors
        return grad * gradient, None, None
