"""The evaluation table: what is in it, and what bad input does to it."""

from __future__ import annotations

import math
import mmap
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from src.baselines.masks import CombSeparator, MixtureSeparator, OracleSeparator
from src.metrics.bss import BSS_METRICS
from src.metrics.diagnosis import NOISE_DOMINATED
from src.metrics.evaluation import evaluate, summarise
from src.metrics.frames import si_sdr
from src.metrics.speed import Stopwatch, measure_peak_memory
from src.separator import Separation, Separator

RATE = 16_000


def batch(n_batch: int = 2, n_sources: int = 2, seconds: float = 2.0) -> dict[str, Any]:
    """Sawtooth-like voices; the last voice of every excerpt is noise instead."""
    t = torch.arange(round(RATE * seconds)) / RATE
    f0 = torch.tensor([110.0 * 1.6 ** (n_sources - 1 - j) for j in range(n_sources)])
    tones = sum(torch.sin(2 * torch.pi * i * f0[:, None] * t) / i for i in range(1, 10))
    assert isinstance(tones, torch.Tensor)
    sources = tones.repeat(n_batch, 1, 1)
    noise = torch.randn(n_batch, len(t), generator=torch.Generator().manual_seed(0))
    sources[:, -1] = noise
    sources = sources / sources.sum(1).abs().amax(-1).view(-1, 1, 1)
    return {
        "mixture": sources.sum(1),
        "sources": sources,
        "f0": f0[None, :, None].repeat(n_batch, 1, -(-len(t) // 256)),
        "seed": torch.arange(n_batch),
        "excerpt": torch.arange(1, n_batch + 1),
        "start": 64_000 * torch.arange(1, n_batch + 1) - 256,
        "full_mix_peak": torch.ones(n_batch),
        "song": ["song"] * n_batch,
        "mixture_name": [f"mixture{b}" for b in range(n_batch)],
        "parts": [("soprano", "alto", "tenor", "bass")[:n_sources]] * n_batch,
        "singers": [("1",) * n_sources] * n_batch,
    }


class Noisy(Separator):
    """The sources and noise of its seed; counts its calls."""

    stochastic = True
    needs_sources = True

    def __init__(self, level: float = 0.01) -> None:
        super().__init__()
        self.level = level
        self.calls: list[int] = []

    def estimate(self, mixture: Any, f0: Any, seed: Any, sources: Any) -> Any:
        raise NotImplementedError

    def __call__(self, mixture: Any, f0: Any, *, seed: Any = 0, sources: Any = None) -> Separation:
        self.calls.append(len(mixture))
        noise = torch.stack([
            torch.randn(sources.shape[1:], generator=torch.Generator().manual_seed(int(s)))
            for s in seed
        ])  # fmt: skip
        return Separation(sources + self.level * noise, torch.empty(0))


def test_one_row_per_frame_and_seed() -> None:
    frames = evaluate(Noisy(), [batch(3), batch(1)], seeds=[0, 5])
    assert len(frames) == (3 + 1) * 2 * 2 * 2
    rows = frames[["song", "mixture", "excerpt", "source", "frame", "seed"]].iloc[24:]
    assert not rows.duplicated().any()
    assert frames["kept"].dtype == bool and frames["excerpt"].dtype.kind == "i"
    first = frames[(frames["seed"] == 0)].iloc[0]
    second = frames[(frames["seed"] == 5)].iloc[0]
    assert first["si_sdr"] != second["si_sdr"]
    same = ["energy", "harmonic_share", "start"]
    assert first[same].tolist() == second[same].tolist()


def test_methods_without_random_numbers_run_once() -> None:
    frames = evaluate(MixtureSeparator(), [batch()], seeds=[3, 4])
    assert frames["seed"].unique().tolist() == [3]


def test_improvement_is_over_the_mixture() -> None:
    given = batch()
    frames = evaluate(OracleSeparator(), [given], seeds=[0])
    row = frames.query("mixture == 'mixture1' and source == 1 and frame == 1").iloc[0]
    cut = slice(RATE, 2 * RATE)
    unprocessed = si_sdr(given["mixture"][1, cut], given["sources"][1, 1, cut]).item()
    assert row["si_sdr_improvement"] == pytest.approx(row["si_sdr"] - unprocessed)
    assert (frames["si_sdr_improvement"] > 3).all()
    untouched = evaluate(MixtureSeparator(), [given], seeds=[0])
    np.testing.assert_allclose(untouched["si_sdr_improvement"], 0.0, atol=1e-3)


def test_tones_and_noise_are_told_apart_by_the_target() -> None:
    frames = evaluate(MixtureSeparator(), [batch()], seeds=[0])
    assert (frames.loc[frames["source"] == 0, "harmonic_share"] > 0.8).all()
    assert (frames.loc[frames["source"] == 1, "harmonic_share"] < 0.2).all()
    kinds = summarise(frames)["si_sdr_by_kind"]
    for kind, source in (("harmonic", 0), ("noise", 1)):
        values = frames.loc[frames["source"] == source, "si_sdr"]
        assert kinds[kind]["n"] == len(values)
        assert kinds[kind]["mean"] == pytest.approx(values.mean())
    assert 0.2 < NOISE_DOMINATED < 0.8
    again = evaluate(Noisy(), [batch()], seeds=[0])
    assert again["harmonic_share"].equals(frames["harmonic_share"])


@pytest.mark.parametrize("engine", [True, "museval", "fast"])
def test_bss_eval_by_either_implementation(engine: bool | str) -> None:
    given = batch(1)
    frames = evaluate(Noisy(), [given], seeds=[0], bss=engine)
    expected = evaluate(Noisy(), [given], seeds=[0], bss="museval")
    pd.testing.assert_frame_equal(frames, expected, rtol=0, atol=1e-3)
    assert set(BSS_METRICS) <= set(frames)
    assert not set(BSS_METRICS) & set(evaluate(Noisy(), [given], seeds=[0]))
    with pytest.raises(ValueError, match="choose false"):
        evaluate(Noisy(), [given], seeds=[0], bss="quick")


@pytest.mark.parametrize("field", ["mixture", "sources", "f0"])
def test_samples_that_are_not_finite_name_their_row(field: str) -> None:
    given = batch(3)
    given[field][1, ..., 5] = math.nan
    with pytest.raises(ValueError, match=r"^song song, mixture mixture1, excerpt 2: .* NaN"):
        evaluate(MixtureSeparator(), [given], seeds=[0])


def test_negative_f0_names_its_row() -> None:
    given = batch()
    given["f0"][0, 1, 3] = -1.0
    with pytest.raises(ValueError, match=r"mixture mixture0, excerpt 1: negative F0"):
        evaluate(CombSeparator(), [given], seeds=[0])


@pytest.mark.parametrize("level", [math.nan, math.inf])
def test_estimates_that_are_not_finite_name_method_and_row(level: float) -> None:
    with pytest.raises(FloatingPointError, match=r"^Noisy returned .* mixture0, excerpt 1"):
        evaluate(Noisy(level), [batch()], seeds=[0])


def test_estimates_beyond_all_range_are_no_silent_nan() -> None:
    with pytest.raises(FloatingPointError, match=r"mixture0, excerpt 1, voice \w+, frame 0: "):
        evaluate(Noisy(1e30), [batch()], seeds=[0])


@pytest.mark.parametrize("separator", [CombSeparator(), MixtureSeparator(), OracleSeparator()])
@pytest.mark.parametrize("bss", [False, "fast", "museval"])
@pytest.mark.filterwarnings("ignore:.*mel filterbank has all zero values.*")
def test_silence_is_dropped_not_scored(separator: Separator, bss: bool | str) -> None:
    given = batch(3)
    given["mixture"][0], given["sources"][0], given["full_mix_peak"][0] = 0.0, 0.0, 0.0
    given["sources"][1, 0], given["f0"][1, 0] = 0.0, 0.0
    given["mixture"][1] = given["sources"][1].sum(0)
    frames = evaluate(separator, [given], seeds=[0], bss=bss)
    assert not frames.loc[frames["mixture"] == "mixture0", "kept"].any()
    one_voice = frames[frames["mixture"] == "mixture1"]
    assert one_voice["kept"].tolist() == [False, False, True, True]
    kept = frames[frames["kept"]].drop(columns=[m for m in BSS_METRICS if bss])
    assert np.isfinite(kept.select_dtypes("number")).all().all()
    if bss:  # undefined where any source is silent
        assert one_voice["sdr"].isna().all()
        assert frames.loc[frames["mixture"] == "mixture2", "sdr"].notna().all()
        assert summarise(frames)["sdr"]["n"] == 4


@pytest.mark.parametrize("separator", [CombSeparator(), OracleSeparator()])
def test_contours_without_any_voice(separator: Separator) -> None:
    given = batch()
    given["f0"][:] = 0.0
    frames = evaluate(separator, [given], seeds=[0])
    assert frames["kept"].all()
    assert np.isfinite(frames.select_dtypes("number")).all().all()


def test_a_single_voice() -> None:
    frames = evaluate(CombSeparator(), [batch(1, 1)], seeds=[0], bss="fast")
    assert len(frames) == 2
    assert np.isinf(frames["sir"]).all()  # nobody interferes
    summary = summarise(frames)
    assert summary["sir"]["mean"] is None and summary["sir"]["n"] == 0
    assert summary["sdr"]["n"] == 2


def test_summary_of_nothing_but_silence() -> None:
    given = batch(1)
    given["mixture"][:], given["sources"][:] = 0.0, 0.0
    summary = summarise(evaluate(MixtureSeparator(), [given], seeds=[0]))
    assert summary["frames"] == {"total": 4, "kept": 0}
    assert summary["si_sdr"]["mean"] is None and summary["si_sdr_by_kind"]["noise"]["n"] == 0


def test_nothing_to_do_is_an_error() -> None:
    with pytest.raises(ValueError, match="seeds"):
        evaluate(MixtureSeparator(), [batch()], seeds=[])
    with pytest.raises(ValueError, match="no excerpt"):
        evaluate(MixtureSeparator(), [], seeds=[0])
    with pytest.raises(ValueError, match="excerpt 1 is shorter than a frame"):
        evaluate(MixtureSeparator(), [batch(seconds=0.5)], seeds=[0])


def test_the_same_table_with_and_without_a_stopwatch() -> None:
    plain = evaluate(Noisy(), [batch()], seeds=[0, 1])
    timed = evaluate(Noisy(), [batch()], seeds=[0, 1], stopwatch=Stopwatch())
    pd.testing.assert_frame_equal(plain, timed)


def test_stopwatch_measures_the_separator_after_a_first_call() -> None:
    separator, stopwatch = Noisy(), Stopwatch()
    evaluate(separator, [batch(3), batch(2)], seeds=[0, 1], stopwatch=stopwatch)
    assert separator.calls == [1, 3, 3, 2, 2]
    speed = stopwatch.summarise()
    assert set(speed) == {
        "seconds", "cpu_seconds", "audio_seconds", "real_time_factor", "peak_memory_gb", "device",
        "threads",
    }  # fmt: skip
    assert speed["audio_seconds"] == pytest.approx(2 * (3 + 2) * 2.0)
    assert speed["real_time_factor"] == pytest.approx(speed["seconds"] / speed["audio_seconds"])
    assert speed["seconds"] > 0 and speed["cpu_seconds"] > 0 and speed["device"] == "cpu"
    assert speed["threads"] == torch.get_num_threads()
    assert 0.05 < speed["peak_memory_gb"] <= measure_peak_memory() / 1e9 + 1.0
    evaluate(plain := Noisy(), [batch(3)], seeds=[0])
    assert plain.calls == [3]
    assert Stopwatch().summarise()["real_time_factor"] is None


def test_memory_is_that_of_the_measured_calls() -> None:
    stopwatch = Stopwatch()
    with stopwatch.measure(1.0):
        pass
    idle = stopwatch.peak_memory_gb
    # Pages of its own: what is allocated may be memory that was freed before.
    with stopwatch.measure(1.0), mmap.mmap(-1, 320_000_000) as block:
        block.write(b"x" * 320_000_000)
    assert stopwatch.peak_memory_gb - idle > 0.25


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_memory_on_cuda() -> None:
    stopwatch = Stopwatch("cuda")
    with stopwatch.measure(1.0):
        held = torch.ones(50_000_000, device="cuda")
    del held
    assert stopwatch.peak_memory_gb >= 0.2 and stopwatch.summarise()["device"] == "cuda"
