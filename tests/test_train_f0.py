"""Training of the multi-F0 network, from the command line to weights that work."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from src.f0.network import VoiceSalience
from tests.processes import Done, assert_same_learning, run_python
from tests.tiny_training import write_choir


def run(output: Path, *more: str) -> Done:
    return run_python("-m", "src.train_f0", f"output={output}", *more)


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    choir = write_choir(tmp_path_factory.mktemp("data") / "choir")
    pool = f"{{reader: folder, root: {choir}, f0: stems}}"
    return [
        "pools.generated=null",
        "pools.csd=null",
        f"+pools.own={pool}",
        "validation.generated=null",
        "validation.csd=null",
        f"+validation.own={pool}",
        f"paths.cache_dir={choir.parent / 'cache'}",
        "seconds=1.0",
        "batch_size=2",
        "batches_per_epoch=2",
        "validation_items=2",
        "precision=32-true",
        "threads=1",
    ]


@pytest.mark.slow
def test_weights_learn_are_reproducible_and_resume(settings, tmp_path):
    assert run(tmp_path / "a", "epochs=2", *settings).returncode == 0
    again = run(tmp_path / "a", "epochs=2", *settings)
    assert again.returncode == 1 and "overwrite=true" in again.stderr
    first = torch.load(tmp_path / "a" / "voice_salience.pt", weights_only=True)
    salience = VoiceSalience(tmp_path / "a" / "voice_salience.pt")(np.zeros(16_000, np.float32))
    assert np.isfinite(salience.values).all()

    assert run(tmp_path / "b", "epochs=2", *settings).returncode == 0
    second = torch.load(tmp_path / "b" / "voice_salience.pt", weights_only=True)
    assert_same_learning(second, first)

    # Interrupted after the first epoch: the schedule is that of two epochs.
    (tmp_path / "b" / "voice_salience.pt").unlink()
    continued = run(tmp_path / "b", "epochs=2", *settings)
    assert continued.returncode == 0, continued.stderr
    third = torch.load(tmp_path / "b" / "voice_salience.pt", weights_only=True)
    assert_same_learning(third, first)


def test_a_missing_song_is_named(settings, tmp_path):
    result = run(tmp_path / "c", *settings, "+pools.own.songs=[three]")
    assert result.returncode == 1
    assert "'three'" in result.stderr and "Traceback" not in result.stderr
