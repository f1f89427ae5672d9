"""All-pole (recursive) filters with gradients for the signal and the coefficients.

Two ways to make a filter follow coefficients that change from frame to frame:

- `allpole_ola`: every frame of 2 * hop samples is filtered from zero state with its own
  coefficients, weighted with a Hann window and overlap-added (paper section III-D);
- `allpole_samplewise`: one recursion through the whole signal, with coefficients interpolated
  linearly to every sample; exact, at half the work.

Both compute in float64 whatever the input type, on the CPU in compiled loops and on CUDA in Triton
kernels; no loop over samples runs in Python.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from .control import count_frames


def _choose_kernels(device: torch.device) -> ModuleType:
    if device.type == "cuda":
        from . import allpole_cuda

        return allpole_cuda
    from . import allpole_cpu

    return allpole_cpu


class _OverlapAdd(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, e: Tensor, a: Tensor, window: Tensor, hop: int) -> Tensor:
        ctx.save_for_backward(e, a, window)
        ctx.hop = hop
        result: Tensor = _choose_kernels(e.device).ola_forward(e, a, window, hop)
        return result

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gy: Tensor) -> tuple[Tensor, Tensor, None, None]:
        e, a, window = ctx.saved_tensors
        ge, ga = _choose_kernels(e.device).ola_backward(e, a, window, ctx.hop, gy.contiguous())
        return ge, ga, None, None


class _Samplewise(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, e: Tensor, a: Tensor, hop: int) -> Tensor:
        y: Tensor = _choose_kernels(e.device).samplewise_forward(e, a, hop)
        ctx.save_for_backward(y, a)
        ctx.hop = hop
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gy: Tensor) -> tuple[Tensor, Tensor, None]:
        y, a = ctx.saved_tensors
        ge, ga = _choose_kernels(y.device).samplewise_backward(y, a, ctx.hop, gy.contiguous())
        return ge, ga, None


def flatten_rows(e: Tensor, a: Tensor, hop: int) -> tuple[Tensor, Tensor, torch.Size]:
    """Broadcast leading dimensions and flatten them to rows."""
    frames = count_frames(e.shape[-1], hop)
    if a.shape[-2] != frames:
        raise ValueError(
            f"{e.shape[-1]} samples at hop {hop} need coefficients for {frames} frames, "
            f"got {a.shape[-2]}"
        )
    lead = torch.broadcast_shapes(e.shape[:-1], a.shape[:-2])
    e_rows = e.expand(*lead, e.shape[-1]).reshape(-1, e.shape[-1]).contiguous()
    a_rows = a.double().expand(*lead, *a.shape[-2:]).reshape(-1, *a.shape[-2:]).contiguous()
    return e_rows, a_rows, lead


def allpole_ola(e: Tensor, a: Tensor, *, hop: int = 256) -> Tensor:
    """Filter by 1 / A frame by frame from zero state, with Hann overlap-add (paper section III-D).

    Frame n covers samples (n - 1) * hop ... (n + 1) * hop - 1; its window peaks at n * hop. The
    last frame's coefficients also serve the half frame after it, so that the windows sum to one up
    to the last sample.

    Shape:
        - e: [..., T] excitation, float32 or float64
        - a: [..., N, K] coefficients a_1 ... a_K of frames n = 0 ... N - 1, N = ceil(T / hop)
        - output: [..., T], dtype of e

    Raises:
        ValueError: N does not fit T.
    """
    rows, a_rows, lead = flatten_rows(e, a, hop)
    window = torch.hann_window(2 * hop, dtype=torch.float64, device=e.device)
    filtered: Tensor = _OverlapAdd.apply(rows, a_rows, window, hop)  # type: ignore[no-untyped-call]
    return filtered.reshape(*lead, e.shape[-1])


def allpole_samplewise(e: Tensor, a: Tensor, *, hop: int = 256) -> Tensor:
    """Filter by a time-varying 1 / A, coefficients interpolated linearly to every sample.

    y(t) = e(t) - sum_k a_k(t) y(t - k), with a_k(n * hop) the coefficients of frame n.

    Linear interpolation between two stable but very different filters can pass through an unstable
    one; `lattice.allpole_lattice` interpolates reflection coefficients and is always stable.

    Shape:
        - e: [..., T] excitation, float32 or float64
        - a: [..., N, K] coefficients of frames n = 0 ... N - 1, N = ceil(T / hop)
        - output: [..., T], dtype of e

    Raises:
        ValueError: N does not fit T.
    """
    rows, a_rows, lead = flatten_rows(e, a, hop)
    filtered: Tensor = _Samplewise.apply(rows, a_rows, hop)  # type: ignore[no-untyped-call]
    return filtered.reshape(*lead, e.shape[-1])
