"""Time-varying all-pole filter that is stable for all changes of its coefficients.

Interpolating the coefficients of 1 / A passes through unstable filters where neighbouring frames
differ much. A normalised lattice rotates its state by the angle asin(k_m) in every stage, so its
energy never grows by itself, and any reflection coefficients inside (-1, 1), interpolated or not,
give a bounded output.

References:
    Gray, Markel, "A normalized digital filter structure", IEEE Trans. ASSP 23, 1975.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from .allpole import flatten_rows


def _choose_kernels(device: torch.device) -> ModuleType:
    if device.type == "cuda":
        from . import lattice_cuda

        return lattice_cuda
    from . import lattice_cpu

    return lattice_cpu


class _Lattice(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, e: Tensor, k: Tensor, hop: int) -> Tensor:
        y, dropped, state = _choose_kernels(e.device).lattice_forward(e, k, hop)
        ctx.save_for_backward(dropped, state, k)
        ctx.hop = hop
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gy: Tensor) -> tuple[Tensor, Tensor, None]:
        dropped, state, k = ctx.saved_tensors
        kernels = _choose_kernels(k.device)
        ge, gk = kernels.lattice_backward(dropped, state, k, ctx.hop, gy.contiguous())
        return ge, gk, None


def allpole_lattice(e: Tensor, reflection: Tensor, *, hop: int = 256) -> Tensor:
    """Filter by a time-varying 1 / A given as reflection coefficients, interpolated to samples.

    With constant coefficients the output is that of the filter `lpc.reflection_to_lpc(reflection)`.

    Shape:
        - e: [..., T] excitation, float32 or float64
        - reflection: [..., N, K] inside (-1, 1), frames n = 0 ... N - 1, N = ceil(T / hop)
        - output: [..., T], dtype of e

    Raises:
        ValueError: N does not fit T.
    """
    rows, k_rows, lead = flatten_rows(e, reflection, hop)
    filtered: Tensor = _Lattice.apply(rows, k_rows, hop)  # type: ignore[no-untyped-call]
    return filtered.reshape(*lead, e.shape[-1])
