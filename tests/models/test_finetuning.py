"""Fine-tuning on the mixture itself."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from src.dsp.spectral_loss import multi_scale_spectral_loss
from src.errors import TrainingDivergedError
from src.fit.umss import UmssFitSeparator
from src.models.finetuning import fine_tune
from src.models.source_filter_model import SourceFilterModel
from src.models.umss import UmssSeparator
from tests.fit.test_fit import voices
from tests.tiny_training import tiny_checkpoint, tiny_model


def tiny_network() -> SourceFilterModel:
    """The tiny training module's network."""
    model = tiny_model()
    network = SourceFilterModel(voice=model.hparams["voice"], estimator=model.hparams["estimator"])
    network.load_state_dict(model.state_dict())
    return network


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    return tiny_checkpoint(tmp_path)


@torch.inference_mode()
def test_tuned_networks_sound_more_like_the_mixture() -> None:
    torch.manual_seed(0)
    model = tiny_network().eval().requires_grad_(False)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    sources, f0 = voices()
    mixture = sources.sum(dim=1) / sources.sum(dim=1).abs().max()
    seed = torch.zeros(len(mixture), dtype=torch.int64)
    tuned = fine_tune(model, mixture, f0, seed, steps=10, learning_rate=1e-2)
    distance = [
        multi_scale_spectral_loss(m(mixture, f0, seed)[0].sum(dim=1), mixture)
        for m in (model, tuned)
    ]
    assert distance[1] < 0.9 * distance[0]
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert not any(p.requires_grad for p in tuned.parameters())
    with pytest.raises(TrainingDivergedError, match="finetune_lr"):
        fine_tune(model, mixture * torch.nan, f0, seed, steps=1, learning_rate=1e-2)


@pytest.mark.parametrize("kind", [UmssSeparator, UmssFitSeparator])
def test_every_mixture_is_tuned_for_by_itself(
    checkpoint: Path, kind: type[UmssSeparator | UmssFitSeparator]
) -> None:
    sources, f0 = voices(8000)
    mixture = torch.cat([sources.sum(dim=1), sources[:, 0]])[:2]
    f0 = f0[:1].expand(len(mixture), -1, -1)
    options = {"finetune_lr": 1e-2} | ({"opinions": None} if kind is UmssFitSeparator else {})
    separator = kind(checkpoint, finetune_steps=3, **options)
    both = separator(mixture, f0)
    alone = [separator(mixture[i : i + 1], f0[i : i + 1]) for i in range(len(mixture))]
    for i, one in enumerate(alone):
        torch.testing.assert_close(both.sources[i], one.sources[0], rtol=1e-3, atol=1e-4)
        for name, value in one.parameters.items():
            torch.testing.assert_close(both.parameters[name][i], value[0], rtol=1e-2, atol=1e-2)
    plain = kind(checkpoint, **options)(mixture, f0)
    assert (plain.masks - both.masks).abs().max() > 1e-3


@pytest.mark.parametrize("options", [{"finetune_steps": -1}, {"finetune_lr": 0.0}])
def test_bad_settings(checkpoint: Path, options: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="finetune_steps"):
        UmssSeparator(checkpoint, **options)
