"""F0 tracks that are a little off, on voices alone."""

from __future__ import annotations

import numpy as np
import pytest

from src.dsp.refining import refine_f0

HOP = 0.016


def sing(base: float, rate: int, seconds: float = 2.0) -> tuple[np.ndarray, np.ndarray]:
    """A voice with vibrato, and its F0 every 16 ms."""
    t = np.arange(round(seconds * rate)) / rate
    f0 = base * 2.0 ** (0.4 * np.sin(2 * np.pi * 5 * t) / 12)
    phase = 2 * np.pi * np.cumsum(f0) / rate
    voice = sum(np.cos(k * phase + k) / k for k in range(1, 1 + int(4000 / base)))
    frames = np.arange(round(seconds / HOP)) * HOP
    return voice.astype(np.float32), np.interp(frames, t, f0)


def measure(found: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    return np.asarray(np.abs(1200 * np.log2(found / wanted))[4:-4])


@pytest.mark.parametrize("rate", [16_000, 44_100])
@pytest.mark.parametrize("base", [80.0, 220.0, 900.0])
def test_a_track_that_is_off_is_mended(base: float, rate: int) -> None:
    voice, f0 = sing(base, rate)
    for cents in (-60.0, 35.0):
        found = refine_f0(voice, f0 * 2 ** (cents / 1200), rate=rate, hop=HOP)
        assert np.percentile(measure(found, f0), 95) < 6.0


def test_an_exact_track_stays_near_and_silence_stays_silent() -> None:
    voice, f0 = sing(200.0, 16_000)
    f0[50:60] = 0.0
    found = refine_f0(voice, f0, rate=16_000, hop=HOP)
    np.testing.assert_array_equal(found == 0, f0 == 0)
    sung = f0 > 0
    assert np.percentile(measure(found[sung], f0[sung]), 95) < 6.0


def test_another_pitch_is_no_reason_to_move() -> None:
    """A track far from what sounds, noise, and silence leave it as it is."""
    voice, f0 = sing(200.0, 16_000)
    far = np.full_like(f0, 270.0)
    np.testing.assert_allclose(refine_f0(voice, far, rate=16_000, hop=HOP), far, rtol=1e-12)
    noise = np.random.default_rng(0).standard_normal(len(voice)).astype(np.float32)
    moved = refine_f0(noise, f0, rate=16_000, hop=HOP)
    assert np.mean(np.abs(moved / f0 - 1) < 1e-9) > 0.8
    silent = refine_f0(np.zeros_like(voice), f0, rate=16_000, hop=HOP)
    np.testing.assert_allclose(silent, f0, rtol=1e-12)
    nothing = np.zeros_like(f0)
    np.testing.assert_array_equal(refine_f0(voice, nothing, rate=16_000, hop=HOP), nothing)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("n_samples", [1, 100, 1000])
def test_short_signals(n_samples: int) -> None:
    signal = np.ones(n_samples, np.float32)
    f0 = np.full(-(-n_samples // 256), 100.0)
    assert np.isfinite(refine_f0(signal, f0, rate=16_000, hop=HOP)).all()
