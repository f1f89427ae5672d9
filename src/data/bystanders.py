"""Sounds in training mixtures that are no singing: organ and piano, speech, applause.

They have pitches of their own, or none, and no F0 that the salience network should find. Made from
sines and noise; [T] float32 at 16 kHz, any level.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.signal import butter, lfilter, sosfilt

from ..dsp.tracks import HOP, RATE

Audio = NDArray[np.float32]
Rng = np.random.Generator

_STOPS = np.array([0.5, 1.0, 2.0, 3.0, 4.0, 6.0, 8.0])  # of an organ, as multiples of the note
_FADE = round(0.02 * RATE)  # samples
_FORMANTS = ((300.0, 900.0), (800.0, 2300.0), (2300.0, 3000.0))  # Hz, of speech
_BANDWIDTHS = (90.0, 120.0, 180.0)


def play_accompaniment(f0: NDArray[np.float32], rng: Rng) -> Audio:
    """Play chords on an organ or a piano, in tune with the voices where these sing.

    Every chord holds for 0.4 to 2 s: the pitches of the voices at its beginning, some of them an
    octave away, or a random one where nobody sings.

    Args:
        f0: [J, N] Hz of the voices, 0 = silent.
        rng: of everything else.

    Returns:
        [256 N].
    """
    n_samples = f0.shape[1] * HOP
    piano = rng.random() < 0.5
    stops = rng.random(len(_STOPS)) * (rng.random(len(_STOPS)) < 0.5)
    stops[1] = 1.0
    stretch = rng.uniform(1e-4, 8e-4)
    out = np.zeros(n_samples)
    start = 0
    while start < n_samples:
        length = round(rng.uniform(0.4, 2.0) * RATE)
        here = min(start // HOP + 6, f0.shape[1] - 1)
        pitches = f0[:, here][f0[:, here] > 0].astype(np.float64)
        if len(pitches) == 0:
            pitches = 110.0 * 2 ** (rng.integers(0, 30, int(rng.integers(2, 5))) / 12)
        pitches = pitches * 2.0 ** rng.choice([-1, 0, 0, 0, 1], len(pitches))
        # Instruments are tuned to equal temperament, singers are not.
        pitches = 440 * 2 ** (np.rint(12 * np.log2(pitches / 440)) / 12)
        sounding = min(length + (round(0.3 * RATE) if piano else _FADE), n_samples - start)
        for pitch in pitches:
            tone = (
                _strike(pitch, sounding, stretch, rng)
                if piano
                else _hold(pitch, sounding, stops, rng)
            )
            out[start : start + sounding] += tone
        start += length
    return out.astype(np.float32)


def _sum_partials(
    frequencies: NDArray[np.float64],
    levels: NDArray[np.float64],
    decays: NDArray[np.float64],
    n_samples: int,
    rng: Rng,
) -> NDArray[np.float64]:
    """Sum sines [T] that fall by `decays` nepers per second."""
    time = np.arange(n_samples) / RATE
    tone = np.zeros(n_samples)
    for frequency, level, decay in zip(frequencies, levels, decays, strict=True):
        if frequency < 0.5 * RATE:
            phase = 2 * np.pi * frequency * time + rng.uniform(0, 2 * np.pi)
            tone += level * np.exp(-decay * time) * np.sin(phase)
    return tone


def _hold(pitch: float, n_samples: int, stops: NDArray[np.float64], rng: Rng) -> Audio:
    """Hold a note on an organ: steady partials of several pipes, with soft edges."""
    order = np.arange(1, 6)
    frequencies = (pitch * _STOPS[:, None] * order).ravel()
    levels = (stops[:, None] * order ** -rng.uniform(0.7, 2.0)).ravel()
    loud = levels > 0.01
    tone = _sum_partials(frequencies[loud], levels[loud], np.zeros(int(loud.sum())), n_samples, rng)
    fade = np.minimum(1.0, np.arange(n_samples) / _FADE)
    return (tone * fade * fade[::-1]).astype(np.float32)


def _strike(pitch: float, n_samples: int, stretch: float, rng: Rng) -> Audio:
    """Strike a note on a piano: stretched partials, the higher the sooner gone."""
    order = np.arange(1, 13)
    frequencies = pitch * order * np.sqrt(1 + stretch * order**2)
    levels = order ** -rng.uniform(0.8, 1.6) * 10 ** (rng.normal(0, 4, len(order)) / 20)
    decays = rng.uniform(0.8, 2.5) * np.sqrt(pitch / 220) * (1 + 0.3 * order)
    tone = _sum_partials(frequencies, levels, decays, n_samples, rng)
    fade = np.minimum(1.0, (n_samples - np.arange(n_samples)) / (4 * _FADE))
    return (tone * fade).astype(np.float32)


def speak(n_samples: int, rng: Rng) -> Audio:
    """Speak syllables without meaning: pulses of gliding pitch and hiss through formants."""
    out = np.zeros(n_samples)
    base = rng.uniform(80, 250)
    start = 0
    while start < n_samples:
        length = round(rng.uniform(0.08, 0.3) * RATE)
        end = min(start + length, n_samples)
        glide = np.linspace(rng.uniform(0.8, 1.3), rng.uniform(0.7, 1.2), length)[: end - start]
        phase = np.cumsum(base * glide / RATE) + rng.random()
        pulses = np.diff(np.floor(phase), prepend=np.floor(phase[0]))
        source = pulses * rng.uniform(0, 1) + 0.05 * rng.standard_normal(end - start)
        if rng.random() < 0.25:  # an unvoiced sound
            source = 0.2 * rng.standard_normal(end - start)
        for bounds, width in zip(_FORMANTS, _BANDWIDTHS, strict=True):
            radius = np.exp(-np.pi * width / RATE)
            angle = 2 * np.pi * rng.uniform(*bounds) / RATE
            poles = [1.0, -2 * radius * np.cos(angle), radius**2]
            source = lfilter([sum(poles)], poles, source)
        out[start:end] += source * np.hanning(length + 2)[1:-1][: end - start]
        start += length + round(max(0.0, rng.normal(0.02, 0.15)) * RATE)
    return out.astype(np.float32)


def applaud(n_samples: int, rng: Rng) -> Audio:
    """Clap many hands: short bursts of noise around 1 to 3 kHz at random times."""
    rate = np.exp(rng.uniform(np.log(20.0), np.log(1000.0)))  # claps per second
    claps = np.zeros(n_samples)
    count = int(rng.poisson(rate * n_samples / RATE))
    np.add.at(claps, rng.integers(0, n_samples, count), rng.exponential(1.0, count))
    burst = rng.standard_normal(400) * np.exp(-np.arange(400) / 60.0)
    band = butter(1, sorted(rng.uniform(600, 4000, 2) * (0.8, 1.2)), "bandpass", fs=RATE,
                  output="sos")  # fmt: skip
    sound = np.convolve(claps, burst)[:n_samples]
    swell = np.interp(np.arange(n_samples), [0, n_samples], rng.uniform(0.2, 1.0, 2))
    return (sosfilt(band, sound) * swell).astype(np.float32)
