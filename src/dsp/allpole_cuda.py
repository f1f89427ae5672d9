"""All-pole recursions on CUDA: Triton kernels with one lane per frame or per row, in float64.

Same functions as `allpole_cpu`. Every recursion runs in the registers of one lane: its last K
values are a tuple, unrolled at compile time. Signals lie time-major, [L, M] for M lanes, so that
neighbouring lanes touch neighbouring memory. No lane reads what another one writes, and nothing
waits for the device.

With TRITON_INTERPRET=1 the functions also take CPU tensors (slow, for tests).
"""

from __future__ import annotations

from typing import no_type_check

import torch
import triton
import triton.language as tl
from torch import Tensor

# One element per thread, and few lanes a program, so that small problems spread over the device.
LANES = 32

# Sizes stay run-time numbers: one compilation serves every length and batch.
_STEPS = ["n_steps", "n_lanes"]
_FRAMES = ["n_frames", "hop", "n_lanes"]

# Tuples inside kernels grow by `+`, because Triton knows no starred expressions.
# ruff: noqa: RUF005


@triton.jit(do_not_specialize=_STEPS)
@no_type_check
def _constant_forward(x, a, y, n_steps, n_lanes, order: tl.constexpr, lanes: tl.constexpr):
    """y(t) = x(t) - sum_k a_k y(t - k) from zero state: x [L, M], a [K, M] -> y [L, M].

    Transposed form: pending[k] is what past outputs add to output t + k.
    """
    lane = tl.program_id(0).to(tl.int64) * lanes + tl.arange(0, lanes)
    inside = lane < n_lanes
    zero = tl.zeros([lanes], dtype=tl.float64)
    filters = ()
    pending = ()
    for k in tl.static_range(order):
        filters = filters + (tl.load(a + k * n_lanes + lane, mask=inside, other=0.0),)
        pending = pending + (zero,)
    offset = lane
    for _ in range(n_steps):
        value = tl.load(x + offset, mask=inside, other=0.0) + pending[0]
        tl.store(y + offset, value, mask=inside)
        shifted = ()
        for k in tl.static_range(order - 1):
            shifted = shifted + (pending[k + 1] - filters[k] * value,)
        pending = shifted + (-filters[order - 1] * value,)
        offset += n_lanes


@triton.jit(do_not_specialize=_STEPS)
@no_type_check
def _constant_backward(
    gy, y, a, gx, ga, n_steps, n_lanes, order: tl.constexpr, lanes: tl.constexpr
):
    """Gradients gx [L, M] and ga [K, M] from gy [L, M] and outputs y [K + L, M], K zeros ahead."""
    lane = tl.program_id(0).to(tl.int64) * lanes + tl.arange(0, lanes)
    inside = lane < n_lanes
    zero = tl.zeros([lanes], dtype=tl.float64)
    offset = lane + (n_steps - 1).to(tl.int64) * n_lanes
    filters = ()
    pending = ()
    total = ()
    past = ()  # y(t - 1), ..., y(t - K)
    for k in tl.static_range(order):
        filters = filters + (tl.load(a + k * n_lanes + lane, mask=inside, other=0.0),)
        pending = pending + (zero,)
        total = total + (zero,)
        row = y + offset + (order - 1 - k) * n_lanes
        past = past + (tl.load(row, mask=inside, other=0.0),)
    for step in range(n_steps):
        value = tl.load(gy + offset, mask=inside, other=0.0) + pending[0]
        tl.store(gx + offset, value, mask=inside)
        shifted = ()
        grown = ()
        for k in tl.static_range(order):
            grown = grown + (total[k] - value * past[k],)
        for k in tl.static_range(order - 1):
            shifted = shifted + (pending[k + 1] - filters[k] * value,)
        total = grown
        pending = shifted + (-filters[order - 1] * value,)
        offset -= n_lanes
        older = tl.load(y + offset, mask=inside & (step < n_steps - 1), other=0.0)
        past = past[1:] + (older,)
    for k in tl.static_range(order):
        tl.store(ga + k * n_lanes + lane, total[k], mask=inside)


