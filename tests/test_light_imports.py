"""Separating loads neither the training framework nor what draws figures."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from src.models.unet_lit import UnetTraining
from tests.test_settings import FOLDER

HEAVY = ["lightning_fabric", "matplotlib", "pytorch_lightning", "wandb"]
BUILD = """
import json, sys
from hydra.utils import instantiate
import src
from src.configuration import compose_config
name, settings = sys.argv[1], json.loads(sys.argv[2])
config = compose_config("separate", choices={"separator": name}, settings={"separator": settings})
instantiate(config.separator)
print(json.dumps(sorted(sys.modules)))
"""
WITHOUT_CHECKPOINT = sorted(
    path.stem for path in (FOLDER / "separator").glob("*.yaml") if "???" not in path.read_text()
)


def loaded_by(code: str, *arguments: str) -> set[str]:
    result = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=Path(__file__).parents[1],
        capture_output=True,
        text=True,
        check=True,
    )
    return set(json.loads(result.stdout.splitlines()[-1]))


@pytest.mark.parametrize("name", WITHOUT_CHECKPOINT)
def test_separators_are_light(name: str) -> None:
    assert not loaded_by(BUILD, name, "{}").intersection(HEAVY)


def test_the_trained_unet_is_light(tmp_path: Path) -> None:
    model = UnetTraining(unet={"channels": [4, 8], "control_channels": [8]})
    path = tmp_path / "unet.ckpt"
    torch.save({"state_dict": model.state_dict(), "hyper_parameters": dict(model.hparams)}, path)
    modules = loaded_by(BUILD, "unet", json.dumps({"checkpoint": str(path)}))
    assert not modules.intersection(HEAVY)


def test_the_fully_differentiable_separator_is_light() -> None:
    code = "import json, sys, src, src.models.fd_separator; print(json.dumps(list(sys.modules)))"
    assert not loaded_by(code).intersection(HEAVY)
