"""Harmonic source: equal-amplitude harmonics of an F0 track in closed form.

The sum of the first I harmonics of a phase is sin(I p / 2) sin((I + 1) p / 2) / sin(p / 2), so no
tensor of single sinusoids is ever built. Phase and sum are float64: a float32 running phase is off
by a quarter of a percent after seconds, and the quotient amplifies rounding by the number of
harmonics.
"""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.utils.checkpoint import checkpoint

from .control import compute_crossfade, count_frames, find_neighbours

# Rows synthesised at a time. Small blocks stay in the cache, and only their inputs are kept for the
# backward pass, which computes each block again.
_BLOCK_ROWS = 4
# Samples whose phase is summed before whole cycles are dropped.
_BLOCK_SAMPLES = 256


def count_harmonics(f0: Tensor, *, rate: int, max_harmonics: int) -> Tensor:
    """Count the harmonics strictly below the Nyquist frequency, at most `max_harmonics`.

    Args:
        f0: [...] Hz, 0 where unvoiced.
        rate: sample rate in Hz.
        max_harmonics: upper bound.

    Returns:
        [...] whole numbers in the dtype of f0, 0 where f0 is 0.
    """
    count = torch.ceil(0.5 * rate / f0.clamp(min=1e-3)) - 1.0
    return torch.where(f0 > 0, count.clamp(0, max_harmonics), torch.zeros_like(f0))


def interpolate_f0(f0: Tensor, *, hop: int, n_samples: int, edges: str = "hold") -> Tensor:
    """Interpolate F0 to samples: linear inside voiced runs, 0 between unvoiced frames.

    Args:
        f0: [..., N] Hz, 0 where unvoiced.
        edges: between a voiced and an unvoiced frame, "hold" keeps the voiced value (its amplitude
            fades there); "glide" interpolates to 0 Hz, as the reference implementation does.

    Returns:
        [..., T] Hz, float64.

    Raises:
        ValueError: unknown `edges`.
    """
    left, right = find_neighbours(f0.double(), hop=hop, n_samples=n_samples)
    weight = compute_crossfade(n_samples, hop=hop, window="linear", like=left)
    linear = left + weight * (right - left)
    if edges == "glide":
        return linear
    if edges != "hold":
        raise ValueError(f"edges must be 'hold' or 'glide', got {edges!r}")
    return torch.where((left > 0) & (right > 0), linear, left + (left <= 0) * right)


class _SineSum(torch.autograd.Function):
    """sum_{i=1..I} sin(i p) for p in [-pi, pi] and I given as a float tensor of whole numbers."""

    @staticmethod
    def _terms(phase: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        half = 0.5 * phase
        denominator = torch.sin(half)
        tiny = denominator.abs() < 1e-9
        return half, denominator.masked_fill(tiny, 1.0), tiny

    @staticmethod
    def forward(ctx: Any, phase: Tensor, count: Tensor) -> Tensor:
        ctx.save_for_backward(phase, count)
        half, denominator, tiny = _SineSum._terms(phase)
        total = torch.sin(count * half).mul_(torch.sin((count + 1.0) * half)).div_(denominator)
        return torch.where(tiny, 0.5 * count * (count + 1.0) * phase, total)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, None]:
        if not ctx.needs_input_grad[0]:
            return None, None
        phase, count = ctx.saved_tensors
        half, denominator, tiny = _SineSum._terms(phase)
        upper = count + 1.0
        sin_i, sin_u = torch.sin(count * half), torch.sin(upper * half)
        slope = 0.5 * (
            count * torch.cos(count * half) * sin_u + upper * sin_i * torch.cos(upper * half)
        )
        total = sin_i * sin_u / denominator
        slope = (slope - 0.5 * total * torch.cos(half)) / denominator
        return grad * torch.where(tiny, 0.5 * count * upper, slope), None


def harmonic_phase(instantaneous_f0: Tensor, *, rate: int) -> Tensor:
    """Running phase of the fundamental in (-pi, pi], float64 (paper eq. 6, initial phase zero).

    Args:
        instantaneous_f0: [..., T] Hz, float64, see `interpolate_f0`.

    Returns:
        [..., T] radians, wrapped.
    """
    # Whole cycles are dropped block by block: one running sum collects the same rounding error with
    # every sample of a steady note. After minutes it is audible, multiplied by the harmonic number.
    n_samples = instantaneous_f0.shape[-1]
    cycles = torch.nn.functional.pad(instantaneous_f0 / rate, (0, -n_samples % _BLOCK_SAMPLES))
    inside = cycles.unflatten(-1, (-1, _BLOCK_SAMPLES)).cumsum(dim=-1)
    total = _drop_whole_cycles(inside[..., -1])
    before = _drop_whole_cycles(total.cumsum(dim=-1) - total)
    cycles = (inside + before.unsqueeze(-1)).flatten(-2)[..., :n_samples]
    return 2.0 * math.pi * _drop_whole_cycles(cycles)


