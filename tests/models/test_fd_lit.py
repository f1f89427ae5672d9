"""The fully differentiable model: learns from mixtures alone, is stored, loaded, separates."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch

from src.dsp.spectral_loss import multi_scale_spectral_loss
from src.models.fd_decisions import resample_decisions
from src.models.fd_lit import FdTraining
from src.models.fd_separator import FdSeparator
from src.models.lit import SourceFilterTraining, UnsupervisedTraining
from src.models.loading import CheckpointError
from src.models.salience_f0 import SalienceF0
from src.models.source_filter import SourceFilterVoice
from src.models.umss import UmssSeparator
from src.train import train
from tests.tiny_training import ESTIMATOR, compose_config, overrides, tiny_model, write_choir

T, N = 4000, 16


def tiny(**options: Any) -> FdTraining:
    torch.manual_seed(0)
    settings: dict[str, Any] = {"voice": {"order": 6}, "estimator": dict(ESTIMATOR)}
    return FdTraining(**(settings | {"fft_sizes": (512, 128)} | options))


def batch(n_singers: int = 4, n_mixtures: int = 1) -> dict[str, Any]:
    t = torch.arange(T) / 16_000
    base = torch.tensor([440.0, 330.0, 220.0, 110.0])[:n_singers, None]
    sources = sum(torch.sin(2 * torch.pi * i * base * t) / i for i in range(1, 6))
    assert isinstance(sources, torch.Tensor)
    mixture = sources.sum(0) / sources.sum(0).abs().max()
    return {
        "mixture": mixture.repeat(n_mixtures, 1),
        "f0": base.expand(n_singers, N).repeat(n_mixtures, 1, 1),
        "seed": torch.arange(n_mixtures),
    }


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    model = tiny()
    path = tmp_path_factory.mktemp("fd") / "best.ckpt"
    torch.save({"state_dict": model.state_dict(), "hyper_parameters": dict(model.hparams)}, path)
    return path


@pytest.mark.slow
def test_gradients_reach_every_part_and_the_loss_falls() -> None:
    model, data = tiny().train(), batch()
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    totals = []
    for step in range(4):
        optimizer.zero_grad()
        loss = model._step(data)
        loss.backward()
        if step == 0:
            without = [n for n, p in model.named_parameters() if p.grad is None]
            assert without == []
            for part in (model.salience.late_deep, model.salience.voas, model.estimator):
                norms = [float(p.grad.norm()) for p in part.parameters() if p.grad is not None]
                assert all(map(math.isfinite, norms)) and max(norms) > 0
        model.configure_gradient_clipping(optimizer, 1.0, "norm")
        optimizer.step()
        totals.append(loss.item())
    assert totals[-1] < 0.9 * totals[0]


def test_reconstruction_alone_reaches_the_salience_network() -> None:
    model = tiny().train()
    model.losses(batch())["reconstruction"].backward()
    for part in (model.salience.late_deep, model.salience.voas):
        assert max(float(p.grad.abs().max()) for p in part.parameters() if p.grad is not None) > 0


@pytest.mark.slow
def test_a_detuned_voice_is_tuned_by_the_reconstruction() -> None:
    """The salience of three voices is 10 cents off; the gradient of the audio moves their peaks."""
    true = torch.tensor([523.25, 392.0, 261.6])
    n_frames, n_hcqt = 32, 45
    decide = SalienceF0().decide
    voice = SourceFilterVoice()
    off = torch.tensor([0.5, -0.5, 0.5])  # bins
    peak = 60 * torch.log2(true / 32.7) + off
    bump = torch.exp(-0.5 * ((torch.arange(360.0) - peak[:, None]) / 1.5) ** 2).clamp(1e-4, 0.9)
    logits = torch.logit(torch.cat([bump, torch.full((1, 360), 1e-4)]))[None, :, :, None]
    logits = logits.repeat(1, 1, 1, n_hcqt).requires_grad_()
    controls = {
        "harmonic_amplitude": torch.full((1, 3, n_frames, 1), 0.5),
        "noise_gain": torch.full((1, 3, n_frames, 1), 1e-3),
        "lsf_increments": torch.ones(1, 3, n_frames, 21),
        "noise_magnitudes": torch.ones(1, 3, 40),
    }
    seed = torch.zeros(1, dtype=torch.int64)

    def sing(f0: torch.Tensor) -> torch.Tensor:
        return voice(f0, controls, seed, n_frames * 256).sum(1)

    target = sing(true[None, :, None].expand(1, 3, n_frames))
    optimizer = torch.optim.Adam([logits], lr=0.1)
    errors, losses = [], []
    for _ in range(20):
        f0, voicing, _ = decide(torch.sigmoid(logits))
        tracks, _ = resample_decisions(f0[:, :3], voicing[:, :3], n_frames)
        errors.append(float((1200 * torch.log2(tracks.detach() / true[:, None])).abs().mean()))
        loss = multi_scale_spectral_loss(sing(tracks), target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert errors[0] == pytest.approx(10.0, abs=0.5)
    assert errors[-1] < 0.7 * errors[0]
    assert losses[-1] < 0.9 * losses[0]


def test_only_the_mixture_is_used() -> None:
    model, data = tiny(), batch(2)
    with torch.no_grad():
        first = model._step(data)
        assert torch.equal(first, model._step({**data, "f0": torch.zeros_like(data["f0"])}))
        other = model._step({**data, "mixture": data["mixture"].flip(1)})
    assert not torch.equal(first, other)


def test_validation_counts_the_reconstruction_alone() -> None:
    model, data = tiny(), batch(2)
    with torch.no_grad():
        losses = model.eval().losses(data)
        assert torch.equal(model._step(data), losses["reconstruction"])
        weighted = losses["reconstruction"] + sum(
            weight * losses[name]
            for name, weight in {"salience": 1e4, "range": 1e5, "commitment": 1e4}.items()
        )
        torch.testing.assert_close(model.train()._step(data), weighted)


def test_a_gated_voice_sounds_as_one_without_f0() -> None:
    model, data = tiny().eval(), batch(2)
    with torch.no_grad():
        found = model.salience(data["mixture"], 2)
        f0 = found.f0.clone()
        sources, parameters = model.synthesise(data["mixture"], found, data["seed"])
        given, other = SourceFilterTraining.forward(model, data["mixture"], f0, data["seed"])
    torch.testing.assert_close(sources, given)
    assert torch.equal(parameters["estimated_f0"][..., 0], f0)
    assert "estimated_f0" not in other


def test_each_part_is_clipped_by_its_own_norm() -> None:
    model = tiny()
    for p in model.salience.parameters():
        p.grad = torch.full_like(p, 1e3)
    for p in model.estimator.parameters():
        p.grad = torch.full_like(p, 1e-5)
    model.configure_gradient_clipping(model.configure_optimizers(), 1.0, "norm")
    norms = [
        torch.stack([p.grad.norm() for p in part.parameters() if p.grad is not None]).norm()
        for part in (model.salience, model.estimator)
    ]
    assert float(norms[0]) == pytest.approx(1.0, rel=1e-3)
    count = sum(p.numel() for p in model.estimator.parameters())
    assert float(norms[1]) == pytest.approx(1e-5 * count**0.5, rel=1e-3)  # was small already


def test_learning_rate_of_the_f0_networks() -> None:
    groups = tiny(f0_lr=0.1).configure_optimizers().param_groups
    assert [group["factor"] for group in groups] == [1.0, 0.1]
    fixed = tiny(salience={"train": "none"}).configure_optimizers().param_groups
    assert len(fixed) == 1


def test_checkpoint_needs_no_other_file(tmp_path: Path, checkpoint: Path) -> None:
    model = tiny(salience={"temperature": 0.1, "late_deep": None})
    assert model.hparams["salience"] == {"temperature": 0.1, "late_deep": None}
    stored = torch.load(checkpoint, weights_only=True)["state_dict"]
    restored = FdSeparator(checkpoint).model
    assert all(torch.equal(stored[name], value) for name, value in restored.state_dict().items())


@pytest.mark.slow
def test_separation(checkpoint: Path) -> None:
    separator = FdSeparator(checkpoint)
    data = batch(3, 2)
    result = separator(data["mixture"], data["f0"], seed=3)
    assert result.sources.shape == (2, 3, T)
    assert result.parameters["estimated_f0"].shape == (2, 3, N, 1)
    again = separator(data["mixture"], torch.zeros_like(data["f0"]), seed=3)
    assert torch.equal(result.sources, again.sources)  # the F0s from outside do not matter
    given = FdSeparator(checkpoint, f0="given")(data["mixture"], data["f0"], seed=3)
    assert "estimated_f0" not in given.parameters
    assert not torch.equal(result.sources, given.sources)
    soft = separator(data["mixture"] / 1024, data["f0"], seed=3)  # exact in binary numbers
    torch.testing.assert_close(soft.sources * 1024, result.sources)
    silence = separator(torch.zeros(1, 2000), torch.zeros(1, 2, 8))
    assert torch.isfinite(silence.sources).all()
    with pytest.raises(ValueError, match="n_singers=5"):
        separator(data["mixture"], torch.zeros(2, 5, N))
    with pytest.raises(ValueError, match="separator.f0 must be"):
        FdSeparator(checkpoint, f0="both")


def test_checkpoints_of_the_wrong_kind_name_the_separator(tmp_path: Path, checkpoint: Path) -> None:
    with pytest.raises(CheckpointError, match="use it with separator=fd"):
        UmssSeparator(checkpoint)
    other = tiny_model("us")
    path = tmp_path / "us.ckpt"
    torch.save({"state_dict": other.state_dict(), "hyper_parameters": dict(other.hparams)}, path)
    with pytest.raises(CheckpointError, match="another kind of model"):
        FdSeparator(path)


def test_warm_start(tmp_path: Path) -> None:
    torch.manual_seed(5)
    trained = tiny_model("us")
    path = tmp_path / "us.ckpt"
    content = {"state_dict": trained.state_dict(), "hyper_parameters": dict(trained.hparams)}
    torch.save(content, path)
    model = tiny(warm_start=str(path))
    for name, value in trained.estimator.state_dict().items():
        assert torch.equal(model.estimator.state_dict()[name], value)
    assert model.hparams["warm_start"] is None
    with pytest.raises(ValueError, match="its estimator has another size"):
        tiny(warm_start=str(path), estimator={**ESTIMATOR, "latent": 4})
    assert isinstance(trained, UnsupervisedTraining)


def test_wrong_names_of_losses() -> None:
    with pytest.raises(ValueError, match="f0_weights must name salience, range, commitment"):
        tiny(f0_weights={"salience": 1.0})


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_from_training_to_separation(tmp_path: Path) -> None:
    choir = write_choir(tmp_path / "choir", seconds=4)
    changes = overrides(
        choir,
        tmp_path / "run",
        "experiment=fd_small",
        "data.split.small.train=[one]",
        "data.split.small.val=[two]",
        "data.excerpt_seconds=0.5",
        "model.salience.late_deep=null",
        "model.salience.voas=null",
        "trainer.max_epochs=1",
        "+trainer.limit_train_batches=3",
        "+trainer.limit_val_batches=1",
    )
    result = train(compose_config("train", changes, tmp_path / "run"), tmp_path / "run")
    assert 0 < result["best_val_loss"] < float("inf")
    separator = FdSeparator(tmp_path / "run" / "checkpoints" / "best.ckpt")
    assert separator(torch.randn(1, 8000), torch.zeros(1, 4, 32)).sources.shape == (1, 4, 8000)
