"""Every configuration composes, builds its objects, and builds nothing foreign."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf

from src.train import _build_trainer
from tests.processes import run_python
from tests.tiny_training import ROOT, compose_config

CONF = ROOT / "conf"
ALLOWED = ("umss.", "torch.", "pytorch_lightning.")


def choices(group: str) -> list[str]:
    return sorted(
        file.relative_to(CONF / group).with_suffix("").as_posix()
        for file in (CONF / group).rglob("*.yaml")
        if not file.name.startswith("_")
    )


def targets(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if "_target_" in node:
            yield node["_target_"]
        for value in node.values():
            yield from targets(value)
    elif isinstance(node, list):
        for value in node:
            yield from targets(value)


@pytest.mark.parametrize("file", sorted(CONF.rglob("*.yaml")), ids=lambda f: f.stem)
def test_targets_are_ours_or_lightnings(file: Path) -> None:
    content = OmegaConf.to_container(OmegaConf.load(file), resolve=False)
    assert all(target.startswith(ALLOWED) for target in targets(content))


@pytest.mark.parametrize(
    ("experiment", "data"),
    [
        pytest.param(
            experiment,
            data,
            # Quickly: every experiment with one data set, and one experiment with every data set.
            marks=[] if data == "generated" or experiment == "us_small" else pytest.mark.slow,
        )
        for experiment in choices("experiment")
        for data in choices("data")
    ],
)
def test_every_experiment_composes_with_every_data_set(experiment: str, data: str) -> None:
    cfg = compose_config("train", [f"experiment={experiment}", f"data={data}"])
    plain = OmegaConf.to_container(cfg, resolve=True)
    assert isinstance(plain, dict)
    assert plain["data"]["reader"]["name"] == data
    size = experiment.rsplit("_", 1)[-1]
    assert plain["data"]["size"] == (size if size in ("full", "small") else "full")
    system = experiment.rsplit("/", 1)[-1].split("_")[0]
    wanted = {
        "us": "umss.models.lit.UnsupervisedTraining",
        "sv": "umss.models.lit.SupervisedTraining",
        "unet": "umss.models.unet_lit.UnetTraining",
        "fd": "umss.models.fd_lit.FdTraining",
        "shipped": "umss.models.lit.UnsupervisedTraining",
        "with": "umss.models.lit.SupervisedTraining",
    }
    assert plain["model"]["_target_"] == wanted[system]


@pytest.mark.parametrize("data", choices("data"))
def test_every_data_module_builds(data: str, tmp_path: Path) -> None:
    cfg = compose_config("train", [f"data={data}", f"paths.data_dir={tmp_path}"])
    module = instantiate(cfg.data, _convert_="all")
    assert module.reader_name == data
    assert module.n_singers == 4


@pytest.mark.parametrize(
    "experiment",
    [
        pytest.param(name, marks=[pytest.mark.slow] if name.startswith("fd_") else [])
        for name in choices("experiment")
    ],
)
def test_every_experiment_builds_its_model(experiment: str) -> None:
    unet = "unet" in experiment
    small = ["model.estimator.encoder_width=8", "model.estimator.decoder_width=8"]
    small = ["model.unet.channels=[4,8]"] if unet else small
    if experiment.startswith("fd_"):  # the published weights may not be there
        small += ["model.salience.late_deep=null", "model.salience.voas=null"]
    cfg = compose_config("train", [f"experiment={experiment}", *small])
    model = instantiate(cfg.model)
    if unet:
        assert (model.unet.n_fft, model.unet.hop) == (1024, 256)
        assert (cfg.model.lr, cfg.data.batch_size) == (1e-3, 16)
    else:
        assert model.voice.minimum_gap == (0.0 if "paper" in experiment else 0.1)
    assert (cfg.trainer.gradient_clip_val is None) == ("paper" in experiment)
    # Plain values only: checkpoints must load without executing code.
    assert all(not OmegaConf.is_config(value) for value in model.hparams.values())


PAPER = [f"{kind}_{size}" for kind in ("us", "sv", "unet") for size in ("full", "small")]


@pytest.mark.parametrize("name", PAPER)
def test_the_paper_to_the_letter(name: str) -> None:
    """Values of the paper's section IV and, where it is silent, of the released configuration."""
    choice = [f"experiment=paper/{name}", "data=bcbq"]
    cfg = OmegaConf.to_container(compose_config("train", choice), resolve=True)
    assert isinstance(cfg, dict)
    kind, size = name.split("_")
    assert cfg["name"] == f"paper_{name}" and cfg["data"]["size"] == size
    # F0 of training and validation from the mixture, model 3 and the heuristic.
    assert cfg["data"]["f0"] == "estimated"
    estimator = cfg["data"]["estimator"]["config"]
    assert estimator["model"]["_target_"].endswith("CuestaLateDeep")
    assert estimator["assigner"]["_target_"].endswith("PaperAssigner") and not estimator["retune"]
    assert cfg["matmul_precision"] == "highest" and cfg["trainer"]["precision"] == "32-true"
    assert cfg["trainer"]["gradient_clip_val"] is None and cfg["callbacks"]["averaging"] is None
    assert cfg["callbacks"]["early_stopping"]["patience"] == 200
    assert cfg["trainer"]["max_epochs"] == 8000
    assert cfg["data"]["batch_size"] == 16 and cfg["data"]["excerpt_seconds"] == 4
    split = cfg["data"]["split"]["small"]
    assert (split["train"], split["val"]) == (["BC_01"], ["BC_02"])
    model = cfg["model"]
    assert (model["weight_decay"], model["lr_decay"], model["lr_decay_epochs"]) == (1e-5, 0.98, 200)
    if kind == "unet":
        wanted = {"n_fft": 1024, "hop": 256, "control": "released", "leak": 1.0, "film": "input",
                  "dropout": 0.5}  # fmt: skip
        assert model["lr"] == 1e-3 and wanted.items() <= model["unet"].items()
        return
    assert model["lr"] == 1e-4
    assert model["fft_sizes"] == [2048, 1024, 512, 256, 128, 64]
    assert model.get("sum_over_sources", False) == (kind == "sv")
    wanted = {"order": 20, "n_noise_magnitudes": 40, "parameterisation": "lsf", "filtering": "ola",
              "f0_edges": "glide", "minimum_gap": 0.0, "harmonic_filter": "fixed",
              "noise_filter": "constant"}  # fmt: skip
    assert wanted.items() <= model["voice"].items()


