"""Benchmark cases in processes of their own, their statistics, and made-up inputs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from experiments.bench import cases
from experiments.bench.inputs import random_batch, random_tracks


def test_spread_is_that_of_numpy() -> None:
    values = np.random.default_rng(0).normal(size=11)
    found = cases.spread(values, unit="ms")
    assert found["median_ms"] == np.median(values)
    assert (found["min_ms"], found["max_ms"]) == (values.min(), values.max())
    q1, q3 = np.quantile(values, (0.25, 0.75))
    assert (found["q1_ms"], found["q3_ms"], found["repeats"]) == (q1, q3, 11)
    with pytest.raises(ValueError, match="repeats of at least 1"):
        cases.spread([])


def test_timed_counts_calls_without_the_warm_up() -> None:
    calls: list[int] = []
    found = cases.timed(lambda: calls.append(1), repeats=3, warm_up=2)
    assert (len(calls), found["repeats"]) == (5, 3)
    assert 0 <= found["min_s"] <= found["median_s"] <= found["max_s"]


MODULE = "tests_bench_case"
SOURCE = """
import os, torch
def measure(size, fail=False):
    if fail:
        raise RuntimeError("no")
    block = bytearray(size)
    print("chatter")
    return {"threads_seen": torch.get_num_threads(), "variable": os.environ["OMP_NUM_THREADS"]}
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / f"{MODULE}.py").write_text(SOURCE)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return MODULE


def test_a_case_has_its_own_process_threads_and_memory(module: str) -> None:
    ballast = bytearray(600_000_000)  # of this process: must not count
    ballast[::4096] = b"x" * len(ballast[::4096])
    small = cases.run_case(module, {"size": 1000}, threads=2)
    large = cases.run_case(module, {"size": 400_000_000}, threads=1)
    assert (small["threads_seen"], small["variable"], small["threads"]) == (2, "2", 2)
    assert (large["threads_seen"], large["size"]) == (1, 400_000_000)
    assert large["peak_gb"] - small["peak_gb"] == pytest.approx(0.4, abs=0.05)


def test_a_failed_case_does_not_end_the_run(module: str, capfd: pytest.CaptureFixture[str]) -> None:
    found = cases.run_cases(module, [({"size": 1, "fail": True}, 1)], "{size}".format_map)
    assert "threads 1: the process ended with code 1" in found[0]["error"]
    captured = capfd.readouterr()
    assert "RuntimeError: no" in captured.err and "no result: " in captured.out


def test_machine_facts_name_no_machine_and_no_path(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = cases.allocator_settings(
        {
            "LD_PRELOAD": "/opt/secret/libjemalloc.so.2:/x/libomp.so",
            "MALLOC_ARENA_MAX": "2",
            "PYTORCH_CUDA_ALLOC_CONF": "expandable_segments:True",
            "HOME": "/root",
            "MALLOC_TRIM_THRESHOLD_": "",
        }
    )
    settings.pop("library")
    assert settings == {
        "LD_PRELOAD": "libjemalloc.so.2 libomp.so",
        "MALLOC_ARENA_MAX": "2",
        "PYTORCH_CUDA_ALLOC_CONF": "expandable_segments:True",
    }
    facts = cases.machine_facts()
    assert facts["torch"] == torch.__version__ and facts["cpu"] and facts["cores"] >= 1
    monkeypatch.setattr(Path, "read_text", _missing)
    assert cases.cpu_model()  # without /proc, too
    assert cases.peak_gb() > 0 and cases.resting_gb() > 0


def _missing(*_: Any, **__: Any) -> str:
    raise FileNotFoundError


def test_tracks_are_seeded_differ_and_rest_fifteen_percent_of_the_time() -> None:
    f0 = random_tracks(64, 4, 250)
    assert f0.shape == (64, 4, 250) and f0.dtype == torch.float32
    assert torch.equal(f0, random_tracks(64, 4, 250))
    assert not torch.equal(f0, random_tracks(64, 4, 250, seed=1))
    assert len(torch.unique(f0.flatten(0, 1), dim=0)) == 256
    unvoiced = (f0 == 0).float().mean().item()
    assert unvoiced == pytest.approx(0.15, abs=0.02)
    voiced = f0[f0 > 0]
    assert voiced.min() > 80 and voiced.max() < 700
    means = f0.sum(dim=(0, 2)) / (f0 > 0).sum(dim=(0, 2))
    assert torch.equal(means.argsort(descending=True), torch.arange(4))
    assert random_tracks(1, 1, 1).shape == (1, 1, 1)


def test_batch_fits_the_model() -> None:
    batch = random_batch(3, 2, 1.0)
    assert batch["mixture"].shape == (3, 16_000)
    assert batch["f0"].shape == (3, 2, 63)
    assert batch["seed"].tolist() == [0, 1, 2]
