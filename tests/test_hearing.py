"""What is listened to when channels are inverted, dead or noise."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from numpy.typing import NDArray

from src.audio import load_mono, measure_mix
from src.hearing import Mix

RATE = 16_000
T = np.arange(3 * RATE) / RATE
VOICE = 0.1 * sum(np.sin(2 * np.pi * 220 * k * T) / k for k in range(1, 12))
OTHER = 0.1 * sum(np.sin(2 * np.pi * 331 * k * T + k) / k for k in range(1, 12))
NOISE = 0.1 * np.random.default_rng(0).standard_normal(len(T))
SILENCE = np.zeros(len(T))


def measure(*channels: NDArray[np.float64]) -> Mix:
    return measure_mix(np.stack(channels).astype(np.float32), RATE)


def test_ordinary_recordings_are_averaged_as_ever() -> None:
    for channels in (
        (VOICE,), (VOICE, VOICE), (VOICE, OTHER), (VOICE + 0.5 * OTHER, OTHER + 0.5 * VOICE),
        (VOICE, OTHER, NOISE * 0.01 + VOICE), (NOISE, NOISE), (SILENCE, SILENCE),
    ):  # fmt: skip
        mix = measure(*channels)
        assert mix.weights is None and not mix.notes
        stack = np.stack(channels).astype(np.float32)
        np.testing.assert_array_equal(mix.apply(stack), stack.mean(axis=0))


@pytest.mark.parametrize(
    ("channels", "inverted"),
    [
        ((VOICE, -VOICE), [1]),
        ((VOICE + 0.1 * NOISE, -0.5 * VOICE), [1]),
        ((VOICE, VOICE, -VOICE, VOICE), [2]),
        ((-VOICE, VOICE, VOICE + 0.3 * OTHER, 0.5 * VOICE, VOICE, VOICE, VOICE, VOICE), [0]),
        ((VOICE + OTHER, -VOICE - OTHER, SILENCE), [1]),
    ],
)
def test_inverted_channels_are_turned_round(
    channels: tuple[NDArray[np.float64], ...], inverted: list[int]
) -> None:
    mix = measure(*channels)
    assert mix.weights is not None
    assert list(np.flatnonzero(mix.weights < 0)) == inverted
    assert any("inverted" in note and str(inverted[0] + 1) in note for note in mix.notes)
    heard = mix.apply(np.stack(channels).astype(np.float32))
    assert np.abs(np.corrcoef(heard, channels[1])[0, 1]) > 0.8


def test_dead_channels_and_noise_are_left_out() -> None:
    mix = measure(VOICE, SILENCE)
    np.testing.assert_allclose(mix.weights, [1, 0])
    assert "channel 2 is silent" in mix.notes[0]
    mix = measure(NOISE, VOICE)
    np.testing.assert_allclose(mix.weights, [0, 1])
    assert "channel 1 is noise" in mix.notes[0]
    np.testing.assert_allclose(measure(VOICE, SILENCE, 1e-5 * NOISE, OTHER).weights[1:3], 0)


def test_hum_and_offset_do_not_decide() -> None:
    hum = 0.5 * np.sin(2 * np.pi * 50 * T)
    assert measure(VOICE + hum + 0.3, VOICE - hum + 0.3).weights is None
    assert list(measure(VOICE + hum, -VOICE + hum + 0.3).weights) == [0.5, -0.5]


def test_files_are_read_by_what_carries_the_voices(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    sf.write(tmp_path / "x.wav", np.stack([VOICE, -VOICE], axis=1), RATE, subtype="FLOAT")
    with caplog.at_level(logging.WARNING):
        np.testing.assert_allclose(load_mono(tmp_path / "x.wav"), VOICE, atol=1e-6)
    assert "x.wav: channel 2 is inverted" in caplog.text
