"""Input of the salience network: log-frequency spectrograms, stacked by harmonics."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from ..dsp.tracks import HOP, RATE

LOWEST = 55.0  # Hz, A1
BINS_PER_OCTAVE = 36
N_BINS = 164  # up to 1268 Hz
HARMONICS = (1, 2, 3, 4, 5, 6, 7, 8)
WINDOWS = (2048, 4096)  # samples: 128 ms follow moving pitch, 256 ms resolve close low voices
FFT = 8192
FLOOR = 1e-4  # -80 dB below the level
LEVEL_SECONDS = 4.0
LEVEL_FLOOR = 1e-2  # soft passages are amplified by at most 40 dB


def bin_frequencies(n_bins: int = N_BINS) -> Tensor:
    """Centre frequencies of the bins in Hz, float64 [F]."""
    return LOWEST * 2.0 ** (torch.arange(n_bins, dtype=torch.float64) / BINS_PER_OCTAVE)


def build_filterbank(frequencies: Tensor, n_fft: int = FFT, rate: int = RATE) -> Tensor:
    """Build triangular filters for a power spectrum, float32 [F, n_fft // 2 + 1].

    A filter is as wide as the distance to its neighbours, but at least one FFT bin, so that no
    partial falls between two filters. Centres above the Nyquist frequency give rows of zeros.

    Args:
        frequencies: [F] Hz, centres of the filters.
        n_fft: FFT size.
        rate: sample rate in Hz.
    """
    bins = torch.arange(n_fft // 2 + 1, dtype=torch.float64) * rate / n_fft
    half = torch.clamp(frequencies * (2 ** (1 / BINS_PER_OCTAVE) - 1), min=rate / n_fft)
    weights = 1 - (bins[None] - frequencies[:, None]).abs() / half[:, None]
    weights = weights.clamp(min=0)
    weights[frequencies > rate / 2] = 0
    return weights.float()


class HarmonicSpectrogram(nn.Module):
    """Mono audio to [B, C, F, N]: for each window and harmonic h, the level in dB at h times f.

    Frame n is centred on sample 256 n. Levels are relative to the loudest frame within two
    seconds, so that soft passages look like loud ones.
    """

    filters: Tensor

    def __init__(self) -> None:
        super().__init__()
        shifts = [round(BINS_PER_OCTAVE * math.log2(h)) for h in HARMONICS]
        self.shifts = shifts
        rows = N_BINS + max(shifts)
        self.register_buffer("filters", build_filterbank(bin_frequencies(rows)), persistent=False)
        for window in WINDOWS:
            hann = torch.hann_window(window) * (2.0 / window)
            self.register_buffer(f"window_{window}", hann, persistent=False)

    @property
    def channels(self) -> int:
        """Number of channels C."""
        return len(self.shifts) * len(WINDOWS)

    def forward(self, audio: Tensor, level: Tensor | None = None) -> Tensor:
        """Spectrograms of audio [B, T].

        Args:
            audio: [B, T] at 16 kHz.
            level: [B, N] from `measure_level` of the whole recording, where `audio` is a part.
        """
        n_frames = -(-audio.shape[-1] // HOP)
        if level is None:
            level = measure_level(audio)
        maps = []
        for window in WINDOWS:
            spectrum = torch.stft(
                audio,
                FFT,
                hop_length=HOP,
                win_length=window,
                window=self.get_buffer(f"window_{window}"),
                center=True,
                pad_mode="constant",
                return_complex=True,
            )[..., :n_frames]
            power = spectrum.real.square() + spectrum.imag.square()
            magnitude = torch.matmul(self.filters, power).sqrt() / level[:, None, :n_frames]
            decibels = 20 * torch.log10(magnitude + FLOOR)
            maps += [decibels[:, s : s + N_BINS] for s in self.shifts]
        return torch.stack(maps, dim=1) / 40 + 1


def measure_level(audio: Tensor) -> Tensor:
    """Measure the reference level [B, N] of spectra: the largest root mean square nearby.

    Args:
        audio: [B, T] at 16 kHz.
    """
    n_frames = -(-audio.shape[-1] // HOP)
    padded = nn.functional.pad(audio, (0, n_frames * HOP - audio.shape[-1]))
    rms = padded.unflatten(-1, (n_frames, HOP)).square().mean(-1).sqrt()
    reach = round(LEVEL_SECONDS / 2 * RATE / HOP)
    local = nn.functional.max_pool1d(rms[:, None], 2 * reach + 1, stride=1, padding=reach)[:, 0]
    loudest = rms.amax(-1, keepdim=True)
    return torch.maximum(local, LEVEL_FLOOR * loudest).clamp(min=1e-7)
