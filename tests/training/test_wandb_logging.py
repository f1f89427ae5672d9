"""Weights & Biases, offline: no questions, no network, and the right things logged."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import wandb
from matplotlib.figure import Figure

from src.data.datamodule import MixtureDataModule
from src.plots import save_figure
from src.train import train
from src.training.wandb_logging import (
    COLUMNS,
    MediaLogger,
    build_logger,
    build_media,
    finish_runs,
    is_logged_in,
    log_report,
    tabulate_scores,
)
from tests.tiny_training import compose_config, overrides, tiny_model, write_choir


@pytest.fixture(autouse=True)
def _isolated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No credentials, no settings and no folders of the person who runs the tests."""
    for name in ("API_KEY", "MODE", "IDENTITY_TOKEN_FILE", "BASE_URL", "PROJECT"):
        monkeypatch.delenv(f"WANDB_{name}", raising=False)
    for name in ("CACHE_DIR", "DATA_DIR", "CONFIG_DIR"):
        monkeypatch.setenv(f"WANDB_{name}", str(tmp_path / name))
    monkeypatch.setenv("WANDB_SILENT", "true")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    # The library reads the environment once, and keeps what it read for the process.
    wandb.teardown()
    yield
    wandb.teardown()


@pytest.fixture(scope="module")
def choir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_choir(tmp_path_factory.mktemp("data") / "choir")


def test_credentials_are_found_without_asking(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not is_logged_in()
    file = tmp_path / "netrc"
    file.write_text("machine api.wandb.ai login user password not-a-key\n")
    file.chmod(0o600)
    assert is_logged_in()
    monkeypatch.setenv("WANDB_BASE_URL", "https://wandb.example.org")
    assert not is_logged_in()
    file.write_text("machine \n broken")
    assert not is_logged_in()
    monkeypatch.setenv("WANDB_API_KEY", "not-a-key")
    assert is_logged_in()


def test_mode(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert build_logger(tmp_path)._wandb_init["mode"] == "offline"
    monkeypatch.setenv("WANDB_MODE", "disabled")
    assert "mode" not in build_logger(tmp_path)._wandb_init
    monkeypatch.setenv("WANDB_MODE", "online")
    with pytest.raises(ValueError, match="wandb login"):
        build_logger(tmp_path)
    monkeypatch.delenv("WANDB_MODE")
    monkeypatch.setenv("WANDB_API_KEY", "not-a-key")
    assert build_logger(tmp_path)._wandb_init["mode"] == "online"


def test_a_continued_run_keeps_its_identity(tmp_path: Path) -> None:
    first = build_logger(tmp_path / "a", name="us_small")
    again, other = build_logger(tmp_path / "a"), build_logger(tmp_path / "b")
    assert first._wandb_init["id"] == again._wandb_init["id"] != other._wandb_init["id"]


def first_batch(choir: Path) -> dict[str, Any]:
    data = MixtureDataModule(
        "folder",
        4,
        choir.parent / "prepared",
        root=choir,
        f0="stems",
        split={"full": {"train": ["one"], "val": ["two"]}},
        excerpt_seconds=1.0,
        batch_size=2,
        progress=False,
    )
    data.prepare("fit")
    data.setup("fit")
    return next(iter(data.val_dataloader()))


def test_table_scores_perfect_estimates_highest(choir: Path) -> None:
    batch = first_batch(choir)
    worse = batch["sources"] + 0.1 * torch.randn(1, generator=torch.Generator().manual_seed(0))
    rows = tabulate_scores(batch, batch["sources"] + 1e-4, worse, epoch=7)
    assert len(rows) == 8
    row = dict(zip(COLUMNS, rows[0], strict=True))
    assert (row["epoch"], row["song"], row["voice"]) == (7, "two", "soprano")
    assert row["si_sdr"] > row["si_sdr_comb"]
    silent = {**batch, "sources": torch.zeros_like(batch["sources"])}
    assert tabulate_scores(silent, worse, worse, epoch=0)[0][-2:] == [None, None]


def test_media_of_every_voice(choir: Path) -> None:
    torch.manual_seed(0)
    batch = first_batch(choir)
    content = build_media(tiny_model(), batch, epoch=3)
    voices = ("soprano", "alto", "tenor", "bass")
    for b in (0, 1):
        for name in ("mixture", "resynthesised", *voices):
            assert isinstance(content[f"spectrogram/{b}/{name}"], wandb.Image)
        for name in ("mixture", *(f"{v}_masked" for v in voices)):
            assert isinstance(content[f"audio/{b}/{name}"], wandb.Audio)
    table = content["media/separation"]
    assert table.columns == list(COLUMNS)
    assert all(isinstance(row[-1], float) for row in table.data)


def test_intervals_are_checked() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        MediaLogger(every_n_epochs=0)


def test_runs_are_logged_offline_and_closed(
    choir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_MODE", "offline")
    changes = ("logger=wandb", "callbacks.media.every_n_epochs=2", "trainer.max_epochs=3")
    plain, logged = tmp_path / "plain", tmp_path / "logged"
    for output, more in ((plain, changes[2:]), (logged, changes)):
        train(compose_config("train", overrides(choir, output, *more), output), output)
    assert wandb.run is None

    (run,) = logged.glob("wandb/offline-run-*")
    assert next(run.glob("run-*.wandb")).stat().st_size > 10_000
    epochs = {
        json.loads(file.read_text())["data"][0][0]
        for file in run.glob("files/media/table/media/*.table.json")
    }
    assert epochs == {0, 2}
    assert len(list(run.glob("files/media/audio/audio/0/alto_masked_*.wav"))) == 2
    assert len(list(run.glob("files/media/images/spectrogram/0/mixture_*.png"))) == 2
    # Losses are always in the CSV file, too; and looking at the run does not change it.
    assert (logged / "csv" / "version_0" / "metrics.csv").is_file()
    states = [
        torch.load(o / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
        for o in (plain, logged)
    ]
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


def test_failed_runs_are_closed(
    choir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    codes = []
    finish = wandb.finish
    monkeypatch.setattr(
        wandb, "finish", lambda exit_code: (codes.append(exit_code), finish(exit_code=exit_code))
    )
    output = tmp_path / "run"
    monkeypatch.setattr(
        "src.models.lit.UnsupervisedTraining.loss", lambda *_: torch.tensor(float("nan"))
    )
    changes = overrides(choir, output, "logger=wandb", "trainer.max_epochs=1")
    with pytest.raises(FloatingPointError):
        train(compose_config("train", changes, output), output)
    assert codes == [1]
    assert wandb.run is None
    finish_runs()
    assert codes == [1]


def test_a_report_becomes_a_run(tmp_path: Path) -> None:
    folder = tmp_path / "report"
    (folder / "tables").mkdir(parents=True)
    (folder / "tables" / "methods.csv").write_text("method,mean\ncomb,5.1\nnmf1,6.0\n")
    (folder / "report.html").write_text("<p>Separation of singers</p>")
    save_figure(folder / "figures" / "scores.png", Figure(), overwrite=False)
    log_report(folder)
    assert wandb.run is None
    (files,) = folder.glob("wandb/offline-run-*/files/media")
    (table,) = files.rglob("*.table.json")
    content = json.loads(table.read_text())
    assert content["columns"] == ["method", "mean"] and content["data"][1] == ["nmf1", 6.0]
    assert len(list(files.rglob("*.png"))) == 1
    (page,) = files.rglob("*.html")
    assert "<p>Separation of singers</p>" in page.read_text()
