"""Separating loads neither the training framework nor what draws figures."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import torch

from src.models.unet_lit import UnetTraining
from tests.test_settings import FOLDER

HEAVY = ["lightning_fabric", "matplotlib", "pytorch_lightning", "wandb"]
BUILD = """
import json, sys
from hydra.utils import instantiate
import src
from src.configuration import compose_config
found = {}
for name, settings in json.loads(sys.argv[1]).items():
    chosen, given = {"separator": name}, {"separator": settings}
    instantiate(compose_config("separate", choices=chosen, settings=given).separator)
    found[name] = sorted(sys.modules)
print(json.dumps(found))
"""
WITHOUT_CHECKPOINT = sorted(
    path.stem for path in (FOLDER / "separator").glob("*.yaml") if "???" not in path.read_text()
)


def loaded_by(code: str, *arguments: str) -> Any:
    result = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=Path(__file__).parents[1],
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(result.stdout.splitlines()[-1])


def test_separators_are_light(tmp_path: Path) -> None:
    model = UnetTraining(unet={"channels": [4, 8], "control_channels": [8]})
    path = tmp_path / "unet.ckpt"
    torch.save({"state_dict": model.state_dict(), "hyper_parameters": dict(model.hparams)}, path)
    settings = {name: {} for name in WITHOUT_CHECKPOINT} | {"unet": {"checkpoint": str(path)}}
    # What one has loaded, the next has, too: the first of them is to blame.
    for name, modules in loaded_by(BUILD, json.dumps(settings)).items():
        assert not set(HEAVY).intersection(modules), name


def test_the_fully_differentiable_separator_is_light() -> None:
    code = "import json, sys, src, src.models.fd_separator; print(json.dumps(list(sys.modules)))"
    assert not set(HEAVY).intersection(loaded_by(code))
