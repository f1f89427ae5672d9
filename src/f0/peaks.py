"""Peaks of a salience: the pitches that sound at each moment, not yet given to singers."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from src.f0.salience import Salience


def pick_peaks(
    salience: Salience, threshold: float, *, refine: bool = False
) -> list[NDArray[np.float64]]:
    """Local maxima along frequency, frame by frame.

    A peak is higher than the bin below and not lower than the bin above, so that two equal bins
    at the top count once. The lowest and the highest bin are no peaks.

    Args:
        salience: values [F, N].
        threshold: least value of a peak.
        refine: move each peak to the top of the parabola through it and its neighbours; otherwise
            peaks lie at the centres of bins.

    Returns:
        N arrays of frequencies in Hz, ascending, some of them empty.

    Raises:
        ValueError: the threshold is not a number.
    """
    if not np.isfinite(threshold):
        raise ValueError(f"threshold must be a number, got {threshold}")
    values = salience.values
    low, middle, high = values[:-2], values[1:-1], values[2:]
    # Transposed, so that the peaks come frame by frame and ascending within a frame.
    is_peak = ((middle > low) & (middle >= high) & (middle >= threshold)).T
    frames, bins = np.nonzero(is_peak)
    frequencies = salience.frequencies[bins + 1]
    if refine:
        below, top, above = (part[bins, frames].astype(np.float64) for part in (low, middle, high))
        offset = 0.5 * (above - below) / (2 * top - below - above)
        frequencies = frequencies * 2.0 ** (offset * salience.cents_per_bin / 1200)
    return np.split(frequencies, np.cumsum(is_peak.sum(axis=1))[:-1])
