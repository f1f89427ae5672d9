"""Training of the multi-F0 network, from the command line to weights that work."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from src.claims import ClaimedError, claim
from src.errors import OutputExistsError, UmssError
from src.f0.network import VoiceSalience
from src.f0.training import SalienceTraining
from src.train_f0 import main
from tests.processes import Done, assert_same_learning, run_python
from tests.tiny_training import compose_config, write_choir


def run(output: Path, *more: str) -> Done:
    return run_python("-m", "src.train_f0", f"output={output}", *more)


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    choir = write_choir(tmp_path_factory.mktemp("data") / "choir")
    pool = f"{{reader: folder, root: {choir}, f0: stems}}"
    return [
        "pools.generated=null",
        "pools.wide=null",
        "pools.csd=null",
        f"+pools.own={pool}",
        "validation.generated=null",
        "validation.csd=null",
        f"+validation.own={pool}",
        f"paths.cache_dir={choir.parent / 'cache'}",
        "seconds=1.0",
        "batch_size=2",
        "parts_of_batch=2",
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


@pytest.mark.slow
def test_a_missing_song_is_named(settings, tmp_path):
    result = run(tmp_path / "c", *settings, "+pools.own.songs=[three]")
    assert result.returncode == 1
    assert "'three'" in result.stderr and "Traceback" not in result.stderr


def train_here(output: Path, settings: list[str], *more: str) -> None:
    """Train for two epochs in this process."""
    main(compose_config("train_f0", [*settings, "epochs=2", f"output={output}", *more]))


def read_weights(output: Path) -> dict[str, torch.Tensor]:
    return torch.load(output / "voice_salience.pt", weights_only=True)


@pytest.fixture(scope="module")
def whole(settings, tmp_path_factory) -> Path:
    """A training that was not disturbed."""
    output = tmp_path_factory.mktemp("runs") / "whole"
    train_here(output, settings)
    return output


def interrupt(output: Path, settings: list[str]) -> None:
    """Train until an error in the second epoch."""
    step = SalienceTraining.training_step

    def fail(self, *args):
        if self.current_epoch == 1:
            raise MemoryError
        return step(self, *args)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SalienceTraining, "training_step", fail)
        with pytest.raises(MemoryError):
            train_here(output, settings)


def test_an_interrupted_training_ends_like_one_that_was_not(settings, whole, tmp_path):
    output = tmp_path / "run"
    interrupt(output, settings)
    assert not (output / "voice_salience.pt").exists()
    with pytest.raises(OutputExistsError, match=r"another lr; set overwrite=true"):
        train_here(output, settings, "lr=1e-3")
    moved = output.rename(tmp_path / "moved")
    (moved / "checkpoints" / ".last.abc.ckpt").write_bytes(b"half")
    train_here(moved, settings, "num_workers=0")
    weights = read_weights(moved)
    assert all(torch.equal(weights[k], w) for k, w in read_weights(whole).items())
    tables = [moved / "csv/version_1/metrics.csv", whole / "csv/version_0/metrics.csv"]
    assert tables[0].read_text() == tables[1].read_text()
    assert [path.name for path in (moved / "checkpoints").iterdir()] == ["last.ckpt"]


def test_f0_trainings_are_claimed_refused_and_replaced(settings, whole, tmp_path):
    output = Path(shutil.copytree(whole, tmp_path / "run"))
    with pytest.raises(OutputExistsError, match=r"voice_salience\.pt: exists"):
        train_here(output, settings)
    with claim(output), pytest.raises(ClaimedError, match="is writing here"):
        train_here(output, settings, "overwrite=true")
    last = output / "checkpoints" / "last.ckpt"
    for name in ("newest.ckpt", "last-v1.ckpt", "mine.ckpt"):
        last.with_name(name).write_bytes(b"")
    train_here(output, settings, "overwrite=true", "lr=1e-3")
    assert {path.name for path in last.parent.iterdir()} == {"last.ckpt", "mine.ckpt"}
    old, new = read_weights(whole), read_weights(output)
    assert any(not torch.equal(old[name], new[name]) for name in old)

    (output / "voice_salience.pt").unlink()
    last.write_bytes(last.read_bytes()[:1000])
    with pytest.raises(UmssError, match=r"last\.ckpt: not a checkpoint to continue from"):
        train_here(output, settings, "lr=1e-3")
    (output / "config.yaml").unlink()
    with pytest.raises(UmssError, match=r"config\.yaml: missing"):
        train_here(output, settings, "lr=1e-3")


def test_a_larger_network_goes_on_from_a_smaller_one(settings, whole, tmp_path):
    frozen = ["freeze_norms=true", f"init={whole / 'voice_salience.pt'}", "n_blocks=5"]
    train_here(tmp_path / "run", settings, "parts_of_batch=1", *frozen)
    old, new = read_weights(whole), read_weights(tmp_path / "run")
    assert any(k.startswith("blocks.4.") for k in new)
    assert not torch.equal(old["head.weight"], new["head.weight"])
    for name in ("stem.1.running_mean", "blocks.2.norm1.running_var"):
        assert torch.equal(old[name], new[name])
    with pytest.raises(UmssError, match=r"batch_size=2: give a multiple of parts_of_batch=3"):
        train_here(tmp_path / "other", settings, "parts_of_batch=3")
