"""Line spectral frequencies, reflection coefficients and all-pole coefficients.

Everything here computes and returns float64: rounding the coefficients of a sharp filter of order
20 to float32 moves poles outside the unit circle (paper section III-D). The all-pole filters of
`allpole` take these coefficients as they are.

References:
    Schulze-Forster et al., "Unsupervised Music Source Separation Using Differentiable Parametric
    Source Models", eq. 8-11 and Algorithm 1.
    Soong, Juang, "Line spectrum pair (LSP) and speech data compression", ICASSP 1984.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor


def lsf_from_increments(increments: Tensor, *, minimum_gap: float = 0.0) -> Tensor:
    """Ordered line spectral frequencies from positive increments (paper eq. 10, 11).

    The K + 1 increments are normalised to sum to pi; their cumulative sums are the LSFs, so that
    0 < w_1 < ... < w_K < pi and the filter is stable.

    Args:
        increments: [..., K + 1], positive.
        minimum_gap: distance guaranteed between neighbouring LSFs (and to 0 and pi), as a fraction
            of the mean distance pi / (K + 1); 0 is the paper. A gap bounds the gain of the filter.

    Returns:
        [..., K] in radians per sample, float64.

    Raises:
        ValueError: `minimum_gap` outside [0, 1), or fewer than two increments.
    """
    if not 0.0 <= minimum_gap < 1.0:
        raise ValueError(f"minimum_gap must lie in [0, 1), got {minimum_gap}")
    if increments.shape[-1] < 2:
        raise ValueError("at least two increments are needed for one LSF")
    steps = increments.double()
    steps = steps / steps.sum(dim=-1, keepdim=True)
    if minimum_gap > 0.0:
        steps = minimum_gap / steps.shape[-1] + (1.0 - minimum_gap) * steps
    return math.pi * steps.cumsum(dim=-1)[..., :-1]


def _multiply_quadratics(cosines: Tensor) -> Tensor:
    """Coefficients [..., 2 M + 1] of prod_m (1 - 2 c_m z^-1 + z^-2) for cosines [..., M]."""
    polynomial = cosines.new_ones(*cosines.shape[:-1], 1)
    for m in range(cosines.shape[-1]):
        grown = torch.nn.functional.pad(polynomial, (0, 2))
        grown = grown + torch.nn.functional.pad(polynomial, (2, 0))
        twice = 2.0 * cosines[..., m : m + 1]
        polynomial = grown - torch.nn.functional.pad(twice * polynomial, (1, 1))
    return polynomial


def lsf_to_lpc(lsf: Tensor) -> Tensor:
    """All-pole coefficients a_1 ... a_K of A(z) = 1 + sum_k a_k z^-k from LSFs.

    Product form of the symmetric and antisymmetric polynomials, A = (P + Q) / 2 (paper eq. 8;
    same values as its Algorithm 1). Odd-numbered LSFs are the roots of P, even-numbered those of Q.

    Args:
        lsf: [..., K], radians per sample, strictly increasing inside (0, pi). K may be even or odd.

    Returns:
        [..., K], float64.
    """
    order = lsf.shape[-1]
    cosines = torch.cos(lsf.double())
    p = _multiply_quadratics(cosines[..., 0::2])
    q = _multiply_quadratics(cosines[..., 1::2])
    pad = torch.nn.functional.pad
    if order % 2 == 0:
        p = pad(p, (0, 1)) + pad(p, (1, 0))
        q = pad(q, (0, 1)) - pad(q, (1, 0))
    else:
        q = pad(q, (0, 2)) - pad(q, (2, 0))
    return 0.5 * (p + q)[..., 1 : order + 1]


def reflection_to_lpc(reflection: Tensor) -> Tensor:
    """All-pole coefficients from reflection coefficients (step-up Levinson recursion).

    The alternative parameterisation of paper section III-B: stable if and only if every
    coefficient lies inside (-1, 1).

    Args:
        reflection: [..., K] inside (-1, 1).

    Returns:
        [..., K], float64.
    """
    k = reflection.double()
    a = k[..., :1]
    for m in range(1, k.shape[-1]):
        last = k[..., m : m + 1]
        a = torch.cat([a + last * a.flip(-1), last], dim=-1)
    return a


def lpc_to_reflection(a: Tensor) -> Tensor:
    """Reflection coefficients of all-pole filters (step-down recursion).

    The inverse of `reflection_to_lpc`. Filters whose poles lie so close to the unit circle that
    rounding would put a coefficient on or beyond 1 get 1 - 1e-9, so that the result is stable.

    Args:
        a: [..., K] coefficients a_1 ... a_K of stable filters.

    Returns:
        [..., K] inside (-1, 1), float64.
    """
    rest = a.double()
    found = []
    for m in range(a.shape[-1] - 1, -1, -1):
        k = rest[..., m : m + 1].clamp(-1.0 + 1e-9, 1.0 - 1e-9)
        found.append(k)
        rest = (rest[..., :m] - k * rest[..., :m].flip(-1)) / (1.0 - k * k)
    return torch.cat(found[::-1], dim=-1)


def lpc_response(a: Tensor, n_fft: int) -> Tensor:
    """Complex frequency response H = 1 / A of all-pole filters.

    Args:
        a: [..., K] coefficients a_1 ... a_K.
        n_fft: FFT size, at least K + 1.

    Returns:
        [..., n_fft // 2 + 1] complex128, bins from 0 to the Nyquist frequency.

    Raises:
        ValueError: `n_fft` does not hold K + 1 coefficients.
    """
    if n_fft < a.shape[-1] + 1:
        raise ValueError(f"n_fft={n_fft} is too small for order {a.shape[-1]}")
    polynomial = torch.cat([torch.ones_like(a[..., :1]), a], dim=-1).double()
    return torch.fft.rfft(polynomial, n=n_fft).reciprocal()
