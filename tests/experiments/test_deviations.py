"""The table of trainings: every model against its own recipe; the plan of the baselines reads."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from experiments.deviations.trainings import table
from experiments.quality.plan import compose_evaluation, read_plan
from src.errors import UmssError
from tests.tiny_training import ROOT


def write_frames(folder: Path, name: str, si_sdr: list[float]) -> None:
    frames = pd.DataFrame(
        {
            "song": "one", "mixture": "a+b", "excerpt": range(len(si_sdr)), "voice": "a",
            "frame": 0, "seed": 0, "kept": True, "si_sdr": si_sdr, "spectral_snr": 2.0,
        }
    )  # fmt: skip
    (folder / "evaluation" / name).mkdir(parents=True)
    frames.to_csv(folder / "evaluation" / name / "frames.csv", index=False)


def test_models_are_compared_with_their_own_recipe(tmp_path: Path) -> None:
    write_frames(tmp_path, "us", [1.0, 3.0])
    write_frames(tmp_path, "us_hold", [2.0, 5.0])
    write_frames(tmp_path, "sv", [0.0, 0.0])
    rows = table(tmp_path).set_index("model")
    assert rows.loc["us_hold", "minus_recipe"] == pytest.approx(1.5)
    assert rows.loc["us_hold", "low"] < 1.5 < rows.loc["us_hold", "high"]
    assert rows.loc["us", "mean"] == 2.0 and pd.isna(rows.loc["sv", "minus_recipe"])
    write_frames(tmp_path, "unet_leak", [0.0, 0.0])
    with pytest.raises(UmssError, match="unet_leak is to be compared with unet"):
        table(tmp_path)
    with pytest.raises(UmssError, match="run trainings.sh"):
        table(tmp_path / "empty")


def test_the_plan_changes_one_thing_at_a_time() -> None:
    plan = read_plan(ROOT / "experiments" / "deviations" / "plan.yaml")
    for method in plan.methods:
        compose_evaluation(method.overrides)
        if method.group.endswith("as published but for"):
            assert method.overrides[0].endswith("_published")
