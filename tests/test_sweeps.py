"""Sweeps: a failed job stops no other, finished ones are skipped, what follows gets its data."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from omegaconf import OmegaConf

from src.sweeps import JOB, SweepSummary, read_job
from tests.processes import Done, run_python
from tests.tiny_training import ROOT, overrides, write_choir


def run_train(*arguments: str, **environment: str) -> Done:
    return run_python("-m", "src.train", "-m", *arguments, COLUMNS="200", **environment)


def tiny_sweep(tmp_path: Path, *more: str) -> list[str]:
    tiny = [text for text in overrides(tmp_path / "choir", tmp_path) if "output=" not in text]
    small = ["data.split.small.train=[one]", "data.split.small.val=[two]", "trainer.max_epochs=1"]
    folder = f"paths.grid_dir={tmp_path / 'grid'}"
    return ["+sweep=paper", "hydra.callbacks.sweep.then=null", folder, *tiny, *small, *more]


@pytest.mark.slow
def test_a_failed_job_stops_no_other_and_a_finished_one_is_skipped(tmp_path: Path) -> None:
    write_choir(tmp_path / "choir")
    command = tiny_sweep(tmp_path, "experiment=us_small", "n_singers=9,2")
    done = run_train(*command)
    assert done.returncode == 1, done.stderr
    folder = tmp_path / "grid" / "train"
    good, bad = folder / "us_small-j2-s0", folder / "us_small-j9-s0"
    assert (good / "checkpoints" / "best.ckpt").is_file()
    finished, failed = read_job(good / JOB), read_job(bad / JOB)
    assert finished["status"] == "done"
    result = json.loads((good / "result.json").read_text())
    assert finished["value"] == pytest.approx(result["best_val_loss"])
    assert failed["status"] == "failed" and "n_singers=9" in failed["error"]
    assert "traceback" not in failed  # a mistake of the user's
    listing = done.stdout[done.stdout.index("2 jobs in") :]
    assert listing.index("us_small-j2-s0") < listing.index("us_small-j9-s0")

    changed = (good / "checkpoints" / "best.ckpt").stat().st_mtime_ns
    again = run_train(*tiny_sweep(tmp_path, "experiment=us_small", "n_singers=2"))
    assert again.returncode == 0, again.stderr
    assert "finished already" in again.stdout
    assert "us_small-j9-s0" not in again.stdout  # not part of this launch
    assert (good / "checkpoints" / "best.ckpt").stat().st_mtime_ns == changed


def executable(path: Path, script: str) -> None:
    path.write_text("#!/bin/sh\n" + script)
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


@pytest.mark.slow
def test_slurm_gets_one_job_per_row(tmp_path: Path) -> None:
    """A dry run: stand-ins for SLURM's commands keep the batch script and report a failure."""
    write_choir(tmp_path / "choir")
    tools = tmp_path / "bin"
    tools.mkdir()
    executable(tools / "sbatch", f'cp "$1" {tmp_path}/script.sh; echo "Submitted batch job 4321"\n')
    executable(tools / "srun", "exit 0\n")
    executable(
        tools / "sacct",
        'echo "JobID|State|NodeList"\necho "4321_0|FAILED|n"\necho "4321_1|FAILED|n"\n',
    )
    command = tiny_sweep(
        tmp_path, "experiment=us_small,sv_small", "n_singers=2", "hydra/launcher=slurm",
        "hydra.launcher.partition=voices", "hydra.launcher.timeout_min=90",
    )  # fmt: skip
    done = run_train(*command, PATH=f"{tools}{os.pathsep}{os.environ['PATH']}")
    assert done.returncode != 0
    script = (tmp_path / "script.sh").read_text()
    wanted = {
        "#SBATCH --array=0-1%2", "#SBATCH --gpus-per-node=1", "#SBATCH --partition=voices",
        "#SBATCH --time=90", "#SBATCH --job-name=umss", "#SBATCH --mem=32GB",
    }  # fmt: skip
    assert wanted <= set(script.splitlines()), script
    assert "submitit.core._submit" in script


def config_of(tmp_path: Path, task: list[str], hydra: list[str]) -> OmegaConf:
    content = {"sweep": {"dir": str(tmp_path)}, "overrides": {"task": task, "hydra": hydra}}
    return OmegaConf.create({"hydra": content})


def sweep_of(command: str, *overrides: str) -> dict[str, Any]:
    """What Hydra knows of the sweep that a command composes."""
    GlobalHydra.instance().clear()
    with initialize_config_dir(version_base="1.3", config_dir=str(ROOT / "conf")):
        cfg = compose(command, list(overrides), return_hydra_config=True)
    settings = OmegaConf.to_container(cfg.hydra.callbacks.sweep, resolve=True)
    assert isinstance(settings, dict) and settings.pop("_target_") == "umss.sweeps.SweepSummary"
    params = OmegaConf.to_container(cfg.hydra.sweeper.params, resolve=True)
    return {"summary": settings, "params": params}


