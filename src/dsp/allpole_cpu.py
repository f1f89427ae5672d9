"""All-pole recursions on the CPU: compiled float64 loops, rows spread over PyTorch's threads.

Rows run in ordinary threads (the kernels release the interpreter lock) instead of numba's parallel
backend, whose thread pools abort after a fork or when two Python threads enter them.

Coefficients are stored reversed inside the kernels, so that the K past outputs and their
coefficients are both read forwards in memory.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import torch
from numba import njit
from torch import Tensor

# Reassociation lets the K-term sums use vector registers; NaN and infinity keep their meaning.
jit = njit(nogil=True, cache=True, fastmath={"reassoc", "contract"}, error_model="numpy")


@jit
def _filter_frame(e, r, start, first, last, reverse, state):  # type: ignore[no-untyped-def]
    """state[K + t] = output t of one frame from zero state, t in [first, last)."""
    order = reverse.shape[0]
    state[: order + first] = 0.0
    for t in range(first, last):
        acc = 0.0
        for k in range(order):
            acc += reverse[k] * state[t + k]
        state[order + t] = e[r, start + t] - acc


@jit
def _ola_forward(e, a, window, hop, y):  # type: ignore[no-untyped-def]
    rows, n_samples = e.shape
    n_frames, order = a.shape[1], a.shape[2]
    reverse = np.empty(order)
    state = np.empty(order + 2 * hop)
    for r in range(rows):
        for n in range(n_frames + 1):
            reverse[:] = a[r, min(n, n_frames - 1), ::-1]
            start = (n - 1) * hop
            first = max(0, -start)
            last = min(2 * hop, n_samples - start)
            _filter_frame(e, r, start, first, last, reverse, state)
            for t in range(first, last):
                y[r, start + t] += window[t] * state[order + t]


@jit
def _ola_backward(e, a, window, hop, gy, ge, ga):  # type: ignore[no-untyped-def]
    rows, n_samples = e.shape
    n_frames, order = a.shape[1], a.shape[2]
    reverse = np.empty(order)
    state = np.empty(order + 2 * hop)
    adjoint = np.empty(order + 2 * hop)
    grad = np.empty(order)
    for r in range(rows):
        for n in range(n_frames + 1):
            source = min(n, n_frames - 1)
            reverse[:] = a[r, source, ::-1]
            start = (n - 1) * hop
            first = max(0, -start)
            last = min(2 * hop, n_samples - start)
            _filter_frame(e, r, start, first, last, reverse, state)
            adjoint[:] = 0.0
            for t in range(first, last):
                adjoint[order + t] = window[t] * gy[r, start + t]
            grad[:] = 0.0
            for t in range(last - 1, first - 1, -1):
                value = adjoint[order + t]
                ge[r, start + t] += value
                for k in range(order):
                    adjoint[t + k] -= reverse[k] * value
                    grad[k] += value * state[t + k]
            for k in range(order):
                ga[r, source, order - 1 - k] -= grad[k]


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


def over_rows(kernel: Callable[..., None], rows: int, *arguments: Any) -> None:
    """Call `kernel` on contiguous blocks of rows, one block a thread.

    Arguments with a leading dimension of `rows` are NumPy arrays of three or two dimensions and are
    cut; windows (one dimension) and numbers are passed on.
    """
    workers = min(torch.get_num_threads(), rows)
    if workers <= 1:
        kernel(*arguments)
        return
    edges = np.linspace(0, rows, workers + 1).astype(int)

    def block(i: int) -> None:
        part = slice(edges[i], edges[i + 1])
        kernel(*(x[part] if getattr(x, "ndim", 0) >= 2 else x for x in arguments))

    with ThreadPoolExecutor(workers) as pool:
        for result in [pool.submit(block, i) for i in range(workers)]:
            result.result()


def ola_forward(e: Tensor, a: Tensor, window: Tensor, hop: int) -> Tensor:
    """Frames from zero state, windowed and overlap-added: e [R, T], a [R, N, K] -> [R, T]."""
    y = torch.zeros_like(e, dtype=torch.float64)
    over_rows(_ola_forward, len(e), e.numpy(), a.numpy(), window.numpy(), hop, y.numpy())
    return y.to(e.dtype)


def ola_backward(
    e: Tensor, a: Tensor, window: Tensor, hop: int, gy: Tensor
) -> tuple[Tensor, Tensor]:
    """Gradients of `ola_forward` with respect to e and a."""
    ge = torch.zeros_like(e, dtype=torch.float64)
    ga = torch.zeros_like(a)
    arrays = (e.numpy(), a.numpy(), window.numpy(), hop, gy.numpy(), ge.numpy(), ga.numpy())
    over_rows(_ola_backward, len(e), *arrays)
    return ge.to(e.dtype), ga


def samplewise_forward(e: Tensor, a: Tensor, hop: int) -> Tensor:
    """One pass with coefficients interpolated to every sample: e [R, T], a [R, N, K] -> [R, T]."""
    y = torch.empty_like(e)
    over_rows(_samplewise_forward, len(e), e.numpy(), a.numpy(), hop, y.numpy())
    return y


def samplewise_backward(y: Tensor, a: Tensor, hop: int, gy: Tensor) -> tuple[Tensor, Tensor]:
    """Gradients of `samplewise_forward` with respect to e and a."""
    ge = torch.empty_like(y)
    ga = torch.zeros_like(a)
    arrays = (y.numpy(), a.numpy(), hop, gy.numpy(), ge.numpy(), ga.numpy())
    over_rows(_samplewise_backward, len(y), *arrays)
    return ge, ga
