"""Trainings that are killed at any moment end as if they had never been.

Weights are compared bit by bit. Losses of validation are not: of 80 runs with equal weights two
differed in the last digit of one, among them one that was never disturbed.
"""

from __future__ import annotations

import json
import random
from pathlib import Path

import pandas as pd
import pytest
import torch

from src.claims import LOCK
from src.training.run_folder import find_last_version
from tests.processes import MUCH_PATIENCE, PATIENCE, run_python
from tests.tiny_training import write_choir

ROUNDING = 1e-6
# The third epoch is the best, so that best.ckpt and last.ckpt differ.
CHANGES = ("trainer.max_epochs=5", "model.lr=0.1", "callbacks.averaging=null")


def assert_equal_when_killed(folder: Path, plan: list[list[float]]) -> None:
    """Compare trainings that were killed (see tests/killing.py) with an undisturbed one."""
    choir = write_choir(folder / "choir", seconds=4)
    done = run_python(
        "-m", "tests.killing", str(choir), str(folder), json.dumps(plan), *CHANGES, check=True,
        patience=PATIENCE if len(plan) == 1 else MUCH_PATIENCE,
    )  # fmt: skip
    assert json.loads(done.stdout.splitlines()[-1])["killed"] > 0
    whole = folder / "whole"
    for i, moments in enumerate(plan):
        run = folder / f"killed_{i}"
        assert list_files(run) == list_files(whole), moments
        results = [json.loads((place / "result.json").read_text()) for place in (run, whole)]
        for result, place in zip(results, (run, whole), strict=True):
            best = (place / "checkpoints" / "best.ckpt").resolve()
            assert Path(result.pop("best_checkpoint")) == best
        assert results[0] == pytest.approx(results[1], rel=ROUNDING), moments
        newest = run / f"csv/version_{find_last_version(run)}/metrics.csv"
        tables = [pd.read_csv(path) for path in (newest, whole / "csv/version_0/metrics.csv")]
        pd.testing.assert_frame_equal(*tables, rtol=ROUNDING, obj=f"metrics, {moments}")
        for name in ("best.ckpt", "last.ckpt"):
            assert_same_training(run / "checkpoints" / name, whole / "checkpoints" / name)


def list_files(run: Path) -> list[str]:
    """List what a run holds but its metrics, of which every process writes its own.

    The lock of a claim outlives a killed process.
    """
    return sorted(
        path.relative_to(run).as_posix()
        for path in run.rglob("*")
        if path.is_file() and path.name != LOCK and "csv" not in path.relative_to(run).parts
    )


def assert_same_training(found: Path, expected: Path) -> None:
    a, b = (torch.load(path, weights_only=True) for path in (found, expected))
    assert (a["epoch"], a["global_step"]) == (b["epoch"], b["global_step"])
    assert a["state_dict"].keys() == b["state_dict"].keys()
    for name, weight in b["state_dict"].items():
        assert torch.equal(a["state_dict"][name], weight), name
    moments = [c["optimizer_states"][0]["state"] for c in (a, b)]
    for key, state in moments[1].items():
        for name, value in state.items():
            assert torch.equal(moments[0][key][name], value), (key, name)


@pytest.mark.slow
def test_a_training_that_was_killed_twice_equals_one_that_was_not(tmp_path: Path) -> None:
    assert_equal_when_killed(tmp_path, [[26, 20]])


@pytest.mark.slow
def test_trainings_that_are_killed_anywhere_equal_one_that_was_not(tmp_path: Path) -> None:
    chance = random.Random(0)
    operations: list[list[float]] = [[n] for n in range(1, 91, 3)]
    often: list[list[float]] = [[chance.randrange(1, 60) for _ in range(4)] for _ in range(5)]
    times: list[list[float]] = [[chance.uniform(0.05, 1.0)] for _ in range(30)]
    assert_equal_when_killed(tmp_path, [*operations, *often, *times])
