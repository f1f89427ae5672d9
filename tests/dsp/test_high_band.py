"""`src.dsp.high_band`: what two voices have above 8 kHz goes to the right one."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from src.dsp.high_band import find_consonants, share_high_band

RATE = 44_100
SECONDS = 2.0
F0 = (400.0, 262.0)
TIMES = np.arange(round(SECONDS * RATE)) / RATE
LOW_TIMES = np.arange(round(SECONDS * 16_000)) / 16_000


def sing(f0: float, times: np.ndarray, lowest: float, highest: float) -> np.ndarray:
    """Equal partials of a vibrato-free voice between two frequencies."""
    numbers = np.arange(np.ceil(lowest / f0), highest // f0 + 1)
    return 0.01 * np.sin(2 * np.pi * f0 * numbers[:, None] * times).sum(axis=0)


def make_tracks() -> torch.Tensor:
    return torch.tensor(F0)[:, None].repeat(1, round(SECONDS * 62.5)).float()


def make_stems() -> torch.Tensor:
    stems = np.stack([sing(f0, LOW_TIMES, 0.0, 7_500.0) for f0 in F0])
    return torch.from_numpy(stems).float().unsqueeze(1)


def measure_levels(estimate: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Level of the error of each voice [J, T] relative to the voice, dB."""
    error = ((estimate - truth) ** 2).sum(axis=1) / (truth**2).sum(axis=1)
    return 10 * np.log10(error)


def test_partials_go_to_their_voice() -> None:
    truth = np.stack([sing(f0, TIMES, 8_200.0, 20_000.0) for f0 in F0])
    high = torch.from_numpy(truth.sum(axis=0)).float()[None]
    shares = share_high_band(high, make_stems(), make_tracks(), rate=RATE)[:, 0].numpy()
    inside = slice(RATE // 10, -RATE // 10)
    # Equal shares have -3 dB here; 400 and 262 Hz share few partials.
    assert (measure_levels(shares[:, inside], truth[:, inside]) < -6).all()
    levels = (shares[:, inside] ** 2).sum(axis=1) / (truth[:, inside] ** 2).sum(axis=1)
    np.testing.assert_allclose(10 * np.log10(levels), 0, atol=1.0)


def test_noise_goes_to_where_the_level_is_below() -> None:
    """Powers sum to that of the recording, in each channel by itself, and nothing is below."""
    noise = np.random.default_rng(0).standard_normal((2, len(TIMES))).astype(np.float32)
    high = torch.from_numpy(noise)
    stems = make_stems().repeat(1, 2, 1) * torch.tensor([[1.0, 0.1], [0.1, 1.0]])[:, :, None]
    shares = share_high_band(high, stems, make_tracks(), rate=RATE)
    spectra = np.abs(np.fft.rfft(shares.numpy())) ** 2
    frequencies = np.fft.rfftfreq(len(TIMES), 1 / RATE)
    assert spectra[..., frequencies < 7_000].sum() < 1e-5 * spectra.sum()
    energy = spectra[..., frequencies > 8_000].sum(axis=-1)
    whole = (np.abs(np.fft.rfft(noise)) ** 2)[:, frequencies > 8_000].sum(axis=-1)
    np.testing.assert_allclose(10 * np.log10(energy.sum(axis=0) / whole), 0, atol=0.3)
    assert energy[0, 0] > 4 * energy[1, 0] and energy[1, 1] > 4 * energy[0, 1]


def test_a_consonant_is_of_the_voice_whose_pitch_pauses() -> None:
    tracks = make_tracks()
    tracks[1, 60:66] = 0
    noise = torch.from_numpy(np.random.default_rng(1).standard_normal((1, len(TIMES)))).float()
    pause = slice(round(0.98 * RATE), round(1.04 * RATE))
    noise[:, pause] *= 10
    shares = share_high_band(noise, make_stems(), tracks, rate=RATE)[:, 0]
    energy = shares[:, pause].square().sum(dim=1)
    assert energy[1] > 4 * energy[0]
    silent = find_consonants(torch.zeros(1, 200, dtype=torch.bool), 125.0)
    assert not silent.any()


@pytest.mark.parametrize("rate", [22_050, 32_000, 48_000, 96_000])
def test_silence_and_moments_are_finite(rate: int) -> None:
    for n_samples in (1, 10, rate // 10):
        low = -(-n_samples * 16_000 // rate)
        tracks = torch.zeros(3, -(-low // 256))
        tracks[0] = 200.0
        stems, high = torch.zeros(3, 2, low), torch.zeros(2, n_samples)
        shares = share_high_band(high, stems, tracks, rate=rate)
        assert shares.shape == (3, 2, n_samples) and not shares.any()
        for loud in (1e-30, 1e4):
            shares = share_high_band(high + loud, stems + loud, tracks, rate=rate)
            assert torch.isfinite(shares).all()
