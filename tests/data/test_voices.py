"""Voices of a mixture: transposition of sound and F0, margins, order."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from scipy.signal import hilbert

from src.data.readers.base import StemKey
from src.data.voices import (
    NORMAL_SPEED,
    Voice,
    average_f0,
    count_samples,
    find_speed,
    read_audio,
    read_f0,
)
from tests.data.songs import FakeSong

KEY = ("soprano", "1")


class Glide(FakeSong):
    """F0 of 300 + 60 sin(2 pi t / 3) Hz, a single partial, silent from 10 s to 11 s."""

    def __init__(self) -> None:
        super().__init__("glide", 20, "1")

    def audio(self, key: StemKey) -> np.ndarray:
        t = np.arange(self.n_samples) / 16_000
        return self.sound(t).astype(np.float32)

    @staticmethod
    def sound(t: np.ndarray) -> np.ndarray:
        phase = 300 * t - 60 * 3 / (2 * np.pi) * np.cos(2 * np.pi * t / 3)
        return 0.5 * np.sin(2 * np.pi * phase) * ((t < 10) | (t >= 11))

    @staticmethod
    def pitch(t: np.ndarray) -> np.ndarray:
        return (300 + 60 * np.sin(2 * np.pi * t / 3)) * ((t < 10) | (t >= 11))

    def f0(
        self, keys: Sequence[StemKey], kind: str, start: int = 0, stop: int | None = None
    ) -> np.ndarray:
        frames = np.arange(start, self.n_frames if stop is None else stop)
        return self.pitch(frames * 0.016)[:, None].astype(np.float32)


def voice(start: int, semitones: float, region: tuple[int, int] | None = None) -> Voice:
    song = Glide()
    return Voice(song, KEY, start, region or (0, song.n_samples), find_speed(semitones))


@pytest.mark.parametrize("semitones", [-12, -3.3, -0.02, 0, 0.5, 2, 7, 12])
@pytest.mark.parametrize("lead", [0, 5000])
def test_a_transposed_voice_is_the_stem_at_another_speed(semitones: float, lead: int) -> None:
    one = voice(256 * 200, semitones)
    factor = one.speed / NORMAL_SPEED
    assert abs(12 * np.log2(factor) - semitones) < 0.02
    played = read_audio(one, 32_000, lead)
    assert played.shape == (lead + 32_000,)
    assert played.dtype == np.float32
    n = np.arange(-lead, 32_000)
    expected = Glide.sound((256 * 200 + n * factor) / 16_000)
    # soprano at +12 would lie at 720 Hz at most: far below half the sampling rate.
    np.testing.assert_allclose(played, expected, atol=2e-5)
    f0 = read_f0(one, "stems", 125)
    assert f0.shape == (125,)
    assert f0.dtype == np.float32
    times = 256 * (200 + np.arange(125) * factor) / 16_000
    np.testing.assert_allclose(f0, factor * Glide.pitch(times), rtol=2e-4)
    # And without any formula of the test: the pitch of the sound is the F0.
    phase = np.unwrap(np.angle(hilbert(played[lead:].astype(np.float64))))
    heard = np.diff(phase)[256 * np.arange(10, 115)] * 16_000 / (2 * np.pi)
    np.testing.assert_allclose(heard, f0[10:115], rtol=5e-3)


def test_silence_stays_silent_where_it_is() -> None:
    one = voice(256 * 500, 5)  # from 8 s on
    audio, f0 = read_audio(one, 48_000), read_f0(one, "stems", 188)
    factor = one.speed / NORMAL_SPEED
    first, last = (10 - 8) / factor / 0.016, (11 - 8) / factor / 0.016
    silent = np.flatnonzero(f0 == 0)
    assert abs(silent[0] - first) <= 1
    assert abs(silent[-1] - last) <= 1
    assert (np.diff(silent) == 1).all()
    assert np.abs(audio[256 * (silent[0] + 2) : 256 * (silent[-1] - 2)]).max() < 1e-3


@pytest.mark.parametrize("semitones", [0, -4, 4])
def test_nothing_outside_of_the_region_is_heard(semitones: float) -> None:
    n_samples = count_samples(16_000, find_speed(semitones))
    start = 256 * 100
    inside = voice(start, semitones, (start, start + n_samples))
    played = read_audio(inside, 16_000, 3000)
    factor = inside.speed / NORMAL_SPEED
    expected = Glide.sound((start + np.arange(16_000) * factor) / 16_000)
    np.testing.assert_allclose(played[3000:][200:-200], expected[200:-200], atol=2e-3)
    assert np.abs(played[:2800]).max() < 1e-3


def test_the_whole_song_can_be_played() -> None:
    song = Glide()
    for semitones in (3, -3):
        speed = find_speed(semitones)
        length = song.n_samples * NORMAL_SPEED // speed
        one = Voice(song, KEY, 0, (0, song.n_samples), speed)
        assert count_samples(length, speed) <= song.n_samples
        assert read_audio(one, length).shape == (length,)
        assert (read_f0(one, "stems", length // 256) > 0).mean() == pytest.approx(0.95, abs=0.01)


def test_mean_f0_is_that_of_voiced_frames() -> None:
    assert average_f0(np.array([0, 100, 0, 300], np.float32)) == 200
    assert average_f0(np.zeros(3, np.float32)) == 0
