"""Training runs: from the command line to the checkpoint, and after accidents."""

from __future__ import annotations

import itertools
import json
import logging
import os
import signal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest
import pytorch_lightning as pl
import torch
from hydra.utils import instantiate

from src.errors import TrainingDivergedError
from src.models.lit import UnsupervisedTraining
from src.models.loading import CheckpointError, load_model
from src.train import train
from src.training.checkpoints import AtomicCheckpointIO
from src.training.run_folder import find_last_version
from tests.processes import Done, assert_same_learning, run_python
from tests.tiny_training import compose_config, overrides, write_choir

# Twelve training excerpts in an epoch.
TWELVE = ("data.size=small", "data.split.small.train=[one]", "data.split.small.val=[two]")


@pytest.fixture(scope="module")
def choir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_choir(tmp_path_factory.mktemp("data") / "choir", seconds=4)


def run(choir: Path, output: Path, *more: str) -> dict[str, Any]:
    """Train in this process."""
    return train(compose_config("train", overrides(choir, output, *more), output), output)


def run_command(choir: Path, output: Path, *more: str) -> Done:
    return run_python("-m", "src.train", *overrides(choir, output, *more))


def last(output: Path) -> dict[str, Any]:
    return torch.load(output / "checkpoints" / "last.ckpt", weights_only=True)


