"""Weights & Biases, offline: no questions, no network, and the right things logged."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
import wandb
from matplotlib.figure import Figure

from src.plots import save_figure
from src.train import train
from src.training.wandb_logging import (
    build_logger,
    finish_runs,
    is_logged_in,
    log_report,
)
from tests.tiny_training import compose_config, overrides, write_choir

pytestmark = pytest.mark.usefixtures("own_wandb")


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
    # What is to be uploaded lies with the report.
    assert any((folder / "wandb" / "artifacts").rglob("*"))
