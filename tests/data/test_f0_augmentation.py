"""Errors in the F0 of training: how often, how large, and nowhere else."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from src.data.excerpts import TrainExcerpts
from src.data.f0_augmentation import F0Augmentation, WrongF0Excerpts
from src.data.mixing import MixedExcerpts, Mixing
from src.data.readers.base import DataError
from src.f0.errors import F0Errors
from tests.data.codes import CodedSong

# What F0Augmentation adds by default, switched off.
NONE = {
    "jitter_cents": 0.0,
    "detune_cents": 0.0,
    "octave_rate": 0.0,
    "dropped_rate": 0.0,
    "false_rate": 0.0,
}


def augmentation(**errors: Any) -> F0Augmentation:
    return F0Augmentation(**{**NONE, **errors})


def with_errors(n_songs: int = 2, **errors: Any) -> tuple[TrainExcerpts, WrongF0Excerpts]:
    songs = [CodedSong(number) for number in range(1, 1 + n_songs)]
    true = TrainExcerpts(songs, 2, "cached", excerpt_samples=16_000)
    return true, WrongF0Excerpts(true, augmentation(**errors))


def test_only_the_f0_changes() -> None:
    true, wrong = with_errors(probability=1.0, jitter_cents=20.0, dropped_rate=0.1)
    assert len(wrong) == len(true)
    for index in range(len(true)):
        a, b = true[(1, index)], wrong[(1, index)]
        assert a.keys() == b.keys()
        for key in a.keys() - {"f0"}:
            x, y = a[key], b[key]  # type: ignore[literal-required]
            assert torch.equal(x, y) if isinstance(x, torch.Tensor) else x == y
        assert b["f0"].shape == a["f0"].shape
        assert b["f0"].dtype == torch.float32
        assert b["f0"].is_contiguous()
        assert not torch.equal(a["f0"], b["f0"])


def test_share_of_excerpts() -> None:
    true, wrong = with_errors(probability=0.3, detune_cents=20.0)
    changed = [
        not torch.equal(true[(e, i)]["f0"], wrong[(e, i)]["f0"])
        for e in range(20)
        for i in range(len(true))
    ]
    assert abs(np.mean(changed) - 0.3) < 3 * np.sqrt(0.21 / len(changed))


def test_the_same_errors_for_the_same_item_and_others_for_others() -> None:
    errors: dict[str, Any] = {"probability": 1.0, "detune_cents": 20.0, "octave_rate": 0.2}
    (true, one), (_, two) = with_errors(**errors), with_errors(**errors)
    _ = [two[(0, i)] for i in range(5)]
    np.random.seed(3)  # noqa: NPY002 - shows that the global state is not used
    assert torch.equal(one[(2, 7)]["f0"], two[(2, 7)]["f0"])
    ratios = {float(one[(e, 7)]["f0"][0, 0] / true[(e, 7)]["f0"][0, 0]) for e in range(9)}
    assert len(ratios) == 9


def test_size_of_the_errors() -> None:
    rng = np.random.default_rng(0)
    f0 = np.full((500, 400), 220.0, np.float32)
    f0[:50] = 0.0
    both = augmentation(jitter_cents=12.0, detune_cents=30.0).apply(f0, rng)
    assert both.dtype == np.float32
    assert not both[:50].any()
    cents = 1200 * np.log2(both[50:].astype(float) / 220)
    assert cents.mean(axis=0).std() == pytest.approx(30, rel=0.1)
    assert cents.std(axis=0).mean() == pytest.approx(12, rel=0.02)
    # Jitter is drawn for every frame anew.
    slow = cents - cents.mean(axis=0)
    assert abs(np.mean(slow[1:] * slow[:-1])) < 0.05 * 144
    others = augmentation(octave_rate=0.1, dropped_rate=0.2, false_rate=0.3).apply(f0, rng)
    assert np.mean(others[50:] == 0) == pytest.approx(0.2, abs=0.02)
    assert np.mean(others[:50] > 0) == pytest.approx(0.3, abs=0.05)
    voiced = others[50:][others[50:] > 0]
    assert set(np.unique(voiced)) == {110.0, 220.0, 440.0}
    assert np.mean(voiced != 220) == pytest.approx(0.1, abs=0.02)


def test_without_cents_the_errors_are_those_of_f0_errors() -> None:
    f0 = np.abs(np.random.default_rng(0).normal(200, 50, (300, 3))).astype(np.float32)
    kinds = {"offset_hz": 3.0, "octave_rate": 0.1, "swap_rate": 0.2, "dropped_rate": 0.1}
    rng, same = np.random.default_rng(5), np.random.default_rng(5)
    same.standard_normal((1, 3)), same.standard_normal((300, 3))  # cents of size 0
    np.testing.assert_array_equal(
        augmentation(**kinds).apply(f0, rng), F0Errors(**kinds).apply(f0, same)
    )


def test_mixed_excerpts_keep_their_order() -> None:
    songs = [CodedSong(number) for number in range(1, 4)]
    true = MixedExcerpts(songs, "cached", Mixing([3], same_song=0.5))
    wrong = WrongF0Excerpts(true, augmentation(probability=1.0, octave_rate=1.0))
    for index in range(len(true)):
        a, b = true[(0, index, 3)], wrong[(0, index, 3)]
        assert torch.equal(a["sources"], b["sources"])
        assert set((b["f0"] / a["f0"]).unique().tolist()) <= {0.5, 2.0}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"probability": 2.0}, "data.f0_augmentation.probability=2.0"),
        ({"probability": 0.5}, "no error is asked for; set data.f0_augmentation.jitter_cents"),
        ({"jitter_cents": -1.0}, "data.f0_augmentation.jitter_cents=-1.0"),
        ({"detune_cents": float("nan")}, "data.f0_augmentation.detune_cents=nan"),
        ({"octave_rate": 1.5}, "data.f0_augmentation.octave_rate=1.5"),
        ({"voicing_seconds": 0.0}, "data.f0_augmentation.voicing_seconds=0"),
        ({"offset_hz": -1.0}, "data.f0_augmentation.offset_hz=-1.0"),
    ],
)
def test_bad_settings(options: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        augmentation(**options)