def test_the_baselines_as_published() -> None:
    one = compose_config("evaluate", ["separator=nmf1_published"]).separator
    assert (one.prior_frames, one.fixed_iterations, one.floor) == (0.0, 0, 0.0)
    assert (one.shape, one.band_semitones) == ("flat", 0.75)
    two = instantiate(compose_config("evaluate", ["separator=nmf2_published"]).separator)
    assert (two.divergence, two.n_atoms, two.n_filters, two.n_iterations) == ("is", 30, 10, 100)
    assert (two.n_fft, two.mask_hop, two.open_quotient) == (1024, 128, 0.25)
    assert two.reach == 10  # steps of a twentieth of a semitone


@pytest.mark.parametrize("trainer", choices("trainer"))
def test_every_trainer_builds_or_says_what_is_missing(trainer: str) -> None:
    cfg = compose_config("train", [f"trainer={trainer}", "logger=csv"])
    if trainer in ("gpu", "ddp") and not torch.cuda.is_available():
        with pytest.raises(ValueError, match=r"^trainer: "):
            _build_trainer(cfg)
        return
    built = _build_trainer(cfg)
    assert built.gradient_clip_val == 1.0
    assert built.num_devices >= (2 if trainer == "ddp_cpu" else 1)


@pytest.mark.parametrize("logger", choices("logger"))
def test_every_logger_and_callback_builds(
    logger: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_MODE", "offline")
    cfg = compose_config("train", [f"logger={logger}"], tmp_path)
    loggers = [instantiate(entry) for entry in cfg.logger.values() if entry]
    names = {type(entry).__name__ for entry in loggers}
    assert names == ({"MetricsTable", "RunLogger"} if logger == "wandb" else {"MetricsTable"})
    callbacks = [instantiate(entry) for entry in cfg.callbacks.values() if entry]
    early = next(c for c in callbacks if type(c).__name__ == "EarlyStopping")
    assert early.patience == 200


@pytest.mark.parametrize("separator", choices("separator"))
@pytest.mark.parametrize("entry", ["evaluate", "separate"])
def test_every_separator_composes(entry: str, separator: str) -> None:
    changes = [f"separator={separator}"]
    trained = separator in ("unet", "fd")
    changes += ["separator.checkpoint=best.ckpt"] if trained else []
    changes += ["input=choir.wav", "f0=choir.csv"] if entry == "separate" else []
    cfg = compose_config(entry, changes)
    OmegaConf.to_container(cfg, resolve=True, throw_on_missing=True)
    if not trained:
        # Wiener masks for NMF2: its estimates are power spectrograms.
        expected = (
            "power"
            if separator in ("nmf2", "nmf2_published", "fit", "umss", "umss_fit")
            else "magnitude"
        )
        assert instantiate(cfg.separator).mask == expected


@pytest.mark.parametrize("entry", ["f0", "separate", "evaluate"])
@pytest.mark.parametrize("multif0", choices("multif0"))
def test_every_f0_estimator_composes(entry: str, multif0: str) -> None:
    changes = [f"multif0={multif0}", *(["separator=comb"] if entry != "f0" else [])]
    changes += ["input=choir.wav"] if entry != "evaluate" else []
    cfg = compose_config(entry, changes)
    OmegaConf.to_container(cfg, resolve=True, throw_on_missing=True)


def test_errors_of_f0_are_off_by_default() -> None:
    assert not instantiate(compose_config("evaluate", []).f0_errors).any
    changed = compose_config("evaluate", ["f0_errors.octave_rate=0.1"])
    assert instantiate(changed.f0_errors).octave_rate == 0.1


@pytest.mark.parametrize("name", ["prepare", "demo", "report"])
def test_other_entry_points_compose(name: str) -> None:
    OmegaConf.to_container(compose_config(name, []), resolve=True)


@pytest.mark.slow
@pytest.mark.parametrize("entry", ["train", "evaluate", "separate", "prepare", "f0"])
def test_help(entry: str) -> None:
    result = run_python("-m", f"src.{entry}", "--help")
    assert result.returncode == 0, result.stderr
    assert "data" in result.stdout or "separator" in result.stdout