@pytest.mark.parametrize("recipe", ["default", "paper"])
@pytest.mark.parametrize(
    "test_data", [None, ["data=csd", "data.root=DIR"], ["data=csd", "multif0=default"]]
)
def test_what_follows_gets_paths_data_and_launcher(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, test_data: list[str] | None, recipe: str
) -> None:
    commands: list[list[str]] = []

    def remember(command: list[str], check: bool) -> subprocess.CompletedProcess[str]:
        commands.append(command)
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr("src.sweeps.subprocess.run", remember)
    settings = sweep_of("train", "+sweep=paper", f"grid.recipe={recipe}")["summary"]
    settings["overrides"] = test_data
    chosen = "paper/us_small" if recipe == "paper" else "us_small"
    task = ["+sweep=paper", f"experiment={chosen}", "paths.grid_dir=G", "data=folder"]
    task += ["data.root=R", "multif0=cuesta", "trainer.max_epochs=3"]
    config = config_of(tmp_path, task, ["hydra/launcher=joblib"])
    SweepSummary(**settings).on_multirun_end(config)
    expected = ["-m", "umss.evaluate", "--multirun", "+sweep=paper_evaluation", "paths.grid_dir=G"]
    own = ["data=folder", "data.root=R"] if test_data is None else []
    settled = []
    if recipe == "paper":
        rows = "method=paper_us_small,nmf1_published,nmf2_published,comb,hpss_comb,oracle,mixture"
        settled = ["grid.recipe=paper", "f0=estimated", "multif0=published"]
    else:
        rows = "method=us_small,nmf1,nmf2,comb,hpss_comb,oracle,mixture"
        own += ["multif0=cuesta"] if test_data is None else []
    if test_data and "multif0=default" in test_data:
        settled = settled[:-1]
    last = ["hydra/launcher=joblib", rows, *settled, *(test_data or [])]
    assert commands == [[sys.executable, *expected, *own, *last]]


@pytest.mark.slow
def test_killed_jobs_and_failures_further_on_are_not_forgotten(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / JOB).write_text('{"status": "running", "overrides": []}')
    (tmp_path / "two").mkdir()
    (tmp_path / "two" / JOB).write_text('{"status": "don')
    assert "killed" in read_job(tmp_path / "one" / JOB)["error"]
    assert read_job(tmp_path / "two" / JOB)["status"] == "failed"
    config = config_of(tmp_path, [], [])
    with pytest.raises(SystemExit):
        SweepSummary().on_multirun_end(config)
    SweepSummary().on_multirun_start(config)
    assert not list(tmp_path.rglob(JOB))
    SweepSummary().on_multirun_end(config)  # nothing ran, nothing failed
    with pytest.raises(SystemExit):
        SweepSummary(then=["umss.report", "tables=[nowhere]"]).on_multirun_end(config)


@pytest.mark.parametrize(
    "file", sorted((ROOT / "conf" / "method").glob("*.yaml")), ids=lambda f: f.stem
)
def test_every_row_of_the_grid_names_its_separator(file: Path) -> None:
    GlobalHydra.instance().clear()
    with initialize_config_dir(version_base="1.3", config_dir=str(ROOT / "conf")):
        cfg = compose("evaluate", [f"method={file.stem}", "paths.grid_dir=G", "n_singers=2"])
    assert cfg.name == file.stem
    kind, _, size = file.stem.rpartition("_")
    if size in ("full", "small"):  # trained by conf/sweep/paper.yaml, which names its folders so
        assert cfg.separator.checkpoint == f"G/train/{file.stem}-j2-s0/checkpoints/best.ckpt"
        classes = {"unet": "UnetSeparator", "fd": "FdSeparator"}
        kind = kind.removeprefix("paper_")
        assert cfg.separator._target_.endswith(classes.get(kind, "UmssSeparator"))
    else:
        plain = file.stem.removesuffix("_published")
        chosen = OmegaConf.load(ROOT / "conf" / "separator" / f"{plain}.yaml")
        assert cfg.separator._target_ == chosen._target_


@pytest.mark.parametrize("recipe", ["default", "paper"])
def test_the_sweeps_name_what_exists(recipe: str) -> None:
    choice = f"grid.recipe={recipe}"
    training = sweep_of("train", "+sweep=paper", choice)
    evaluation = sweep_of("evaluate", "+sweep=paper_evaluation", choice)
    rows = {
        "experiment": training["params"]["experiment"].split(","),
        "method": evaluation["params"]["method"].split(","),
    }
    for group, named in rows.items():
        files = (ROOT / "conf" / group).rglob("*.yaml")
        there = {f.relative_to(ROOT / "conf" / group).with_suffix("").as_posix() for f in files}
        assert len(named) == len(set(named)) and set(named) <= there
    trained = [name.replace("/", "_") for name in rows["experiment"]]
    untrained = training["summary"]["rows"]["method"]["and"]
    assert {*trained, *untrained} == set(rows["method"])
    [order] = [t for t in evaluation["summary"]["then"] if t.startswith("order=")]
    assert set(order.removeprefix("order=[").removesuffix("]").split(",")) == set(rows["method"])


def test_recipes_do_not_share_folders_of_evaluations() -> None:
    """Rows of the same name have F0 from elsewhere."""
    reports = [
        sweep_of("evaluate", "+sweep=paper_evaluation", f"grid.recipe={r}")["summary"]["then"]
        for r in ("default", "paper")
    ]
    places = [{t for t in then if t.startswith(("tables=", "output="))} for then in reports]
    assert not places[0] & places[1]


@pytest.mark.slow
def test_a_recipe_that_there_is_not_is_one_message() -> None:
    done = run_train("+sweep=paper", "grid.recipe=papers")
    assert done.returncode == 1
    message = "error: grid.recipe=papers: there is none of this name; choose default or paper"
    assert done.stderr.strip().splitlines()[-1] == message
