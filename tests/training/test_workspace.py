"""The W&B workspace, built without a network."""

from __future__ import annotations

import json
import sys
from typing import Any

import pytest

from src.training.media import COMB_SCORES, SCORES, TABLE
from src.training.step_clock import SECONDS
from src.training.workspace import SYSTEM, build_workspace, main

pytestmark = pytest.mark.usefixtures("own_wandb")


def list_panels(workspace: Any) -> dict[str, list[dict[str, Any]]]:
    """Panels by section, as they go to W&B."""
    spec = json.loads(workspace._to_model().spec.model_dump_json(by_alias=True, exclude_none=True))
    sections = spec["section"]["panelBankConfig"]["sections"]
    return {section["name"]: section["panels"] for section in sections}


def test_sections_show_what_trainings_log() -> None:
    pytest.importorskip("wandb_workspaces", reason="wandb-workspaces is missing")
    panels = list_panels(build_workspace("me", "umss", ["alto", "bass"]))
    assert list(panels) == [
        "Losses",
        "Learning rate",
        "SI-SDR against the comb (dB)",
        "Excerpts",
        "Time and system",
    ]
    assert f'"{TABLE}"' in json.dumps(panels.pop("Excerpts"))
    plots = [panel["config"] for section in panels.values() for panel in section]
    expected = {"train/loss", "val/loss", "train/gradient_norm", "train/lr", SECONDS}
    expected |= {f"{name}/{voice}" for name in (SCORES, COMB_SCORES) for voice in ("alto", "bass")}
    assert {name for plot in plots for name in plot["metrics"]} == expected | set(SYSTEM.values())
    assert {plot["xAxis"] for plot in plots} == {"trainer/global_step", "_runtime"}


def test_no_login_is_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("wandb_workspaces", reason="wandb-workspaces is missing")
    with pytest.raises(SystemExit) as error:
        main([])
    assert str(error.value.code).startswith("error: ") and "wandb login" in str(error.value.code)
    assert capsys.readouterr().out == ""


def test_no_package_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("", ".reports", ".reports.v2", ".workspaces"):
        monkeypatch.setitem(sys.modules, f"wandb_workspaces{name}", None)
    with pytest.raises(SystemExit) as error:
        main(["--project", "p"])
    assert error.value.code == (
        "error: a workspace needs the package wandb-workspaces: pip install 'umss[workspace]'"
    )
