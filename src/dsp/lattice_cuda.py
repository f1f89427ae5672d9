"""The time-varying normalised lattice on CUDA: Triton kernels, one lane per row, in float64.

Same functions as `lattice_cpu`, laid out as in `allpole_cuda`: signals time-major, state in
registers, nothing shared between lanes, nothing that waits for the device.
"""

from __future__ import annotations

from typing import no_type_check

import torch
import triton
import triton.language as tl
from torch import Tensor

from .allpole_cuda import LANES, choose_launch_grid

_SIZES = ["n_samples", "n_frames", "hop", "n_lanes"]

# Tuples inside kernels grow by `+`, because Triton knows no starred expressions.
# ruff: noqa: RUF005


@triton.jit(do_not_specialize=_SIZES)
@no_type_check
def _lattice_forward(
    x, k, y, dropped, final, n_samples, n_frames, hop, n_lanes,
    order: tl.constexpr, lanes: tl.constexpr,
):  # fmt: skip
    """x [T, M], k [N, K, M] -> y [T, M], dropped [T, M] (b_K), final [K, M] (b_0 ... b_{K-1})."""
    lane = tl.program_id(0).to(tl.int64) * lanes + tl.arange(0, lanes)
    inside = lane < n_lanes
    zero = tl.zeros([lanes], dtype=tl.float64)
    state = ()
    for _m in tl.static_range(order):
        state = state + (zero,)
    offset = lane
    row = k + lane
    for n in range(n_frames):
        follows = tl.minimum(n + 1, n_frames - 1) - n  # 0 in the last frame, else 1
        start = ()
        change = ()
        for m in tl.static_range(order):
            left = tl.load(row + m * n_lanes, mask=inside, other=0.0)
            right = tl.load(row + (follows * order + m) * n_lanes, mask=inside, other=0.0)
            start = start + (left,)
            change = change + (right - left,)
        position = zero
        for _ in range(tl.minimum(hop, n_samples - n * hop)):
            weight = position / hop
            f = tl.load(x + offset, mask=inside, other=0.0)
            gain = zero + 1.0
            moved = ()
            for i in tl.static_range(order):
                sine = start[order - 1 - i] + weight * change[order - 1 - i]
                cosine = tl.sqrt(1.0 - sine * sine)
                gain *= cosine
                past = state[order - 1 - i]
                rotated = sine * f + cosine * past
                if i == 0:
                    tl.store(dropped + offset, rotated, mask=inside)
                else:
                    moved = (rotated,) + moved
                f = cosine * f - sine * past
            state = (f,) + moved
            tl.store(y + offset, f / gain, mask=inside)
            offset += n_lanes
            position += 1.0
        row += order * n_lanes
    for m in tl.static_range(order):
        tl.store(final + m * n_lanes + lane, state[m], mask=inside)


