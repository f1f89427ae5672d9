"""Fast BSS Eval v4: the same definition as museval, computed for whole batches at once.

An estimate of source j is compared with two least-squares projections of it: onto source j and
onto all J sources, each delayed by 0 ... 511 samples. The difference between first projection
and source is distortion, the difference between the projections is interference, and the rest of
the estimate is artifacts.
Filters come from the whole excerpt, energies from one-second windows of the sources, filtered
window by window.

The normal equations of all J estimates share one matrix of J x J Toeplitz blocks: correlations by
FFT, solved together by block recursion (`src.metrics.toeplitz`).

References:
    Vincent, Gribonval, Fevotte, "Performance measurement in blind audio source separation", IEEE
    TASLP 14(4), 2006; Stoter, Liutkus, Ito, "The 2018 Signal Separation Evaluation Campaign",
    LVA/ICA 2018 (version 4).
"""

from __future__ import annotations

import scipy.fft
import torch
from torch import Tensor

from ..errors import UmssError
from .toeplitz import solve_block_toeplitz

TAPS = 512


def fast_bss_eval(
    estimates: Tensor, sources: Tensor, *, rate: int = 16_000, taps: int = TAPS
) -> dict[str, Tensor]:
    """SDR, ISR, SIR and SAR per one-second window, in float64 on the device of the input.

    A window in which a source or an estimate is exactly zero is NaN for all voices, as in museval;
    so is an excerpt with a source or an estimate that is zero throughout.

    Args:
        estimates, sources: [B, J, T].
        rate: window and hop in samples.
        taps: length of the distortion filters.

    Returns:
        "sdr", "isr", "sir", "sar": [B, J, T // rate], dB; infinite where the error is exactly zero
        (SIR of a single source).

    Raises:
        UmssError: shapes differ.
    """
    if estimates.shape != sources.shape or sources.ndim != 3:
        raise UmssError(
            "estimates and sources must both be [B, J, T], got "
            f"{list(estimates.shape)} and {list(sources.shape)}"
        )
    n_windows = sources.shape[-1] // rate
    target, estimate = (
        x[..., : n_windows * rate].unflatten(-1, (n_windows, rate)) for x in (sources, estimates)
    )
    silent = ((target == 0).all(-1) | (estimate == 0).all(-1)).any(1)
    scores = target.new_full((4, *target.shape[:3]), torch.nan, dtype=torch.float64)
    heard = ~silent.all(-1)
    if heard.any():
        filters = find_distortion_filters(estimates[heard].double(), sources[heard].double(), taps)
        found = _compute_ratios(estimate[heard].double(), target[heard].double(), *filters)
        scores[:, heard] = found.masked_fill(silent[heard].unsqueeze(1), torch.nan)
    return dict(zip(("sdr", "isr", "sir", "sar"), scores.unbind(0), strict=True))


def _compute_ratios(
    estimate: Tensor, target: Tensor, every_filter: Tensor, own_filter: Tensor
) -> Tensor:
    """Compute the four ratios in dB, [4, B, J, W], of windows [B, J, W, rate], given filters."""
    rate, taps = target.shape[-1], own_filter.shape[-1]
    # The sources of a window through the filters, with the filters' tail.
    length = rate + taps - 1
    size = scipy.fft.next_fast_len(length, real=True)
    spectra = torch.fft.rfft(target, size)
    own = torch.fft.irfft(torch.fft.rfft(own_filter, size).unsqueeze(2) * spectra, size)
    own = own[..., :length]
    if target.shape[1] == 1:  # a single source has no interference
        every = own
    else:
        gains = torch.fft.rfft(every_filter, size)
        every = torch.fft.irfft(torch.einsum("bjif,biwf->bjwf", gains, spectra), size)
        every = every[..., :length]

    def energy(x: Tensor) -> Tensor:
        return x.square().sum(-1)

    true, tail = energy(target), (0, taps - 1)
    ratios = torch.stack(
        [
            true / energy(estimate - target),
            true / energy(own - torch.nn.functional.pad(target, tail)),
            energy(own) / energy(every - own),
            energy(every) / energy(torch.nn.functional.pad(estimate, tail) - every),
        ]
    )
    return 10.0 * torch.log10(ratios)


def find_distortion_filters(estimates: Tensor, sources: Tensor, taps: int) -> tuple[Tensor, Tensor]:
    """Find the least-squares filters that turn sources into estimates.

    Args:
        estimates, sources: [B, J, T] float64.
        taps: L.

    Returns:
        [B, J, J, L], filters of every source (dimension 2) towards every estimate (dimension 1),
        and [B, J, L], filters of source j alone towards estimate j.
    """
    n_batch, n_sources, n_samples = sources.shape
    size = scipy.fft.next_fast_len(n_samples + taps - 1, real=True)
    spectra = torch.fft.rfft(sources, size).conj().unsqueeze(2)

    def correlate(signals: Tensor) -> Tensor:
        """sum_t s_i(t) x_j(t + m) at lags 0 ... L - 1: [B, m, i, j]."""
        spectrum = spectra * torch.fft.rfft(signals, size).unsqueeze(1)
        return torch.fft.irfft(spectrum, size)[..., :taps].permute(0, 3, 1, 2)

    # The normal equations hold s_i, delayed by k, times s_j, delayed by l: lag k - l. Without the
    # correlations between sources, the same system has the filters of single sources.
    blocks, right = correlate(sources), correlate(estimates)
    if n_sources > 1:
        alone = torch.eye(n_sources, dtype=blocks.dtype, device=blocks.device)
        blocks, right = (torch.cat([x, x * alone]) for x in (blocks, right))
    filters = solve_block_toeplitz(blocks, right)  # [.., L, i, j]
    own = filters[-n_batch:].diagonal(dim1=2, dim2=3).transpose(1, 2)
    return filters[:n_batch].permute(0, 3, 2, 1), own
