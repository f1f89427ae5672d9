"""F0 estimated from mixtures: what is estimated, kept, estimated again, and served."""

from __future__ import annotations

import os
import pickle
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hydra.utils import instantiate

from src.data import estimated
from src.data.datamodule import MixtureDataModule
from src.data.estimated import EstimatorRecipe, StoredTracks, estimate_mixtures
from src.data.mixtures import Mixture, mix
from src.data.prepared import PreparedSet, prepare
from src.data.readers.base import DataError
from src.data.readers.folder import FolderReader
from src.train import _describe_identity
from tests import fake_f0
from tests.data.songs import PITCH, FakeSong, WriteStem
from tests.tiny_training import compose_config

FAKE = {"_target_": "tests.fake_f0.ByName"}
TRIO = ("soprano", "alto", "bass")


@pytest.fixture
def root(tmp_path: Path, write_stem: WriteStem) -> Path:
    """Three songs of three voices, 9 s."""
    for song in ("first", "second", "third"):
        for part in TRIO:
            write_stem(tmp_path / "songs" / song / f"{part}.wav", 9.0)
    return tmp_path / "songs"


@pytest.fixture(autouse=True)
def calls() -> list[dict[str, Any]]:
    fake_f0.CALLS.clear()
    return fake_f0.CALLS


def module(root: Path, config: dict[str, Any] | None = None, **options: Any) -> MixtureDataModule:
    options = {
        "n_singers": 2, "progress": False, "f0": "estimated", "excerpt_seconds": 2.0,
        "split": {"full": {"val": ["second"], "test": ["third"]}},
        "estimator": EstimatorRecipe(config or FAKE), **options,
    }  # fmt: skip
    return MixtureDataModule("folder", cache_dir=root.parent / "cache", root=root, **options)


def files(root: Path) -> set[Path]:
    return set((root.parent / "cache").rglob("f0_estimated_*"))


def test_a_stage_estimates_the_mixtures_that_it_needs_and_serves_them(
    root: Path, calls: list[dict[str, Any]]
) -> None:
    data = module(root)
    prepared = data.prepare("test")
    assert [call["names"] for call in calls] == [
        ["soprano", "alto"], ["soprano", "bass"], ["alto", "bass"],
    ]  # fmt: skip
    assert len(files(root)) == 3
    assert all(path.parent.name.startswith("third-") for path in files(root))
    # The estimator hears the mixture as a recording would sound, and nothing else.
    song = prepared.song("third")
    assert set(calls[1]) == {"audio", "n_singers", "names"}
    both = song.audio(("soprano", "1")) + song.audio(("bass", "1"))
    np.testing.assert_allclose(calls[1]["audio"], both / np.abs(both).max(), rtol=1e-5)

    data.setup("test")
    assert data.test_set is not None
    for batch in data.test_dataloader():
        for f0, parts in zip(batch["f0"], batch["parts"], strict=True):
            assert f0.shape == (2, 125)
            expected = torch.tensor([PITCH[part] for part in parts])
            torch.testing.assert_close(f0, expected[:, None].expand(2, 125))
    data.prepare("fit")
    data.setup("fit")
    assert len(calls) == 9
    assert data.train_set is not None
    assert set(data.train_set[(0, 0)]["f0"].unique().tolist()) <= set(PITCH.values())


