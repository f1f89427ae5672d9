"""What a training's folder holds is not lost: moves, missing and damaged files, two processes."""

from __future__ import annotations

import json
import logging
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from src.claims import ClaimedError, claim
from src.errors import OutputExistsError, UmssError
from src.train import train
from src.training.checkpoints import AtomicCheckpointIO
from src.training.run_folder import find_last_checkpoint
from tests.processes import Done, run_python
from tests.tiny_training import compose_config, overrides, write_choir

# Every epoch after the first is worse.
WORSE = ("model.lr=1.0", "callbacks.averaging=null")


@pytest.fixture(scope="module")
def choir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_choir(tmp_path_factory.mktemp("data") / "choir", seconds=4)


def run(choir: Path, output: Path, *more: str) -> dict[str, Any]:
    """Train in this process, by default one epoch of a training that gets worse."""
    changes = ("trainer.max_epochs=1", *WORSE, *more)
    return train(compose_config("train", overrides(choir, output, *changes), output), output)


def run_command(choir: Path, output: Path, *more: str) -> Done:
    changes = overrides(choir, output, "trainer.max_epochs=1", *WORSE, *more)
    return run_python("-m", "src.train", *changes)


@pytest.fixture(scope="module")
def one_epoch(choir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of one epoch."""
    output = tmp_path_factory.mktemp("runs") / "run"
    run(choir, output)
    return output


@pytest.fixture
def output(one_epoch: Path, tmp_path: Path) -> Path:
    """A copy of the run in another folder."""
    return Path(shutil.copytree(one_epoch, tmp_path / "copy"))


def read_files(folder: Path) -> dict[str, bytes]:
    """Contents by name of what a run holds, without Hydra's log."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.suffix != ".log"
    }


def read_result(output: Path) -> dict[str, Any]:
    return json.loads((output / "result.json").read_text())


def best(output: Path) -> Path:
    return output / "checkpoints" / "best.ckpt"


def last(output: Path) -> Path:
    return output / "checkpoints" / "last.ckpt"


def copy_run(output: Path, how: str) -> Path:
    if how == "renamed":
        return output.rename(output.with_name("renamed"))
    if how == "linked":
        link = output.with_name("link")
        link.symlink_to(output)
        return link
    if how == "linked checkpoints":
        elsewhere = (output / "checkpoints").rename(output.with_name("elsewhere"))
        (output / "checkpoints").symlink_to(elsewhere)
        return output
    if how == "relative":
        return Path(os.path.relpath(output))
    return output


@pytest.mark.slow
@pytest.mark.parametrize("how", ["copied", "renamed", "linked", "linked checkpoints", "relative"])
def test_a_moved_run_keeps_its_best(choir: Path, output: Path, how: str) -> None:
    weights, score = best(output).read_bytes(), read_result(output)["best_val_loss"]
    place = copy_run(output, how)
    result = run(choir, place, "trainer.max_epochs=2")
    assert result["val_loss"] > result["best_val_loss"] == score
    assert result["epochs"] == 2 and result["best_epoch"] == 1
    assert best(place).read_bytes() == weights
    assert Path(result["best_checkpoint"]) == best(place).resolve()
    # And again, from a checkpoint that was written at the second place.
    third = place.resolve().rename(place.resolve().with_name("third"))
    result = run(choir, third, "trainer.max_epochs=3")
    assert result["best_val_loss"] == score and best(third).read_bytes() == weights
    assert Path(result["best_checkpoint"]) == best(third).resolve()


def test_a_copy_leaves_the_original_alone(choir: Path, one_epoch: Path, output: Path) -> None:
    before = read_files(one_epoch)
    run(choir, output, "trainer.max_epochs=3", "model.lr=1e-3", "overwrite=true")
    assert read_files(one_epoch) == before


def test_a_finished_run_that_moved_says_where_it_is(choir: Path, output: Path) -> None:
    (output / "result.json").unlink()
    result = run(choir, output)
    assert result == read_result(output)
    assert Path(result["best_checkpoint"]) == best(output).resolve()
    assert result["val_loss"] == result["best_val_loss"]


