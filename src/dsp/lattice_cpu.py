"""The time-varying normalised lattice on the CPU: compiled float64 loops, rows over threads."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from .compiled import jit, run_over_rows

# In long silence a rotated state decays to subnormal numbers and stays there because of rounding;
# arithmetic on them is about fifty times slower. Products of two values above
# this level are still normal numbers.
SILENT = 1e-100
FLUSH_EVERY = 64


@jit
def _flush(values):  # type: ignore[no-untyped-def]
    for m in range(len(values)):
        if abs(values[m]) < SILENT:
            values[m] = 0.0


@jit
def _forward(e, k, hop, y, dropped, state):  # type: ignore[no-untyped-def]
    """`state` [R, K] holds the backward signals b_0 ... b_{K-1}; `dropped` [R, T] is b_K."""
    rows, n_samples = e.shape
    n_frames, order = k.shape[1], k.shape[2]
    for r in range(rows):
        for t in range(n_samples):
            n = t // hop
            following = min(n + 1, n_frames - 1)
            weight = t / hop - n
            if t % FLUSH_EVERY == 0:
                _flush(state[r])
            f = e[r, t]
            gain = 1.0
            for m in range(order - 1, -1, -1):
                sine = k[r, n, m] + weight * (k[r, following, m] - k[r, n, m])
                cosine = np.sqrt(1.0 - sine * sine)
                gain *= cosine
                past = state[r, m]
                rotated = sine * f + cosine * past
                if m + 1 < order:
                    state[r, m + 1] = rotated
                else:
                    dropped[r, t] = rotated
                f = cosine * f - sine * past
            state[r, 0] = f
            y[r, t] = f / gain


@jit
def _backward(dropped, state, k, hop, gy, ge, gk):  # type: ignore[no-untyped-def]
    rows, n_samples = dropped.shape
    n_frames, order = k.shape[1], k.shape[2]
    adjoint = np.empty(order + 1)
    sines = np.empty(order)
    cosines = np.empty(order)
    for r in range(rows):
        adjoint[:] = 0.0
        for t in range(n_samples - 1, -1, -1):
            n = t // hop
            following = min(n + 1, n_frames - 1)
            weight = t / hop - n
            if t % FLUSH_EVERY == 0:
                _flush(state[r])
                _flush(adjoint)
            gain = 1.0
            for m in range(order):
                sines[m] = k[r, n, m] + weight * (k[r, following, m] - k[r, n, m])
                cosines[m] = np.sqrt(1.0 - sines[m] * sines[m])
                gain *= cosines[m]
            f = state[r, 0]
            f_grad = gy[r, t] / gain + adjoint[0]
            log_gain_grad = -gy[r, t] * f / gain
            for m in range(order):
                sine, cosine = sines[m], cosines[m]
                rotated = state[r, m + 1] if m + 1 < order else dropped[r, t]
                rotated_grad = adjoint[m + 1]
                # The rotation is orthogonal: undoing it costs no precision.
                f_above = cosine * f + sine * rotated
                past = cosine * rotated - sine * f
                sine_grad = f_above * rotated_grad - past * f_grad
                cosine_grad = f_above * f_grad + past * rotated_grad + log_gain_grad / cosine
                total = sine_grad - cosine_grad * sine / cosine
                gk[r, n, m] += (1.0 - weight) * total
                gk[r, following, m] += weight * total
                adjoint[m] = cosine * rotated_grad - sine * f_grad
                f_grad = cosine * f_grad + sine * rotated_grad
                state[r, m] = past
                f = f_above
            ge[r, t] = f_grad


def lattice_forward(e: Tensor, k: Tensor, hop: int) -> tuple[Tensor, Tensor, Tensor]:
    """e [R, T], k [R, N, K] to the output [R, T], and what the backward pass needs."""
    y = torch.empty_like(e)
    dropped = torch.empty_like(e, dtype=torch.float64)
    state = torch.zeros_like(k[:, 0])
    run_over_rows(
        _forward, len(e), e.numpy(), k.numpy(), hop, y.numpy(), dropped.numpy(), state.numpy()
    )
    return y, dropped, state


def lattice_backward(
    dropped: Tensor, state: Tensor, k: Tensor, hop: int, gy: Tensor
) -> tuple[Tensor, Tensor]:
    """Gradients of `lattice_forward` with respect to e and k."""
    ge = torch.empty_like(gy)
    gk = torch.zeros_like(k)
    arrays = (dropped, state.clone(), k)
    run_over_rows(
        _backward,
        len(dropped),
        *(x.numpy() for x in arrays),
        hop,
        *(x.numpy() for x in (gy, ge, gk)),
    )
    return ge, gk
