"""Rooms, microphones and noise of training mixtures."""

import numpy as np
import pytest

from src.data.capture import (
    add_below,
    draw_noise,
    draw_noise_room,
    draw_shoebox_room,
    limit_band,
    overdrive,
    reverberate_one,
)

RATE = 16_000


def measure_decay(response):
    """Time of 60 dB from the slope of the energy that is still to come, between -5 and -25 dB."""
    left = np.cumsum(response[::-1].astype(float) ** 2)[::-1]
    level = 10 * np.log10(left / left[0])
    early, late = np.argmax(level < -5), np.argmax(level < -25)
    return 3 * (late - early) / RATE


@pytest.mark.parametrize("draw", [draw_noise_room, draw_shoebox_room])
@pytest.mark.parametrize(("decay", "direct"), [(0.4, 8.0), (2.5, -3.0)])
def test_rooms_have_the_decay_and_the_direct_sound_that_was_asked_for(draw, decay, direct):
    responses = draw(decay, direct, 3, np.random.default_rng(0))
    assert len(responses) == 3
    assert not np.array_equal(responses[0], responses[1])
    for response in responses:
        assert response[0] == 1
        energy = float(np.sum(response[1:].astype(float) ** 2))
        assert -10 * np.log10(energy) == pytest.approx(direct, abs=0.01)
    # High frequencies are gone sooner; early reflections of a rectangular room come on top.
    found = np.mean([measure_decay(response[1:]) for response in responses])
    assert 0.5 * decay < found < 1.2 * decay


def test_reflections_of_a_large_room_come_later():
    rng = np.random.default_rng(1)
    first = [
        np.flatnonzero(draw_shoebox_room(decay, 0.0, 1, rng)[0])[1]
        for decay in (0.3, 3.0)
        for _ in range(8)
    ]
    assert np.median(first[8:]) > 2 * np.median(first[:8])


def test_the_direct_sound_is_not_delayed():
    audio = np.random.default_rng(2).standard_normal(8000).astype(np.float32)
    response = draw_shoebox_room(0.5, 20.0, 1, np.random.default_rng(3))[0]
    wet = reverberate_one(audio, response)
    lags = np.correlate(wet[100:-100], audio, "valid")
    assert len(wet) == len(audio) and np.argmax(np.abs(lags[::-1])) == 100


def test_bands_are_cut_and_noise_lies_as_far_below_as_asked():
    rng = np.random.default_rng(4)
    white = rng.standard_normal(RATE).astype(np.float32)
    power = np.abs(np.fft.rfft(limit_band(white, rng))) ** 2
    assert power[:20].mean() < 0.1 * power[600:1500].mean()
    tone = np.sin(np.arange(RATE)).astype(np.float32)
    noise = add_below(tone, draw_noise(RATE, rng), 20.0) - tone
    assert 10 * np.log10(np.mean(tone**2) / np.mean(noise**2)) == pytest.approx(20, abs=0.01)
    loud = overdrive(tone, rng)
    assert np.abs(loud).max() < 0.95 * np.abs(tone).max()
    assert np.abs(add_below(np.zeros(RATE, np.float32), draw_noise(RATE, rng), 0.0)).max() > 0
