"""Unisons of two synthetic voices that beat, and rests."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from src.f0.timbre import measure_timbre
from src.f0.unisons import share_unisons
from tests.f0.test_identity import sing

Array = NDArray[np.float32]


def meet(cents: float) -> tuple[Array, Array]:
    """Two lines that meet for three seconds, `cents` apart: f0 [N, 2], and their sound."""
    notes = [(440.0, 330.0)] * 3 + [(392.0, 392.0 * 2 ** (cents / 1200))] * 3 + [(440.0, 330.0)] * 3
    f0 = np.repeat(np.float32(notes), 62, axis=0)
    return f0, sing(f0[:, 0], 600.0, 0) + sing(f0[:, 1], 1500.0, 1)


def test_a_voice_that_meets_another_goes_on() -> None:
    f0, audio = meet(20.0)
    tracks = f0.copy()
    tracks[186:372, 1] = 0.0
    shared = share_unisons(tracks, measure_timbre(audio, tracks))
    np.testing.assert_array_equal(shared[186:372, 1], tracks[186:372, 0])
    np.testing.assert_array_equal(shared[:186], f0[:186])


def test_a_rest_stays_a_rest() -> None:
    f0, _ = meet(0.0)
    f0[:, 0] = 440.0
    f0[186:372, 1] = 0.0
    audio = sing(f0[:, 0], 600.0, 0) + sing(f0[:, 1], 1500.0, 1)
    np.testing.assert_array_equal(share_unisons(f0, measure_timbre(audio, f0)), f0)


def test_who_never_sings_shares_nothing() -> None:
    f0, audio = meet(20.0)
    f0[186:372, 1] = 0.0
    tracks = np.concatenate([f0, np.zeros((len(f0), 1), np.float32)], axis=1)
    shared = share_unisons(tracks, measure_timbre(audio, tracks))
    assert not shared[:, 2].any()
