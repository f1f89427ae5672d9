"""A small room: direct sound, a few early reflections, a short decaying tail."""

from __future__ import annotations

import numpy as np
from scipy.signal import oaconvolve

T60 = 0.40  # seconds
LENGTH = 0.36  # seconds
WET_DB = -13.0  # energy of everything but the direct sound, relative to it


def impulse_response(seat: float, rate: int, rng: np.random.Generator) -> np.ndarray:
    """Draw the impulse response from one place to the microphone; the direct sound is at sample 0.

    Parameters
    ----------
    seat : 0..1, moves the early reflections in time and changes the level of the tail
    rate : Hz

    Returns
    -------
    float64 [T]
    """
    n = round(LENGTH * rate)
    time = np.arange(n) / rate
    tail = rng.standard_normal(n) * 10 ** (-3 * time / T60) * (time > 0.012 + 0.012 * seat)
    # walls swallow the high frequencies: a two-point mean dulls the tail towards Nyquist
    tail = 0.5 * (tail + np.append(0.0, tail[:-1]))
    early = np.zeros(n)
    delays = np.sort(rng.uniform(0.004 + 0.006 * seat, 0.045, 7))
    for delay in delays:
        early[round(delay * rate)] += rng.choice((-1.0, 1.0)) * 10 ** (-14 * delay)
    wet = early / np.linalg.norm(early) + tail / np.linalg.norm(tail)
    wet *= 10 ** ((WET_DB + 3 * (seat - 0.5)) / 20) / np.linalg.norm(wet)
    wet[0] = 1.0
    return wet


def place(dry: np.ndarray, seat: float, rate: int, rng: np.random.Generator) -> np.ndarray:
    """Add the room to `dry` [T]: float64 [T]; the reverberation beyond T is cut off."""
    return oaconvolve(dry, impulse_response(seat, rate, rng))[: dry.shape[0]]