def test_what_is_there_is_not_estimated_again(
    root: Path, calls: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    data = module(root)
    data.prepare("test")
    before = {path: path.stat().st_mtime_ns for path in files(root)}
    with monkeypatch.context() as patch:
        patch.setattr(EstimatorRecipe, "build", lambda _: pytest.fail("built again"))
        module(root).prepare("test")
    assert {path: path.stat().st_mtime_ns for path in files(root)} == before
    os.remove(min(before))
    module(root).prepare("test")
    assert set(before) == files(root)
    assert len(calls) == 4


def test_a_changed_estimator_estimates_anew_and_the_old_tracks_stay(root: Path) -> None:
    for factor in (1.0, 1.1, 1.0):
        data = module(root, {**FAKE, "factor": factor})
        data.prepare("test")
        data.setup("test")
        batch = next(iter(data.test_dataloader()))
        assert batch["f0"][0, 0, 0] == pytest.approx(factor * PITCH["soprano"])
    assert len(fake_f0.CALLS) == 6


def test_changed_audio_is_estimated_anew(root: Path, write_stem: WriteStem) -> None:
    module(root).prepare("test")
    for part in ("bass", "alto", "soprano"):
        path = root / "third" / f"{part}.wav"
        before = path.stat().st_mtime_ns
        write_stem(path, 8.0)
        # File systems keep time by the tick: a second write in the same one looks unchanged.
        os.utime(path, ns=(before + 10**9, before + 10**9))
    song = module(root).prepare("test").song("third")
    assert len(fake_f0.CALLS) == 6
    assert song.f0(song.keys[:2], "estimated").shape == (500, 2)


def test_an_interrupted_estimation_continues(
    root: Path, calls: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    original = fake_f0.ByName.__call__

    def stop(self: Any, *args: Any) -> Any:
        if len(calls) == 2:
            raise KeyboardInterrupt
        return original(self, *args)

    with monkeypatch.context() as patch:
        patch.setattr(fake_f0.ByName, "__call__", stop)
        with pytest.raises(KeyboardInterrupt):
            module(root).prepare("test")
    assert len(files(root)) == 2
    folder = next(iter(files(root))).parents[1]
    fingerprint = EstimatorRecipe(FAKE).fingerprint
    song = PreparedSet.open(folder, estimator=fingerprint).song("third")
    with pytest.raises(DataError, match="third: no estimated F0 for the mixture"):
        song.f0(song.keys[1:], "estimated")
    module(root).prepare("test")
    assert len(calls) == 3


def test_columns_follow_the_keys_whatever_their_order(root: Path) -> None:
    song = module(root).prepare("test").song("third")
    soprano, alto, bass = song.keys
    np.testing.assert_array_equal(song.f0((bass, alto), "estimated", 3, 5), [[130, 390]] * 2)
    assert song.f0_kinds == ("estimated",)
    assert not song.has_f0((soprano, alto, bass), "estimated")
    # Workers of a loader get the song by pickle.
    again = pickle.loads(pickle.dumps(song))
    assert again.f0((alto, soprano), "estimated")[0].tolist() == [390, 520]


def test_warnings_name_the_mixture(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    module(root, {**FAKE, "warnings": ["nobody sings"]}).prepare("test")
    assert "third, alto_1+bass_1: nobody sings" in caplog.text


def test_fingerprints(tmp_path: Path) -> None:
    weights = [tmp_path / name for name in ("a.npz", "b.npz", "c.npz")]
    for path, content in zip(weights, (b"1", b"1", b"2"), strict=True):
        path.write_bytes(content)
    one, same, other = (
        EstimatorRecipe({**FAKE, "model": [{"weights": str(path)}]}).fingerprint for path in weights
    )
    assert one == same  # where the weights lie does not matter
    assert len({one, other, EstimatorRecipe(FAKE).fingerprint}) == 3


def test_the_code_of_the_front_end_counts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    before = EstimatorRecipe(FAKE).fingerprint
    assert before == EstimatorRecipe(FAKE).fingerprint
    # A copy of the package's code, one file of which is another.
    place = Path(estimated.__file__).parents[1]
    for name in estimated._DECISIVE:
        target = tmp_path / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if (place / name).is_dir():
            shutil.copytree(place / name, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(place / name, target)
    (tmp_path / "data").mkdir()
    monkeypatch.setattr(estimated, "__file__", str(tmp_path / "data" / "estimated.py"))
    assert EstimatorRecipe(FAKE).fingerprint == before
    (tmp_path / "audio.py").write_text("changed")
    changed = EstimatorRecipe(FAKE).fingerprint
    assert changed != before
    (tmp_path / "f0" / "__pycache__").mkdir()
    (tmp_path / "f0" / "__pycache__" / "viterbi.nbi").write_text("compiled")
    assert EstimatorRecipe(FAKE).fingerprint == changed
    (tmp_path / "f0" / "voices.npz").write_text("weights")
    assert EstimatorRecipe(FAKE).fingerprint != changed


def test_unusable_settings(root: Path) -> None:
    with pytest.raises(DataError, match="needs data.estimator"):
        module(root, estimator=None).prepare("test")
    with pytest.raises(DataError, match="set data.f0=cached instead"):
        module(root, {"_target_": "src.data.estimated.StoredTracks", "kind": "cached"}).prepare()
    with pytest.raises(DataError, match="use it with src.evaluate_f0"):
        StoredTracks("cached")(np.zeros(100, np.float32), 2)
    with pytest.raises(DataError, match="use cached or stems"):
        StoredTracks("estimated")
    with pytest.raises(DataError, match="n_singers=4: the songs have at most 3 parts"):
        module(root, n_singers=4).prepare("test")
    with pytest.raises(DataError, match="no singer 7 in third"):
        module(root, singers=[7]).prepare("test")
    data = module(root)
    prepare(data.build_reader(), data.cache_dir, "estimated", progress=False)
    with pytest.raises(DataError, match="none of the 3 mixtures .* prepare with data.f0=estimated"):
        data.setup("test")


def test_folder_that_cannot_be_written(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    prepared = prepare(FolderReader(root), root.parent / "cache", "estimated", progress=False)
    recipe = EstimatorRecipe(FAKE)
    prepared = PreparedSet.open(prepared.folder, estimator=recipe.fingerprint)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "save", full)
    mixture = Mixture("first", (("soprano", "1"), ("alto", "1")))
    with pytest.raises(DataError, match=r"No space left .* set paths.cache_dir"):
        estimate_mixtures(prepared, [mixture], recipe, progress=False)


def test_silence_is_mixed_without_division_by_zero() -> None:
    song = FakeSong("silent", 5, "1")
    assert not mix(song, Mixture("silent", song.keys)).any()


@pytest.mark.parametrize("entry", ["train", "evaluate", "prepare", "demo"])
def test_configurations_build_the_recipe_but_no_network(entry: str, tmp_path: Path) -> None:
    models = tmp_path / "nothing here"
    cfg = compose_config(
        entry, ["multif0=published", f"paths.models_dir={models}", "data.f0=estimated"]
    )
    data = instantiate(cfg.data, _convert_="all")
    assert isinstance(data.estimator, EstimatorRecipe)
    config = data.estimator.config
    assert config["model"]["weights"] == f"{models}/cuesta2020_late_deep/late_deep.npz"
    assert type(config["model"]) is dict


def test_a_run_is_identified_by_its_estimator_only_where_it_is_used() -> None:
    plain = [
        _describe_identity(compose_config("train", [f"multif0={name}"]))
        for name in ("voas", "published")
    ]
    assert plain[0] == plain[1]
    used = [
        _describe_identity(compose_config("train", [f"multif0={name}", "data.f0=estimated"]))
        for name in ("voas", "published")
    ]
    assert used[0] != used[1]
