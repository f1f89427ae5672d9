from __future__ import annotations

import numpy as np
import pytest
from scipy.signal import argrelmax

from src.f0.peaks import pick_peaks
from src.f0.salience import Salience


def salience(values: np.ndarray) -> Salience:
    n_bins, n_frames = values.shape
    frequencies = 55 * 2 ** (np.arange(n_bins) / 60)
    return Salience(values.astype(np.float32), frequencies, np.arange(n_frames) * 0.01)


def test_peaks_are_those_of_scipy(rng: np.random.Generator) -> None:
    example = salience(rng.random((50, 200)))
    bins, frames = argrelmax(example.values, axis=0)
    strong = example.values[bins, frames] >= 0.6
    peaks = pick_peaks(example, 0.6)
    assert len(peaks) == 200
    for frame in range(200):
        expected = example.frequencies[np.sort(bins[strong & (frames == frame)])]
        np.testing.assert_array_equal(peaks[frame], expected)


def test_frames_without_peaks_are_empty() -> None:
    values = np.zeros((5, 3))
    values[2, 1] = 0.5
    peaks = pick_peaks(salience(values), 0.5)
    assert [len(frame) for frame in peaks] == [0, 1, 0]
    assert [len(frame) for frame in pick_peaks(salience(values), 0.51)] == [0, 0, 0]


def test_equal_bins_at_the_top_count_once() -> None:
    values = np.array([[0.0, 0.2, 1.0, 1.0, 0.2, 0.0]]).T
    assert len(pick_peaks(salience(values), 0.5)[0]) == 1


@pytest.mark.parametrize("top", [9.7, 10.0, 10.45])
def test_refined_peaks_lie_at_the_top_of_the_parabola(top: float) -> None:
    bins = np.arange(20)
    example = salience(np.maximum(0, 1 - 0.05 * (bins - top) ** 2)[:, None])
    (refined,) = pick_peaks(example, 0.5, refine=True)[0]
    assert 1200 * np.log2(refined / 55) == pytest.approx(20 * top, abs=0.01)
    (centre,) = pick_peaks(example, 0.5)[0]
    assert 1200 * np.log2(centre / 55) == pytest.approx(20 * round(top), abs=1e-6)


def test_a_threshold_that_is_no_number_is_refused() -> None:
    with pytest.raises(ValueError, match="threshold"):
        pick_peaks(salience(np.zeros((5, 3))), float("nan"))


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)
