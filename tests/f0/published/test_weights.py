from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from src.f0.published import weights as published_weights
from src.f0.published.weights import MODELS, ConversionError, digest, install, read_keras
from tests.f0 import random_weights


def keras_names(name: str) -> str:
    """Name, in the authors' Keras model, of an array of our Late/Deep file."""
    layer, array = name.rsplit(".", 1)
    branch, _, short = layer.rpartition(".")
    letter = {"": "", "magnitude": "a", "phase_differential": "b"}[branch]
    if not short.startswith("bn"):
        return f"{short}{letter}/{array}"
    # Keras numbers them as they were made, here after those of another model in the session.
    number = int(short[2:]) + (7 if letter == "b" or not letter else 0)
    return f"batch_normalization_{number + 9}/{array}"


def write_keras(path: Path, arrays: dict[str, np.ndarray], group: str) -> Path:
    h5py = pytest.importorskip("h5py", reason="h5py is needed by published_weights only")
    with h5py.File(path, "w") as file:
        for name, values in arrays.items():
            layer, array = name.split("/")
            file[f"{group}{layer}/{layer}/{array.removesuffix(':0')}:0"] = values
        if group:
            file["optimizer_weights/training/Adam/conv1/kernel:0"] = np.zeros(3)
    return path


@pytest.fixture
def random_models(monkeypatch: pytest.MonkeyPatch) -> None:
    """Digests of random weights in place of the published ones."""
    for name, arrays in (
        ("late_deep", random_weights.late_deep()),
        ("voas_cnn", random_weights.voas()),
    ):
        model = published_weights.PublishedModel(**{**vars(MODELS[name]), "digest": digest(arrays)})
        monkeypatch.setitem(MODELS, name, model)


@pytest.mark.parametrize("name", MODELS)
def test_digest_is_that_of_the_published_weights(name: str, shared_dir: Path) -> None:
    path = shared_dir / "models" / MODELS[name].target
    if not path.is_file():
        pytest.skip(f"published weights are missing: no {path}")
    with np.load(path) as file:
        arrays = {key: file[key] for key in file.files}
    assert digest(arrays) == MODELS[name].digest
    first = next(iter(arrays))
    arrays[first] = arrays[first] + 1e-3
    assert digest(arrays) != MODELS[name].digest


def test_late_deep_gets_its_names() -> None:
    arrays = random_weights.late_deep()
    published = {keras_names(name): values for name, values in arrays.items()}
    assert len(published) == len(arrays)
    converted = published_weights.rename_late_deep(published)
    assert digest(converted) == digest(arrays)


@pytest.mark.usefixtures("random_models")
@pytest.mark.parametrize("group", ["", "model_weights/"])
def test_keras_files_are_converted(tmp_path: Path, group: str) -> None:
    late_deep = {keras_names(k): v for k, v in random_weights.late_deep().items()}
    write_keras(tmp_path / "exp3multif0.h5", late_deep, group)
    write_keras(tmp_path / "voas_cnn.h5", random_weights.voas(), group)
    for name, expected in (
        ("late_deep", random_weights.late_deep()),
        ("voas_cnn", random_weights.voas()),
    ):
        path, is_new = install(name, tmp_path / "models", source=tmp_path)
        assert is_new and path == tmp_path / "models" / MODELS[name].target
        with np.load(path) as file:
            assert set(file.files) == set(expected)
        assert install(name, tmp_path / "models") == (path, False)


@pytest.mark.usefixtures("random_models")
def test_other_weights_are_refused(tmp_path: Path) -> None:
    source = write_keras(tmp_path / "voas_cnn.h5", random_weights.voas(seed=1), "")
    with pytest.raises(ConversionError, match=r"voas_cnn.h5: not the published weights"):
        install("voas_cnn", tmp_path / "models", source=source)
    with pytest.raises(ConversionError, match=r"voas_cnn.h5: not the published weights"):
        install("late_deep", tmp_path / "models", source=source)
    assert not (tmp_path / "models").exists()


@pytest.mark.usefixtures("random_models")
def test_weights_that_are_there_are_kept(tmp_path: Path) -> None:
    target = tmp_path / MODELS["voas_cnn"].target
    target.parent.mkdir()
    random_weights.save(target, random_weights.voas(seed=1))
    with pytest.raises(ConversionError, match=r"holds other weights.*overwrite=true"):
        install("voas_cnn", tmp_path)
    random_weights.save(target, random_weights.voas())
    assert install("voas_cnn", tmp_path) == (target, False)


def test_without_a_network_the_remedy_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import pooch

    def no_network(*_: object, **__: object) -> str:
        raise ConnectionError("no route to host")

    monkeypatch.setattr(pooch, "retrieve", no_network)
    monkeypatch.setitem(sys.modules, "h5py", ModuleType("h5py"))
    with pytest.raises(ConversionError, match=r"github.com/helenacuesta.*source=PATH"):
        install("voas_cnn", tmp_path)


def test_a_missing_h5py_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(ConversionError, match=r"umss\[published\]"):
        read_keras(tmp_path / "model.h5")


def test_what_is_no_keras_file_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("h5py", reason="h5py is needed by published_weights only")
    path = tmp_path / "model.h5"
    path.write_text("version https://git-lfs.github.com/spec/v1")
    with pytest.raises(ConversionError, match=r"model.h5: not an HDF5 file"):
        read_keras(path)
    with pytest.raises(ConversionError, match="no such file"):
        read_keras(tmp_path / "absent.h5")
    with pytest.raises(ConversionError, match="unknown model"):
        install("other", tmp_path)
