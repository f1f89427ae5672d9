"""Tiny recordings with known pitches, and salience that a model would give for them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soundfile as sf
from numpy.typing import NDArray

from src.studio.ridges import Ridges

STEP = 0.016


def make_ridges(pitches: NDArray[np.float64], cents: float = 20.0) -> Ridges:
    """Salience with a ridge along each column of pitches [N, J] Hz, 0 = none."""
    rows = np.arange(240) * cents
    odds = np.full((len(rows), len(pitches)), -6.0)
    for track in pitches.T:
        sung = track > 0
        place = 1200 * np.log2(np.where(sung, track, 1.0) / 55.0)
        ridge = 4.0 - 6.0 * ((rows[:, None] - place) / 40.0) ** 2
        odds = np.where(sung, np.maximum(odds, ridge), odds)
    return Ridges(np.maximum(odds, -6.0), 55.0, cents)


def sing_file(path: Path, pitches: NDArray[np.float64], rate: int = 16_000) -> Path:
    """Write tones of the pitches [N, J] Hz, 0 = silent."""
    n = int(len(pitches) * STEP * rate)
    at = np.minimum((np.arange(n) / rate / STEP).astype(int), len(pitches) - 1)
    sound = np.zeros(n)
    for track in pitches.T:
        phase = 2 * np.pi * np.cumsum(track[at]) / rate
        for partial in range(1, 9):
            sound += (track[at] > 0) * 0.1 * np.sin(partial * phase) / partial
    sf.write(path, sound, rate, subtype="FLOAT")
    return path
