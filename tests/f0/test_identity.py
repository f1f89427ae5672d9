"""Who sings what, on synthetic voices that differ in timbre."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from src.errors import UmssError
from src.f0.contours import F0Contours
from src.f0.identity import SingerIdentity
from src.f0.timbre import STRIDE, measure_timbre
from src.f0.unsure import warn_of_doubtful_singers

Array = NDArray[np.float32]
FORMANTS = (600.0, 1500.0, 1000.0)  # Hz, one per singer


def sing(f0: Array, formant: float, seed: int = 0) -> Array:
    """A voice with one broad formant and a level that varies, from f0 [N] in Hz, 0 = silent."""
    rng = np.random.default_rng(seed)
    phase = 2 * np.pi * np.cumsum(np.repeat(f0, 256)) / 16_000
    level = np.exp(0.2 * rng.normal(size=-(-len(f0) // 16))).repeat(16)[: len(f0)]
    voice = np.zeros(len(phase))
    for h in range(1, 16):
        hertz = np.repeat(h * f0, 256)
        gain = np.exp(-np.abs(np.log(np.maximum(hertz, 1.0) / formant)) * 1.5)
        voice += gain * (hertz < 7000) * np.sin(h * phase)
    return np.asarray(0.1 * np.repeat(level * (f0 > 0), 256) * voice, dtype=np.float32)


def cross(n_singers: int = 2, span: int = 3, orders: int = 6) -> Array:
    """Lines of 16 notes with rests whose order may change from note to note, [N, J] in Hz."""
    rng = np.random.default_rng(3)
    chord = 220.0 * 2 ** (np.array([9, 4, 0]) / 12)[-n_singers:]
    lines = []
    for n in range(16):
        order = rng.permutation(n_singers) if n % 6 < orders else np.arange(n_singers)
        lines.append(chord[order] * 2 ** (rng.integers(0, span) / 12))
    f0 = np.repeat(np.array(lines), 50, axis=0).astype(np.float32)
    f0[np.arange(len(f0)) % 50 >= 30] = 0.0
    return f0


def mix(f0: Array) -> Array:
    return np.sum([sing(f0[:, j], FORMANTS[j], j) for j in range(f0.shape[1])], axis=0)


def agree(found: Array, f0: Array) -> float:
    """Share of the right pitches, whichever singer comes first."""
    shares = [(found[:, order] == f0).mean() for order in ([0, 1], [1, 0])]
    return float(max(shares))


def test_singers_keep_their_timbre_where_lines_cross() -> None:
    f0 = cross()
    by_height = -np.sort(-f0, axis=1)
    assert agree(by_height, f0) < 0.75
    found = SingerIdentity(unisons=False)(mix(f0), by_height)
    assert agree(found.f0, f0) > 0.95
    assert found.confidence[f0 > 0].mean() > 0.75


@pytest.mark.parametrize("orders", [1, 4])  # of six notes, whose order is another
def test_three_singers_who_exchange_places(orders: int) -> None:
    f0 = cross(3, orders=orders)
    by_height = -np.sort(-f0, axis=1)
    found = SingerIdentity(unisons=False)(mix(f0), by_height).f0
    same = (found[:, :, None] == f0[:, None, :]).mean(axis=0)
    assert same.max(axis=0).min() > 0.95 and set(same.argmax(axis=0)) == {0, 1, 2}


def test_without_evidence_either_singer_is_as_likely() -> None:
    f0 = cross()
    found = SingerIdentity(trust=0.0, unisons=False)(mix(f0), f0)
    np.testing.assert_allclose(found.confidence, 0.5, atol=1e-6)


def test_doubts_are_told_with_times_and_names() -> None:
    f0 = np.full((200, 3), 220.0, np.float32)
    confidence = np.ones_like(f0)
    assert warn_of_doubtful_singers(F0Contours.on_grid(f0, ("a", "b", "c"))) == []
    confidence[10:30] = 0.5  # too short
    confidence[100:180, :2] = 0.5
    contours = F0Contours.on_grid(f0, ("ann", "bob", "cleo"), confidence=confidence)
    (warning,) = warn_of_doubtful_singers(contours)
    assert "at 1.6 to 2.9 s (ann, bob):" in warning


def test_other_evidence_tells_equal_voices_apart() -> None:
    f0 = cross()
    audio = sing(f0[:, 0], 1000.0) + sing(f0[:, 1], 1000.0)
    by_height = -np.sort(-f0, axis=1)
    rng = np.random.default_rng(0)
    place = np.where(by_height == f0[:, :1], -1.0, 1.0) + 0.3 * rng.normal(size=f0.shape)
    place[::7] = np.nan
    identity = SingerIdentity(unisons=False)
    found = identity(np.stack([audio, audio]), by_height, extra=place[::STRIDE, :, None])
    assert agree(found.f0, f0) > 0.95


@pytest.mark.parametrize("n_singers", [1, 2, 6])
def test_silence_stays_silent(n_singers: int) -> None:
    f0 = np.zeros((40, n_singers), np.float32)
    found = SingerIdentity()(np.zeros(40 * 256, np.float32), f0)
    np.testing.assert_array_equal(found.f0, f0)
    f0[5:9, 0] = 200.0  # too short to say anything
    found = SingerIdentity(unisons=False)(np.zeros(40 * 256, np.float32), f0)
    np.testing.assert_array_equal(np.sort(found.f0), np.sort(f0))


def test_six_singers_keep_their_pitches() -> None:
    f0 = np.tile(110.0 * 2 ** (np.arange(6)[::-1] / 3), (120, 1)).astype(np.float32)
    audio = np.sum([sing(f0[:, j], 800.0, j) for j in range(6)], axis=0)
    found = SingerIdentity()(audio, f0)
    np.testing.assert_array_equal(np.sort(found.f0), np.sort(f0))
    assert found.confidence.shape == f0.shape


def test_envelopes_of_covered_partials_say_nothing() -> None:
    f0 = np.tile(np.float32([400, 200]), (40, 1))  # every partial of the upper voice is covered
    timbre = measure_timbre(mix(f0), f0)
    assert timbre.weight[:, 0].max() == 0.0 and timbre.weight[:, 1].min() > 0.5


def test_settings_out_of_range_are_named() -> None:
    with pytest.raises(UmssError, match="identity.freedom"):
        SingerIdentity(freedom=0.0)
    with pytest.raises(UmssError, match="identity.starts=0"):
        SingerIdentity(starts=0)
