"""Peaks of salience: the pitches that sound in each frame, not yet assigned to singers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..errors import UmssError
from .salience import Salience

A4 = 440.0
BLOCK_FRAMES = 4096


def find_parabola_top(
    below: NDArray[np.float64], top: NDArray[np.float64], above: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Find the top of the parabola through three neighbouring values, -0.5 to 0.5 bins from `top`.

    0 where it has no top: the values are on a line, or one of them is infinite.
    """
    with np.errstate(invalid="ignore"):
        curvature = below - 2 * top + above
        usable = np.isfinite(curvature) & (curvature < -1e-12)
        slope = np.where(usable, below - above, 0.0)
    offset: NDArray[np.float64] = 0.5 * slope / np.where(usable, curvature, -1.0)
    return np.clip(offset, -0.5, 0.5)


def pick_peaks(
    salience: Salience, threshold: float, *, refine: bool = False
) -> list[NDArray[np.float64]]:
    """Find local maxima along frequency in every frame.

    A peak is higher than the bin below and not lower than the bin above, so that two equal bins
    at the top count once. The lowest and the highest bin are never peaks.

    Args:
        salience: values [F, N].
        threshold: smallest value of a peak.
        refine: move each peak to the top of the parabola through it and its neighbours; otherwise
            peaks lie at the centres of bins.

    Returns:
        N arrays of frequencies in Hz, ascending, some of them empty.

    Raises:
        UmssError: the threshold is not a number.
    """
    if not np.isfinite(threshold):
        raise UmssError(f"threshold must be a number, got {threshold}")
    values = salience.values
    low, middle, high = values[:-2], values[1:-1], values[2:]
    # Transposed, so that the peaks come frame by frame and ascending within a frame.
    is_peak = ((middle > low) & (middle >= high) & (middle >= threshold)).T
    frames, bins = np.nonzero(is_peak)
    frequencies = salience.frequencies[bins + 1]
    if refine:
        below, top, above = (part[bins, frames].astype(np.float64) for part in (low, middle, high))
        offset = find_parabola_top(below, top, above)
        frequencies = frequencies * 2.0 ** (offset * salience.cents_per_bin / 1200)
    return np.split(frequencies, np.cumsum(is_peak.sum(axis=1))[:-1])


@dataclass(frozen=True)
class Candidates:
    """Pitch candidates of every frame; column 0 stands for silence.

    Attributes:
        pitch: [N, M] semitones above A4.
        gain: [N, M] log-odds of the candidate; -inf where there is none, 0 for silence.
    """

    pitch: NDArray[np.float64]
    gain: NDArray[np.float64]


def find_candidates(
    salience: Salience, n_candidates: int, threshold: float, *, refine: bool = True
) -> Candidates:
    """Find the most salient peaks of every frame.

    Args:
        salience: salience of the recording.
        n_candidates: largest number per frame.
        threshold: smallest salience of a peak.
        refine: place peaks between bins, at the top of a parabola through the log-odds.
    """
    n_candidates = min(n_candidates, len(salience.frequencies))
    # Block by block: several copies of an hour's salience would take gigabytes.
    blocks = [
        _find_peaks(
            salience.values[:, n : n + BLOCK_FRAMES], n_candidates, threshold, refine=refine
        )
        for n in range(0, len(salience.times), BLOCK_FRAMES)
    ]
    place = np.concatenate([place for place, _ in blocks], axis=1)
    gain = np.concatenate([gain for _, gain in blocks], axis=1)
    lowest = 12 * np.log2(salience.frequencies[0] / A4)
    pitch = np.where(np.isfinite(gain), lowest + place * salience.cents_per_bin / 100, 0.0)
    silence = np.zeros((1, gain.shape[1]))
    return Candidates(
        np.ascontiguousarray(np.concatenate([silence, pitch]).T),
        np.ascontiguousarray(np.concatenate([silence, gain]).T),
    )


def _find_peaks(
    salience: NDArray[np.float32], n_candidates: int, threshold: float, *, refine: bool
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Find positions (bins) and log-odds [M, N] of the highest peaks of salience [F, N]; -inf:
    no peak."""
    values = np.clip(salience, 1e-6, 1 - 1e-6).astype(np.float64)
    odds = np.log(values) - np.log1p(-values)
    padded = np.pad(odds, ((1, 1), (0, 0)), constant_values=-np.inf)
    below, above = padded[:-2], padded[2:]
    peaks = (odds > below) & (odds >= above) & (salience >= threshold)
    ranked = np.where(peaks, odds, -np.inf)
    rows = np.argsort(-ranked, axis=0, kind="stable")[:n_candidates]
    gain = np.take_along_axis(ranked, rows, axis=0)
    if not refine:
        return rows.astype(np.float64), gain
    around = (np.take_along_axis(part, rows, axis=0) for part in (below, odds, above))
    return rows + find_parabola_top(*around), gain
