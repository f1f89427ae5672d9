"""Least-squares filters between many signals: symmetric systems of Toeplitz blocks."""

from __future__ import annotations

import torch
from torch import Tensor

TOLERANCE = 1e-9
"""Largest error of the right-hand side, relative to its largest value, that a solution may have."""


def solve_block_toeplitz(blocks: Tensor, right: Tensor) -> Tensor:
    """Solve sum_l R(k - l) X(l) = D(k), k = 0 ... L - 1, where R(-m) is R(m) transposed.

    Levinson's recursion with J x J blocks (Whittle; Wiggins and Robinson): of order L^2 J^3 instead
    of the L^3 J^3 of a dense factorisation. Where its solution misses the right-hand side (nearly
    singular systems, on which the recursion is not stable), the least-squares solution of the
    dense matrix is taken instead.

    Args:
        blocks: R(0) ... R(L - 1), [P, L, J, J], P systems at once.
        right: D, [P, L, J, M].

    Returns:
        X, [P, L, J, M].

    References:
        Wiggins and Robinson, "Recursive solution to the multichannel filtering problem", JGR
        70(8), 1965.
    """
    solution = _solve_by_levinson(blocks, right)
    error = (multiply_block_toeplitz(blocks, solution) - right).abs().amax((1, 2, 3))
    # Not "error > limit": NaN is bad as well.
    good = error <= TOLERANCE * right.abs().amax((1, 2, 3))
    for p in (~good).nonzero().flatten().tolist():
        solution[p] = _solve_dense(blocks[p], right[p])
    return solution


def multiply_block_toeplitz(blocks: Tensor, x: Tensor) -> Tensor:
    """sum_l R(k - l) X(l), shapes as in `solve_block_toeplitz`."""
    n_taps = blocks.shape[1]
    # A circle of 2 L lags: 0 ... L - 1, one that is not used, and -(L - 1) ... -1.
    behind = blocks[:, 1:].flip(1).mT
    circle = torch.cat([blocks, torch.zeros_like(blocks[:, :1]), behind], dim=1)
    spectrum = torch.fft.rfft(circle, dim=1) @ torch.fft.rfft(x, 2 * n_taps, dim=1)
    return torch.fft.irfft(spectrum, 2 * n_taps, dim=1)[:, :n_taps]


def _solve_by_levinson(blocks: Tensor, right: Tensor) -> Tensor:
    n_systems, n_taps, n, _ = blocks.shape
    # R(L - 1), ..., R(0) side by side: any run of descending lags is a slice.
    row = blocks.flip(1).permute(0, 2, 1, 3).reshape(n_systems, n, n_taps * n)
    # Forward predictor and solution lie at the top of their buffers, the backward predictor at the
    # bottom of its own, so that neither has to be moved when the order grows.
    ahead = blocks.new_zeros(n_systems, n_taps * n, n)
    behind = torch.zeros_like(ahead)
    found = blocks.new_zeros(n_systems, n_taps * n, right.shape[-1])
    ahead[:, :n] = behind[:, -n:] = torch.eye(n, dtype=blocks.dtype, device=blocks.device)
    # Prediction errors: backward, forward.
    errors = torch.stack([blocks[:, 0], blocks[:, 0]])
    inverse = torch.linalg.inv_ex(errors).inverse
    found[:, :n] = inverse[0] @ right[:, 0]
    for order in range(1, n_taps):
        old, new = order * n, (order + 1) * n
        lags = row[:, :, (n_taps - 1 - order) * n : (n_taps - 1) * n]  # R(order) ... R(1)
        missed = lags @ ahead[:, :old]
        forward, backward = ahead[:, :new], behind[:, -new:]
        of_backward, of_forward = inverse[0] @ missed, inverse[1] @ missed.mT
        grown = forward - backward @ of_backward
        backward -= forward @ of_forward
        ahead[:, :new] = grown
        errors = errors - torch.stack([missed @ of_forward, missed.mT @ of_backward])
        inverse = torch.linalg.inv_ex(errors).inverse
        found[:, :new] += backward @ (inverse[0] @ (right[:, order] - lags @ found[:, :old]))
    return found.unflatten(1, (n_taps, n))


def _solve_dense(blocks: Tensor, right: Tensor) -> Tensor:
    """Least-squares solution of one system."""
    n_taps, n, _ = blocks.shape
    lags = torch.cat([blocks[1:].flip(0).mT, blocks])  # -(L - 1) ... L - 1
    delay = torch.arange(n_taps, device=blocks.device)
    matrix = lags[delay.unsqueeze(1) - delay + n_taps - 1]  # [k, l, J, J]
    size = n_taps * n
    matrix = matrix.permute(0, 2, 1, 3).reshape(size, size)
    inverse = torch.linalg.pinv(matrix, hermitian=True)
    return (inverse @ right.reshape(size, -1)).reshape(right.shape)
