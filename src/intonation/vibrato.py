"""The vibrato of a note: its rate and extent."""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from ..editing.pitch import FRAMES, Pitch
from .estimates import Values

_WINDOW = round(0.56 * FRAMES)  # frames, two cycles of the slowest vibrato
_HOP = _WINDOW // 4
_EDGE = round(0.05 * FRAMES)  # frames of glides at both ends of a note
SLOWEST, FASTEST = 3.5, 9.0  # Hz
_RATES = np.arange(SLOWEST, FASTEST + 0.025, 0.05)
LEAST = 10.0  # cents of a vibrato
_EXPLAINED = 0.5  # share of the variance around a straight line


def _build_bases() -> tuple[Values, Values]:
    """Orthonormal bases of a straight line, [W, 2], and of sines beside it, [W, 2 * rates]."""
    t = np.arange(_WINDOW) / FRAMES
    line = np.linalg.qr(np.stack([np.ones_like(t), t], axis=1))[0]
    angle = 2 * np.pi * _RATES[:, None] * t
    waves = np.stack([np.cos(angle), np.sin(angle)], axis=-1)
    bases = np.linalg.qr(waves - line @ (line.T @ waves))[0]
    return line, bases.transpose(1, 0, 2).reshape(_WINDOW, -1)


_LINE, _WAVES = _build_bases()


def measure_vibrato(pitch: Pitch) -> tuple[float, float]:
    """Measure the vibrato of a note: the sine that fits best, in windows of 0.56 s.

    Args:
        pitch: [n] semitones, without gaps.

    Returns:
        Rate in Hz, and extent in cents to either side, medians over the windows; 0 and 0 where
        there is no vibrato (below 10 cents, or not regular); NaN where the note is too short.
    """
    cents = 100.0 * pitch[_EDGE : len(pitch) - _EDGE]
    if len(cents) < _WINDOW:
        return np.nan, np.nan
    windows = sliding_window_view(cents, _WINDOW)[::_HOP]
    rest = windows - windows @ _LINE @ _LINE.T
    power = (rest**2).sum(axis=1)
    explained = ((rest @ _WAVES) ** 2).reshape(len(rest), -1, 2).sum(axis=-1)
    best = explained.argmax(axis=1)
    most = explained[np.arange(len(best)), best]
    extent = np.sqrt(2.0 * most / _WINDOW)
    # The slowest of all is a bend of the note, no vibrato.
    found = (most > _EXPLAINED * power) & (extent >= LEAST) & (best > 0)
    if 2 * found.sum() < len(found):
        return 0.0, 0.0
    return float(np.median(_RATES[best[found]])), float(np.median(extent[found]))
