"""Separation of arrays: any length, rate and channel count; nothing lost; windows join."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from src.baselines.masks import CombSeparator, MixtureSeparator, OracleSeparator
from src.metrics.frames import si_sdr
from tests.separating import separate


def duet(seconds: float, rate: int = 16_000) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Two sung notes with vibrato: sources [2, T] and their F0 [2, N] on the 16-ms grid."""
    t = np.arange(round(seconds * rate)) / rate
    n = math.ceil(math.ceil(len(t) * 16_000 / rate) / 256)
    frame = np.arange(n) * 0.016
    sources, f0 = [], []
    for base, speed in ((440.0, 5.5), (165.0, 4.5)):
        depth = 0.01 * base
        track = base + depth * np.sin(2 * np.pi * speed * frame)
        phase = 2 * np.pi * base * t - depth / speed * (np.cos(2 * np.pi * speed * t) - 1)
        sources.append(sum(np.sin(k * phase) / k for k in range(1, 8)))
        f0.append(track)
    scale = 0.2 * np.ones((2, 1))
    return (scale * sources).astype(np.float32), np.array(f0, np.float32), t


@pytest.mark.parametrize("seconds", [0.001, 0.2, 1.0, 8.999, 9.0, 9.001, 25.3])
@pytest.mark.parametrize(("rate", "channels"), [(16_000, 0), (44_100, 2), (22_050, 1)])
def test_stems_and_residual_sum_to_the_input(seconds: float, rate: int, channels: int) -> None:
    rng = np.random.default_rng(0)
    shape = (channels, round(seconds * rate)) if channels else (round(seconds * rate),)
    audio = rng.normal(size=shape).astype(np.float32) * 0.2
    n_frames = math.ceil(math.ceil(shape[-1] * 16_000 / rate) / 256)
    f0 = np.repeat([[440.0], [220.0], [110.0]], n_frames, axis=1)
    result = separate(audio, rate, f0, CombSeparator())
    assert result.stems.shape == (3, *shape)
    assert result.residual.shape == shape
    assert result.f0.shape[0] == 3
    assert result.parameters["harmonic_amplitude"].shape[:2] == result.f0.shape
    assert np.abs(result.stems.sum(axis=0) + result.residual - audio).max() < 1e-6


def test_comb_pulls_two_singers_apart() -> None:
    sources, f0, _ = duet(4.0)
    result = separate(sources.sum(axis=0), 16_000, f0, CombSeparator())
    quality = si_sdr(torch.from_numpy(result.stems), torch.from_numpy(sources))
    assert (quality > 15.0).all(), quality


def test_windows_join_without_a_seam() -> None:
    sources, f0, _ = duet(21.0)
    mixture = sources.sum(axis=0)
    whole = separate(mixture, 16_000, f0, CombSeparator(), window_seconds=31.0)
    cut = separate(mixture, 16_000, f0, CombSeparator(), window_seconds=5.0)
    np.testing.assert_allclose(cut.f0, whole.f0)
    difference = torch.from_numpy(cut.stems - whole.stems).square().sum(-1)
    level = torch.from_numpy(whole.stems).square().sum(-1)
    assert (10 * torch.log10(difference / level) < -35).all()


def test_stereo_position_is_kept() -> None:
    sources, f0, _ = duet(3.0)
    left_right = np.stack(
        [0.9 * sources[0] + 0.1 * sources[1], 0.1 * sources[0] + 0.9 * sources[1]]
    )
    stems = separate(left_right, 16_000, f0, CombSeparator()).stems
    power = (stems**2).sum(axis=-1)
    assert power[0, 0] > 20 * power[0, 1]
    assert power[1, 1] > 20 * power[1, 0]


def test_same_seed_same_result_other_seed_other_noise() -> None:
    sources, f0, _ = duet(1.0)
    mixture = sources.sum(axis=0)
    first = separate(mixture, 16_000, f0, CombSeparator(noise_level=0.1), seed=1)
    again = separate(mixture, 16_000, f0, CombSeparator(noise_level=0.1), seed=1)
    other = separate(mixture, 16_000, f0, CombSeparator(noise_level=0.1), seed=2)
    np.testing.assert_array_equal(first.stems, again.stems)
    assert np.abs(first.stems - other.stems).max() > 1e-5


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"audio": np.zeros(0)}, "not empty"),
        ({"audio": np.zeros((1, 2, 3))}, r"\[T\] or \[C, T\]"),
        ({"audio": np.array([0.0, np.nan] * 8000)}, "NaN"),
        ({"f0": np.zeros((63, 2))}, "transpose"),
        ({"f0": np.zeros((2, 10))}, r"\[J, 63\]"),
        ({"f0": np.full((2, 63), -1.0)}, "-1 Hz"),
        ({"rate": 0}, "rate"),
    ],
)
def test_unusable_input_is_refused(change: dict[str, object], message: str) -> None:
    arguments = {"audio": np.zeros(16_000), "rate": 16_000, "f0": np.zeros((2, 63))} | change
    with pytest.raises(ValueError, match=message):
        separate(separator=CombSeparator(), **arguments)  # type: ignore[arg-type]


def test_silence_stays_silent_and_finite() -> None:
    result = separate(np.zeros(16_000), 16_000, np.zeros((2, 63)), CombSeparator())
    assert not result.stems.any()
    assert not result.residual.any()


def test_oracles_need_sources_and_masks_are_named() -> None:
    with pytest.raises(ValueError, match="oracle"):
        separate(np.zeros(16_000), 16_000, np.zeros((2, 63)), OracleSeparator())
    with pytest.raises(ValueError, match="magnitude, power"):
        CombSeparator(mask="loud")


def test_mixture_separator_returns_the_mixture() -> None:
    sources, f0, _ = duet(1.0)
    mixture = sources.sum(axis=0)
    stems = separate(mixture, 16_000, f0, MixtureSeparator()).stems
    np.testing.assert_allclose(stems, np.stack([mixture] * 2), atol=1e-5)
