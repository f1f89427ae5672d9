"""Injected F0 errors: as many as asked, of the kind asked, and the same for the same seed."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from src.f0.contours import F0Contours
from src.f0.errors import F0Errors, hold, perturb, perturb_batches

N = 40_000


def tracks() -> np.ndarray:
    """Three voices with rests, and one that never sings."""
    f0 = np.zeros((N, 4), dtype=np.float32)
    t = np.arange(N)
    for j, base in enumerate((600, 400, 200)):
        f0[:, j] = np.where((t + 30 * j) % 100 < 70, base + t % 7, 0)
    return f0


def apply(seed: int = 0, **settings: float) -> np.ndarray:
    return F0Errors(**settings).apply(tracks(), np.random.default_rng(seed))


def test_no_errors_changes_nothing() -> None:
    assert not F0Errors().any
    np.testing.assert_array_equal(apply(), tracks())


@pytest.mark.parametrize(
    "settings",
    [
        {"offset_hz": 5.0},
        {"octave_rate": 0.2},
        {"swap_rate": 0.2},
        {"dropped_rate": 0.2},
        {"false_rate": 0.2},
    ],
)
def test_seeds_decide_and_silence_stays_silence(settings: dict[str, float]) -> None:
    assert F0Errors(**settings).any
    first, same, other = apply(**settings), apply(**settings), apply(1, **settings)
    np.testing.assert_array_equal(first, same)
    assert (first != other).any()
    assert (first != tracks()).any()
    assert first.dtype == np.float32
    assert np.isfinite(first).all() and (first >= 0).all()
    if "swap_rate" not in settings:
        assert not first[:, 3].any()
    if "false_rate" not in settings and "swap_rate" not in settings:
        assert not first[tracks() == 0].any()
    empty = F0Errors(**settings).apply(np.zeros((100, 2), np.float32), np.random.default_rng(0))
    assert not empty.any()


def test_offset_is_gaussian_in_hz() -> None:
    voiced = tracks() > 0
    difference = (apply(offset_hz=8.0) - tracks())[voiced]
    assert difference.mean() == pytest.approx(0, abs=0.1)
    assert difference.std() == pytest.approx(8, rel=0.02)
    inside = np.mean(np.abs(difference) < 8)
    assert inside == pytest.approx(0.683, abs=0.01)
    assert (apply(offset_hz=1000.0)[voiced] > 0).all()


def test_octaves_go_both_ways_in_stretches() -> None:
    wrong, right = apply(octave_rate=0.1, octave_seconds=0.16), tracks()
    voiced = right > 0
    ratio = wrong[voiced] / right[voiced]
    assert set(np.unique(ratio)) == {0.5, 1.0, 2.0}
    assert np.mean(ratio == 2) == pytest.approx(0.05, abs=0.01)
    assert np.mean(ratio == 0.5) == pytest.approx(0.05, abs=0.01)
    # A wrong octave lasts 10 frames, unless a rest cuts it or the next stretch is wrong as well.
    first = (wrong[:, 0] != right[:, 0]).astype(int)
    starts, ends = np.flatnonzero(np.diff(first) == 1), np.flatnonzero(np.diff(first) == -1)
    lengths = ends[: len(starts)] - starts[: len(ends)]
    assert np.bincount(np.abs(lengths)).argmax() == 10


def test_swaps_exchange_two_voices() -> None:
    wrong, right = apply(swap_rate=0.3, swap_seconds=0.4), tracks()
    np.testing.assert_array_equal(np.sort(wrong, axis=1), np.sort(right, axis=1))
    moved = (wrong != right).sum(axis=1)
    assert moved.max() == 2
    # Unless both voices rest.
    assert np.mean(moved > 0) == pytest.approx(0.3 * 0.93, abs=0.04)
    starts = np.flatnonzero(np.diff((moved > 0).astype(int)) == 1)
    ends = np.flatnonzero(np.diff((moved > 0).astype(int)) == -1)
    assert len(starts) > 10
    assert np.median(ends[: len(starts)] - starts[: len(ends)]) <= 50
    single = tracks()[:, :1]
    assert (F0Errors(swap_rate=1.0).apply(single, np.random.default_rng(0)) == single).all()


def test_voicing_errors_have_the_rates_asked_for() -> None:
    right = tracks()
    wrong = apply(dropped_rate=0.1, false_rate=0.25)
    singing = right[:, :3]
    voiced = singing > 0
    assert np.mean(wrong[:, :3][voiced] == 0) == pytest.approx(0.1, abs=0.01)
    false = wrong[:, :3][~voiced] > 0
    assert np.mean(false) == pytest.approx(0.25, abs=0.02)
    kept = voiced & (wrong[:, :3] > 0)
    np.testing.assert_array_equal(wrong[:, :3][kept], singing[kept])
    # A false frame has the last F0 that was sung.
    held = hold(right.astype(np.float64))[:, :3]
    np.testing.assert_array_equal(wrong[:, :3][~voiced][false], held[~voiced][false])


def test_hold_takes_the_last_or_else_the_first() -> None:
    f0 = np.array([[0, 0], [0, 100], [200, 0], [0, 0], [300, 0.0]])
    np.testing.assert_array_equal(
        hold(f0), [[200, 100], [200, 100], [200, 100], [200, 100], [300, 100]]
    )


def test_errors_combine_and_contours_keep_times_and_names() -> None:
    times = np.arange(500) * 0.005
    contours = F0Contours(times, tracks()[:500], ("s", "a", "t", "b"))
    errors = F0Errors(offset_hz=2, octave_rate=0.1, swap_rate=0.1, dropped_rate=0.1, false_rate=0.1)
    wrong = perturb(contours, errors, np.random.default_rng(0))
    np.testing.assert_array_equal(wrong.times, times)
    assert wrong.names == contours.names
    assert (wrong.f0 != contours.f0).any()
    one = F0Contours(np.zeros(1), np.ones((1, 1), np.float32) * 200, ("a",))
    assert perturb(one, errors, np.random.default_rng(0)).f0.shape == (1, 1)


def test_batches_get_the_same_errors_whatever_their_size() -> None:
    f0 = torch.from_numpy(np.ascontiguousarray(tracks()[:1000].reshape(4, 250, 4).swapaxes(1, 2)))
    seeds = torch.tensor([5, 6, 7, 8])
    errors = F0Errors(octave_rate=0.3, offset_hz=3)

    def served(size: int) -> torch.Tensor:
        batches = [
            {"f0": f0[i : i + size], "seed": seeds[i : i + size], "song": ["x"] * size}
            for i in range(0, 4, size)
        ]
        return torch.cat([batch["f0"] for batch in perturb_batches(batches, errors)])

    torch.testing.assert_close(served(4), served(1), rtol=0, atol=0)
    assert served(4).shape == f0.shape
    assert (served(4) != f0).any()


@pytest.mark.parametrize(
    "settings",
    [{"octave_rate": 1.5}, {"swap_rate": -0.1}, {"offset_hz": -1.0}, {"voicing_seconds": 0.0},
     {"false_rate": float("nan")}],
)  # fmt: skip
def test_impossible_settings_are_named(settings: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=f"f0_errors.{next(iter(settings))}="):
        F0Errors(**settings)
