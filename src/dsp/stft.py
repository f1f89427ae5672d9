"""Short-time Fourier transforms, overlap-add and soft masks."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..errors import UmssError

# Periodic windows by name.
WINDOWS = {
    "hann": torch.hann_window,
    "hamming": torch.hamming_window,
    "blackman": torch.blackman_window,
    "bartlett": torch.bartlett_window,
}


def check_hop(section: str, hop: int, size: int, *, name: str = "n_fft") -> None:
    """Check that frames of a setting overlap by half and more.

    Args:
        section: where the settings stand, for the message.
        hop: samples from one frame to the next.
        size: of a frame, samples.
        name: of the size's setting.

    Raises:
        UmssError: they do not.
    """
    if not 0 < hop <= size // 2:
        raise UmssError(
            f"{section}.hop={hop} must be positive and at most half of {section}.{name}={size}"
        )


def frame_stft(x: Tensor, *, n_fft: int = 512, hop: int = 256) -> Tensor:
    """STFT on the common time grid: frame n is centred on sample n * hop, N = ceil(T / hop).

    Periodic Hann window; zeros beyond both ends.

    Shape:
        - x: [..., T]
        - output: complex [..., n_fft // 2 + 1, N]
    """
    lead, n_samples = x.shape[:-1], x.shape[-1]
    n_frames = -(-n_samples // hop)
    right = (n_frames - 1) * hop + n_fft // 2 - n_samples
    padded = torch.nn.functional.pad(x.reshape(-1, n_samples), (n_fft // 2, right))
    window = torch.hann_window(n_fft, dtype=x.dtype, device=x.device)
    spectrum = torch.stft(padded, n_fft, hop, window=window, center=False, return_complex=True)
    return spectrum.reshape(*lead, *spectrum.shape[-2:])


def compute_spectra(
    audio: NDArray[np.float32],
    first: int,
    last: int,
    *,
    n_fft: int,
    hop: int,
    window: int | None = None,
) -> Tensor:
    """Compute the spectra of some frames of `frame_stft`, so that long recordings go in blocks.

    Args:
        audio: recording [T], silent beyond both ends.
        first, last: the frames `first` to `last` - 1.
        n_fft: FFT size.
        hop: samples from one frame to the next.
        window: length of the Hann window, samples; None = `n_fft`.

    Returns:
        Complex [F, last - first].
    """
    start, stop = first * hop - n_fft // 2, (last - 1) * hop + n_fft // 2
    heard = audio[max(0, start) : max(0, stop)]
    piece = np.zeros(stop - start, dtype=np.float32)
    piece[max(0, -start) :][: len(heard)] = heard
    size = n_fft if window is None else window
    return torch.stft(
        torch.from_numpy(piece),
        n_fft,
        hop_length=hop,
        win_length=size,
        window=torch.hann_window(size),
        center=False,
        return_complex=True,
    )


def stft(x: Tensor, *, n_fft: int = 2048, hop: int = 256, window: str = "hann") -> Tensor:
    """Invertible STFT (periodic window, centred, zeros beyond both ends).

    Args:
        x: [..., T].
        n_fft, hop: size and distance of the frames, samples.
        window: a key of `WINDOWS`.

    Raises:
        UmssError: there is no such window.

    Shape:
        - x: [..., T]
        - output: complex [..., n_fft // 2 + 1, 1 + T // hop]
    """
    spectrum = torch.stft(
        x.reshape(-1, x.shape[-1]),
        n_fft,
        hop,
        window=_make_window(window, n_fft, x),
        center=True,
        pad_mode="constant",
        return_complex=True,
    )
    return spectrum.reshape(*x.shape[:-1], *spectrum.shape[-2:])


def istft(
    spectrum: Tensor, n_samples: int, *, n_fft: int = 2048, hop: int = 256, window: str = "hann"
) -> Tensor:
    """Inverse of `stft`: complex [..., F, N] to [..., T]."""
    shape = _make_window(window, n_fft, spectrum.real)
    flat = spectrum.reshape(-1, *spectrum.shape[-2:])
    signal = torch.istft(flat, n_fft, hop, window=shape, center=True, length=n_samples)
    return signal.reshape(*spectrum.shape[:-2], n_samples)


def _make_window(name: str, size: int, like: Tensor) -> Tensor:
    if name not in WINDOWS:
        raise UmssError(f"window={name} is unknown; choose from {', '.join(WINDOWS)}")
    return WINDOWS[name](size, dtype=like.dtype, device=like.device)


def overlap_add(frames: Tensor, *, hop: int) -> Tensor:
    """Sum frames at a distance of `hop` samples.

    Shape:
        - frames: [..., N, L]
        - output: [..., (N - 1) * hop + L]
    """
    n_frames, length = frames.shape[-2:]
    columns = frames.reshape(-1, n_frames, length).transpose(1, 2)
    total = (n_frames - 1) * hop + length
    summed = torch.nn.functional.fold(columns, (1, total), (1, length), stride=(1, hop))
    return summed.reshape(*frames.shape[:-2], total)


def soft_masks(magnitudes: Tensor, *, power: float = 1.0) -> Tensor:
    """Share of every source in every time-frequency bin: M_j^p / sum_j M_j^p.

    Args:
        magnitudes: [..., J, F, N], non-negative.
        power: 1 for magnitude masks (the paper), 2 for power Wiener masks.

    Returns:
        [..., J, F, N]; sums to 1 over J wherever any source has energy, and is 0 where none has.

    Raises:
        ValueError: `power` is not positive.
    """
    if power <= 0:
        raise ValueError(f"power must be positive, got {power}")
    peak = magnitudes.amax(dim=-3, keepdim=True)
    # Relative to the strongest source, so that powers of small magnitudes do not underflow.
    share = (magnitudes / peak.masked_fill(peak == 0, 1.0)).pow(power)
    return share / share.sum(dim=-3, keepdim=True).clamp(min=1.0)


def apply_masks(mixture: Tensor, masks: Tensor, *, n_fft: int = 2048, hop: int = 256) -> Tensor:
    """Filter a mixture with real masks in the STFT domain.

    Shape:
        - mixture: [..., T]
        - masks: [..., J, F, N] on the grid of `stft`
        - output: [..., J, T]
    """
    spectrum = stft(mixture, n_fft=n_fft, hop=hop).unsqueeze(-3)
    return istft(masks * spectrum, mixture.shape[-1], n_fft=n_fft, hop=hop)


def average_around(x: Tensor, radius: int) -> Tensor:
    """Average [..., N] over `radius` frames before and after each; over fewer at both ends."""
    radius = min(radius, x.shape[-1] - 1)
    mean = torch.nn.functional.avg_pool1d(
        x.reshape(-1, 1, x.shape[-1]),
        2 * radius + 1,
        stride=1,
        padding=radius,
        count_include_pad=False,
    )
    return mean.view_as(x)
