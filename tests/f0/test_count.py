"""Counting singers: the probabilities, what rests and unisons do, and the warnings they lead to."""

from __future__ import annotations

import numpy as np
import pytest

from src.f0.contours import F0Contours
from src.f0.count import count_singers, measure_pitches
from src.f0.doubts import find_doubts
from src.f0.estimate import F0Estimator, settle_number
from src.f0.salience import Salience
from tests.f0.fakes import FREQUENCIES, LoudestPeaks, ToneSalience, salience_of

# On the grid, where peaks have their full height.
CHORD = tuple(FREQUENCIES[[240, 215, 180, 155, 135, 120, 95, 76]])
NOISE = np.random.default_rng(0).normal(size=200 * 256).astype(np.float32)


def sing(*tracks: float, n: int = 200) -> F0Contours:
    f0 = np.repeat([tracks], n, axis=0).astype(np.float32)
    return F0Contours.on_grid(f0, tuple(f"v{j}" for j in range(len(tracks))))


def see(contours: F0Contours, height: float = 0.99) -> Salience:
    """Salience with peaks of a height, as the package's network is sure of clear voices."""
    found = salience_of(contours)
    values = found.values * np.float32(height / found.values.max())
    return Salience(values, found.frequencies, found.times)


@pytest.mark.parametrize("n_singers", [1, 2, 3, 4])
def test_clear_voices_are_counted(n_singers: int) -> None:
    count = count_singers(see(sing(*CHORD[:n_singers])))
    assert count.n_singers == n_singers
    assert count.confidence > 0.8
    assert count.probabilities.sum() == pytest.approx(1.0)
    assert count.is_more(n_singers) + count.is_fewer(n_singers) < 0.2


def test_many_voices_are_many() -> None:
    count = count_singers(see(sing(*CHORD)))
    assert count.n_singers == 8
    assert count.is_fewer(12) < 0.1
    assert count.is_more(9) == 0.0


def test_a_sum_between_two_numbers_leaves_doubt() -> None:
    sure, unsure = (count_singers(see(sing(*CHORD[:3]), x)) for x in (0.99, 0.92))
    assert unsure.confidence < 0.7 < sure.confidence
    assert unsure.probabilities[1:3].sum() > 0.9


def test_rests_change_nothing_and_a_short_cluster_neither() -> None:
    contours = sing(*CHORD[:2])
    f0 = contours.f0.copy()
    f0[40:190] = 0
    assert count_singers(see(F0Contours.on_grid(f0, contours.names))).n_singers == 2
    more = sing(*CHORD[:4]).f0.copy()
    more[3:, 2:] = 0
    assert count_singers(see(F0Contours.on_grid(more, tuple("abcd")))).n_singers == 2


def test_where_nobody_sings_nothing_is_known() -> None:
    nobody = Salience(np.zeros((len(FREQUENCIES), 9), np.float32), FREQUENCIES, np.arange(9) * 0.1)
    assert measure_pitches(nobody) == 0.0
    assert count_singers(nobody).confidence == pytest.approx(1 / 8)


def test_one_frame_is_enough() -> None:
    assert count_singers(see(sing(*CHORD[:2], n=1))).n_singers == 2


def test_other_numbers_than_were_asked_for_are_noticed() -> None:
    heard = see(sing(*CHORD))
    (more,) = find_doubts(sing(*CHORD[:4]), heard, NOISE)
    assert "8 or more are singing at once, more than n_singers=4" in more
    three = see(sing(*CHORD[:3]))
    (fewer,) = find_doubts(sing(*CHORD[:5]), three, NOISE)
    assert "3 are singing at once, not 5" in fewer
    assert find_doubts(sing(*CHORD[:3]), three, NOISE) == []


def test_auto_counts_unless_names_say_how_many() -> None:
    t = np.arange(16_000) / 16_000
    audio = np.sum([0.2 * np.sin(2 * np.pi * f * t) for f in (440, 220)], axis=0)
    estimator = F0Estimator(ToneSalience(), LoudestPeaks(), retune=False)
    counted = estimator(audio, "auto")
    assert counted.contours.names == ("singer1", "singer2")
    assert counted.confidence is not None
    assert counted.confidence > 0.8
    assert "counted singers: 2 (confidence" in counted.list_messages()[0]
    named = estimator(audio, "auto", ["a", "b", "c"])
    assert named.contours.names == ("a", "b", "c")
    assert named.confidence is None
    assert estimator(audio, 2).list_messages() == []
    silent = estimator(np.zeros(16_000), "auto")
    assert silent.contours.n_singers == 1
    assert silent.confidence == 0.0


def test_the_number_is_settled_by_what_is_given() -> None:
    assert settle_number("auto") is None
    assert settle_number(3) == 3
    assert settle_number("auto", None, sing(440, 330)) == 2
    with pytest.raises(ValueError, match="or auto"):
        settle_number("many")  # type: ignore[arg-type]
