"""Checkpoints: only ours are accepted, and nothing in them is executed."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest
import torch

from src.models.loading import CheckpointError, load_model
from src.models.umss import UmssSeparator
from tests.tiny_training import tiny_checkpoint


class Payload:
    """Creates a file when unpickled."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return open, (str(self.trace), "w")  # type: ignore[return-value]


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    return tiny_checkpoint(tmp_path)


def test_checkpoint_restores_the_weights_and_separates(checkpoint: Path) -> None:
    stored = torch.load(checkpoint, weights_only=True)["state_dict"]
    restored = load_model(checkpoint)
    assert not restored.training
    assert all(torch.equal(stored[name], value) for name, value in restored.state_dict().items())

    separator = UmssSeparator(checkpoint, mask="power")
    mixture = torch.sin(torch.arange(4000) * 0.2).repeat(2, 1)
    f0 = torch.tensor([509.0, 250.0, 0.0])[:, None].repeat(2, 1, 16)
    result = separator(mixture, f0, seed=3)
    assert result.sources.shape == (2, 3, 4000)
    assert result.synthesised is not None
    assert torch.allclose(result.masks.sum(1), torch.ones(()), atol=1e-4)
    assert torch.equal(result.sources, separator(mixture, f0, seed=3).sources)
    assert not torch.equal(result.synthesised, separator(mixture, f0, seed=4).synthesised)


def test_level_of_the_recording_does_not_matter(checkpoint: Path) -> None:
    separator = UmssSeparator(checkpoint)
    mixture = torch.sin(torch.arange(4000) * 0.2)[None]
    f0 = torch.full((1, 2, 16), 300.0)
    loud, soft = separator(mixture, f0), separator(mixture * 1e-3, f0)
    assert torch.allclose(loud.sources * 1e-3, soft.sources, atol=1e-6)
    silence = separator(torch.zeros(1, 4000), f0)
    assert torch.isfinite(silence.sources).all()


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize("legacy", [True, False], ids=["pickle", "zip"])
def test_code_in_a_checkpoint_is_refused_and_not_executed(tmp_path: Path, legacy: bool) -> None:
    trace, path = tmp_path / "executed", tmp_path / "evil.ckpt"
    content = {"hyper_parameters": Payload(trace), "state_dict": {}}
    if legacy:
        path.write_bytes(pickle.dumps(content))
    else:
        torch.save(content, path)
    with pytest.raises(CheckpointError, match=r"evil\.ckpt: not a checkpoint of this program"):
        load_model(path)
    assert not trace.exists()


def test_missing_foreign_and_truncated_files(tmp_path: Path, checkpoint: Path) -> None:
    with pytest.raises(CheckpointError, match="no such checkpoint; train one"):
        load_model(tmp_path / "none.ckpt")
    for folder, experiment in (
        ("us_full-j4-s0", "us_full"),
        ("paper_sv_small-j2-s0", "paper/sv_small"),
    ):
        with pytest.raises(CheckpointError, match=f"`umss train experiment={experiment}`"):
            load_model(tmp_path / folder / "best.ckpt")
    with pytest.raises(CheckpointError, match="no such checkpoint"):
        load_model(tmp_path)
    foreign = {
        "text.ckpt": b"not a checkpoint",
        "empty.ckpt": b"",
        "cut.ckpt": checkpoint.read_bytes()[:-500],
    }
    for name, content in foreign.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(CheckpointError, match=f"{name}: not a checkpoint"):
            load_model(tmp_path / name)
    torch.save({"weights": torch.zeros(3)}, tmp_path / "other.ckpt")
    with pytest.raises(CheckpointError, match="not a checkpoint of this program"):
        load_model(tmp_path / "other.ckpt")
    torch.save([1, 2], tmp_path / "list.ckpt")
    with pytest.raises(CheckpointError):
        load_model(tmp_path / "list.ckpt")


@pytest.mark.parametrize(
    "changes",
    [
        {"state_dict": {}},
        {"hyper_parameters": {"unknown": 1}},
        {"hyper_parameters": [1, 2]},
        {"state_dict": 3},
        {"hyper_parameters": {"voice": {"filtering": "other"}}},
    ],
)
def test_checkpoints_of_other_models(checkpoint: Path, changes: dict[str, object]) -> None:
    content = torch.load(checkpoint, weights_only=True) | changes
    torch.save(content, checkpoint)
    with pytest.raises(CheckpointError, match="holds another kind of model"):
        load_model(checkpoint)