def _drop_whole_cycles(cycles: Tensor) -> Tensor:
    return cycles - torch.round(cycles.detach())


def harmonic_source(
    f0: Tensor,
    amplitude: Tensor,
    *,
    n_samples: int,
    hop: int = 256,
    rate: int = 16_000,
    max_harmonics: int = 101,
    edges: str = "hold",
) -> Tensor:
    """Sum of equal-amplitude harmonics below the Nyquist frequency (paper eq. 4-6).

    In frame n each of the I_n harmonics below the Nyquist frequency has the amplitude
    amplitude(n) / I_n, cross-faded between frames with Hann windows; a second rule silences every
    harmonic at those samples where its interpolated frequency reaches the Nyquist frequency.
    Unvoiced frames are silent. Differentiable in `amplitude` and, through the phase, in `f0`.

    Shape:
        - f0: [..., N] Hz, 0 where unvoiced; frame n at sample n * hop
        - amplitude: [..., N]
        - output: [..., T], dtype of `amplitude`

    Args:
        n_samples: T, N = ceil(T / hop).
        rate: sample rate in Hz.
        max_harmonics: upper bound of I_n (the reference uses 101, enough above 79 Hz).
        edges: "hold" or "glide", see `interpolate_f0`.

    Raises:
        ValueError: N does not fit T, or unknown `edges`.
    """
    if edges not in ("hold", "glide"):
        raise ValueError(f"edges must be 'hold' or 'glide', got {edges!r}")
    f0, amplitude = torch.broadcast_tensors(f0, amplitude)
    if count_frames(n_samples, hop) != f0.shape[-1]:
        raise ValueError(
            f"{n_samples} samples at hop {hop} need {count_frames(n_samples, hop)} frames, "
            f"got {f0.shape[-1]}"
        )
    lead = amplitude.shape[:-1]
    if amplitude.device.type == "cpu" and not (f0.requires_grad and torch.is_grad_enabled()):
        from .harmonic_cpu import HarmonicSource

        source: Tensor = HarmonicSource.apply(  # type: ignore[no-untyped-call]
            amplitude.reshape(-1, amplitude.shape[-1]),
            f0.reshape(-1, f0.shape[-1]),
            n_samples,
            hop,
            rate,
            max_harmonics,
            edges == "glide",
        )
        return source.reshape(*lead, n_samples)
    tracks = f0.reshape(-1, f0.shape[-1])
    # On a GPU, few large blocks are faster, because every kernel launch takes time.
    at_a_time = _BLOCK_ROWS if tracks.device.type == "cpu" else max(1, len(tracks))
    levels = amplitude.reshape(-1, amplitude.shape[-1])
    block = partial(
        _synthesise,
        n_samples=n_samples,
        hop=hop,
        rate=rate,
        max_harmonics=max_harmonics,
        edges=edges,
    )
    rows = [
        checkpoint(block, track, level, use_reentrant=False, preserve_rng_state=False)
        for track, level in zip(tracks.split(at_a_time), levels.split(at_a_time), strict=True)
    ]
    return torch.cat(rows).reshape(*lead, n_samples)


def _synthesise(
    f0: Tensor,
    amplitude: Tensor,
    *,
    n_samples: int,
    hop: int,
    rate: int,
    max_harmonics: int,
    edges: str,
) -> Tensor:
    """`harmonic_source` of a few rows, [R, N] to [R, T]."""
    track = f0.detach().double()
    frame_count = count_harmonics(track, rate=rate, max_harmonics=max_harmonics)
    level = amplitude.double() / frame_count.clamp(min=1.0)
    level = torch.where(frame_count > 0, level, torch.zeros_like(level))

    instantaneous = interpolate_f0(f0, hop=hop, n_samples=n_samples, edges=edges)
    phase = harmonic_phase(instantaneous, rate=rate)
    limit = count_harmonics(instantaneous.detach(), rate=rate, max_harmonics=max_harmonics)
    count_left, count_right = find_neighbours(frame_count, hop=hop, n_samples=n_samples)
    level_left, level_right = find_neighbours(level, hop=hop, n_samples=n_samples)
    weight = compute_crossfade(n_samples, hop=hop, window="hann", like=phase)

    def sum_part(count: Tensor) -> Tensor:
        total: Tensor = _SineSum.apply(  # type: ignore[no-untyped-call]
            phase, torch.minimum(count, limit)
        )
        return total

    source = (1.0 - weight) * level_left * sum_part(count_left)
    source = source + weight * level_right * sum_part(count_right)
    return source.to(amplitude.dtype)
