"""Commands under faults of the system: a full disk at every write, limits, signals, kills.

Whatever happens: one sentence or a signal, inputs as they were, no half of a result; and the same
command, run again, gives the bytes of an undisturbed run and leaves no remains.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile as sf

from tests.processes import MUCH_PATIENCE, PATIENCE, run_python

RATE = 16_000
F0 = (440.0, 165.0)
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="forks and sends signals")

COMMANDS = {
    "separate": [
        "separate", "My choir (live).wav", "f0=f0.csv", "n_singers=2", "separator=comb", "output=o",
    ],
    "separate again": [
        "separate", "My choir (live).wav", "f0=f0.csv", "n_singers=2", "separator=comb",
        "output=former", "overwrite=true",
    ],
    "evaluate": [
        "evaluate", "separator=comb", "data=folder", "data.root=data", "n_singers=2",
        "paths.cache_dir=cache", "output=o", "data.excerpt_seconds=1", "data.progress=false",
        "threads=1",
    ],
    "prepare": [
        "prepare", "data=folder", "data.root=data", "n_singers=2", "paths.cache_dir=cache",
        "data.progress=false",
    ],
}  # fmt: skip


def sing(seconds: float, *tones: float) -> np.ndarray:
    t = np.arange(round(seconds * RATE)) / RATE
    return 0.1 * sum(np.sin(2 * np.pi * f * t) + 0.5 * np.sin(4 * np.pi * f * t) for f in tones)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder with a recording, its F0, an earlier separation by other hands, and a data set."""
    root = tmp_path / "work"
    (root / "data" / "song").mkdir(parents=True)
    sf.write(root / "My choir (live).wav", sing(3, *F0), RATE)
    rows = "".join(f"{k * 0.016:.3f},{F0[0]},{F0[1]}\n" for k in range(190))
    (root / "f0.csv").write_text(f"time,high,low\n{rows}")
    for name, tone in zip(("soprano", "bass"), F0, strict=True):
        sf.write(root / "data" / "song" / f"{name}.wav", sing(3, tone), RATE)
    former = root / "former"
    former.mkdir()
    for name in ("high", "middle", "residual"):
        (former / f"My choir (live)_{name}.wav").write_bytes(b"former " + name.encode())
    np.savez(
        former / "My choir (live)_parameters.npz", names=["high", "middle"], allow_pickle=False
    )
    (former / "mine.txt").write_text("mine")
    return root


def suffer(root: Path, command: str, fault: str, moments: list[float] | None) -> list[Any]:
    """What `tests.faults` found, one entry per fault."""
    settings = {
        "root": str(root), "command": COMMANDS[command], "fault": fault, "moments": moments,
    }  # fmt: skip
    program = (
        "import io, json, sys, runpy; sys.stdin = io.StringIO(sys.argv.pop()); "
        "runpy.run_module('tests.faults', run_name='__main__', alter_sys=True)"
    )
    few = moments is not None and len(moments) < 5
    done = run_python(
        "-c", program, json.dumps(settings), check=True,
        patience=PATIENCE if few else MUCH_PATIENCE, OMP_NUM_THREADS="1",
    )  # fmt: skip
    results: list[Any] = json.loads(done.stdout.split("RESULTS")[1])
    assert results
    return results


def check(results: list[Any], *, one_sentence: bool) -> None:
    for entry in results:
        assert entry["again"] == 0 and not entry["same"], entry
        assert not entry["traceback"], entry
        if entry["status"] and one_sentence:
            assert entry["status"] == 1 and entry["words"][-1].startswith("error: "), entry
            assert not [name for name in entry["new"] if name.startswith("o/")], entry
        if entry["status"]:
            # What a kill leaves is hidden; nothing is half replaced unless it is set aside.
            seen = [name for name in entry["new"] if "/." not in name and "cache/" not in name]
            assert not seen, entry


QUICK = {"separate again": [16]}


@pytest.mark.parametrize(
    ("command", "moments"),
    [
        *QUICK.items(),
        *(pytest.param(name, None, marks=pytest.mark.slow, id=f"{name}-all") for name in COMMANDS),
    ],
)
def test_a_disk_that_is_full_at_some_write(
    root: Path, command: str, moments: list[float] | None
) -> None:
    results = suffer(root, command, "full", moments)
    check(results, one_sentence=True)
    assert moments is not None or len(results) > 8  # as often as the command writes
    for entry in results:
        assert "No space left on device" in entry["words"][-1] and not entry["changed"], entry


@pytest.mark.slow
@pytest.mark.parametrize("command", ["separate", "evaluate"])
def test_a_limit_on_the_size_of_files(root: Path, command: str) -> None:
    results = suffer(root, command, "size", [2_000, 150_000])
    check(results, one_sentence=True)
    assert results[0]["status"] == 1


@pytest.mark.slow
@pytest.mark.parametrize("signal", ["TERM", "HUP"])
def test_a_command_told_to_stop_leaves_nothing(root: Path, signal: str) -> None:
    results = suffer(root, "separate", signal, [0.3, 0.6])
    check(results, one_sentence=False)
    for entry in results:
        assert entry["status"] in (0, 143, 129, -15, -1), entry
        assert entry["status"] == 0 or not entry["new"], entry


@pytest.mark.slow
@pytest.mark.parametrize(
    ("command", "n"),
    [
        ("separate", 2),
        *(pytest.param(name, 30, marks=pytest.mark.slow, id=f"{name}-30") for name in COMMANDS),
    ],
)
def test_a_command_killed_at_random_moments(root: Path, command: str, n: int) -> None:
    moments = np.random.default_rng(0).uniform(0.02, 1.0, n).tolist()
    check(suffer(root, command, "kill", moments), one_sentence=False)
