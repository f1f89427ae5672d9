"""Voices that are played otherwise than they were sung."""

import numpy as np
import pytest

from src.data.salience_voices import Voice, find_centres, move_formants, multiply, play_at_speed
from src.f0.stems import estimate_stem_f0

RATE, N = 16_000, 125


@pytest.fixture(scope="module")
def voice():
    """Two seconds at 220 Hz, with a formant at 900 Hz."""
    t = np.arange(N * 256) / RATE
    audio = sum(
        np.exp(-(((220 * h - 900) / 300) ** 2)) * np.sin(2 * np.pi * 220 * h * t)
        for h in range(1, 20)
    )
    return Voice((0.1 * audio).astype(np.float32), np.full(N, 220.0, np.float32))


def find_centroid(audio):
    power = np.abs(np.fft.rfft(audio)) ** 2
    return float((power * np.fft.rfftfreq(len(audio), 1 / RATE)).sum() / power.sum())


def hear(voice):
    heard = estimate_stem_f0(voice.audio)
    return heard[heard > 0]


def test_speed_moves_pitch_and_formants(voice):
    faster = play_at_speed(voice, 1.25, 80)
    assert len(faster.audio) == 80 * 256 and np.allclose(faster.f0, 275)
    assert np.median(hear(faster)) == pytest.approx(275, rel=0.01)
    assert find_centroid(faster.audio) == pytest.approx(1.25 * find_centroid(voice.audio), rel=0.03)


@pytest.mark.parametrize("factor", [0.8, 1.25])
def test_formants_move_alone(voice, factor):
    moved = move_formants(voice, factor)
    assert moved.audio.shape == voice.audio.shape
    assert np.median(hear(moved)) == pytest.approx(220, rel=0.01)
    ratio = find_centroid(moved.audio) / find_centroid(voice.audio)
    assert ratio == pytest.approx(factor, rel=0.08)
    silent = Voice(voice.audio, np.zeros(N, np.float32))
    assert move_formants(silent, factor) is silent


def test_a_section_is_wide_and_its_pitch_is_the_middle(voice):
    section = multiply(voice, 4, 30.0, 0.02, np.random.default_rng(0))
    assert section.audio.shape == voice.audio.shape and np.array_equal(section.f0, voice.f0)
    inside = section.audio[6000:-6000]

    def spread(audio):
        power = np.abs(np.fft.rfft(audio * np.hanning(len(audio)))) ** 2
        hertz = np.fft.rfftfreq(len(audio), 1 / RATE)
        near = (hertz > 830) & (hertz < 930)  # the fourth partial
        mean = (power * hertz)[near].sum() / power[near].sum()
        return mean, np.sqrt((power * (hertz - mean) ** 2)[near].sum() / power[near].sum())

    mean, width = spread(inside)
    assert 1200 * abs(np.log2(mean / 880)) < 20
    assert width > 3 * spread(voice.audio[6000:-6000])[1]
    assert np.abs(section.audio[:1500]).max() > 0  # copies reach to both ends
    again = multiply(voice, 4, 30.0, 0.02, np.random.default_rng(0))
    assert np.array_equal(again.audio, section.audio)


def test_two_singers_of_a_part_have_one_pitch_where_they_sing_one_note():
    first = np.array([440, 440, 0, 440, 0], np.float32)
    second = np.array([440 * 2 ** (40 / 1200), 523, 440, 0, 0], np.float32)
    a, b = find_centres(first, second)
    assert 1200 * np.log2(a[0] / 440) == pytest.approx(20, abs=0.1) and b[0] == 0
    assert a[1:].tolist() == [440, 0, 440, 0] and b[1:].tolist() == [523, 440, 0, 0]
