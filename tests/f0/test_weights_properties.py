"""Files of F0 networks, damaged in every way: the weights that were saved, or one sentence."""

from __future__ import annotations

import io
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import strategies as st

from src.f0.network import WEIGHTS, VoiceSalience
from src.f0.published.cuesta import CuestaLateDeep
from src.f0.published.keras_layers import Weights, WeightsError
from src.f0.published.voas import VoasAssigner
from src.f0.published.weights import MODELS, ConversionError, install, read_keras
from src.fit.hypotheses import SECOND, SecondVoiceSalience
from tests.doors import assert_one_sentence, damaged, few_and_many, snapshot
from tests.f0.random_weights import late_deep

SMALL = {"a.kernel": np.ones((3, 3, 1, 2), np.float32), "a.bias": np.zeros(2, np.float32)}


def npz_of(arrays: dict[str, Any], *, compress: bool = False) -> bytes:
    stream = io.BytesIO()
    (np.savez_compressed if compress else np.savez)(stream, **arrays)
    return stream.getvalue()


def check_damaged_networks(tmp_path: Path, data: st.DataObject) -> None:
    path = tmp_path / "network.pt"
    path.write_bytes(data.draw(damaged(WEIGHTS.read_bytes())))
    try:
        model = VoiceSalience(path)
    except ValueError as error:
        assert_one_sentence(error, str(path))
    else:
        expected = VoiceSalience().network.state_dict()
        found = model.network.state_dict()
        assert all(torch.equal(found[name], expected[name]) for name in expected)


globals().update(few_and_many(check_damaged_networks))


def check_changed_networks(tmp_path: Path, data: st.DataObject) -> None:
    path = tmp_path / "network.pt"
    state = torch.load(WEIGHTS, weights_only=True)
    name = data.draw(st.sampled_from(sorted(state)))
    wrong = [
        None, 3, "x", [], torch.zeros(2), torch.full(state[name].shape, float("nan")),
        torch.full(state[name].shape, float("-inf")),
    ]  # fmt: skip
    state[name] = data.draw(st.sampled_from(wrong))
    if data.draw(st.booleans()):
        state[data.draw(st.text(max_size=5))] = state.pop(name)
    torch.save(state, path)
    with pytest.raises(ValueError, match="weights|NaN") as caught:
        VoiceSalience(path)
    assert_one_sentence(caught.value, str(path))


globals().update(few_and_many(check_changed_networks))


def check_damaged_arrays(tmp_path: Path, data: st.DataObject) -> None:
    path = tmp_path / "weights.npz"
    content = npz_of(SMALL, compress=data.draw(st.booleans()))
    path.write_bytes(data.draw(damaged(content)))
    try:
        found = Weights(path).conv("a.", (3, 3, 1, 2))
    except WeightsError as error:
        assert_one_sentence(error, str(path))
    else:
        assert bool((found.weight == 1).all())


globals().update(few_and_many(check_damaged_arrays))


def check_changed_arrays(tmp_path: Path, data: st.DataObject) -> None:
    path = tmp_path / "weights.npz"
    name = data.draw(st.sampled_from(sorted(SMALL)))
    shape = SMALL[name].shape
    wrong: list[Any] = [
        np.zeros(3), np.float32(1), np.full(shape, np.nan), np.full(shape, np.inf),
        np.full(shape, "a"), np.zeros((0, *shape)), np.zeros(shape, "datetime64[s]"),
        np.zeros(shape, [("a", "f4")]), np.array([None] * 3, dtype=object), None,
    ]  # fmt: skip
    arrays = {**SMALL, name: data.draw(st.sampled_from(wrong))}
    path.write_bytes(npz_of({k: v for k, v in arrays.items() if v is not None}))
    with pytest.raises(WeightsError) as caught:
        Weights(path).conv("a.", (3, 3, 1, 2))
    assert_one_sentence(caught.value, str(path))


globals().update(few_and_many(check_changed_arrays))


@pytest.fixture(scope="module")
def keras(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    h5py = pytest.importorskip("h5py")
    path = tmp_path_factory.mktemp("keras") / "model.h5"
    with h5py.File(path, "w") as file:
        group = file.create_group("model_weights")
        for name in ("conv1a", "batch_normalization_1"):
            group.create_dataset(f"{name}/{name}/kernel:0", data=np.ones((3, 3), np.float32))
        group.attrs["layer_names"] = [b"conv1a"]
    return path.read_bytes()


def check_damaged_keras_models(keras: bytes, tmp_path: Path, data: st.DataObject) -> None:
    path = tmp_path / "model.h5"
    path.write_bytes(data.draw(damaged(keras)))
    with pytest.raises(ConversionError) as caught:  # undamaged, it is still another model
        install("late_deep", tmp_path / "models", source=path)
    assert_one_sentence(caught.value, str(path))
    assert not (tmp_path / "models").exists()


globals().update(few_and_many(check_damaged_keras_models))


@pytest.mark.parametrize("content", [b"", b"{}", pickle.dumps([1]), b"PK\x05\x06" + bytes(18)])
def test_other_files(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "late_deep.npz"
    path.write_bytes(content)
    for build in (VoiceSalience, SecondVoiceSalience, CuestaLateDeep, VoasAssigner):
        with pytest.raises(ValueError, match="weights|lacks") as caught:
            build(path)
        assert_one_sentence(caught.value, str(path))


@pytest.mark.parametrize("build", [VoiceSalience, CuestaLateDeep, VoasAssigner])
def test_missing_files_and_folders(build: Any, tmp_path: Path) -> None:
    for path in (tmp_path / "none.npz", tmp_path):
        with pytest.raises(ValueError, match="no such weights") as caught:
            build(path)
        assert_one_sentence(caught.value, str(path))


def test_networks_of_each_other(tmp_path: Path) -> None:
    path = tmp_path / "late_deep.npz"
    path.write_bytes(npz_of(late_deep()))
    for build in (VoiceSalience, VoasAssigner):
        with pytest.raises(ValueError, match="weights|lacks") as caught:
            build(path)
        assert_one_sentence(caught.value, str(path))
    with pytest.raises(WeightsError) as caught:
        CuestaLateDeep(SECOND)
    assert_one_sentence(caught.value, str(SECOND))


def test_an_installed_file_with_other_weights_stays(tmp_path: Path) -> None:
    target = tmp_path / MODELS["late_deep"].target
    target.parent.mkdir(parents=True)
    for content in (b"", npz_of(SMALL), npz_of({"a": np.array(["x"])}), pickle.dumps(1)):
        target.write_bytes(content)
        before = snapshot(tmp_path)
        with pytest.raises(ConversionError, match="overwrite=true") as caught:
            install("late_deep", tmp_path, source=tmp_path / "none.h5")
        assert_one_sentence(caught.value, str(target))
        assert snapshot(tmp_path) == before


def test_keras_numbers_that_lie_elsewhere_or_take_all_memory(tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    secret = tmp_path / "secret"
    secret.write_bytes(bytes(400))
    path = tmp_path / "model.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("a/kernel:0", (100,), "f4", external=[(str(secret), 0, 400)])
        file["b"] = h5py.ExternalLink(str(secret), "/")
        file.create_dataset("c/names", data=np.array([b"x"]))
    assert read_keras(path) == {}
    with h5py.File(path, "w") as file:
        file.create_dataset("a/kernel:0", (10**6, 10**6), "f4", chunks=(100, 100))
    with pytest.raises(ConversionError, match="more than its size allows"):
        read_keras(path)
