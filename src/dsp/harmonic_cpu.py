"""Harmonic source on the CPU: compiled float64 loops over samples, vectorised frame by frame.

The source is linear in the amplitudes of the two frames around a sample. Both factors are kept for
the backward pass, which is then two sums per frame.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from .compiled import jit, run_over_rows
from .control import compute_crossfade

# sin(pi q) / q for |q| <= 1/2 as a polynomial in q^2: its Taylor series, exact to 2^-53 at 1/2.
_SINE = tuple((-1) ** i * math.pi ** (2 * i + 1) / math.factorial(2 * i + 1) for i in range(11))


@jit
def _sine(x):  # type: ignore[no-untyped-def]
    """sin(pi x)."""
    whole = math.floor(x + 0.5)
    q = x - whole
    odd = whole - 2.0 * math.floor(0.5 * whole)
    square = q * q
    value = _SINE[10]
    for i in range(9, -1, -1):
        value = value * square + _SINE[i]
    return (1.0 - 2.0 * odd) * q * value


@jit
def _sine_sum(cycles, count, total):  # type: ignore[no-untyped-def]
    """sum_{i=1..I} sin(2 pi i c) for every sample of a frame."""
    for t in range(len(cycles)):
        c = cycles[t]
        denominator = _sine(c)
        tiny = abs(denominator) < 1e-9
        quotient = _sine(count[t] * c) * _sine((count[t] + 1.0) * c)
        quotient /= 1.0 if tiny else denominator
        total[t] = math.pi * count[t] * (count[t] + 1.0) * c if tiny else quotient


@jit
def _factors(f0, fade, n_samples, rate, max_harmonics, glide, left, right):  # type: ignore[no-untyped-def]
    """Compute the factors of the amplitudes of the frames before and after each sample, in place.

    fade [hop]: weight of the right frame.
    """
    rows, n_frames = f0.shape
    hop = len(fade)
    nyquist = 0.5 * rate
    cycles = np.empty(hop)
    count_left = np.empty(hop)
    count_right = np.empty(hop)
    total_left = np.empty(hop)
    total_right = np.empty(hop)
    for r in range(rows):
        phase = 0.0
        for n in range(n_frames):
            a = f0[r, n]
            b = f0[r, min(n + 1, n_frames - 1)]
            most_a = min(math.ceil(nyquist / a) - 1.0, max_harmonics) if a > 0 else 0.0
            most_b = min(math.ceil(nyquist / b) - 1.0, max_harmonics) if b > 0 else 0.0
            most_a, most_b = max(most_a, 0.0), max(most_b, 0.0)
            if not glide:
                # Between a voiced and a silent frame the voiced value is held.
                a, b = (b if a <= 0 else a), (a if b <= 0 else b)
            slope = (b - a) / hop
            span = min(hop, n_samples - n * hop)
            for t in range(span):
                c = phase + ((t + 1) * a + slope * (0.5 * t * (t + 1))) / rate
                cycles[t] = c - math.floor(c + 0.5)
                # Harmonics that reach the Nyquist frequency at this very sample are silent.
                limit = math.ceil(nyquist / max(a + slope * t, 1e-3)) - 1.0
                count_left[t] = min(most_a, limit)
                count_right[t] = min(most_b, limit)
            _sine_sum(cycles[:span], count_left[:span], total_left)
            if most_a != most_b:
                _sine_sum(cycles[:span], count_right[:span], total_right)
            scale_a = 1.0 / max(most_a, 1.0)
            scale_b = 1.0 / max(most_b, 1.0)
            for t in range(span):
                other = total_left[t] if most_a == most_b else total_right[t]
                left[r, n * hop + t] = (1.0 - fade[t]) * scale_a * total_left[t]
                right[r, n * hop + t] = fade[t] * scale_b * other
            phase += (hop * a + slope * (0.5 * hop * (hop - 1))) / rate
            phase -= math.floor(phase + 0.5)


class HarmonicSource(torch.autograd.Function):
    """`src.dsp.harmonic.harmonic_source` of rows [R, N], differentiable in the amplitude alone."""

    @staticmethod
    def forward(
        ctx: Any,
        amplitude: Tensor,
        f0: Tensor,
        n_samples: int,
        hop: int,
        rate: int,
        max_harmonics: int,
        glide: bool,
    ) -> Tensor:
        track = f0.double().contiguous()
        fade = compute_crossfade(hop, hop=hop, window="hann", like=track).numpy()
        shape = (len(f0), f0.shape[1] * hop)
        left, right = amplitude.new_zeros(shape), amplitude.new_zeros(shape)
        run_over_rows(
            _factors, len(f0), track.numpy(), fade, n_samples, float(rate),
            float(max_harmonics), glide, left.numpy(), right.numpy(),
        )  # fmt: skip
        ctx.hop = hop
        ctx.save_for_backward(left, right)
        following = torch.cat([amplitude[:, 1:], amplitude[:, -1:]], dim=1)
        signal = left.unflatten(1, (-1, hop)) * amplitude.unsqueeze(-1)
        signal.addcmul_(right.unflatten(1, (-1, hop)), following.unsqueeze(-1))
        return signal.flatten(1)[:, :n_samples]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        left, right = ctx.saved_tensors
        grad = torch.nn.functional.pad(grad, (0, left.shape[1] - grad.shape[1]))
        frames = grad.unflatten(1, (-1, ctx.hop))
        total = (frames * left.unflatten(1, (-1, ctx.hop))).sum(dim=-1)
        of_right = (frames * right.unflatten(1, (-1, ctx.hop))).sum(dim=-1)
        total[:, 1:] += of_right[:, :-1]
        # The last frame is its own right neighbour.
        total[:, -1] += of_right[:, -1]
        return total, None, None, None, None, None, None
