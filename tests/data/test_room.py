"""Rooms: decay, level of the reflections, direct sound in place."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from src.data.readers.base import DataError
from src.data.room import Room, draw_impulse_responses, reverberate


@pytest.mark.parametrize(("decay", "direct_db"), [(0.3, 0.0), (0.8, 6.0), (2.0, 15.0)])
def test_decay_and_level(decay: float, direct_db: float) -> None:
    responses = draw_impulse_responses(3, decay, direct_db, np.random.default_rng(0)).astype(float)
    assert responses.shape == (3, round(decay * 16_000))
    np.testing.assert_array_equal(responses[:, 0], 1)
    energy = np.sum(responses[:, 1:] ** 2, axis=1)
    np.testing.assert_allclose(-10 * np.log10(energy), direct_db, atol=1e-3)
    for response in responses:
        assert not response[1:32].any()
        # Backward integration (Schroeder); from -5 to -25 dB, extrapolated to 60 dB.
        curve = 10 * np.log10(np.cumsum(response[:0:-1] ** 2)[::-1] / np.sum(response[1:] ** 2))
        early, late = (np.flatnonzero(curve < level)[0] / 16_000 for level in (-5, -25))
        assert 3 * (late - early) == pytest.approx(decay, rel=0.1)
    assert len({float(r[500]) for r in responses}) == 3


def test_reverberation_is_convolution_and_keeps_time() -> None:
    rng = np.random.default_rng(1)
    responses = draw_impulse_responses(2, 0.1, 3.0, rng)
    lead = responses.shape[1] - 1
    sources = rng.standard_normal((2, lead + 4000)).astype(np.float32)
    wet = reverberate(sources, responses)
    assert wet.shape == (2, 4000)
    assert wet.dtype == np.float32
    for j in range(2):
        expected = np.convolve(sources[j].astype(float), responses[j].astype(float), "valid")
        np.testing.assert_allclose(wet[j], expected, atol=1e-4)
    dry = np.zeros((1, 4000), np.float32)
    dry[0, 100] = 1.0
    assert np.argmax(reverberate(np.pad(dry, ((0, 0), (lead, 0))), responses[:1])) == 100


def test_share_and_bounds_of_what_is_drawn() -> None:
    rng = np.random.default_rng(2)
    room = Room(share=0.3, decay_seconds=[0.1, 0.4], direct_db=[2, 9])
    drawn = [room.draw(2, rng) for _ in range(400)]
    there = [response for response in drawn if response is not None]
    assert abs(len(there) / 400 - 0.3) < 0.08
    decays = [response.shape[1] / 16_000 for response in there]
    assert 0.0999 < min(decays) < 0.12
    assert 0.34 < max(decays) < 0.4001
    levels = [-10 * np.log10(np.sum(r[0, 1:].astype(float) ** 2)) for r in there]
    assert 1.99 < min(levels) < 2.5
    assert 8.5 < max(levels) < 9.01
    assert Room().draw(2, rng) is None


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"share": 1.1}, "data.mixing.room.share=1.1"),
        ({"decay_seconds": 0.5}, r"data.mixing.room.decay_seconds=0.5: expected \[lowest"),
        ({"decay_seconds": [0.5]}, "expected"),
        ({"decay_seconds": [0.5, 0.3]}, r"decay_seconds=\[0.5, 0.3\]: must rise"),
        ({"decay_seconds": [0, 0.3]}, "within 0.05 to 10"),
        ({"direct_db": [-30, 0]}, "within -20 to 60"),
    ],
)
def test_bad_settings(options: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        Room(**options)
