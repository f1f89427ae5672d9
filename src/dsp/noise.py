"""Noise source and finite impulse response filters.

The noise is a hash of (seed, source, sample): the same on every device, addressable at any sample,
with no generator state to save or to synchronise between processes.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .control import count_frames

_WORD = 0xFFFFFFFF


def _mix(x: Tensor) -> Tensor:
    """Bijective 32-bit integer hash with good avalanche, on int64 tensors holding 32-bit words."""
    x = ((x ^ (x >> 16)) * 0x7FEB352D) & _WORD
    x = ((x ^ (x >> 15)) * 0x846CA68B) & _WORD
    return x ^ (x >> 16)


def uniform_noise(seed: Tensor, n_sources: int, n_samples: int, *, start: int = 0) -> Tensor:
    """White noise, uniform in [-1, 1) (w(t) of paper eq. 4).

    Args:
        seed: [B] int64, one seed per mixture.
        n_sources: J; every source gets its own noise.
        n_samples: T.
        start: index of the first sample; noise(start=s)[..., t] equals noise(start=0)[..., s + t].

    Returns:
        [B, J, T] float32.
    """
    seed = seed.to(torch.int64)
    source = torch.arange(n_sources, device=seed.device)
    row = _mix((seed & _WORD) ^ 0x9E3779B9) ^ (seed >> 32 & _WORD)
    row = _mix((row[:, None] + 0x85EBCA6B * (source + 1)) & _WORD)
    sample = _mix(torch.arange(start, start + n_samples, device=seed.device) & _WORD)
    if seed.device.type == "cpu":
        from .noise_cpu import fill

        return fill(row.flatten(), sample).reshape(len(seed), n_sources, n_samples)
    return _hash_noise(row, sample)


def _hash_noise(row: Tensor, sample: Tensor) -> Tensor:
    """Make noise [B, J, T] from the hashes of rows [B, J] and of samples [T], on any device."""
    word = _mix(sample ^ row[..., None])
    # The upper 24 bits are exact in float32.
    return (word >> 8).to(torch.float32).mul_(2.0**-23).sub_(1.0)


def frequency_sampled_fir(magnitudes: Tensor) -> Tensor:
    """Zero-phase FIR taps from samples of a magnitude response (paper section III-B, [52, 53]).

    L magnitudes at the frequencies k * rate / (2 L - 1), k = 0 ... L - 1, give 2 L - 1 symmetric
    taps, tapered with a Hann window.

    Args:
        magnitudes: [..., L].

    Returns:
        [..., 2 L - 1], the middle tap at time 0.
    """
    n_taps = 2 * magnitudes.shape[-1] - 1
    taps = torch.fft.irfft(magnitudes, n=n_taps).roll(n_taps // 2, dims=-1)
    # Two more points than taps, because the end points of a Hann window are zero.
    window = torch.hann_window(n_taps + 2, periodic=False, dtype=taps.dtype, device=taps.device)
    return taps * window[1:-1]


def rolloff_fir(*, rate: int = 16_000, corner: float = 200.0, n_magnitudes: int = 65) -> Tensor:
    """Taps of the fixed harmonic filter r(t): flat below `corner` Hz, then -6 dB per octave.

    Returns:
        [2 * n_magnitudes - 1] float32, zero phase (paper section IV-B).
    """
    step = rate / (2 * n_magnitudes - 1)
    frequency = step * torch.arange(n_magnitudes, dtype=torch.float64)
    magnitudes = corner / frequency.clamp(min=corner)
    return frequency_sampled_fir(magnitudes).to(torch.float32)


def _find_fast_length(n: int) -> int:
    """Find the smallest 2^a 3^b 5^c >= n, a size that every FFT library handles quickly."""
    best = 1 << (n - 1).bit_length()
    five = 1
    while five < best:
        three = five
        while three < best:
            need = -(-n // three)
            best = min(best, three << (need - 1).bit_length())
            three *= 3
        five *= 5
    return best


def fir_filter(x: Tensor, taps: Tensor) -> Tensor:
    """Convolve with a zero-phase FIR: the output is aligned with the input and as long.

    Shape:
        - x: [..., T]
        - taps: [..., M], M odd, the middle tap at time 0; leading dimensions broadcast
        - output: [..., T]

    Raises:
        ValueError: an even number of taps has no middle one.
    """
    n_samples, n_taps = x.shape[-1], taps.shape[-1]
    if n_taps % 2 == 0:
        raise ValueError(f"zero-phase taps need an odd length, got {n_taps}")
    size = _find_fast_length(n_samples + n_taps - 1)
    spectrum = torch.fft.rfft(x, n=size) * torch.fft.rfft(taps, n=size)
    delay = n_taps // 2
    return torch.fft.irfft(spectrum, n=size)[..., delay : delay + n_samples]


def varying_fir_filter(x: Tensor, taps: Tensor, *, hop: int) -> Tensor:
    """Filter with zero-phase FIRs that change from frame to frame.

    Frames of 2 * hop samples around n * hop, under Hann windows that sum to one, are convolved with
    their own taps and overlap-added, so that equal taps in all frames give `fir_filter`. After the
    last frame its taps are held.

    Shape:
        - x: [..., T]
        - taps: [..., N, M], N = ceil(T / hop), M odd, the middle tap at time 0; leading dimensions
          broadcast
        - output: [..., T]

    Raises:
        ValueError: an even number of taps, or another number of frames.
    """
    n_samples, (n_frames, n_taps) = x.shape[-1], taps.shape[-2:]
    if n_taps % 2 == 0:
        raise ValueError(f"zero-phase taps need an odd length, got {n_taps}")
    if count_frames(n_samples, hop) != n_frames:
        raise ValueError(f"{n_samples} samples at hop {hop} do not fit {n_frames} frames of taps")
    padded = torch.nn.functional.pad(x, (hop, (n_frames + 1) * hop - n_samples))
    window = torch.hann_window(2 * hop, dtype=x.dtype, device=x.device)
    frames = padded.unfold(-1, 2 * hop, hop) * window
    held = torch.cat([taps, taps[..., -1:, :]], dim=-2)
    # A whole number of hops holds a frame and the tail of its convolution.
    n_blocks = -(-(2 * hop + n_taps - 1) // hop)
    size = n_blocks * hop
    spectrum = torch.fft.rfft(frames, n=size) * torch.fft.rfft(held, n=size)
    blocks = torch.fft.irfft(spectrum, n=size).unflatten(-1, (n_blocks, hop))
    summed = sum(
        torch.nn.functional.pad(blocks[..., k, :], (0, 0, k, n_blocks - 1 - k))
        for k in range(n_blocks)
    )
    assert isinstance(summed, Tensor)
    start = hop + n_taps // 2
    return summed.flatten(-2)[..., start : start + n_samples]
