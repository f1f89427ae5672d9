"""What a training shows on its W&B page: one table that grows, curves, settings, the best weights.

Offline: what an offline run records is read back.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import wandb
from PIL import Image

from src.audio import load_audio
from src.data.datamodule import MixtureDataModule
from src.data.items import collate
from src.models.loading import load_model, load_weights
from src.train import train
from src.training import provenance
from src.training.excerpts import MIXTURE, RESYNTHESISED, score_voices, separate_excerpt
from src.training.growing_table import GrowingTable
from src.training.media import COLUMNS, TABLE, MediaLogger, average_scores
from src.training.model_artifact import is_model_missing
from tests.tiny_training import F0, compose_config, overrides, tiny_model, write_choir
from tests.training.offline_run import (
    read_artifacts,
    read_config,
    read_history,
    read_records,
    read_table,
)

pytestmark = pytest.mark.usefixtures("own_wandb")
VOICES = tuple(F0)
TABLE_TYPE = "wandb-run-incremental-table"


@pytest.fixture(scope="module")
def choir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_choir(tmp_path_factory.mktemp("data") / "choir")


@pytest.fixture
def run(choir: Path) -> Callable[..., dict[str, Any]]:
    def run_training(output: Path, *more: str) -> dict[str, Any]:
        every = "callbacks.media.every_n_epochs=2"
        changes = overrides(choir, output, "logger=wandb", every, *more)
        return train(compose_config("train", changes, output), output)

    return run_training


def list_runs(output: Path) -> list[Path]:
    return sorted(output.glob("wandb/offline-run-*"))


def read_rows(run: Path) -> list[list[Any]]:
    return [row for a in read_artifacts(run, TABLE_TYPE) for row in read_table(a)["data"]]


def first_batch(choir: Path) -> dict[str, Any]:
    data = MixtureDataModule(
        "folder",
        4,
        choir.parent / "prepared",
        root=choir,
        f0="stems",
        split={"full": {"train": ["one"], "val": ["two"]}},
        excerpt_seconds=1.0,
        progress=False,
    )
    data.prepare("fit")
    data.setup("fit")
    assert data.val_set is not None
    return collate([data.val_set[0]])


def test_perfect_estimates_score_highest(choir: Path) -> None:
    batch = first_batch(choir)
    worse = batch["sources"] + 0.1 * torch.randn(1, generator=torch.Generator().manual_seed(0))
    scores = score_voices(batch, batch["sources"] + 1e-4, worse)
    assert len(scores) == 4
    assert all(a is not None and b is not None and a > b for a, b in scores)
    silent = {**batch, "sources": torch.zeros_like(batch["sources"])}
    assert score_voices(silent, worse, worse) == [(None, None)] * 4


def test_tracks_of_an_excerpt(choir: Path) -> None:
    batch = first_batch(choir)
    tracks = separate_excerpt(tiny_model(), batch)
    assert [track.voice for track in tracks] == [MIXTURE, RESYNTHESISED, *VOICES]
    assert [track.singer for track in tracks] == [None, None, "1", "1", "1", "1"]
    assert torch.equal(tracks[0].samples, batch["mixture"][0])
    # The masks of all voices sum to one.
    total = sum(track.samples for track in tracks[2:])
    torch.testing.assert_close(total, batch["mixture"][0], atol=1e-3, rtol=0)
    scores = average_scores([tracks, tracks])
    assert scores["val/si_sdr_excerpts/alto"] == tracks[3].si_sdr
    without_stems = {key: value for key, value in batch.items() if key != "sources"}
    assert not average_scores([separate_excerpt(tiny_model(), without_stems)])


def test_intervals_are_checked() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        MediaLogger(every_n_epochs=0)


@pytest.mark.slow
def test_page_of_an_interrupted_training(run: Any, choir: Path, tmp_path: Path) -> None:
    output, plain = tmp_path / "logged", tmp_path / "plain"
    changes = ("n_singers=2", "callbacks.media.n_mixtures=2")
    run(output, "trainer.max_epochs=2", *changes)
    run(output, "trainer.max_epochs=3", *changes)
    assert wandb.run is None
    first, second = list_runs(output)

    # Rows: the mixture once, then everything that changes; the continued run adds its own.
    rows = [dict(zip(COLUMNS, row, strict=True)) for row in (*read_rows(first), *read_rows(second))]
    expected = [(0, e, v) for e in (0, 1) for v in (MIXTURE, RESYNTHESISED, *VOICES[:2])]
    expected += [(2, e, v) for e in (0, 1) for v in (RESYNTHESISED, *VOICES[:2])]
    assert [(r["epoch"], r["excerpt"], r["voice"]) for r in rows] == expected
    for row in rows:
        assert load_audio(row["audio"])[0].shape[-1] == 16_000
        with Image.open(row["picture"]) as picture:
            assert picture.format == "PNG"
        # What is not uploaded yet lies with the run.
        assert row["audio"].is_relative_to(output / "wandb")
        scores = (row["si_sdr"], row["si_sdr_comb"])
        assert all((value is None) == (row["voice"] not in VOICES) for value in scores)
    # Only what is new is logged; it names what came before, also in the next process.
    tables = [
        {name: value for name, value in step.items() if name.startswith(TABLE)}
        for folder in (first, second)
        for step in read_history(folder)
        if f"{TABLE}/artifact_path" in step
    ]
    assert [table[f"{TABLE}/increment_num"] for table in tables] == [0, 1]
    previous = [table[f"{TABLE}/previous_increments_paths"] for table in tables]
    assert previous == [[], [tables[0][f"{TABLE}/artifact_path"]]]

    # Curves, in the step of the losses.
    for folder, epochs in ((first, (0, 1)), (second, (2,))):
        steps = read_history(folder)
        losses = [step["trainer/global_step"] for step in steps if "val/loss" in step]
        assert len(losses) == len(epochs)
        (scores,) = (step for step in steps if "val/si_sdr_excerpts/alto" in step)
        assert scores["trainer/global_step"] == losses[0]
        assert isinstance(scores["val/si_sdr_comb_excerpts/soprano"], float)
        assert all(s["time/seconds_per_step"] > 0 for s in steps if "time/seconds_per_step" in s)
        assert any("time/seconds_per_step" in step for step in steps)

    # Settings and code.
    config = read_config(second)
    assert config["trainer"]["max_epochs"] == 3 and config["model"]["voice"]["order"] == 6
    assert config["code"] == json.loads(json.dumps(provenance.describe_code()))
    assert config["logger"]["wandb"]["save_dir"] == str(output)

    # The best weights.
    models = [a for folder in (first, second) for a in read_artifacts(folder, "model")]
    identity = (output / "wandb" / "run_id").read_text().strip()
    assert [artifact.name for artifact in models] == [f"model-{identity}"] * 2
    assert all({"best", "latest"} == set(artifact.aliases) for artifact in models)
    metadata = json.loads(models[1].metadata)
    result = json.loads((output / "result.json").read_text())
    assert (metadata["epoch"], metadata["val/loss"]) == (
        result["best_epoch"],
        result["best_val_loss"],
    )
    assert metadata["config"]["seed"] == 0
    (entry,) = models[1].manifest.contents
    stored, best = load_model(entry.local_path), load_model(result["best_checkpoint"])
    assert all(torch.equal(a, b) for a, b in zip(stored.parameters(), best.parameters(), strict=1))
    load_weights(tiny_model(), entry.local_path)
    assert str(tmp_path).encode() not in Path(entry.local_path).read_bytes()

    # Looking at a training does not change it, nor its curves in the CSV file.
    unwatched = overrides(choir, plain, "trainer.max_epochs=3", "n_singers=2")
    train(compose_config("train", unwatched, plain), plain)
    states = [
        torch.load(o / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
        for o in (plain, output)
    ]
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
    assert (plain / "csv/version_0/metrics.csv").read_bytes() == (
        output / "csv/version_1/metrics.csv"
    ).read_bytes()


def test_rows_of_a_killed_process_are_not_doubled(tmp_path: Path) -> None:
    table = GrowingTable("t", {"epoch": int, "voice": str})
    with wandb.init(mode="offline", dir=tmp_path) as page:
        assert table.is_empty(page)
        table.log(page, [[0, "alto"]])
        checkpoint = table.state_dict()
        table.log(page, [[1, "alto"]])  # killed before the next checkpoint
        continued = GrowingTable("t", {"epoch": int, "voice": str})
        continued.load_state_dict(checkpoint)
        assert not continued.is_empty(page)
        continued.log(page, [[1, None]], loss=2.0)
    (folder,) = list_runs(tmp_path)
    first, _, last = read_history(folder)
    assert last["t/increment_num"] == 1 and last["loss"] == 2.0
    assert last["t/previous_increments_paths"] == [first["t/artifact_path"]]


def test_weights_are_neither_lost_nor_doubled(run: Any, tmp_path: Path) -> None:
    output = tmp_path / "run"
    limits = ("trainer.max_epochs=1", "callbacks.media=null")
    run(output, *limits)
    assert not is_model_missing(output)
    (folder,) = list_runs(output)
    run(output, *limits)
    assert list_runs(output) == [folder]
    # Killed between the last checkpoint and the artifact:
    (output / "wandb" / "model_logged").unlink()
    run(output, *limits)
    first, second = (read_artifacts(folder, "model") for folder in list_runs(output))
    assert first[0].digest == second[0].digest  # W&B makes no new version
    assert not is_model_missing(output)


def test_no_artifact_and_no_page(run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    output = tmp_path / "run"
    run(output, "trainer.max_epochs=1", "callbacks.media=null", "logger.wandb.artifact=false")
    (folder,) = list_runs(output)
    assert not read_artifacts(folder, "model")
    monkeypatch.setenv("WANDB_MODE", "disabled")
    wandb.teardown()
    run(tmp_path / "other", "trainer.max_epochs=1")
    assert not list_runs(tmp_path / "other")


def test_system_metrics_are_on(run: Any, tmp_path: Path) -> None:
    run(tmp_path / "run", "trainer.max_epochs=1", "callbacks.media=null")
    (folder,) = list_runs(tmp_path / "run")
    names = {i.key for r in read_records(folder) if r.HasField("stats") for i in r.stats.item}
    assert "proc.memory.rssMB" in names


def test_code_in_a_repository(tmp_path: Path) -> None:
    if shutil.which("git") is None:
        pytest.skip("git is missing")

    def git(*arguments: str) -> str:
        person = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
        command = ["git", "-C", str(tmp_path), *person, *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    assert provenance.describe_code(tmp_path)["git"] is None
    git("init", "--quiet")
    (tmp_path / "file").write_text("a")
    git("add", "file")
    git("commit", "--quiet", "--message", "a")
    described = provenance.describe_code(tmp_path)
    assert described["git"] == git("rev-parse", "HEAD") and described["git_dirty"] is False
    (tmp_path / "file").write_text("b")
    assert provenance.describe_code(tmp_path)["git_dirty"] is True
    # A wheel that is installed inside of somebody's repository.
    inside = tmp_path / "site-packages"
    inside.mkdir()
    assert provenance.describe_code(inside)["git"] is None


def test_code_without_git(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    described = provenance.describe_code()
    assert described["git"] is None and described["git_dirty"] is None
    assert described["torch"] == torch.__version__