@pytest.mark.parametrize("change", ["seed=7", "seed=0"])
def test_a_best_without_a_last_is_not_replaced(choir: Path, output: Path, change: str) -> None:
    last(output).unlink()
    before = read_files(output)
    with pytest.raises(OutputExistsError, match=r"best\.ckpt: last\.ckpt.*overwrite=true.*init="):
        run(choir, output, change)
    assert read_files(output) == before
    assert run(choir, output, change, "overwrite=true")["epochs"] == 1


def test_a_result_without_checkpoints_is_not_replaced(choir: Path, output: Path) -> None:
    shutil.rmtree(output / "checkpoints")
    with pytest.raises(OutputExistsError, match=r"result\.json: .*overwrite=true.*output=DIR"):
        run(choir, output)
    (output / "result.json").unlink()
    run(choir, output)
    # The former run's metrics are still there.
    assert {path.name for path in (output / "csv").iterdir()} == {"version_0", "version_1"}


@pytest.mark.parametrize("damage", ["missing", "truncated"])
def test_a_lost_best_is_not_claimed(
    choir: Path, output: Path, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    score = read_result(output)["best_val_loss"]
    if damage == "missing":
        best(output).unlink()
    else:
        best(output).write_bytes(best(output).read_bytes()[:1000])
    result = run(choir, output)  # finished already
    assert "best.ckpt: missing or damaged, so the weights" in caplog.text
    assert result["best_checkpoint"] is None and result["best_epoch"] is None
    assert result["best_val_loss"] == result["val_loss"] == score
    result = run(choir, output, "trainer.max_epochs=2")
    assert read_result(output) == result
    assert result["best_checkpoint"] is None and result["best_val_loss"] == score


def test_a_damaged_last_names_the_remedies(choir: Path, output: Path) -> None:
    last(output).write_bytes(last(output).read_bytes()[:5000])
    before = read_files(output)
    with pytest.raises(UmssError, match=r"last\.ckpt: .*overwrite=true.*output=DIR.*init=.*best"):
        run(choir, output, "trainer.max_epochs=2")
    assert read_files(output) == before


def test_missing_configuration_and_moved_recordings(choir: Path, output: Path) -> None:
    elsewhere = f"data.root={output.parent}"
    with pytest.raises(OutputExistsError, match=r"another data\.root;.*correct data\.root in"):
        run(choir, output, elsewhere)
    (output / "config.yaml").unlink()
    before = read_files(output)
    with pytest.raises(UmssError, match=r"config\.yaml: missing.*put the file back"):
        run(choir, output, "trainer.max_epochs=2")
    assert read_files(output) == before


def test_missing_metrics_begin_again(choir: Path, output: Path) -> None:
    shutil.rmtree(output / "csv")
    assert run(choir, output, "trainer.max_epochs=2")["epochs"] == 2
    lines = (output / "csv" / "version_0" / "metrics.csv").read_text().splitlines()
    # The checkpoint still knew the training loss of the first epoch.
    assert [line.split(",")[0] for line in lines] == ["epoch", "0", "1", "1"]


@pytest.mark.slow
def test_a_continued_run_goes_on_in_its_metrics(choir: Path, output: Path, tmp_path: Path) -> None:
    table = output / "csv" / "version_0" / "metrics.csv"
    # As if the process had died before the last line, in the middle of it, or later.
    for damage in (lambda t: t.rsplit("\n", 2)[0] + "\n", lambda t: t[:-9], lambda t: t + "9,9,,9"):
        copy = Path(shutil.copytree(output, tmp_path / f"run{id(damage)}"))
        table = copy / "csv" / "version_0" / "metrics.csv"
        damaged = damage(table.read_text())
        table.write_text(damaged)
        run(choir, copy, "trainer.max_epochs=3")
        assert table.read_text() == damaged  # what a run has written is not changed by another
    run(choir, output, "trainer.max_epochs=3")
    straight = tmp_path / "straight"
    run(choir, straight, "trainer.max_epochs=3")
    wanted = (straight / "csv" / "version_0" / "metrics.csv").read_text()
    tables = sorted(tmp_path.glob("*/csv/version_1/metrics.csv"))
    assert len(tables) == 4
    assert [path for path in tables if path.read_text() != wanted] == []


def test_a_finished_run_gets_its_last_line_of_metrics(choir: Path, output: Path) -> None:
    table = output / "csv" / "version_0" / "metrics.csv"
    wanted = table.read_text()
    for damage in (wanted.rsplit("\n", 2)[0] + "\n", wanted[:-9], wanted):
        table.write_text(damage)
        run(choir, output)
        assert table.read_text() == wanted


def test_remains_of_a_killed_run_disappear(choir: Path, output: Path) -> None:
    remains = [
        output / "checkpoints" / ".last.ckpt.tmp",
        output / "checkpoints" / ".best.x7_k2.ckpt",
        output / ".result.abcd.json",
    ]
    for path in remains:
        path.write_bytes(b"half")
    mine = output / "checkpoints" / "mine.ckpt"
    mine.write_bytes(b"")
    run(choir, output, "trainer.max_epochs=2")
    assert mine.exists() and not any(path.exists() for path in remains)


def test_overwriting_removes_what_the_run_wrote_and_nothing_else(choir: Path, output: Path) -> None:
    own = ["checkpoints/mine.ckpt", "csv/notes.txt", "csv/version_0/plot.png", "wandb/my.txt", "a"]
    for name in own:
        (output / name).parent.mkdir(exist_ok=True)
        (output / name).write_text("mine")
    former = ["csv/version_3/metrics.csv", "wandb/run_id", "wandb/offline-run-1/x.wandb"]
    for name in former:
        (output / name).parent.mkdir(parents=True, exist_ok=True)
        (output / name).write_text("former")
    before = read_files(output)
    with pytest.raises(ValueError, match="nowhere"):
        run(choir, output, "overwrite=true", f"data.root={output / 'nowhere'}")
    assert read_files(output) == before
    with pytest.raises(UmssError, match=r"init=.*overwrite=true would remove this file"):
        run(choir, output, "overwrite=true", f"init={best(output)}")
    assert read_files(output) == before

    run(choir, output, "overwrite=true", "model.lr=1e-3", "callbacks.checkpoint=null")
    files = read_files(output)
    assert all(files[name] == b"mine" for name in own)
    assert not any(name in files for name in former)
    assert not best(output).exists() and read_result(output)["best_checkpoint"] is None


def test_overwriting_removes_checkpoints_of_other_names(choir: Path, tmp_path: Path) -> None:
    output = tmp_path / "run"
    several = ("callbacks.checkpoint.filename='{epoch}'", "+callbacks.checkpoint.save_top_k=2")
    run(choir, output, "trainer.max_epochs=2", *several)
    assert (output / "checkpoints" / "epoch=1.ckpt").is_file()
    run(choir, output, "overwrite=true")
    names = {path.name for path in (output / "checkpoints").iterdir()}
    assert names == {"best.ckpt", "last.ckpt"}


@pytest.mark.slow
def test_two_processes_do_not_share_a_folder(choir: Path, output: Path) -> None:
    before = read_files(output)
    with claim(output):
        for more in ("trainer.max_epochs=2", "overwrite=true", "seed=3"):
            with pytest.raises(ClaimedError, match="is writing here"):
                run(choir, output, more)
        assert run(choir, output, "trainer.fast_dev_run=true") == {}
        refused = run_command(choir, output, "overwrite=true")
        assert refused.returncode == 1
        assert "is writing here" in refused.stderr and "Traceback" not in refused.stderr
        files = read_files(output)
        files.pop(".umss.lock")
        assert files == before
    assert run(choir, output, "trainer.max_epochs=2")["epochs"] == 2


def test_further_processes_of_ddp_do_not_claim(
    choir: Path, output: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from src.training.run_folder import claim_folder, rank_zero_only

    with claim_folder(output):
        monkeypatch.setattr(rank_zero_only, "rank", 1)
        with claim_folder(output):
            pass


@pytest.mark.slow
def test_a_limit_of_steps_within_an_epoch(
    choir: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """An epoch has two steps; a run that was stopped within one continues with a fresh one."""
    caplog.set_level(logging.INFO)
    output = tmp_path / "run"
    counts = ("epochs", "steps")
    result = run(choir, output, "trainer.max_steps=1", "trainer.max_epochs=9")
    assert result == read_result(output)
    assert [result[name] for name in counts] == [1, 1]
    assert result["val_loss"] == result["best_val_loss"] is not None
    assert run(choir, output, "trainer.max_steps=1", "trainer.max_epochs=9") == result
    assert "finished already: 1 steps are done" in caplog.text
    for changes, wanted in (
        (("trainer.max_steps=4", "trainer.max_epochs=9"), [3, 4]),
        (("trainer.max_epochs=4",), [4, 6]),
        (("trainer.max_steps=8", "trainer.max_epochs=null"), [5, 8]),
        (("trainer.max_epochs=6",), [6, 10]),
    ):
        result = run(choir, output, *changes)
        assert [result[name] for name in counts] == wanted
        assert result["val_loss"] is not None


@pytest.mark.parametrize("limit", ["trainer.max_steps=0", "trainer.max_time='00:00:00:00'"])
def test_no_time_for_a_step(choir: Path, tmp_path: Path, limit: str) -> None:
    run(choir, tmp_path / "run", limit, "trainer.max_epochs=9")
    assert run(choir, tmp_path / "run")["epochs"] == 1


def test_the_last_epoch_may_have_no_validation(choir: Path, tmp_path: Path) -> None:
    output = tmp_path / "run"
    every = "+trainer.check_val_every_n_epoch=2"
    result = run(choir, output, "trainer.max_epochs=3", every)
    validated = run(choir, tmp_path / "two", "trainer.max_epochs=2", every)
    assert result["val_loss"] == validated["val_loss"] is not None
    assert run(choir, output, "trainer.max_epochs=3", every)["val_loss"] == result["val_loss"]


def test_a_run_without_validation_ends_well(choir: Path, tmp_path: Path) -> None:
    result = run(choir, tmp_path / "run", "+trainer.limit_val_batches=0")
    assert result["epochs"] == 1 and last(tmp_path / "run").is_file()
    assert [value for name, value in result.items() if "val" in name or "best" in name] == [
        None
    ] * 4


@pytest.mark.slow
def test_a_full_disk_is_named(tmp_path: Path) -> None:
    program = (
        "import resource, torch; from src.training.checkpoints import AtomicCheckpointIO; "
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000)); "
        f"AtomicCheckpointIO().save_checkpoint({{'a': torch.zeros(10**6)}}, {str(tmp_path)!r}"
        " + '/last.ckpt')"
    )
    done = run_python("-c", program)
    message = done.stderr.strip().splitlines()[-1]
    assert "File too large" in message and "last.ckpt" in message
    assert list(tmp_path.iterdir()) == []


def test_faults_of_the_program_are_no_full_disk(tmp_path: Path) -> None:
    class Fault:
        def __reduce__(self) -> Any:
            raise RuntimeError("a fault")

    with pytest.raises(RuntimeError, match="a fault"):
        AtomicCheckpointIO().save_checkpoint({"a": Fault()}, tmp_path / "last.ckpt")


def test_a_run_killed_before_its_first_last_checkpoint_begins_again(
    choir: Path, output: Path
) -> None:
    wanted = torch.load(last(output), weights_only=True)["state_dict"]
    last(output).unlink()
    (output / "result.json").unlink()
    (output / "checkpoints" / ".first_epoch").write_text("0\n")
    with pytest.raises(OutputExistsError, match="another seed"):
        run(choir, output, "seed=7")
    run(choir, output)
    found = torch.load(last(output), weights_only=True)["state_dict"]
    assert all(torch.equal(found[name], wanted[name]) for name in wanted)
    assert [path.name for path in (output / "csv").iterdir()] == ["version_0"]
    assert not (output / "checkpoints" / ".first_epoch").exists()


def test_an_empty_folder_holds_no_run(tmp_path: Path) -> None:
    assert find_last_checkpoint(tmp_path, {}) is None
