"""The harmonic spectrogram: where a partial lands, in frequency and time."""

import numpy as np
import pytest
import torch

from src.f0.features import (
    HARMONICS,
    N_BINS,
    WINDOWS,
    HarmonicSpectrogram,
    bin_frequencies,
    build_filterbank,
    measure_level,
)

RATE = 16_000


def tone(f0: float, n_harmonics: int, seconds: float = 1.0) -> torch.Tensor:
    time = torch.arange(round(seconds * RATE), dtype=torch.float64) / RATE
    partials = [torch.sin(2 * torch.pi * f0 * h * time) / h for h in range(1, n_harmonics + 1)]
    return torch.stack(partials).sum(0).float()[None]


@pytest.mark.parametrize("f0", [82.4, 220.0, 523.25, 1046.5])
def test_every_harmonic_channel_peaks_at_the_fundamental(f0):
    maps = HarmonicSpectrogram()(tone(f0, 8))[0, :, :, 30]
    expected = 36 * np.log2(f0 / 55.0)
    for channel, row in enumerate(maps):
        if f0 * HARMONICS[channel % len(HARMONICS)] > 7_500:
            continue
        # Neighbouring partials leak into each other at low pitches, so look around the place.
        low = max(0, round(expected) - 6)
        peak = low + int(row[low : round(expected) + 7].argmax())
        assert abs(peak - expected) <= 1.1, (channel, peak, expected)


def test_frame_n_is_centred_on_sample_256_n():
    audio = torch.zeros(1, RATE)
    audio[0, 256 * 20] = 1.0
    maps = HarmonicSpectrogram()(audio, level=torch.ones(1, 63))
    energy = maps[0].mean(dim=(0, 1))
    assert int(energy.argmax()) == 20
    assert torch.allclose(energy[17:20].flip(0), energy[21:24], atol=1e-4)


def test_loudness_does_not_matter():
    spectrogram = HarmonicSpectrogram()
    audio = tone(220.0, 8) + 0.001 * torch.randn(
        1, RATE, generator=torch.Generator().manual_seed(0)
    )
    assert torch.allclose(spectrogram(audio), spectrogram(audio * 1e-3), atol=1e-3)


def test_silence_is_finite():
    maps = HarmonicSpectrogram()(torch.zeros(1, 5_000))
    assert maps.shape == (1, len(HARMONICS) * len(WINDOWS), N_BINS, 20)
    assert torch.isfinite(maps).all()


def test_filters_miss_no_frequency():
    filters = build_filterbank(bin_frequencies(250))
    reached = filters.sum(0)
    bins = torch.arange(filters.shape[1]) * RATE / 8192
    inside = (bins > 56) & (bins < bin_frequencies(250)[-1].clamp(max=7_900))
    assert (reached[inside] > 0.4).all()


def test_a_soft_passage_is_lifted_to_its_surroundings():
    loud, soft = tone(220.0, 4, 6.0), 0.03 * tone(220.0, 4, 6.0)
    level = measure_level(torch.cat([loud, soft], dim=-1))[0]
    assert level[-1] == pytest.approx(0.03 * float(level[0]), rel=0.05)
