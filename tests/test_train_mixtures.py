"""Training on recordings without stems: as on the same songs with stems, and on one recording."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import soundfile as sf
import torch

from src.data.prepared import prepare
from src.data.readers.base import DataError
from src.data.readers.folder import FolderReader
from src.evaluate import run as evaluate
from src.evaluate_f0 import main as evaluate_f0
from src.f0.contour_files import write_f0
from src.f0.contours import F0Contours
from src.separate_file import main as separate
from src.train import train
from tests.tiny_training import F0, compose_config, overrides, write_choir


@pytest.fixture(scope="module")
def choir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Songs with stems, beside them `mixtures`: their sums with the F0 of the stems."""
    folder = tmp_path_factory.mktemp("data")
    root = write_choir(folder / "choir", seconds=4)
    prepared = prepare(FolderReader(root), folder / "prepared", "stems", progress=False)
    (folder / "mixtures").mkdir()
    for song in prepared.songs:
        mixture = np.stack([song.audio(key) for key in song.keys]).sum(axis=0)
        path = folder / "mixtures" / f"{song.name}.wav"
        sf.write(path, mixture, 16_000, subtype="FLOAT")
        contours = F0Contours.on_grid(song.f0(song.keys, "stems"), tuple(F0))
        write_f0(path.with_suffix(".csv"), contours)
    return root


def run(root: Path, choir: Path, output: Path, *more: str) -> dict[str, Any]:
    changes = [*overrides(choir, output), f"data.root='{root}'", *more]
    return train(compose_config("train", changes, output), output)


@pytest.mark.slow
@pytest.mark.parametrize(
    "split",
    [
        (),
        ("data.split.full.train=null", "data.split.full.val=null", "data.val_fraction=0.3"),
        ("data.f0_augmentation.probability=0.7",),
    ],
    ids=["by song", "in time", "errors in F0"],
)
def test_training_equals_that_with_stems(
    choir: Path, tmp_path: Path, split: tuple[str, ...]
) -> None:
    more = ("trainer.max_epochs=2", "data.batch_size=3", "model.lr=1e-2", *split)
    run(choir, choir, tmp_path / "stems", *more)
    run(choir.parent / "mixtures", choir, tmp_path / "mixtures", "data=mixtures", *more)
    tables, weights = [], []
    for name in ("stems", "mixtures"):
        table = pd.read_csv(tmp_path / name / "csv" / "version_0" / "metrics.csv")
        tables.append(table.drop(columns=[c for c in table if "time" in c or "second" in c]))
        last = torch.load(tmp_path / name / "checkpoints" / "last.ckpt", weights_only=True)
        weights.append(last["state_dict"])
    assert len(tables[0]["train/loss"].dropna()) == 2
    pd.testing.assert_frame_equal(*tables, check_exact=True)
    assert [k for k in weights[0] if not torch.equal(weights[0][k], weights[1][k])] == []
    results = [
        json.loads((tmp_path / n / "result.json").read_text()) for n in ("stems", "mixtures")
    ]
    assert results[0]["best_val_loss"] == results[1]["best_val_loss"]


def test_a_single_recording_from_random_weights_to_its_voices(choir: Path, tmp_path: Path) -> None:
    stems = [sf.read(choir / "one" / f"{part}.wav")[0] for part in F0]
    # Any format: stereo at 44.1 kHz.
    path = tmp_path / "Chor, schön.flac"
    mono = 0.5 * np.repeat(np.sum(stems, axis=0), 3)
    sf.write(path, np.stack([mono, 0.5 * mono], axis=1), 48_000)
    output = tmp_path / "run"
    more = ("data.split.full.train=null", "data.split.full.val=null", "data.val_fraction=0.3")
    result = run(path, choir, output, "data=mixtures", "trainer.max_epochs=2", *more)
    assert result["epochs"] == 2 and result["best_val_loss"] < np.inf
    checkpoint = output / "checkpoints" / "best.ckpt"
    changes = ["separator=umss", f"separator.checkpoint={checkpoint}", f"output={tmp_path / 'out'}"]
    cfg = compose_config("separate", [*changes, "input=x"])
    cfg.input = str(path)
    separate(cfg)
    singers = [tmp_path / "out" / f"Chor, schön_singer{j}.wav" for j in range(1, 5)]
    separated = np.stack([sf.read(file)[0] for file in singers])
    residual = sf.read(tmp_path / "out" / "Chor, schön_residual.wav")[0]
    whole = sf.read(path)[0]
    np.testing.assert_allclose(separated.sum(axis=0) + residual, whole, atol=1e-4)
    # The F0 that separation wrote is that of the recording, in training as well.
    (tmp_path / "out" / "Chor, schön_f0.csv").rename(tmp_path / "Chor, schön_f0.csv")
    again = run(path, choir, tmp_path / "again", "data=mixtures", "trainer.max_epochs=2", *more)
    assert again["val_loss"] == pytest.approx(result["val_loss"], rel=1e-3)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("experiment=sv_full", "this model learns from single voices: use experiment=us_small"),
        ("experiment=unet_small", "this model learns from single voices"),
        ("data.mixing.n_singers=[2,3]", "data.mixing.n_singers mixes single voices anew"),
        ("data.f0=stems", "leave it at data.f0=estimated"),
    ],
)
def test_training_says_what_it_lacks(
    choir: Path, tmp_path: Path, change: str, message: str
) -> None:
    changes = ["data=mixtures", f"data.root={choir.parent / 'mixtures'}", change]
    changes += ["data.progress=false", f"paths.cache_dir={tmp_path}", f"output={tmp_path / 'run'}"]
    with pytest.raises(Exception, match="recordings without stems") as caught:
        train(compose_config("train", changes, tmp_path / "run"), tmp_path / "run")
    error = caught.value.__cause__ or caught.value  # Hydra wraps errors of constructors
    assert isinstance(error, DataError) and message in str(error)


def test_evaluations_say_what_they_lack(choir: Path, tmp_path: Path) -> None:
    changes = ["data=mixtures", f"data.root={choir.parent / 'mixtures'}"]
    changes += [f"paths.cache_dir={tmp_path}", f"output={tmp_path / 'scores'}"]
    with pytest.raises(DataError, match="without stems; an evaluation compares with single voices"):
        evaluate(compose_config("evaluate", ["separator=comb", "name=x", *changes]))
    cfg = compose_config("evaluate_f0", changes)
    with pytest.raises(DataError, match="compares with the F0 of single voices.* umss f0 finds"):
        evaluate_f0(cfg)
    assert not (tmp_path / "scores").exists()
