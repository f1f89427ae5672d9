"""Sounds that are no singing."""

import numpy as np

from src.data.bystanders import applaud, play_accompaniment, speak


def test_the_accompaniment_plays_the_pitches_of_the_voices_in_equal_temperament():
    f0 = np.full((1, 125), 440.0 * 2 ** (20 / 1200), np.float32)  # 20 cents sharp
    for seed in range(4):
        audio = play_accompaniment(f0, np.random.default_rng(seed))
        assert audio.shape == (125 * 256,) and np.isfinite(audio).all()
        spectrum = np.abs(np.fft.rfft(audio * np.hanning(len(audio))))
        bins = np.arange(len(spectrum)) * 16_000 / len(audio)
        strongest = bins[np.argmax(spectrum)]
        order = strongest / 220
        assert abs(order - round(order)) < 0.02 * round(order)  # of a partial of A, in tune


def test_chords_where_nobody_sings_and_the_same_for_a_seed():
    silent = np.zeros((3, 100), np.float32)
    first, again, other = (play_accompaniment(silent, np.random.default_rng(s)) for s in (1, 1, 2))
    assert np.array_equal(first, again) and not np.array_equal(first, other)
    assert np.abs(first).max() > 0.1


def test_speech_pauses_and_applause_does_not():
    for seed in range(3):
        speech = speak(32_000, np.random.default_rng(seed))
        claps = applaud(32_000, np.random.default_rng(seed))
        assert speech.shape == claps.shape == (32_000,)
        assert np.isfinite(speech).all() and np.abs(speech).max() > 0
        assert np.isfinite(claps).all() and np.abs(claps).max() > 0
        power = np.square(speech.reshape(-1, 160)).mean(axis=1)
        assert np.quantile(power, 0.1) < 0.05 * power.max()
