"""Harmonic-percussive-residual decomposition of spectrograms by running medians.

Steady tones are lines along time in a spectrogram, clicks and bursts are lines along frequency. A
median along time keeps the first and removes the second, one along frequency the reverse; masks
compare the two.

References:
    Fitzgerald, "Harmonic/percussive separation using median filtering", DAFx 2010;
    Driedger, Müller, Disch, "Extending harmonic-percussive separation of audio", ISMIR 2014
    (margins and the residual). Arguments and values are those of `librosa.decompose.hpss`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .median import median_filter
from .stft import istft, stft

BLOCK_ELEMENTS = 1 << 19  # bins that are masked at once
BLOCK_SAMPLES = 1 << 19  # samples of a recording whose spectrogram is in memory at once


def hpss(
    S: Tensor,  # noqa: N803 - librosa's name
    *,
    kernel_size: int | Sequence[int] = 31,
    power: float = 2.0,
    mask: bool = False,
    margin: float | Sequence[float] = 1.0,
    residual: bool = False,
) -> tuple[Tensor, ...]:
    """Split a spectrogram into harmonic, percussive and, if wanted, residual components.

    With H and P the medians of |S| along time and frequency, the harmonic mask is
    H^p / (H^p + (m_h P)^p) and the percussive mask P^p / (P^p + (m_p H)^p). Where both medians
    vanish, both masks are 1/2 if both margins are 1, else 0.

    Args:
        S: [..., F, N] magnitudes or a complex spectrogram, whose phase is kept.
        kernel_size: length of the medians in frames and bins; one number for both, or
            (harmonic, percussive).
        power: exponent p > 0 of the masks; infinity gives masks of zeros and ones (and neither
            component a bin in which both are equally strong).
        mask: return the masks instead of the components.
        margin: factors m >= 1 by which one component must exceed the other; one number for both,
            or (harmonic, percussive). Above 1, something remains for the residual.
        residual: also return what belongs to neither component.

    Returns:
        (harmonic, percussive) or (harmonic, percussive, residual), shaped like S. With
        `residual=True` they sum to S, the masks to 1. Differentiable in S; a median's gradient is
        that of the sample it was taken from.

    Raises:
        ValueError: fewer than two dimensions, half precision, values that are not finite or whose
            medians are negative, or unusable settings.

    Shape:
        - S: [..., F, N]
        - output: two or three times [..., F, N]; masks are real, of the precision of S

    Example:
        >>> import torch
        >>> S = torch.zeros(64, 50)
        >>> S[20], S[:, 30] = 1.0, 1.0
        >>> H, P = hpss(S, kernel_size=9)
        >>> H[20, 10].item(), P[40, 30].item(), H[40, 30].item()
        (1.0, 1.0, 0.0)
    """
    kernels = _check_kernel_sizes(kernel_size)
    margins = _check_margins(margin)
    if not power > 0:
        raise ValueError(f"power={power} must be positive; 2 gives Wiener masks, inf hard masks")
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
        raise ValueError(
            "S must not be negative: give magnitudes (S.abs()) or a complex spectrogram"
        )
    if margins == (1.0, 1.0):
        return soft_pair(harmonic, percussive, power, empty=0.5)
    return (
        soft_pair(harmonic, percussive * margins[0], power, empty=0.0)[0],
        soft_pair(percussive, harmonic * margins[1], power, empty=0.0)[0],
    )


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
        ValueError: audio that is not [T] or not finite, or unusable settings.
    """
    samples = np.asarray(audio, dtype=np.float32)
    if samples.ndim != 1 or not samples.size:
        raise ValueError(f"audio must be samples [T] and not empty, got {list(samples.shape)}")
    if not np.isfinite(samples).all():
        raise ValueError("the audio holds NaN or infinite samples; export it again")
    # Context of a block on each side: the windows of the medians and the frames that overlap it.
    context = (_check_kernel_sizes(kernel_size)[0] + 2 * -(-n_fft // hop)) * hop
    block = max(4 * context, BLOCK_SAMPLES // hop * hop)
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


def _to_pair(value: object, name: str) -> tuple[object, object]:
    """Expand one value for both filters to (harmonic, percussive)."""
    if not isinstance(value, Sequence):
        return value, value
    if isinstance(value, str) or len(value) != 2:
        raise ValueError(f"{name}={value} must be one number or two: (harmonic, percussive)")
    return value[0], value[1]


def _check_kernel_sizes(kernel_size: int | Sequence[int]) -> tuple[int, int]:
    sizes = []
    for k in _to_pair(kernel_size, "kernel_size"):
        if not isinstance(k, int | np.integer) or isinstance(k, bool) or k < 1:
            raise ValueError(
                f"kernel_size={kernel_size} must be whole numbers of at least 1; a typical range "
                "is 15 to 51 frames or bins"
            )
        sizes.append(int(k))
    return sizes[0], sizes[1]


def _check_margins(margin: float | Sequence[float]) -> tuple[float, float]:
    factors = tuple(float(m) for m in _to_pair(margin, "margin"))  # type: ignore[arg-type]
    if not all(1.0 <= m < math.inf for m in factors):
        raise ValueError(
            f"margin={margin} must be at least 1 and finite; a typical range is 1 to 10"
        )
    return factors[0], factors[1]


def _check_spectrogram(spectrogram: Tensor) -> Tensor:
    if spectrogram.ndim < 2:
        raise ValueError(f"S must be a spectrogram [..., F, N], got {list(spectrogram.shape)}")
    if not spectrogram.is_floating_point() and not spectrogram.is_complex():
        spectrogram = spectrogram.to(torch.get_default_dtype())
    dtype = spectrogram.dtype
    if dtype not in (torch.float32, torch.float64, torch.complex64, torch.complex128):
        raise ValueError(f"S must be of single or double precision, got {dtype}; use S.float()")
    if not torch.isfinite(spectrogram).all():
        raise ValueError("S holds NaN or infinite values; replace them before the decomposition")
    return spectrogram