@triton.jit(do_not_specialize=_FRAMES)
@no_type_check
def _varying_forward(x, a, y, n_frames, hop, n_lanes, order: tl.constexpr, lanes: tl.constexpr):
    """Coefficients interpolated to every sample: x [N hop, M], a [N, K, M] -> y [N hop, M]."""
    lane = tl.program_id(0).to(tl.int64) * lanes + tl.arange(0, lanes)
    inside = lane < n_lanes
    zero = tl.zeros([lanes], dtype=tl.float64)
    past = ()
    for _k in tl.static_range(order):
        past = past + (zero,)
    offset = lane
    for n in range(n_frames):
        left = a + n * order * n_lanes + lane
        right = a + tl.minimum(n + 1, n_frames - 1) * order * n_lanes + lane
        now = ()
        slope = ()
        for k in tl.static_range(order):
            start = tl.load(left + k * n_lanes, mask=inside, other=0.0)
            end = tl.load(right + k * n_lanes, mask=inside, other=0.0)
            now = now + (start,)
            slope = slope + ((end - start) / hop,)
        for _ in range(hop):
            value = tl.load(x + offset, mask=inside, other=0.0)
            moved = ()
            # The newest output comes last, so that only one product waits for it.
            for k in tl.static_range(order):
                value -= now[order - 1 - k] * past[order - 1 - k]
                moved = moved + (now[k] + slope[k],)
            tl.store(y + offset, value, mask=inside)
            past = (value,) + past[:-1]
            now = moved
            offset += n_lanes


@triton.jit(do_not_specialize=_FRAMES)
@no_type_check
def _varying_adjoint(gy, a, gx, n_frames, hop, n_lanes, order: tl.constexpr, lanes: tl.constexpr):
    """Gradient gx [N hop, M] of the signal: the transposed recursion, backwards in time."""
    lane = tl.program_id(0).to(tl.int64) * lanes + tl.arange(0, lanes)
    inside = lane < n_lanes
    zero = tl.zeros([lanes], dtype=tl.float64)
    pending = ()
    for _k in tl.static_range(order):
        pending = pending + (zero,)
    offset = lane + (n_frames * hop - 1).to(tl.int64) * n_lanes
    for m in range(n_frames):
        n = n_frames - 1 - m
        left = a + n * order * n_lanes + lane
        right = a + tl.minimum(n + 1, n_frames - 1) * order * n_lanes + lane
        now = ()
        slope = ()
        for k in tl.static_range(order):
            start = tl.load(left + k * n_lanes, mask=inside, other=0.0)
            end = tl.load(right + k * n_lanes, mask=inside, other=0.0)
            change = (end - start) / hop
            now = now + (end - change,)
            slope = slope + (change,)
        for _ in range(hop):
            value = tl.load(gy + offset, mask=inside, other=0.0) + pending[0]
            tl.store(gx + offset, value, mask=inside)
            shifted = ()
            moved = ()
            for k in tl.static_range(order - 1):
                shifted = shifted + (pending[k + 1] - now[k] * value,)
            for k in tl.static_range(order):
                moved = moved + (now[k] - slope[k],)
            pending = shifted + (-now[order - 1] * value,)
            now = moved
            offset -= n_lanes


def choose_launch_grid(n_lanes: int) -> tuple[int]:
    """Choose the number of programs of `LANES` lanes that cover n_lanes."""
    return (triton.cdiv(n_lanes, LANES),)


def _cut_frames(x: Tensor, hop: int, n_frames: int) -> Tensor:
    """Cut signals [R, T] into float64 frames [2 hop, R (N + 1)], frame n from (n - 1) hop on."""
    right = (n_frames + 1) * hop - x.shape[-1]
    padded = torch.nn.functional.pad(x.double(), (hop, right))
    return padded.unfold(-1, 2 * hop, hop).permute(2, 0, 1).reshape(2 * hop, -1).contiguous()


def _overlap_add(frames: Tensor, n_rows: int, n_samples: int) -> Tensor:
    """Inverse layout of `_cut_frames`, frames added: [2 hop, R (N + 1)] to [R, T]."""
    hop = len(frames) // 2
    blocks = frames.view(2, hop, n_rows, -1)
    summed = blocks[1, :, :, :-1] + blocks[0, :, :, 1:]
    return summed.permute(1, 2, 0).reshape(n_rows, -1)[:, :n_samples]


def _arrange_filters(a: Tensor) -> Tensor:
    """a [R, N, K] to [K, R (N + 1)]: the last frame's filter also serves the frame after it."""
    return torch.cat([a, a[:, -1:]], dim=1).permute(2, 0, 1).reshape(a.shape[-1], -1).contiguous()


