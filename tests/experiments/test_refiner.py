"""The refiner: excerpts, network, training."""

from __future__ import annotations

import sys
from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from experiments.real.build import PEAK, Voices
from experiments.refiner import excerpts, train
from experiments.refiner.network import Refiner
from src.dsp.tracks import RATE


class Tones(Voices):
    """Singers of one tone each, louder at the end."""

    def read(self, voice: str) -> np.ndarray:
        return sing(sum(voice.encode()) % 24)


@lru_cache
def sing(key: int) -> np.ndarray:
    phase = 2 * np.pi * 110.0 * 2 ** (key / 12) * np.arange(9 * RATE) / RATE
    tone = sum(np.sin(k * phase) / k for k in range(1, 6))
    return (0.1 * tone * np.linspace(0.5, 1.0, len(phase))).astype(np.float32)


def test_training_and_validation_share_no_voice() -> None:
    heard = {
        use: {voice for pieces in excerpts.list_voices(use).values() for p in pieces for voice in p}
        for use in excerpts.COUNTS
    }
    assert len(heard["train"]) > len(heard["validation"]) > 0
    assert not heard["train"] & heard["validation"]
    # Nor a piece, but for the one song of the real singers.
    pieces = {
        use: {v.split("/")[1] for v in x if not v.startswith("csd")} for use, x in heard.items()
    }
    assert not pieces["train"] & pieces["validation"]
    assert not any("_3" in voice for voice in heard["train"] | heard["validation"])


@pytest.mark.parametrize("use", list(excerpts.COUNTS))
def test_excerpts_are_drawn_from_their_seed(use: str) -> None:
    voices = Tones({})
    first, again, other = (
        excerpts.draw_stems(voices, use, np.random.default_rng(seed)) for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first[0], again[0])
    assert first[1] == again[1]
    assert not np.array_equal(first[0], other[0])
    for stems, group in (first, other):
        assert stems.shape == (2, excerpts.SECONDS * RATE) and stems.dtype == np.float32
        assert np.abs(stems.sum(axis=0)).max() == pytest.approx(PEAK, rel=1e-5)
        assert (stems.std(axis=1) > 0.01).all()
        assert 0 <= group < len(excerpts.GROUPS)


def test_a_rest_is_no_excerpt() -> None:
    class Resting(Tones):
        def read(self, voice: str) -> np.ndarray:
            whole = super().read(voice).copy()
            whole[: 2 * RATE] = 0.0
            return whole

    stems, _ = excerpts.draw_stems(Resting({}), "validation", np.random.default_rng(0))
    assert (stems.std(axis=1) > 0.01).all()


def test_an_untrained_network_changes_nothing() -> None:
    fitted = torch.randn(2, 2, RATE)
    torch.testing.assert_close(Refiner()(fitted), fitted, atol=1e-5, rtol=1e-4)


def test_better_stems_sum_to_the_mixture_however_loud() -> None:
    network = Refiner(width=8, layers=1)
    with torch.no_grad():
        for weight in network.parameters():
            weight.normal_(std=0.3)
    fitted = torch.randn(2, 2, RATE)
    found = network(fitted)
    assert (found - fitted).abs().max() > 0.1
    torch.testing.assert_close(found.sum(dim=1), fitted.sum(dim=1), atol=1e-4, rtol=1e-3)
    torch.testing.assert_close(network(100.0 * fitted), 100.0 * found, atol=1e-2, rtol=1e-3)
    assert sum(x.numel() for x in Refiner().parameters()) < 1_000_000


def write_excerpts(folder: Path) -> None:
    """Stems that leak into each other: something that can be learned."""
    for use, count in (("train", 4), ("validation", 2)):
        (folder / use).mkdir(parents=True)
        for seed in range(count):
            stems, group = excerpts.draw_stems(Tones({}), use, np.random.default_rng(seed))
            fitted = np.array([[0.8, 0.2], [0.2, 0.8]], np.float32) @ stems
            whole = [np.round(32_767 * x).astype(np.int16) for x in (stems, fitted)]
            np.savez(folder / use / f"{seed:04d}.npz", stems=whole[0], fitted=whole[1], group=group)


@pytest.mark.slow
def test_training_learns_and_goes_on_where_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_excerpts(tmp_path / "excerpts")
    small = {"BATCH": 2, "CROP": RATE // 2, "EVERY": 2, "WARM_UP": 1}
    for name, value in small.items():
        monkeypatch.setattr(train, name, value)
    monkeypatch.setattr(train, "Refiner", lambda: Refiner(width=8, layers=1))

    def run(folder: str, steps: int) -> pd.DataFrame:
        # It stops when its time is over: a clock that ticks once a step.
        ticks = iter(range(2 * steps))
        monkeypatch.setattr(train.time, "process_time", lambda: 3600.0 * next(ticks))
        arguments = ["train", "--excerpts", str(tmp_path / "excerpts")]
        arguments += ["--output", str(tmp_path / folder), "--hours", str(steps)]
        monkeypatch.setattr(sys, "argv", arguments)
        train.main()
        return pd.read_csv(tmp_path / folder / "curve.csv")

    whole = run("whole", 20)
    run("parts", 10)
    parts = run("parts", 20)
    pd.testing.assert_frame_equal(whole, parts)
    assert list(whole["step"]) == list(range(2, 21, 2))
    assert whole["gain"].iloc[-1] > whole["gain"].iloc[0] + 0.1
