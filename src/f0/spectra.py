"""Spectra of a stretch of a recording, so that a long one can go in blocks."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


def compute_spectra(
    audio: NDArray[np.float32],
    first: int,
    last: int,
    *,
    n_fft: int,
    hop: int,
    window: int | None = None,
) -> Tensor:
    """Compute the spectra of some frames; frame n is centred on sample n * hop.

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
