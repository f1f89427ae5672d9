"""Harmonic constant-Q transform: one CQT per harmonic, so that the partials of a voice line up.

Computed as librosa's CQT is, octave by octave on decimated audio, but for any range of frames, so
that a long recording is never in memory as one large spectrogram.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import librosa
import numpy as np
import torch
import torchaudio
from numpy.typing import NDArray
from torch import Tensor, nn

RATE = 22_050
HOP = 256
LOWEST = 32.7  # Hz, C1
BINS_PER_OCTAVE = 60
OCTAVES = 6
N_BINS = BINS_PER_OCTAVE * OCTAVES
HARMONICS = (1, 2, 3, 4, 5)

AMPLITUDE_FLOOR = 1e-5
RANGE_DB = 80.0
HEADROOM = 1.25  # least Nyquist of a decimated signal, relative to the highest frequency read
FILTER_REACH = 128  # samples; more than half the length of the decimation filter
PIECE = 1 << 18  # samples decimated at once
BLOCK_FRAMES = 256


def bin_frequencies() -> NDArray[np.float64]:
    """Centre frequencies of harmonic 1 in Hz, float64 [F]."""
    return LOWEST * 2.0 ** (np.arange(N_BINS) / BINS_PER_OCTAVE)


def frame_times(n_frames: int) -> NDArray[np.float64]:
    """Times of the frames in seconds, float64 [N]: frame n is centred on sample 256 n."""
    return np.arange(n_frames) * HOP / RATE


def count_frames(n_samples: int) -> int:
    """Count the frames N of a recording of T samples, as librosa does."""
    return 1 + n_samples // HOP


@dataclass(frozen=True)
class _Octave:
    """Sixty filters that read the audio decimated by 2^level; used by one or two harmonics."""

    lowest: float  # Hz
    level: int
    rows: tuple[tuple[int, int], ...]  # (index of the harmonic, its octave)


def _list_octaves() -> list[_Octave]:
    """List the octaves of all harmonics; those shared by harmonics 1 and 2 only once."""
    octaves = []
    for harmonics in ((1, 2), (3,), (4,), (5,)):
        count = OCTAVES + len(harmonics) - 1
        for octave in range(count):
            lowest = harmonics[0] * LOWEST * 2.0**octave
            # As in librosa: the highest octave at the full rate, each lower one at half the rate of
            # the one above. But harmonic 5 comes so close to Nyquist that its octaves would suffer
            # from the decimation filter (in librosa they do); they stay at twice the rate.
            level = count - 1 - octave
            if level and RATE / 2 / 2**level < HEADROOM * 2 * lowest:
                level -= 1
            rows = tuple(
                (HARMONICS.index(harmonic), octave - shift)
                for shift, harmonic in enumerate(harmonics)
                if 0 <= octave - shift < OCTAVES
            )
            octaves.append(_Octave(lowest, level, rows))
    return octaves


class HarmonicCqt(nn.Module):
    """HCQT of audio at 22 050 Hz: 360 bins from C1, 60 per octave, for harmonics 1 to 5.

    >>> cqt = HarmonicCqt()
    >>> pyramid = cqt.decimate(torch.zeros(1, 22_050))
    >>> cqt.transform(pyramid, 0, 10).shape
    torch.Size([1, 5, 360, 10])
    """

    def __init__(self) -> None:
        super().__init__()
        self.octaves = _list_octaves()
        steps = 2.0 ** (np.arange(BINS_PER_OCTAVE) / BINS_PER_OCTAVE)
        for index, octave in enumerate(self.octaves):
            kernel = _build_kernel(octave.lowest * steps, octave.level)
            self.register_buffer(f"kernel_{index}", kernel, persistent=False)

    def decimate(self, audio: Tensor) -> list[Tensor]:
        """Audio [B, T] at 22 050 Hz, then at half that rate, and so on, as `transform` reads it."""
        pyramid = [audio]
        for _ in range(max(octave.level for octave in self.octaves)):
            pyramid.append(_halve(pyramid[-1]))
        return pyramid

    def transform(self, pyramid: list[Tensor], first: int, last: int) -> Tensor:
        """Complex HCQT [B, H, F, N] of the frames `first` to `last` - 1.

        Args:
            pyramid: from `decimate`.
            first: first frame; frames before 0 or after the end read zeros.
            last: frame after the last one.
        """
        batch = pyramid[0].shape[0]
        result = torch.empty(
            (batch, len(HARMONICS), N_BINS, last - first),
            dtype=torch.complex64,
            device=pyramid[0].device,
        )
        for index, octave in enumerate(self.octaves):
            kernel = self.get_buffer(f"kernel_{index}")
            signal, hop = pyramid[octave.level], HOP >> octave.level
            for start in range(first, last, BLOCK_FRAMES):
                stop = min(start + BLOCK_FRAMES, last)
                frames = _cut_frames(signal, start, stop, hop, kernel.shape[0])
                parts = torch.matmul(frames, kernel).unflatten(-1, (2, BINS_PER_OCTAVE))
                response = torch.complex(parts[..., 0, :], parts[..., 1, :]).transpose(1, 2)
                for harmonic, row in octave.rows:
                    bins = slice(row * BINS_PER_OCTAVE, (row + 1) * BINS_PER_OCTAVE)
                    result[:, harmonic, bins, start - first : stop - first] = response
        return result

    def peak(self, pyramid: list[Tensor], n_frames: int) -> Tensor:
        """Largest magnitude of each harmonic over a whole recording of N frames, [B, H]."""
        # One running maximum: small results kept from each block would pin the memory of the block.
        peak = torch.zeros(pyramid[0].shape[0], len(HARMONICS), device=pyramid[0].device)
        for start in range(0, n_frames, BLOCK_FRAMES):
            spectrum = self.transform(pyramid, start, min(start + BLOCK_FRAMES, n_frames))
            torch.maximum(peak, spectrum.abs().amax((-2, -1)), out=peak)
        return peak

    def features(
        self, pyramid: list[Tensor], peak: Tensor, first: int, last: int
    ) -> tuple[Tensor, Tensor]:
        """Level in dB and phase differential of the frames `first` to `last` - 1.

        Args:
            pyramid: from `decimate`.
            peak: [B, H], magnitude that is 0 dB, from `peak`.
            first: first frame.
            last: frame after the last one.

        Returns:
            Level [B, H, F, N], -80 to 0 dB, and the advance of the phase since the frame before,
            radians, -pi to pi (in the recording's first frame: the phase itself).
        """
        before = 1 if first > 0 else 0
        spectrum = self.transform(pyramid, first - before, last)
        floor = AMPLITUDE_FLOOR
        level = 20 * torch.log10(spectrum[..., before:].abs().clamp(min=floor))
        level = level - 20 * torch.log10(peak.clamp(min=floor))[..., None, None]
        phase = spectrum.angle()
        advance = torch.diff(phase, dim=-1)
        advance = advance - 2 * math.pi * torch.round(advance / (2 * math.pi))
        if not before:
            advance = torch.cat([phase[..., :1], advance], dim=-1)
        return level.clamp(min=-RANGE_DB), advance

    def forward(self, audio: Tensor) -> tuple[Tensor, Tensor]:
        """Level and phase differential [B, H, F, N] of whole recordings [B, T]; see `features`."""
        pyramid = self.decimate(audio)
        n_frames = count_frames(audio.shape[-1])
        return self.features(pyramid, self.peak(pyramid, n_frames), 0, n_frames)


def _build_kernel(frequencies: NDArray[np.float64], level: int) -> Tensor:
    """Build the filters as a matrix of real and imaginary parts, float32 [K, 2 * bins].

    Normalised as in librosa: a sine of amplitude a gives a / 2 times the square root of the
    filter's length in samples at 22 050 Hz.
    """
    rate = RATE / 2**level
    # Every bin of a CQT has the same relative bandwidth, so it does not depend on the neighbours.
    width = 2.0 ** (2 / BINS_PER_OCTAVE)
    alpha = (width - 1) / (width + 1)
    wavelets, _ = librosa.filters.wavelet(
        freqs=frequencies, sr=rate, alpha=alpha, gamma=0, norm=1, pad_fft=True, dtype=np.complex128
    )
    lengths, _ = librosa.filters.wavelet_lengths(freqs=frequencies, sr=RATE, alpha=alpha, gamma=0)
    # The reversed filter is the conjugate one; rolling puts time 0 back to the centre.
    filters = np.roll(wavelets[:, ::-1], 1, axis=1) * np.sqrt(lengths)[:, None]
    return torch.from_numpy(np.concatenate([filters.real, filters.imag]).T.astype(np.float32))


def _halve(signal: Tensor) -> Tensor:
    """Decimate [B, T] by 2; the filter passes up to 0.8 and stops from 1.04 of the new Nyquist."""
    # In pieces, because the convolution inside takes many times the memory of its input.
    n_samples = signal.shape[-1]
    parts = []
    for start in range(0, n_samples, PIECE):
        first, last = max(0, start - FILTER_REACH), min(n_samples, start + PIECE + FILTER_REACH)
        part = torchaudio.functional.resample(
            signal[:, first:last],
            2,
            1,
            lowpass_filter_width=FILTER_REACH // 4,
            rolloff=0.92,
            resampling_method="sinc_interp_kaiser",
            beta=12.0,
        )
        parts.append(part[:, (start - first) // 2 :][:, : PIECE // 2])
    return torch.cat(parts, dim=-1)


def _cut_frames(signal: Tensor, first: int, last: int, hop: int, length: int) -> Tensor:
    """Cut a signal [B, T] into frames [B, N, K], frame n centred on n * hop, zeros outside."""
    start = first * hop - length // 2
    stop = (last - 1) * hop - length // 2 + length
    inside = signal[:, max(start, 0) : max(min(stop, signal.shape[-1]), 0)]
    left = min(max(-start, 0), stop - start)
    padded = nn.functional.pad(inside, (left, stop - start - left - inside.shape[-1]))
    return padded.unfold(-1, length, hop)
