"""All-pole recursions on the CPU: compiled float64 loops, rows spread over PyTorch's threads.

Coefficients are stored reversed inside the kernels, so that the K past outputs and their
coefficients are both read forwards in memory.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from .compiled import jit, run_over_rows

# Frames filtered side by side: the loop over them is what vector registers work on.
_LANES = 64
# Coefficients per pass of the recursion over the lanes; the order is padded to a multiple of it.
_UNROLL = 4
# Samples copied at a time between signals (one frame after the other) and lanes (interleaved).
_TILE = 16


@jit
def _load(signal, starts, window, backwards, order, lanes):  # type: ignore[no-untyped-def]
    """lanes[order + t] = weighted samples of the frames at `starts`; a negative start is silence.

    `backwards` stores the frames reversed in time. The first `order` rows become zero.
    """
    span = window.shape[0]
    lanes[:order] = 0.0
    for tile in range(0, span, _TILE):
        last = min(tile + _TILE, span)
        for lane in range(_LANES):
            start = starts[lane]
            for t in range(tile, last):
                row = order + (span - 1 - t if backwards else t)
                lanes[row, lane] = window[t] * signal[start + t] if start >= 0 else 0.0


@jit
def _add(lanes, starts, window, backwards, order, signal):  # type: ignore[no-untyped-def]
    """Overlap-add of the frames in `lanes` to the signal."""
    span = window.shape[0]
    for tile in range(0, span, _TILE):
        last = min(tile + _TILE, span)
        for lane in range(_LANES):
            start = starts[lane]
            if start >= 0:
                for t in range(tile, last):
                    row = order + (span - 1 - t if backwards else t)
                    signal[start + t] += window[t] * lanes[row, lane]


@jit
def _recur(reverse, lanes):  # type: ignore[no-untyped-def]
    """In place, lane by lane: lanes[K + t] -= sum_k reverse[k] lanes[t + k]."""
    order = reverse.shape[0]
    for t in range(lanes.shape[0] - order):
        row = lanes[order + t]
        for k in range(0, order, _UNROLL):
            a0, a1, a2, a3 = reverse[k], reverse[k + 1], reverse[k + 2], reverse[k + 3]
            y0, y1, y2, y3 = lanes[t + k], lanes[t + k + 1], lanes[t + k + 2], lanes[t + k + 3]
            for i in range(_LANES):
                row[i] -= a0[i] * y0[i] + a1[i] * y1[i] + a2[i] * y2[i] + a3[i] * y3[i]


@jit
def _correlate(adjoint, lanes, grad):  # type: ignore[no-untyped-def]
    """grad[k] = sum_t adjoint(t) lanes[t + k], `adjoint` being reversed in time."""
    order = grad.shape[0]
    span = lanes.shape[0] - order
    grad[:] = 0.0
    for k in range(order):
        total = grad[k]
        t = 0
        while t + _UNROLL <= span:
            back = order + span - 1 - t
            g0, g1, g2, g3 = adjoint[back], adjoint[back - 1], adjoint[back - 2], adjoint[back - 3]
            y0, y1, y2, y3 = lanes[t + k], lanes[t + k + 1], lanes[t + k + 2], lanes[t + k + 3]
            for i in range(_LANES):
                total[i] += g0[i] * y0[i] + g1[i] * y1[i] + g2[i] * y2[i] + g3[i] * y3[i]
            t += _UNROLL
        for t_rest in range(t, span):
            for i in range(_LANES):
                total[i] += adjoint[order + span - 1 - t_rest, i] * lanes[t_rest + k, i]


@jit
def _place(block, a, width, hop, starts, reverse):  # type: ignore[no-untyped-def]
    """Where the frames of a block start in the flat signal, and their coefficients reversed."""
    rows, n_frames, order = a.shape
    reverse[:] = 0.0
    skipped = reverse.shape[0] - order
    for lane in range(_LANES):
        index = block * _LANES + lane
        row, n = index // (n_frames + 1), index % (n_frames + 1)
        starts[lane] = -1
        if row < rows:
            starts[lane] = row * width + n * hop
            # The half frame after the last one has that one's coefficients.
            source = min(n, n_frames - 1)
            for k in range(order):
                reverse[skipped + k, lane] = a[row, source, order - 1 - k]


@jit
def _ola_forward(e, a, window, hop, y):  # type: ignore[no-untyped-def]
    rows, width = e.shape
    padded_order = -(-a.shape[2] // _UNROLL) * _UNROLL
    starts = np.empty(_LANES, dtype=np.int64)
    reverse = np.empty((padded_order, _LANES))
    lanes = np.empty((padded_order + 2 * hop, _LANES))
    ones = np.ones(2 * hop)
    for block in range(-(-rows * (a.shape[1] + 1) // _LANES)):
        _place(block, a, width, hop, starts, reverse)
        _load(e.ravel(), starts, ones, False, padded_order, lanes)
        _recur(reverse, lanes)
        _add(lanes, starts, window, False, padded_order, y.ravel())


@jit
def _ola_backward(e, a, window, hop, gy, ge, ga):  # type: ignore[no-untyped-def]
    rows, width = e.shape
    n_frames, order = a.shape[1], a.shape[2]
    padded_order = -(-order // _UNROLL) * _UNROLL
    starts = np.empty(_LANES, dtype=np.int64)
    reverse = np.empty((padded_order, _LANES))
    grad = np.empty((padded_order, _LANES))
    lanes = np.empty((padded_order + 2 * hop, _LANES))
    adjoint = np.empty((padded_order + 2 * hop, _LANES))
    ones = np.ones(2 * hop)
    for block in range(-(-rows * (n_frames + 1) // _LANES)):
        _place(block, a, width, hop, starts, reverse)
        _load(e.ravel(), starts, ones, False, padded_order, lanes)
        _recur(reverse, lanes)
        # The adjoint of a recursion is the same recursion, backwards in time.
        _load(gy.ravel(), starts, window, True, padded_order, adjoint)
        _recur(reverse, adjoint)
        _add(adjoint, starts, ones, True, padded_order, ge.ravel())
        _correlate(adjoint, lanes, grad)
        for lane in range(_LANES):
            if starts[lane] >= 0:
                index = block * _LANES + lane
                row, source = index // (n_frames + 1), min(index % (n_frames + 1), n_frames - 1)
                for k in range(order):
                    ga[row, source, order - 1 - k] -= grad[padded_order - order + k, lane]


@jit
def _samplewise_forward(e, a, hop, y):  # type: ignore[no-untyped-def]
    rows, n_samples = e.shape
    n_frames, order = a.shape[1], a.shape[2]
    state = np.zeros(order + n_samples)
    now = np.empty(order)
    step = np.empty(order)
    for r in range(rows):
        for n in range(n_frames):
            now[:] = a[r, n, ::-1]
            step[:] = (a[r, min(n + 1, n_frames - 1), ::-1] - now) / hop
            for t in range(n * hop, min((n + 1) * hop, n_samples)):
                acc = 0.0
                for k in range(order):
                    acc += now[k] * state[t + k]
                    now[k] += step[k]
                value = e[r, t] - acc
                state[order + t] = value
                y[r, t] = value


@jit
def _samplewise_backward(y, a, hop, gy, ge, ga):  # type: ignore[no-untyped-def]
    rows, n_samples = y.shape
    n_frames, order = a.shape[1], a.shape[2]
    adjoint = np.empty(order + n_samples)
    state = np.zeros(order + n_samples)
    now = np.empty(order)
    step = np.empty(order)
    left = np.empty(order)
    right = np.empty(order)
    for r in range(rows):
        state[order:] = y[r]
        adjoint[:order] = 0.0
        adjoint[order:] = gy[r]
        for n in range(n_frames - 1, -1, -1):
            following = min(n + 1, n_frames - 1)
            last = min((n + 1) * hop, n_samples)
            step[:] = (a[r, following, ::-1] - a[r, n, ::-1]) / hop
            now[:] = a[r, n, ::-1] + step * (last - n * hop)
            left[:] = 0.0
            right[:] = 0.0
            for t in range(last - 1, n * hop - 1, -1):
                value = adjoint[order + t]
                ge[r, t] = value
                weight = (t - n * hop) / hop
                for k in range(order):
                    now[k] -= step[k]
                    adjoint[t + k] -= now[k] * value
                    product = value * state[t + k]
                    left[k] += (1.0 - weight) * product
                    right[k] += weight * product
            for k in range(order):
                ga[r, n, order - 1 - k] -= left[k]
                ga[r, following, order - 1 - k] -= right[k]


def _pad(x: Tensor, n_frames: int, hop: int) -> Tensor:
    """Pad signals [R, T] with zeros, so that all N + 1 frames of 2 * hop samples are inside."""
    return torch.nn.functional.pad(x, (hop, (n_frames + 1) * hop - x.shape[-1])).contiguous()


def ola_forward(e: Tensor, a: Tensor, window: Tensor, hop: int) -> Tensor:
    """Frames from zero state, windowed and overlap-added: e [R, T], a [R, N, K] -> [R, T]."""
    padded = _pad(e, a.shape[1], hop)
    y = torch.zeros_like(padded, dtype=torch.float64)
    run_over_rows(_ola_forward, len(e), padded.numpy(), a.numpy(), window.numpy(), hop, y.numpy())
    return y[:, hop : hop + e.shape[-1]].to(e.dtype)


def ola_backward(
    e: Tensor, a: Tensor, window: Tensor, hop: int, gy: Tensor
) -> tuple[Tensor, Tensor]:
    """Gradients of `ola_forward` with respect to e and a."""
    padded, padded_gy = _pad(e, a.shape[1], hop), _pad(gy, a.shape[1], hop)
    ge = torch.zeros_like(padded, dtype=torch.float64)
    ga = torch.zeros_like(a)
    arrays = [x.numpy() for x in (padded, a, window, padded_gy, ge, ga)]
    run_over_rows(_ola_backward, len(e), *arrays[:3], hop, *arrays[3:])
    return ge[:, hop : hop + e.shape[-1]].to(e.dtype), ga


def samplewise_forward(e: Tensor, a: Tensor, hop: int) -> Tensor:
    """One pass with coefficients interpolated to every sample: e [R, T], a [R, N, K] -> [R, T]."""
    y = torch.empty_like(e)
    run_over_rows(_samplewise_forward, len(e), e.numpy(), a.numpy(), hop, y.numpy())
    return y


def samplewise_backward(y: Tensor, a: Tensor, hop: int, gy: Tensor) -> tuple[Tensor, Tensor]:
    """Gradients of `samplewise_forward` with respect to e and a."""
    ge = torch.empty_like(y)
    ga = torch.zeros_like(a)
    arrays = (y.numpy(), a.numpy(), hop, gy.numpy(), ge.numpy(), ga.numpy())
    run_over_rows(_samplewise_backward, len(y), *arrays)
    return ge, ga
