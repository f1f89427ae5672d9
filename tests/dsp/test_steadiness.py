"""Steady partials: those of pipes and strings, not those of voices."""

from __future__ import annotations

import numpy as np
import pytest

from src.dsp.steadiness import measure_steadiness

RATE = 16_000


def swing(time: np.ndarray) -> np.ndarray:
    """How a voice's pitch swings, -1 to 1, about five times a second but not evenly."""
    return np.sin(2 * np.pi * 5.0 * time + 3.0 * np.sin(2 * np.pi * 0.6 * time))


def play(hertz: float, seconds: float, cents: float = 0.0) -> np.ndarray:
    """A tone of up to 30 partials whose pitch swings by some cents."""
    time = np.arange(round(seconds * RATE)) / RATE
    pitch = hertz * 2.0 ** (cents / 1200.0 * swing(time))
    phase = 2 * np.pi * np.cumsum(pitch) / RATE
    partials = [np.sin(k * phase) / k for k in range(1, 31) if k * hertz < 7000]
    return np.asarray(0.1 * np.sum(partials, axis=0), dtype=np.float32)


def test_every_partial_of_a_steady_tone_between_the_bounds_counts() -> None:
    # 220 Hz: partials 10 to 27 lie between 2 and 6 kHz.
    assert measure_steadiness(play(220.0, 4.0)) == pytest.approx(18, abs=1.5)


@pytest.mark.parametrize("cents", [5.0, 20.0, 60.0])
def test_a_pitch_that_swings_is_not_steady(cents: float) -> None:
    assert measure_steadiness(play(220.0, 4.0, cents)) < 0.1


def test_steady_tones_are_heard_among_moving_ones() -> None:
    voices = play(330.0, 4.0, 40.0) + play(250.0, 4.0, 30.0)
    assert measure_steadiness(voices) < 0.1
    assert measure_steadiness(voices + play(196.0, 4.0)) > 2.0


def test_steady_tones_must_last() -> None:
    short = np.concatenate([play(220.0 * 2 ** (k % 12 / 12), 0.15) for k in range(24)])
    assert measure_steadiness(short) < 0.5 < 10.0 < measure_steadiness(play(220.0, 3.6))


def test_length_of_blocks_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    audio = play(220.0, 2.0) + play(330.0, 2.0, 30.0)
    whole = measure_steadiness(audio)
    monkeypatch.setattr("src.dsp.steadiness._BLOCK", 37)
    assert measure_steadiness(audio) == pytest.approx(whole, rel=1e-3)


@pytest.mark.parametrize("n_samples", [0, 1, 255, 3000])
def test_silence_and_short_sounds(n_samples: int) -> None:
    assert measure_steadiness(np.zeros(n_samples, np.float32)) == 0.0
    assert np.isfinite(measure_steadiness(play(220.0, n_samples / RATE + 1e-4)))