def assert_same_weights(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> None:
    assert a.keys() == b.keys()
    assert [name for name in a if not torch.equal(a[name], b[name])] == []


def curve(output: Path, metric: str) -> list[float]:
    """Of the newest table, which holds all lines so far."""
    table = pd.read_csv(output / f"csv/version_{find_last_version(output)}/metrics.csv")
    return table[metric].dropna().tolist()


def test_a_run_leaves_losses_checkpoints_and_a_result(choir: Path, tmp_path: Path) -> None:
    output = tmp_path / "run"
    result = run(choir, output, "trainer.max_epochs=4", "model.lr=1e-2")
    assert result == json.loads((output / "result.json").read_text())
    assert result["epochs"] == 4 and result["steps"] == 8
    losses = curve(output, "val/loss")
    assert len(losses) == len(curve(output, "train/loss")) == 4
    assert losses[-1] < losses[0]
    assert result["best_val_loss"] == pytest.approx(min(losses), rel=1e-6)

    # Validation is deterministic: the stored weights give the stored loss.
    cfg = compose_config("train", overrides(choir, output), output)
    model = instantiate(cfg.model)
    model.load_state_dict(last(output)["state_dict"])
    trainer = pl.Trainer(accelerator="cpu", logger=False, enable_progress_bar=False)
    data = instantiate(cfg.data, _convert_="all")
    for _ in range(2):
        (scores,) = trainer.validate(model, data, verbose=False)
        assert scores["val/loss"] == result["val_loss"]


def test_supervised_training_and_other_numbers_of_singers(choir: Path, tmp_path: Path) -> None:
    output = tmp_path / "run"
    run(choir, output, "model=sv", "n_singers=2", "trainer.max_epochs=1")
    model = load_model(output / "checkpoints" / "best.ckpt")
    mixture, f0 = torch.randn(1, 4000), torch.full((1, 3, 16), 200.0)
    assert model(mixture, f0, torch.zeros(1, dtype=torch.int64))[0].shape == (1, 3, 4000)


def test_trained_weights_can_be_the_beginning(choir: Path, tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    run(choir, first, "model=sv", "trainer.max_epochs=1")
    best = first / "checkpoints" / "best.ckpt"
    init = (f"init={best}", "trainer.max_epochs=1", "model.weight_decay=0")
    # Without a step to speak of, the weights remain what they were.
    run(choir, second, *init, "model.lr=1e-30")
    assert_same_weights(last(second)["state_dict"], torch.load(best)["state_dict"])
    with pytest.raises(FileExistsError, match="another init"):
        run(choir, second, "model.lr=1e-30", "model.weight_decay=0", "trainer.max_epochs=1")
    with pytest.raises(CheckpointError, match=r"init=.*weights of another network"):
        run(choir, tmp_path / "third", *init, "model.voice.order=8")
    with pytest.raises(CheckpointError, match="no such checkpoint.*set init"):
        run(choir, tmp_path / "third", "init=none.ckpt")


@pytest.mark.slow
def test_killed_and_continued_equals_never_stopped(choir: Path, tmp_path: Path) -> None:
    # A schedule that moves every other epoch: its state must survive, too.
    changes = (
        "data.size=small",
        "data.split.small.train=[one]",
        "data.split.small.val=[two]",
        "model.lr=1e-2",
        "model.lr_decay=0.5",
        "model.lr_decay_epochs=2",
        "trainer.max_epochs=6",
    )
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    straight = run(choir, whole, *changes)

    killer = "+callbacks.killer={_target_:tests.killing.KillAt,epoch:3}"
    killed = run_command(choir, broken, *changes, killer)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert last(broken)["epoch"] == 2

    continued = run_command(choir, broken, *changes)
    assert continued.returncode == 0, continued.stderr
    assert "continuing from" in continued.stdout
    assert "epoch 6/6: train loss" in continued.stdout
    assert_same_learning(last(broken)["state_dict"], last(whole)["state_dict"])
    result = json.loads((broken / "result.json").read_text())
    for key in ("epochs", "steps"):
        assert result[key] == straight[key]
    for key in ("val_loss", "best_val_loss"):
        assert result[key] == pytest.approx(straight[key], rel=5e-3)
    best = [torch.load(o / "checkpoints/best.ckpt", weights_only=True) for o in (whole, broken)]
    assert best[0]["epoch"] == best[1]["epoch"]
    assert_same_learning(best[1]["state_dict"], best[0]["state_dict"])


def test_finished_runs_are_not_repeated_but_can_be_prolonged(
    choir: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    output = tmp_path / "run"
    first = run(choir, output, "trainer.max_epochs=1")
    before = (output / "checkpoints" / "last.ckpt").read_bytes()
    assert run(choir, output, "trainer.max_epochs=1") == first
    assert "finished already: 1 epochs are done; set trainer.max_epochs higher" in caplog.text
    assert (output / "checkpoints" / "last.ckpt").read_bytes() == before

    assert run(choir, output, "trainer.max_epochs=2")["epochs"] == 2
    assert len(curve(output, "val/loss")) == 2


def test_early_stopping_finishes_a_run(
    choir: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    output = tmp_path / "run"
    stops = ("+callbacks.early_stopping.min_delta=100", "callbacks.early_stopping.patience=1")
    assert run(choir, output, *stops)["epochs"] == 2
    assert run(choir, output, *stops)["epochs"] == 2
    assert "finished already: no better validation loss for 1 epochs" in caplog.text
    patient = (stops[0], "callbacks.early_stopping.patience=2")
    assert run(choir, output, *patient)["epochs"] == 3


def test_time_limit_stops_and_the_run_continues(
    choir: Path,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    caplog.set_level(logging.INFO)
    # A clock that goes on by 0.1 s whenever it is looked at, so that every machine is as fast.
    clock = SimpleNamespace(monotonic=(0.1 * i for i in itertools.count()).__next__)
    monkeypatch.setattr("pytorch_lightning.callbacks.timer.time", clock)
    output = tmp_path / "run"
    epochs = run(choir, output, "trainer.max_time='00:00:00:01'")["epochs"]
    assert 1 < epochs < 10
    assert run(choir, output, "trainer.max_time='00:00:00:01'")["epochs"] == epochs
    assert "s of training are over; set trainer.max_time higher" in caplog.text
    more = run(choir, output, f"trainer.max_epochs={epochs + 1}")
    assert more["epochs"] == epochs + 1


def test_other_configurations_are_refused_until_overwritten(choir: Path, tmp_path: Path) -> None:
    output = tmp_path / "run"
    run(choir, output, "trainer.max_epochs=2")
    with pytest.raises(FileExistsError, match=r"another model\.lr; set overwrite=true"):
        run(choir, output, "model.lr=1e-3")
    with pytest.raises(FileExistsError, match=r"n_singers, data\.n_singers;"):
        run(choir, output, "n_singers=2")
    # Where and how fast is no other configuration.
    assert run(choir, output, "trainer.max_epochs=2", "data.pin_memory=true")["epochs"] == 2

    assert (
        run(choir, output, "model.lr=1e-3", "overwrite=true", "trainer.max_epochs=1")["epochs"] == 1
    )
    assert [path.name for path in (output / "csv").iterdir()] == ["version_0"]
    assert len(curve(output, "val/loss")) == 1
    assert last(output)["hyper_parameters"]["lr"] == 1e-3
    assert run(choir, output, "model.lr=1e-3", "trainer.max_epochs=2")["epochs"] == 2


def test_damaged_runs_are_named(choir: Path, tmp_path: Path) -> None:
    output = tmp_path / "run"
    run(choir, output, "trainer.max_epochs=1")
    checkpoint = output / "checkpoints" / "last.ckpt"
    checkpoint.write_bytes(checkpoint.read_bytes()[:1000])
    with pytest.raises(ValueError, match=r"last\.ckpt: not a checkpoint to continue from"):
        run(choir, output, "trainer.max_epochs=2")
    (output / "config.yaml").write_text("a: [")
    with pytest.raises(ValueError, match=r"config\.yaml: not readable"):
        run(choir, output, "trainer.max_epochs=2")
    (output / "config.yaml").unlink()
    with pytest.raises(ValueError, match="overwrite=true"):
        run(choir, output, "trainer.max_epochs=2")
    assert run(choir, output, "trainer.max_epochs=1", "overwrite=true")["epochs"] == 1


def test_divergence_leaves_the_last_checkpoint(
    choir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = tmp_path / "run"
    run(choir, output, "trainer.max_epochs=1")
    before = (output / "checkpoints" / "last.ckpt").read_bytes()
    compute = UnsupervisedTraining.loss
    with monkeypatch.context() as patch:
        patch.setattr(UnsupervisedTraining, "loss", lambda *args: compute(*args) * float("nan"))
        with pytest.raises(TrainingDivergedError, match="training loss became nan in epoch 2"):
            run(choir, output, "trainer.max_epochs=3")
    assert (output / "checkpoints" / "last.ckpt").read_bytes() == before
    gentler = ("trainer.max_epochs=2", "trainer.gradient_clip_val=0.1")
    assert run(choir, output, *gentler)["epochs"] == 2


def test_epochs_that_are_no_better_are_not_lost(choir: Path, tmp_path: Path) -> None:
    output = tmp_path / "run"
    still = ("model.lr=0.0", "callbacks.averaging=null")
    result = run(choir, output, "trainer.max_epochs=3", *still)
    assert last(output)["epoch"] == 2 and result["epochs"] == 3
    assert torch.load(output / "checkpoints" / "best.ckpt", weights_only=True)["epoch"] == 0
    losses = curve(output, "val/loss")
    assert result["best_val_loss"] == pytest.approx(losses[0], rel=1e-6)
    assert result["val_loss"] == pytest.approx(losses[-1], rel=1e-6)
    prolonged = run(choir, output, "trainer.max_epochs=4", *still)
    assert prolonged["epochs"] == 4 and prolonged["steps"] == 4 * result["steps"] // 3


def test_interrupted_writing_leaves_the_old_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "last.ckpt"
    AtomicCheckpointIO().save_checkpoint({"epoch": 1}, path)

    def fail(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(KeyboardInterrupt):
        AtomicCheckpointIO().save_checkpoint({"epoch": 2}, path)
    assert torch.load(path, weights_only=True) == {"epoch": 1}


@pytest.mark.slow
def test_dry_run_and_mistakes_on_the_command_line(choir: Path, tmp_path: Path) -> None:
    output = tmp_path / "run"
    run(choir, output, "trainer.max_epochs=1")
    before = {file: file.read_bytes() for file in output.rglob("*.*") if file.is_file()}
    dry = run_command(choir, output, "trainer.fast_dev_run=true")
    assert dry.returncode == 0, dry.stderr
    for noise in ("litlogger", "litmodels", "LeafSpec", "infer the `batch_size`", "workers"):
        assert noise not in dry.stdout + dry.stderr
    products = {f for f in output.rglob("*.*") if f.is_file() and f.parent.name != ".hydra"}
    assert {f.name for f in products - before.keys()} <= {"train.log"}
    assert all(f.read_bytes() == content for f, content in before.items())

    wrong = run_command(choir, tmp_path / "other", f"data.root={tmp_path / 'nowhere'}")
    assert wrong.returncode == 1
    message = wrong.stderr.strip().splitlines()[-1]
    assert message.startswith("error: ") and "nowhere" in message
    assert "Traceback" not in wrong.stderr


@pytest.mark.parametrize("n", [pytest.param(n, marks=pytest.mark.slow) for n in (2, 4)])
def test_several_processes_learn_what_one_learns(choir: Path, tmp_path: Path, n: int) -> None:
    """The same global batch; the second step of an epoch has other excerpts than the first."""
    one, several = tmp_path / "one", tmp_path / "several"
    changes = ("model.lr=1e-3", "trainer.max_epochs=3", *TWELVE)
    run(choir, one, *changes, "data.batch_size=4")
    spy = (
        "+callbacks.weights._target_=tests.tiny_training.RankWeights",
        f"+callbacks.weights.folder={tmp_path}",
    )
    parallel = ("trainer=ddp_cpu", f"trainer.devices={n}", f"data.batch_size={4 // n}")
    result = run_command(choir, several, *changes, *parallel, *spy)
    assert result.returncode == 0, result.stderr
    assert result.stdout.count("epoch 3/3: train loss") == 1
    ranks = [torch.load(tmp_path / f"rank{r}.pt", weights_only=True) for r in range(n)]
    for other in ranks[1:]:
        assert_same_learning(other, ranks[0])
    # Gradients of equal shards are averaged: the same as the gradient of the whole batch.
    assert json.loads((several / "result.json").read_text())["steps"] == 9
    for metric in ("train/loss", "val/loss"):
        assert curve(several, metric) == pytest.approx(curve(one, metric), rel=1e-4)
    norms = [curve(output, "train/gradient_norm") for output in (several, one)]
    assert norms[0] == pytest.approx(norms[1], rel=1e-2)


@pytest.mark.parametrize(("whole", "part"), [(4, 2), (8, 4), (10, 5)])
def test_accumulated_gradients_are_those_of_the_whole_batch(
    choir: Path, tmp_path: Path, whole: int, part: int
) -> None:
    """12 excerpts: full steps only; a last step of one batch; and one of a short batch."""
    changes = ("model.lr=1e-3", "trainer.max_epochs=3", *TWELVE)
    one, accumulated = tmp_path / "one", tmp_path / "accumulated"
    steps = run(choir, one, *changes, f"data.batch_size={whole}")["steps"]
    halves = (f"data.batch_size={part}", "trainer.accumulate_grad_batches=2")
    assert run(choir, accumulated, *changes, *halves)["steps"] == steps == 3 * -(-12 // whole)
    for metric in ("train/loss", "val/loss"):
        assert curve(accumulated, metric) == pytest.approx(curve(one, metric), rel=1e-4)
    assert curve(accumulated, "train/lr") == curve(one, "train/lr")
    # Adam hardly notices the scale of a gradient; its norm, and so the clipping, does.
    norms = [curve(output, "train/gradient_norm") for output in (accumulated, one)]
    assert norms[0] == pytest.approx(norms[1], rel=1e-2)


@pytest.mark.slow
def test_sweep_trains_every_value_in_a_folder_of_its_own(choir: Path, tmp_path: Path) -> None:
    changes = [c for c in overrides(choir, tmp_path) if not c.startswith("output=")]
    changes += [f"paths.output_dir={tmp_path}", "seed=0,1", "trainer.max_epochs=1"]
    # A folder's name holds every override, and the names of folders end at 255 letters.
    others = ",".join(c.partition("=")[0] for c in changes if not c.startswith("seed="))
    named = f"hydra.job.config.override_dirname.exclude_keys=[{others}]"
    result = run_python("-m", "src.train", "-m", *changes, named)
    assert result.returncode == 0, result.stderr
    folders = sorted(file.parent for file in tmp_path.rglob("result.json"))
    assert [folder.name for folder in folders] == ["seed=0", "seed=1"]
    a, b = (last(folder)["state_dict"] for folder in folders)
    assert any(not torch.equal(a[name], b[name]) for name in a)


@pytest.mark.slow
def test_real_singers(shared_dir: Path, tmp_path: Path) -> None:
    changes = [
        "data=csd",
        f"data.root={shared_dir / 'data' / 'csd_nino_dios'}",
        f"paths.cache_dir={tmp_path / 'prepared'}",
        "model.estimator.encoder_width=8",
        "model.estimator.decoder_width=8",
        "data.excerpt_seconds=1",
        "+trainer.limit_train_batches=2",
        "+trainer.limit_val_batches=1",
        "trainer=cpu",
        "trainer.max_epochs=1",
        f"output={tmp_path / 'run'}",
    ]
    result = train(compose_config("train", changes, tmp_path / "run"), tmp_path / "run")
    assert result["best_val_loss"] > 0