@triton.jit(do_not_specialize=_SIZES)
@no_type_check
def _lattice_backward(
    dropped, final, k, gy, gx, gk, n_samples, n_frames, hop, n_lanes,
    order: tl.constexpr, lanes: tl.constexpr,
):  # fmt: skip
    """Gradients gx [T, M] and gk [N, K, M] from gy [T, M] and what the forward kernel kept.

    The state is rotated back from sample to sample. Given the dropped signal, this contracts as
    the forward recursion does, so that rounding errors fade instead of adding up.
    """
    lane = tl.program_id(0).to(tl.int64) * lanes + tl.arange(0, lanes)
    inside = lane < n_lanes
    zero = tl.zeros([lanes], dtype=tl.float64)
    state = ()
    adjoint = ()
    right_grad = ()  # of the frame after the current one
    for m in tl.static_range(order):
        state = state + (tl.load(final + m * n_lanes + lane, mask=inside, other=0.0),)
        adjoint = adjoint + (zero,)
        right_grad = right_grad + (zero,)
    offset = lane + (n_samples - 1).to(tl.int64) * n_lanes
    row = lane + (n_frames - 1).to(tl.int64) * order * n_lanes
    for i in range(n_frames):
        n = n_frames - 1 - i
        follows = tl.minimum(n + 1, n_frames - 1) - n
        count = tl.minimum(hop, n_samples - n * hop)
        start = ()
        change = ()
        left_grad = ()
        for m in tl.static_range(order):
            left = tl.load(k + row + m * n_lanes, mask=inside, other=0.0)
            right = tl.load(k + row + (follows * order + m) * n_lanes, mask=inside, other=0.0)
            start = start + (left,)
            change = change + (right - left,)
            left_grad = left_grad + (zero,)
        position = zero + (count - 1)
        for _ in range(count):
            # The last frame follows itself: weight 0 gives it the whole gradient.
            weight = follows * position / hop
            sines = ()
            cosines = ()
            gain = zero + 1.0
            for m in tl.static_range(order):
                sine = start[m] + weight * change[m]
                cosine = tl.sqrt(1.0 - sine * sine)
                sines = sines + (sine,)
                cosines = cosines + (cosine,)
                gain *= cosine
            scaled = tl.load(gy + offset, mask=inside, other=0.0) / gain
            f = state[0]
            f_grad = scaled + adjoint[0]
            log_gain_grad = -scaled * f
            before = ()
            passed = ()
            left_sum = ()
            right_sum = ()
            for m in tl.static_range(order):
                sine = sines[m]
                cosine = cosines[m]
                secant = 1.0 / cosine
                if m + 1 < order:
                    rotated = state[m + 1]
                    rotated_grad = adjoint[m + 1]
                else:
                    rotated = tl.load(dropped + offset, mask=inside, other=0.0)
                    rotated_grad = zero
                f_above = cosine * f + sine * rotated
                past = cosine * rotated - sine * f
                sine_grad = f_above * rotated_grad - past * f_grad
                cosine_grad = f_above * f_grad + past * rotated_grad + log_gain_grad * secant
                total = sine_grad - cosine_grad * sine * secant
                left_sum = left_sum + (left_grad[m] + (1.0 - weight) * total,)
                right_sum = right_sum + (right_grad[m] + weight * total,)
                passed = passed + (cosine * rotated_grad - sine * f_grad,)
                f_grad = cosine * f_grad + sine * rotated_grad
                before = before + (past,)
                f = f_above
            tl.store(gx + offset, f_grad, mask=inside)
            state = before
            adjoint = passed
            left_grad = left_sum
            right_grad = right_sum
            offset -= n_lanes
            position -= 1.0
        # In the last frame this writes zeros, which the next turn overwrites.
        for m in tl.static_range(order):
            target = gk + row + (follows * order + m) * n_lanes
            tl.store(target, right_grad[m], mask=inside)
        right_grad = left_grad
        row -= order * n_lanes
    for m in tl.static_range(order):
        tl.store(gk + m * n_lanes + lane, right_grad[m], mask=inside)


def lattice_forward(e: Tensor, k: Tensor, hop: int) -> tuple[Tensor, Tensor, Tensor]:
    """e [R, T], k [R, N, K] to the output [R, T], and what the backward pass needs."""
    n_rows, n_frames, order = k.shape
    x, reflection = e.double().t().contiguous(), k.permute(1, 2, 0).contiguous()
    y, dropped, state = torch.empty_like(x), torch.empty_like(x), k.new_empty(order, n_rows)
    _lattice_forward[choose_launch_grid(n_rows)](
        x, reflection, y, dropped, state, len(x), n_frames, hop, n_rows,
        order=order, lanes=LANES, num_warps=1,
    )  # fmt: skip
    # `dropped` stays time-major in memory: the backward kernel reads it so.
    return y.t().to(e.dtype).contiguous(), dropped.t(), state.t()


def lattice_backward(
    dropped: Tensor, state: Tensor, k: Tensor, hop: int, gy: Tensor
) -> tuple[Tensor, Tensor]:
    """Gradients of `lattice_forward` with respect to e and k."""
    n_rows, n_frames, order = k.shape
    g, reflection = gy.double().t().contiguous(), k.permute(1, 2, 0).contiguous()
    ge, gk = torch.empty_like(g), torch.empty_like(reflection)
    _lattice_backward[choose_launch_grid(n_rows)](
        dropped.t().contiguous(), state.t().contiguous(), reflection, g, ge, gk,
        len(g), n_frames, hop, n_rows, order=order, lanes=LANES, num_warps=1,
    )  # fmt: skip
    return ge.t().to(gy.dtype).contiguous(), gk.permute(2, 0, 1).contiguous()
