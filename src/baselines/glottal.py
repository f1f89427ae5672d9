"""Spectra of a steady glottal source: the KLGLOTT88 waveform under the window of an STFT.

KLGLOTT88 (Klatt and Klatt, 1990) describes the derivative of the glottal flow. While the glottis is
open, a share `open_quotient` of the period, it is proportional to 2 x - 3 x^2, where x runs from 0
to 1; for the rest of the period it is 0. Its Fourier coefficients have a closed form, and so has
the transform of the Hann window, so that no waveform is synthesised here.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ..errors import UmssError

# Harmonics on either side of a bin that are summed. The transform of a Hann window falls by 18 dB
# per octave, so that more of them change nothing that a separation could notice.
_NEIGHBOURS = 2


def compute_glottal_coefficients(harmonic: Tensor, *, open_quotient: float = 0.25) -> Tensor:
    """Complex Fourier coefficients of one period of the KLGLOTT88 derivative.

    c_h = integral over a period (length 1) of u(t) exp(-2 pi i h t), integrated by parts; scaled
    so that u(t) = 2 x - 3 x^2 with x = t / open_quotient.

    Args:
        harmonic: real, any shape; the numbers h >= 1.
        open_quotient: share of the period in which the glottis is open.

    Returns:
        complex, shape of `harmonic`.

    Raises:
        ValueError: `open_quotient` outside (0, 1].

    References:
        D. H. Klatt and L. C. Klatt, Journal of the Acoustical Society of America 87 (1990);
        J.-L. Durrieu et al., IEEE TASLP 18 (2010) and IEEE JSTSP 5 (2011).
    """
    if not 0.0 < open_quotient <= 1.0:
        raise UmssError(f"open_quotient must lie in (0, 1], got {open_quotient}")
    angle = 2.0 * math.pi * open_quotient * harmonic
    step = torch.complex(torch.zeros_like(angle), angle)
    turn = torch.polar(torch.ones_like(angle), -angle)
    return open_quotient * (turn / step + (2 + 4 * turn) / step**2 - 6 * (1 - turn) / step**3)


def _transform_hann(distance: Tensor, n_fft: int) -> Tensor:
    """Transform of the periodic Hann window at a distance in bins, seen from the window's middle.

    Real, because the window is symmetric about its middle; its value at 0 is n_fft / 2.
    """

    def evaluate_dirichlet(d: Tensor) -> Tensor:
        # sum_{t=0}^{n-1} exp(-2 pi i d (t - n/2) / n) is this times exp(i pi d / n).
        x = math.pi * d
        denominator = torch.sin(x / n_fft)
        tiny = denominator.abs() < 1e-7
        value = torch.sin(x) / denominator.masked_fill(tiny, 1.0)
        return torch.where(tiny, torch.full_like(x, n_fft), value)

    # The half-sample phases of the three kernels leave a rotation of pi / n between them.
    def evaluate_aligned(d: Tensor) -> Tensor:
        return evaluate_dirichlet(d) * torch.cos(math.pi * d / n_fft)

    return 0.5 * evaluate_aligned(distance) + 0.25 * (
        evaluate_aligned(distance - 1) + evaluate_aligned(distance + 1)
    )


def compute_glottal_spectra(
    f0: Tensor, *, n_fft: int, rate: int = 16_000, open_quotient: float = 0.25
) -> Tensor:
    """Power spectra of glottal sources under a periodic Hann window of n_fft samples.

    A period of the waveform starts in the middle of the window. Harmonics at or above the Nyquist
    frequency do not exist. Every spectrum is scaled to sum to 1, so that activations of different
    pitches compare as powers.

    Args:
        f0: [...] Hz, positive and below rate / 2.

    Returns:
        [..., n_fft // 2 + 1] float64, non-negative.

    Raises:
        ValueError: an F0 outside (0, rate / 2), or `open_quotient` outside (0, 1].
    """
    if ((f0 <= 0) | (f0 >= 0.5 * rate)).any():
        raise UmssError(f"f0 must lie between 0 and {0.5 * rate:g} Hz; drop unvoiced frames first")
    bins = torch.arange(n_fft // 2 + 1, dtype=torch.float64, device=f0.device)
    spacing = f0.double().unsqueeze(-1) * n_fft / rate
    last = torch.ceil(0.5 * n_fft / spacing) - 1
    nearest = torch.round(bins / spacing)
    total = torch.zeros_like(nearest, dtype=torch.complex128)
    for offset in range(-_NEIGHBOURS, _NEIGHBOURS + 1):
        harmonic = nearest + offset
        exists = (harmonic >= 1) & (harmonic <= last)
        harmonic = harmonic.clamp(min=1)
        weight = compute_glottal_coefficients(harmonic, open_quotient=open_quotient)
        lobe = _transform_hann(bins - harmonic * spacing, n_fft)
        total += weight * lobe * exists
    power = total.real.square() + total.imag.square()
    return power / power.sum(dim=-1, keepdim=True)
