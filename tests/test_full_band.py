"""Stems have the whole bandwidth of the recording, whatever its rate."""

from __future__ import annotations

import math

import numpy as np
import pytest

from src.audio import resample
from src.baselines.hpss_comb import HpssCombSeparator
from src.baselines.masks import CombSeparator
from tests.separating import Arrays, separate

F0 = (330.0, 220.0)
SECONDS = 3.4


def sing(rate: int) -> tuple[np.ndarray, np.ndarray]:
    """Two voices of many partials in stereo with a little noise [2, T], and their F0 [2, N]."""
    times = np.arange(round(SECONDS * rate)) / rate
    voices = []
    for f0 in F0:
        numbers = np.arange(1, 0.45 * rate // f0 + 1)[:, None]
        voices.append((0.02 * np.sin(2 * np.pi * numbers * (f0 * times + 0.3 * numbers))).sum(0))
    left = 0.7 * voices[0] + 0.3 * voices[1]
    right = 0.3 * voices[0] + 0.7 * voices[1]
    noise = np.random.default_rng(0).standard_normal((2, len(times)))
    audio = (np.stack([left, right]) + 1e-4 * noise).astype(np.float32)
    n_frames = math.ceil(math.ceil(len(times) * 16_000 / rate) / 256)
    return audio, np.repeat(np.array(F0, np.float32)[:, None], n_frames, axis=1)


def measure_band(signals: np.ndarray, rate: int, low: float, high: float) -> np.ndarray:
    spectrum = np.abs(np.fft.rfft(signals)) ** 2
    frequencies = np.fft.rfftfreq(signals.shape[-1], 1 / rate)
    chosen: np.ndarray = spectrum[..., (frequencies >= low) & (frequencies < high)].sum(axis=-1)
    return chosen


def both(rate: int, **settings: float) -> tuple[np.ndarray, Arrays, Arrays]:
    audio, f0 = sing(rate)
    method = CombSeparator()
    settings = {"window_seconds": 3.0, **settings}
    full = separate(audio, rate, f0, method, **settings)
    return audio, full, separate(audio, rate, f0, method, full_band=False, **settings)


@pytest.mark.parametrize("rate", [22_050, 32_000, 44_100, 96_000])
def test_the_band_above_is_the_stems(rate: int) -> None:
    audio, full, low = both(rate)
    assert np.abs(full.stems.sum(axis=0) + full.residual - audio).max() < 1e-6
    top = 0.45 * rate
    above = measure_band(audio, rate, 8_200, top)
    assert (measure_band(low.residual, rate, 8_200, top) > 0.99 * above).all()
    energy = measure_band(full.stems, rate, 8_200, top)
    np.testing.assert_allclose(10 * np.log10(energy.sum(axis=0) / above), 0, atol=1.0)
    # Each is louder on its own side: 7.4 dB in truth.
    assert energy[0, 0] > 2 * energy[0, 1] and energy[1, 1] > 2 * energy[1, 0]
    # What is added lies above the band of the models; below, the stem is what it was.
    added = measure_band(full.stems - low.stems, rate, 0, 7_000)
    assert (added < 1e-6 * measure_band(low.stems, rate, 0, 7_000)).all()


@pytest.mark.parametrize("rate", [8_000, 16_000])
def test_without_a_band_above_nothing_changes(rate: int) -> None:
    _, full, low = both(rate)
    np.testing.assert_array_equal(full.stems, low.stems)
    np.testing.assert_array_equal(full.residual, low.residual)


def test_chunks_do_not_show() -> None:
    _, whole, _ = both(32_000, chunk_seconds=60.0)
    _, parts, _ = both(32_000, chunk_seconds=2.0)
    np.testing.assert_allclose(whole.stems, parts.stems, atol=1e-6)


def test_silence_stays_silence() -> None:
    audio, f0 = sing(44_100)
    result = separate(np.zeros_like(audio), 44_100, f0, HpssCombSeparator(), window_seconds=3.0)
    assert not result.stems.any() and not result.residual.any()


def test_16_khz_inside_a_higher_rate_has_nothing_to_share() -> None:
    """An old recording that somebody brought to 44.1 kHz."""
    audio, f0 = sing(16_000)
    upper = resample(audio, 16_000, 44_100)
    full = separate(upper, 44_100, f0, CombSeparator(), window_seconds=3.0)
    below = measure_band(full.stems, 44_100, 0, 8_000)
    assert (measure_band(full.stems, 44_100, 8_200, 22_050) < 1e-6 * below).all()
