"""Checkpoints of every kind of damage: the model that was saved, or one sentence."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import strategies as st
from torch import nn

from src.arrays import separate_array
from src.fit.umss import UmssFitSeparator
from src.models.fd_model import FdModel
from src.models.loading import SHIPPED, CheckpointError, load_model, load_module, load_weights
from src.models.umss import UmssSeparator
from src.models.unet_separator import UnetModel, UnetSeparator
from tests.doors import assert_one_sentence, damaged, few_and_many, snapshot, with_junk
from tests.tiny_training import tiny_checkpoint, tiny_model

UNET = {"channels": [4, 8], "control_channels": [8]}
AUDIO = np.sin(np.arange(8000) / 5).astype(np.float32)
F0 = np.full((2, 32), 200.0, np.float32)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_checkpoint(tmp_path_factory.mktemp("whole"))


@pytest.fixture(scope="module")
def unet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("unet") / "unet.ckpt"
    state = UnetModel(unet=UNET).state_dict()
    torch.save({"state_dict": state, "hyper_parameters": {"unet": UNET}}, path)
    return path


def same(found: nn.Module, expected: nn.Module) -> bool:
    ours, theirs = found.state_dict(), expected.state_dict()
    return ours.keys() == theirs.keys() and all(torch.equal(ours[k], theirs[k]) for k in ours)


def check_damaged_files_give_the_model_or_one_sentence(
    whole: Path, tmp_path: Path, data: st.DataObject
) -> None:
    path = tmp_path / "model.ckpt"
    path.write_bytes(data.draw(damaged(whole.read_bytes())))
    before = snapshot(tmp_path)
    try:
        model = load_model(path)
    except CheckpointError as error:
        assert_one_sentence(error, str(path))
    else:
        assert same(model, load_model(whole))
    assert snapshot(tmp_path) == before


globals().update(few_and_many(check_damaged_files_give_the_model_or_one_sentence))


def assert_sound_or_one_sentence(method: type[Any], path: Path) -> None:
    """Separate with a checkpoint: finite stems, or one sentence that names the file."""
    try:
        result = separate_array(AUDIO, 16_000, F0, method(path))
    except CheckpointError as error:
        assert_one_sentence(error, str(path))
    except ValueError as error:
        assert_one_sentence(error)
    else:
        assert all(np.isfinite(stem).all() for stem in result.stems.values())


def check_changed_settings_give_sound_or_one_sentence(
    whole: Path, tmp_path: Path, data: st.DataObject
) -> None:
    path = tmp_path / "model.ckpt"
    content = torch.load(whole, weights_only=True)
    content["hyper_parameters"] = data.draw(with_junk(content["hyper_parameters"]))
    torch.save(content, path)
    assert_sound_or_one_sentence(UmssSeparator, path)


globals().update(few_and_many(check_changed_settings_give_sound_or_one_sentence))


def check_changed_settings_of_the_unet_give_sound_or_one_sentence(
    unet: Path, tmp_path: Path, data: st.DataObject
) -> None:
    path = tmp_path / "model.ckpt"
    content = torch.load(unet, weights_only=True)
    content["hyper_parameters"] = data.draw(
        with_junk({"unet": {**UNET, "n_fft": 1024, "hop": 256}})
    )
    torch.save(content, path)
    assert_sound_or_one_sentence(UnetSeparator, path)


globals().update(few_and_many(check_changed_settings_of_the_unet_give_sound_or_one_sentence))

BAD_WEIGHTS: list[Any] = [
    None, 1, "text", [], {}, torch.zeros(3), torch.tensor(float("nan")), torch.zeros(0),
    torch.zeros(3, dtype=torch.complex64), torch.zeros(3, dtype=torch.int64),
    torch.zeros(3).to_sparse(),
]  # fmt: skip


def check_changed_weights_give_one_sentence(
    whole: Path, tmp_path: Path, data: st.DataObject
) -> None:
    path = tmp_path / "model.ckpt"
    content = torch.load(whole, weights_only=True)
    state = content["state_dict"]
    name = data.draw(st.sampled_from(sorted(state)))
    kind = data.draw(st.sampled_from(["remove", "rename", "replace", "nan", "inf", "type", "part"]))
    value = state.pop(name)
    if kind == "rename":
        state[data.draw(st.text(max_size=5))] = value
    elif kind == "replace":
        state[name] = data.draw(st.sampled_from(BAD_WEIGHTS))
    elif kind in ("nan", "inf"):
        value = value.clone()
        value.view(-1)[data.draw(st.integers(0, value.numel() - 1))] = float(kind)
        state[name] = value
    elif kind == "type":
        state[name] = value.to(data.draw(st.sampled_from([torch.complex64, torch.int64])))
    elif kind == "part":
        state[name] = torch.cat([value, value])
    torch.save(content, path)
    with pytest.raises(CheckpointError) as caught:
        load_model(path)
    assert_one_sentence(caught.value, str(path))
    model = tiny_model()
    before = {key: tensor.clone() for key, tensor in model.state_dict().items()}
    with pytest.raises(CheckpointError, match="init=") as caught:
        load_weights(model, path)
    assert_one_sentence(caught.value, str(path))
    if kind in ("nan", "inf", "type"):
        assert all(torch.equal(model.state_dict()[key], before[key]) for key in before)


globals().update(few_and_many(check_changed_weights_give_one_sentence))


@pytest.mark.parametrize(
    "content", [b"", b"\x80\x04", pickle.dumps({"a": 1}), b"PK\x05\x06", b"{}"]
)
def test_other_files(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "best.ckpt"
    path.write_bytes(content)
    for load in (
        lambda: load_model(path),
        lambda: load_module(path, UnetModel, experiment="unet_small"),
        lambda: load_module(path, FdModel, experiment="fd_small"),
        lambda: load_weights(tiny_model(), path),
    ):
        with pytest.raises(CheckpointError) as caught:
            load()
        assert_one_sentence(caught.value, str(path))


@pytest.mark.parametrize(
    "content", [[1], 3, {"state_dict": {}}, {"hyper_parameters": 1}, torch.zeros(1)]
)
def test_other_contents(content: Any, tmp_path: Path) -> None:
    path = tmp_path / "best.ckpt"
    torch.save(content, path)
    with pytest.raises(CheckpointError) as caught:
        load_model(path)
    assert_one_sentence(caught.value, str(path))


def test_a_folder_and_the_file_of_another_model(whole: Path, unet: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="a folder; set") as caught:
        UmssFitSeparator(checkpoint=tmp_path)
    assert_one_sentence(caught.value, str(tmp_path))
    with pytest.raises(CheckpointError, match="use it with separator=unet") as caught:
        load_model(unet)
    assert_one_sentence(caught.value, str(unet))
    with pytest.raises(CheckpointError, match="use it with separator=umss") as caught:
        load_module(whole, UnetModel, experiment="unet_small")
    assert_one_sentence(caught.value, str(whole))
    with pytest.raises(CheckpointError) as caught:
        load_weights(tiny_model(), SHIPPED)
    assert_one_sentence(caught.value, str(SHIPPED))


def test_a_model_larger_than_its_file_takes_no_memory(whole: Path, tmp_path: Path) -> None:
    content = torch.load(whole, weights_only=True)
    content["hyper_parameters"]["estimator"] = {"encoder_width": 65_536}
    path = tmp_path / "huge.ckpt"
    torch.save(content, path)
    with pytest.raises(CheckpointError, match="settings do not fit its weights"):
        load_model(path)


def test_one_changed_bit_of_a_weight_is_noticed(whole: Path, tmp_path: Path) -> None:
    content = bytearray(whole.read_bytes())
    place = content.index(np.float32(1.0).tobytes() * 20)  # the scales of the encoder
    content[place] ^= 1
    path = tmp_path / "model.ckpt"
    path.write_bytes(bytes(content))
    with pytest.raises(CheckpointError, match="damaged"):
        load_model(path)
