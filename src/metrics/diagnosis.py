"""Classifies stretches of sources as tones or noise, to see on which of them a method fails."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ..dsp.hpss import hpss
from ..dsp.stft import stft
from ..errors import UmssError

# A frame with less than this share of harmonic energy is dominated by noise: consonants, breath,
# room. One-second frames of sung voice lie above 0.6 (their medians above 0.9), also with vibrato;
# clicks and noise that is white, pink or brown lie below 0.25.
NOISE_DOMINATED = 0.5

KERNEL_SIZE = (9, 65)
MARGIN = (2.0, 1.0)


def harmonic_share(
    target: Tensor,
    *,
    n_fft: int = 1024,
    hop: int = 256,
    kernel_size: tuple[int, int] = KERNEL_SIZE,
    margin: tuple[float, float] = MARGIN,
) -> Tensor:
    """Measure the share of the energy of signals that is in their harmonic part.

    Harmonic bins (hard masks of `src.dsp.hpss.hpss`) are those in which the median along time is
    more than twice the median along frequency. The settings are for 16 kHz: medians over 9 frames
    of 16 ms, which follow vibrato and changes of note, and over 65 bins of 16 Hz, which hold at
    least one gap between the partials of a soprano. White noise has about equal medians and hardly
    any harmonic bins. For the masks alone, magnitudes are multiplied by frequency: in noise that
    falls towards high frequencies, as breath and room noise do, the steep lowest bins would
    otherwise look like a partial.

    Args:
        target: [..., T], e.g. one-second frames [B, J, frames, T]
            (`src.metrics.frames.cut_one_second_frames`).
        n_fft, hop: FFT size and hop of the STFT, samples.
        kernel_size, margin: see `src.dsp.hpss.hpss`.

    Returns:
        [...] float64 in 0 ... 1, to be compared with `NOISE_DOMINATED`; 0 for silence, which is
        recognised by its energy.

    Raises:
        UmssError: no samples, or samples that are not finite.
    """
    if not target.ndim or not target.shape[-1]:
        raise UmssError(f"target must be [..., T] with samples, got {list(target.shape)}")
    if not torch.isfinite(target).all():
        raise UmssError("the target holds NaN or infinite samples")
    if not target.numel():
        return torch.zeros(target.shape[:-1], dtype=torch.float64, device=target.device)
    with torch.no_grad():
        # At peak 1, so that squares of faint signals do not underflow.
        peak = target.abs().amax(dim=-1, keepdim=True)
        scaled = (target / peak.masked_fill(peak == 0, 1.0)).float()
        magnitude = stft(scaled, n_fft=n_fft, hop=hop).abs()
        number = torch.arange(magnitude.shape[-2], device=magnitude.device, dtype=magnitude.dtype)
        mask = hpss(
            magnitude * number[:, None],
            kernel_size=kernel_size,
            power=math.inf,
            mask=True,
            margin=margin,
        )[0]
        energy = magnitude.square()
        harmonic = (energy * mask).sum(dim=(-2, -1), dtype=torch.float64)
        total = energy.sum(dim=(-2, -1), dtype=torch.float64)
        return harmonic / total.masked_fill(total == 0, 1.0)