def ola_forward(e: Tensor, a: Tensor, window: Tensor, hop: int) -> Tensor:
    """Frames from zero state, windowed and overlap-added: e [R, T], a [R, N, K] -> [R, T]."""
    x, filters = _cut_frames(e, hop, a.shape[1]), _arrange_filters(a)
    n_steps, n_lanes = x.shape
    y = torch.empty_like(x)
    _constant_forward[choose_launch_grid(n_lanes)](
        x, filters, y, n_steps, n_lanes, order=a.shape[-1], lanes=LANES, num_warps=1
    )
    return _overlap_add(y.mul_(window[:, None]), *e.shape).to(e.dtype)


def ola_backward(
    e: Tensor, a: Tensor, window: Tensor, hop: int, gy: Tensor
) -> tuple[Tensor, Tensor]:
    """Gradients of `ola_forward` with respect to e and a."""
    (n_rows, n_frames, order), filters = a.shape, _arrange_filters(a)
    x, g = _cut_frames(e, hop, n_frames), _cut_frames(gy, hop, n_frames).mul_(window[:, None])
    n_steps, n_lanes = x.shape
    y = x.new_zeros(order + n_steps, n_lanes)
    sizes = {"order": order, "lanes": LANES, "num_warps": 1}
    grid = choose_launch_grid(n_lanes)
    _constant_forward[grid](x, filters, y[order:], n_steps, n_lanes, **sizes)
    # Lanes read the signals' memory only before they write its gradient there.
    ge, ga = x, torch.empty_like(filters)
    _constant_backward[grid](g, y, filters, ge, ga, n_steps, n_lanes, **sizes)
    by_frame = ga.view(order, n_rows, n_frames + 1).permute(1, 2, 0)
    summed = by_frame[:, :-1].clone()
    summed[:, -1] += by_frame[:, -1]
    return _overlap_add(ge, *e.shape).to(e.dtype), summed


def _to_time_major(x: Tensor, n_samples: int) -> Tensor:
    """[R, T] to [n_samples, R], zeros at the end, float64."""
    padded = torch.nn.functional.pad(x.double(), (0, n_samples - x.shape[-1]))
    return padded.t().contiguous()


def samplewise_forward(e: Tensor, a: Tensor, hop: int) -> Tensor:
    """One pass with coefficients interpolated to every sample: e [R, T], a [R, N, K] -> [R, T]."""
    n_rows, n_frames, order = a.shape
    x, filters = _to_time_major(e, n_frames * hop), a.permute(1, 2, 0).contiguous()
    y = torch.empty_like(x)
    _varying_forward[choose_launch_grid(n_rows)](
        x, filters, y, n_frames, hop, n_rows, order=order, lanes=LANES, num_warps=1
    )
    return y[: e.shape[-1]].t().to(e.dtype).contiguous()


def samplewise_backward(y: Tensor, a: Tensor, hop: int, gy: Tensor) -> tuple[Tensor, Tensor]:
    """Gradients of `samplewise_forward` with respect to e and a."""
    n_rows, n_frames, order = a.shape
    g, filters = _to_time_major(gy, n_frames * hop), a.permute(1, 2, 0).contiguous()
    ge = torch.empty_like(g)
    _varying_adjoint[choose_launch_grid(n_rows)](
        g, filters, ge, n_frames, hop, n_rows, order=order, lanes=LANES, num_warps=1
    )
    # Coefficient k at time t receives -ge(t) y(t - k), shared out between its two frames.
    past = torch.nn.functional.pad(_to_time_major(y, n_frames * hop), (0, 0, order, 0))
    ramp = torch.arange(hop, dtype=torch.float64, device=a.device) / hop
    weights = torch.stack([1.0 - ramp, ramp])
    ga = torch.zeros_like(a)
    for k in range(order):
        product = ge * past[order - 1 - k : len(past) - 1 - k]
        left, right = (weights @ product.view(n_frames, hop, n_rows)).unbind(dim=1)
        ga[:, :, k] -= left.t()
        ga[:, 1:, k] -= right[:-1].t()
        ga[:, -1, k] -= right[-1]
    return ge[: y.shape[-1]].t().to(y.dtype).contiguous(), ga
