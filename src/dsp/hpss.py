"""Harmonic-percussive-residual decomposition of spectrograms by running medians.

Steady tones are lines along time in a spectrogram, clicks and bursts are lines along frequency. A
median along time keeps the first and removes the second, one along frequency the reverse; masks
compare the two.

Tensors in, tensors out, differentiable; NumPy arrays in, NumPy arrays out, of the types that
librosa gives (`src.dsp.hpss_arrays`).

References:
    Fitzgerald, "Harmonic/percussive separation using median filtering", DAFx 2010;
    Driedger, Müller, Disch, "Extending harmonic-percussive separation of audio", ISMIR 2014
    (margins and the residual). Arguments and values are those of `librosa.decompose.hpss` 0.11;
    what differs is listed at `hpss`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..errors import UmssError
from .hpss_arrays import split_array
from .hpss_settings import check_kernel_sizes, check_margins, check_power
from .median import median_filter
from .stft import istft, stft

BLOCK_ELEMENTS = 1 << 19  # bins that are masked at once
BLOCK_SAMPLES = 1 << 19  # samples of a recording whose spectrogram is in memory at once

Spectrogram = TypeVar("Spectrogram", Tensor, NDArray[Any])


def hpss(
    S: Spectrogram,  # noqa: N803 - librosa's name
    *,
    kernel_size: int | Sequence[int] = 31,
    power: float = 2.0,
    mask: bool = False,
    margin: float | Sequence[float] = 1.0,
    residual: bool = False,
) -> tuple[Spectrogram, ...]:
    """Split a spectrogram into harmonic, percussive and, if wanted, residual components.

    With H and P the medians of |S| along time and frequency, the harmonic mask is
    H^p / (H^p + (m_h P)^p) and the percussive mask P^p / (P^p + (m_p H)^p). Where both medians
    vanish, both masks are 1/2 if both margins are 1, else 0.

    Args:
        S: [..., F, N] magnitudes or a complex spectrogram, whose phase is kept; a tensor or a NumPy
            array of any layout.
        kernel_size: length of the medians in frames and bins; one number for both, or
            (harmonic, percussive).
        power: exponent p > 0 of the masks; infinity gives masks of zeros and ones (and neither
            component a bin in which both are equally strong).
        mask: return the masks instead of the components.
        margin: factors m >= 1 by which one component must exceed the other; one number for both,
            or (harmonic, percussive). Above 1, something remains for the residual; infinity leaves
            this component nothing.
        residual: also return what belongs to neither component.

    Returns:
        (harmonic, percussive) or (harmonic, percussive, residual), shaped like S. With
        `residual=True` they sum to S, the masks to 1. Tensors are differentiable in S; a median's
        gradient is that of the sample it was taken from.

    Raises:
        UmssError: fewer than two dimensions, a type that is no number of 1 to 64 bits (or half
            precision), values that are not finite or whose medians are negative, or unusable
            settings.

    Differences from `librosa.decompose.hpss` 0.11, which this is for NumPy arrays otherwise:
    nothing is cached (librosa keeps results at level 30 where its cache is switched on);
    `residual`; NaN and infinite values are refused, where librosa hands them on; an infinite margin
    at a finite power gives masks of 0, where librosa has NaN; whole margins do not overflow in
    arrays of small integers; a kernel longer than eight spectrograms is mirrored on, where scipy
    reads outside the array; two settings mean two, not the first of more.

    Shape:
        - S: [..., F, N]
        - output: two or three times [..., F, N]. Tensors: masks are real, of the precision of S.
          Arrays: as librosa's types are; masks of float32 or float64, boolean if power is infinite;
          components of integers are float32 (8 and 16 bits) or float64, integers again if power is
          infinite

    Example:
        >>> import torch
        >>> S = torch.zeros(64, 50)
        >>> S[20], S[:, 30] = 1.0, 1.0
        >>> H, P = hpss(S, kernel_size=9)
        >>> H[20, 10].item(), P[40, 30].item(), H[40, 30].item()
        (1.0, 1.0, 0.0)
    """
    kernels = check_kernel_sizes(kernel_size)
    margins = check_margins(margin)
    exponent = check_power(power)
    if isinstance(S, np.ndarray):
        return split_array(
            S,
            lambda magnitude: _split(magnitude, kernels, exponent, margins, mask=True),
            power=power,
            mask=mask,
            residual=residual,
        )
    if not isinstance(S, Tensor):
        raise UmssError(f"S must be a tensor or a NumPy array, got {type(S).__name__}")
    return _split(S, kernels, exponent, margins, mask=mask, residual=residual)


def _split(
    S: Tensor,  # noqa: N803
    kernels: tuple[int, int],
    power: float,
    margins: tuple[float, float],
    *,
    mask: bool,
    residual: bool = False,
) -> tuple[Tensor, ...]:
    """`hpss` of a tensor, settings checked: blocks of frames, so that memory stays small."""
    S = _check_spectrogram(S)
    magnitude = S.abs() if S.is_complex() else S
    n_parts = 2 + residual
    if not S.numel():
        empty = magnitude if mask else S
        return tuple(torch.empty_like(empty) for _ in range(n_parts))
    n_frames = S.shape[-1]
    tracked = torch.is_grad_enabled() and S.requires_grad
    step = max(4 * kernels[0], BLOCK_ELEMENTS * n_frames // S.numel())
    step = n_frames if tracked else min(step, n_frames)
    parts: tuple[Tensor, ...] = ()
    for start in range(0, n_frames, step):
        stop = min(start + step, n_frames)
        columns = slice(start, stop)
        harmonic = median_filter(magnitude, kernels[0], dim=-1, start=start, stop=stop)
        percussive = median_filter(magnitude[..., columns], kernels[1], dim=-2)
        masks = _compute_masks(harmonic, percussive, power, margins)
        if mask:
            block = (*masks, (1.0 - (masks[0] + masks[1])).clamp(min=0.0))[:n_parts]
        else:
            whole = S[..., columns]
            pair = (whole * masks[0], whole * masks[1])
            block = (*pair, whole - (pair[0] + pair[1])) if residual else pair
        if step == n_frames:
            return block
        parts = parts or tuple(b.new_empty(S.shape) for b in block)
        for part, piece in zip(parts, block, strict=True):
            part[..., columns] = piece
    return parts


def _compute_masks(
    harmonic: Tensor, percussive: Tensor, power: float, margins: tuple[float, float]
) -> tuple[Tensor, Tensor]:
    """Compute the masks from the two medians, and check that these are not negative."""
    if harmonic.amin() < 0 or percussive.amin() < 0:
        raise UmssError(
            "S must not be negative: give magnitudes (S.abs()) or a complex spectrogram"
        )
    if margins == (1.0, 1.0):
        return soft_pair(harmonic, percussive, power, empty=0.5)
    return (
        _compute_share(harmonic, percussive, power, margins[0]),
        _compute_share(percussive, harmonic, power, margins[1]),
    )


def _compute_share(x: Tensor, y: Tensor, power: float, margin: float) -> Tensor:
    # Infinity times an empty bin is no number; nothing exceeds anything by an infinite factor.
    if math.isinf(margin):
        return torch.zeros_like(x)
    return soft_pair(x, y * margin, power, empty=0.0)[0]


def soft_pair(x: Tensor, y: Tensor, power: float, *, empty: float) -> tuple[Tensor, Tensor]:
    """Compute the shares x^p / (x^p + y^p) and y^p / (x^p + y^p) of non-negative x and y.

    Args:
        x, y: [...].
        power: p; infinity gives 1 to the larger and 0 to the smaller, or to both if they are equal.
        empty: the shares where both x and y are below the smallest normal number.
    """
    if math.isinf(power):
        return (x > y).to(x.dtype), (y > x).to(x.dtype)
    # Relative to the larger, so that powers do not underflow. The shares do not depend on this
    # scale: it needs no gradient.
    scale = torch.maximum(x, y).detach()
    nothing = scale < torch.finfo(x.dtype).tiny
    scale = scale.masked_fill(nothing, 1.0)
    a, b = _power(x / scale, power), _power(y / scale, power)
    total = (a + b).masked_fill(nothing, 1.0)
    return (a / total).masked_fill(nothing, empty), (b / total).masked_fill(nothing, empty)


def _power(x: Tensor, power: float) -> Tensor:
    if power >= 1 or not x.requires_grad:
        return x.pow(power)
    # Roots have infinite slope at zero; zeros stay zeros and get no gradient.
    zero = x == 0
    return x.masked_fill(zero, 1.0).pow(power).masked_fill(zero, 0.0)


def harmonic_part(
    audio: NDArray[np.float32],
    *,
    n_fft: int = 1024,
    hop: int = 256,
    kernel_size: int | Sequence[int] = 31,
    power: float = 2.0,
    margin: float | Sequence[float] = 1.0,
) -> NDArray[np.float32]:
    """Extract the harmonic part of a recording of any length.

    Works in overlapping blocks; the result is the same as for the whole recording at once.

    Args:
        audio: [T].
        n_fft, hop: FFT size and hop of the STFT, samples.
        kernel_size, power, margin: see `hpss`.

    Returns:
        [T] float32.

    Raises:
        UmssError: audio that is not [T] or not finite, or unusable settings.
    """
    samples = np.asarray(audio, dtype=np.float32)
    if samples.ndim != 1 or not samples.size:
        raise UmssError(f"audio must be samples [T] and not empty, got {list(samples.shape)}")
    if not np.isfinite(samples).all():
        raise UmssError("the audio holds NaN or infinite samples; export it again")
    block, context = choose_blocks(kernel_size, n_fft=n_fft, hop=hop)
    result = np.empty_like(samples)
    for start in range(0, len(samples), block):
        first, last = max(0, start - context), start + block + context
        heard = torch.from_numpy(samples[first:last])
        harmonic = hpss(
            stft(heard, n_fft=n_fft, hop=hop), kernel_size=kernel_size, power=power, margin=margin
        )[0]
        kept = istft(harmonic, len(heard), n_fft=n_fft, hop=hop)[start - first :][:block]
        result[start : start + block] = kept.numpy()
    return result


def choose_blocks(kernel_size: int | Sequence[int], *, n_fft: int, hop: int) -> tuple[int, int]:
    """Choose the blocks in which a recording is split as if it were split at once.

    Args:
        kernel_size: see `hpss`.
        n_fft, hop: FFT size and hop of the STFT, samples.

    Returns:
        Samples of a block and of its context on each side, multiples of the hop: the windows of the
        medians and the frames that overlap the block.
    """
    context = (check_kernel_sizes(kernel_size)[0] + 2 * -(-n_fft // hop)) * hop
    return max(4 * context, max(1, BLOCK_SAMPLES // hop) * hop), context


def _check_spectrogram(spectrogram: Tensor) -> Tensor:
    if spectrogram.ndim < 2:
        raise UmssError(f"S must be a spectrogram [..., F, N], got {list(spectrogram.shape)}")
    if not spectrogram.is_floating_point() and not spectrogram.is_complex():
        spectrogram = spectrogram.to(torch.get_default_dtype())
    dtype = spectrogram.dtype
    if dtype not in (torch.float32, torch.float64, torch.complex64, torch.complex128):
        raise UmssError(f"S must be of single or double precision, got {dtype}; use S.float()")
    if not torch.isfinite(spectrogram).all():
        raise UmssError("S holds NaN or infinite values; replace them before the decomposition")
    return spectrogram
