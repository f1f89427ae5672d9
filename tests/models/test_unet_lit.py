"""The U-Net baseline: training, continuation, and the trained network as a separator."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from src.dsp.noise import uniform_noise
from src.errors import TrainingDivergedError
from src.models.loading import CheckpointError, load_model
from src.models.unet import extend_f0
from src.models.unet_lit import UnetTraining, choose_targets
from src.models.unet_separator import UnetSeparator
from src.train import train
from src.training.excerpts import separate_excerpt
from tests.separating import separate
from tests.tiny_training import compose_config, overrides, tiny_model, write_choir

T, N = 8000, 32
UNET = {"channels": [4, 8, 8], "control_channels": [8, 16]}


def tiny(**options: Any) -> UnetTraining:
    torch.manual_seed(0)
    return UnetTraining(unet={**UNET, **options}, lr=1e-2)


def batch(n_singers: int, n_mixtures: int = 2, seed: int = 0) -> dict[str, Any]:
    """Sung chords: harmonic tones, every mixture in another key, with exact F0."""
    t = torch.arange(T) / 16_000
    base = torch.tensor([440.0, 330.0, 220.0, 110.0])[:n_singers]
    base = base * torch.linspace(1.0, 1.2, n_mixtures)[:, None]
    phase = 2 * torch.pi * base[..., None] * t
    sources = sum(torch.sin(i * phase) / i for i in range(1, 6))
    assert isinstance(sources, Tensor)
    sources = sources / sources.sum(1).abs().amax(-1)[:, None, None]
    return {
        "mixture": sources.sum(1),
        "sources": sources,
        "f0": base[..., None].expand(-1, -1, N).contiguous(),
        "seed": seed + torch.arange(n_mixtures),
    }


def learn(model: UnetTraining, n_singers: int, steps: int) -> None:
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    for step in range(steps):
        optimizer.zero_grad()
        model._step(batch(n_singers, 4, seed=1000 * step)).backward()
        optimizer.step()


def save(model: torch.nn.Module, path: Path) -> Path:
    hyper_parameters = dict(model.hparams)  # type: ignore[arg-type]
    torch.save({"state_dict": model.state_dict(), "hyper_parameters": hyper_parameters}, path)
    return path


def test_it_learns_to_follow_the_f0() -> None:
    model = tiny(dropout=0.1)
    learn(model, 2, 60)
    model.eval()
    data = batch(2, 4)
    with torch.no_grad():
        learned = float(model._step(data))
        swapped = float(model._step({**data, "f0": data["f0"].flip(1)}))
        untrained = float(tiny().eval()._step(data))
        more, _ = model(*(batch(3)[key] for key in ("mixture", "f0", "seed")))
    assert learned < 0.6 * untrained
    assert learned < 0.7 * swapped
    assert more.shape == (2, 3, T) and more.isfinite().all()


def test_training_takes_one_target_per_mixture_and_validation_all() -> None:
    model, data = tiny(dropout=0.0), batch(3, 5)
    layers, maps = model.unet.n_draws
    targets = choose_targets(uniform_noise(data["seed"], 1 + layers, maps)[:, 0, 0], 3)
    assert len(set(targets.tolist())) > 1

    def magnitudes(signal: Tensor) -> Tensor:
        window = torch.hann_window(1024)
        spectrum = torch.stft(
            signal, 1024, 256, window=window, pad_mode="constant", return_complex=True
        )
        return spectrum.abs()

    def loss(chosen: list[int]) -> float:
        mixture = magnitudes(data["mixture"])
        sources = torch.stack([data["sources"][b, j] for b, j in enumerate(chosen)])
        f0 = torch.stack([data["f0"][b, j] for b, j in enumerate(chosen)])
        masks = model.unet(mixture, f0)
        return float((masks * mixture - magnitudes(sources)).abs().mean())

    with torch.no_grad():
        assert float(model._step(data)) == pytest.approx(loss(targets.tolist()), rel=1e-5)
        model.eval()
        expected = np.mean([loss([j] * 5) for j in range(3)])
        assert float(model._step(data)) == pytest.approx(expected, rel=1e-4)
        other = {**data, "seed": data["seed"] + 7}
        assert float(model._step(other)) == float(model._step(data))


def test_targets_are_equally_likely() -> None:
    draws = uniform_noise(torch.arange(6000), 1, 1)[:, 0, 0]
    counts = torch.bincount(choose_targets(draws, 3), minlength=3)
    assert counts.sum() == 6000
    assert torch.allclose(counts / 6000, torch.tensor(1 / 3), atol=0.02)
    assert not choose_targets(draws, 1).any()
    assert choose_targets(torch.tensor([-1.0, 1.0 - 2.0**-23]), 4).tolist() == [0, 3]


def test_loss_depends_on_the_seeds_and_on_nothing_drawn_before() -> None:
    data = batch(2)
    with torch.no_grad():
        first = tiny()._step(data)
        model = tiny()
        torch.randn(1000)
        assert torch.equal(first, model._step(data))
        assert not torch.equal(first, tiny()._step({**data, "seed": data["seed"] + 1}))


def test_f0_on_the_frames_of_the_spectrogram() -> None:
    f0 = torch.tensor([[1.0, 2.0, 3.0]])
    assert extend_f0(f0, 3).tolist() == [[1.0, 2.0, 3.0]]
    assert extend_f0(f0, 4).tolist() == [[1.0, 2.0, 3.0, 3.0]]
    with pytest.raises(ValueError, match="f0 must have 4 or 5 frames"):
        extend_f0(f0, 5)


def test_tracks_of_a_model_in_training() -> None:
    data = {key: value[:1] for key, value in batch(2).items()}
    data |= {
        "parts": [("soprano", "alto")],
        "singers": [("1", "2")],
        "full_mix_peak": torch.ones(1),
    }
    data["mixture"], data["sources"] = data["mixture"].repeat(1, 2), data["sources"].repeat(1, 1, 2)
    data["f0"] = data["f0"][..., :1].expand(-1, -1, 63)
    tracks = separate_excerpt(tiny().eval(), data)
    assert [track.voice for track in tracks[2:]] == ["soprano", "alto"]
    assert all(track.samples.shape == data["mixture"].shape[1:] for track in tracks)


@pytest.fixture(scope="module")
def choir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_choir(tmp_path_factory.mktemp("data") / "choir")


def run(choir: Path, output: Path, *more: str) -> dict[str, Any]:
    kept = [c for c in overrides(choir, output) if not c.startswith("model.")]
    changes = [
        *kept,
        "experiment=unet_full",
        "n_singers=2",
        *(f"model.unet.{key}={value}" for key, value in UNET.items()),
        *more,
    ]
    return train(compose_config("train", changes, output), output)


def last(output: Path) -> dict[str, Any]:
    return torch.load(output / "checkpoints" / "last.ckpt", weights_only=True)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("averaging", [True, False])
def test_continued_equals_never_stopped(choir: Path, tmp_path: Path, averaging: bool) -> None:
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    # Every epoch is saved, whether it is better or not.
    changes = ["+callbacks.checkpoint.save_top_k=-1", "model.lr=1e-2"]
    changes += [] if averaging else ["callbacks.averaging=null"]
    straight = run(choir, whole, *changes, "trainer.max_epochs=3")
    run(choir, broken, *changes, "trainer.max_epochs=1")
    continued = run(choir, broken, *changes, "trainer.max_epochs=3")
    assert continued["epochs"] == straight["epochs"] == 3
    for key in ("steps", "val_loss", "best_val_loss"):
        assert continued[key] == straight[key]
    a, b = last(whole)["state_dict"], last(broken)["state_dict"]
    assert [name for name in a if not torch.equal(a[name], b[name])] == []
    assert last(whole)["hyper_parameters"]["unet"]["channels"] == UNET["channels"]

    separator = UnetSeparator(whole / "checkpoints" / "best.ckpt")
    data = batch(3)
    assert separator(data["mixture"], data["f0"]).sources.shape == (2, 3, T)


@pytest.mark.filterwarnings("ignore")
def test_training_in_bfloat16(choir: Path, tmp_path: Path) -> None:
    losses = [
        run(choir, tmp_path / p, "trainer.max_epochs=1", f"trainer.precision={p}")["val_loss"]
        for p in ("bf16-mixed", "32-true")
    ]
    assert losses[0] != losses[1]
    assert losses[0] == pytest.approx(losses[1], rel=0.05)


@pytest.mark.filterwarnings("ignore")
def test_divergence_is_noticed(
    choir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(UnetTraining, "loss", lambda *_: torch.tensor(float("nan")))
    with pytest.raises(TrainingDivergedError, match="training loss became nan in epoch 1"):
        run(choir, tmp_path, "trainer.max_epochs=1")


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    model = tiny(dropout=0.1)
    learn(model, 2, 20)
    return save(model, tmp_path_factory.mktemp("unet") / "best.ckpt")


def test_separation(checkpoint: Path) -> None:
    separator = UnetSeparator(checkpoint)
    assert not separator.stochastic
    assert (UnetSeparator.n_fft, UnetSeparator.mask_hop) == (1024, 256)
    data = batch(3)
    result = separator(data["mixture"], data["f0"])
    assert result.masks.shape == (2, 3, 513, 1 + T // 256)
    assert result.synthesised is None and not result.parameters
    assert torch.allclose(result.sources.sum(1), data["mixture"], atol=1e-5)
    # Masks are the share of every estimate.
    model = separator.model
    estimates = model(data["mixture"], data["f0"], data["seed"])[0]
    magnitudes = model.unet.estimate_masks(
        model.unet.compute_spectrum(data["mixture"]).abs(), data["f0"]
    )
    assert estimates.shape == result.sources.shape
    assert torch.allclose(result.masks, magnitudes / magnitudes.sum(1, keepdim=True), atol=1e-5)
    power = UnetSeparator(checkpoint, mask="power")(data["mixture"], data["f0"]).masks
    squares = magnitudes.square()
    assert torch.allclose(power, squares / squares.sum(1, keepdim=True), atol=1e-5)
    # Voices are independent of their order, and of the noise seed.
    flipped = separator(data["mixture"], data["f0"].flip(1), seed=5)
    assert torch.allclose(flipped.sources.flip(1), result.sources, atol=1e-6)


def test_level_silence_and_single_voices(checkpoint: Path) -> None:
    separator = UnetSeparator(checkpoint)
    data = batch(2)
    mixture, f0 = data["mixture"], data["f0"]
    loud, soft = separator(mixture, f0), separator(1e-3 * mixture, f0)
    assert torch.allclose(1e-3 * loud.sources, soft.sources, atol=1e-7)
    assert not separator(torch.zeros_like(mixture), f0).sources.any()
    silent = separator(mixture, torch.cat([f0, torch.zeros_like(f0)], dim=1))
    assert silent.sources.isfinite().all()
    assert torch.allclose(separator(mixture, f0[:, :1]).sources[:, 0], mixture, atol=1e-5)
    short = separator(mixture[:, :1], f0[..., :1])
    assert short.sources.shape == (2, 2, 1)


def test_recordings_of_any_length_and_rate(checkpoint: Path) -> None:
    audio = np.random.default_rng(0).standard_normal(22_050 * 3).astype(np.float32)
    f0 = np.repeat([[440.0], [220.0]], -(-3 * 16_000 // 256), axis=1)
    result = separate(
        audio, 22_050, f0, UnetSeparator(checkpoint), window_seconds=1.5, overlap_seconds=0.5
    )
    total = result.stems.sum(axis=0) + result.residual
    np.testing.assert_allclose(total, audio, atol=1e-4)


def test_other_checkpoints_are_refused(checkpoint: Path, tmp_path: Path) -> None:
    with pytest.raises(
        CheckpointError, match=r"best\.ckpt: .* another kind of model .* separator=unet"
    ):
        load_model(checkpoint)
    us = save(tiny_model(), tmp_path / "us.ckpt")
    with pytest.raises(
        CheckpointError, match=r"us\.ckpt: .* another kind of model .* separator=umss"
    ):
        UnetSeparator(us)
    with pytest.raises(CheckpointError, match="experiment=unet_small"):
        UnetSeparator(tmp_path / "none.ckpt")
    content = torch.load(checkpoint, weights_only=True)
    torch.save({**content, "hyper_parameters": {"unet": {"film": "x"}}}, tmp_path / "film.ckpt")
    with pytest.raises(CheckpointError, match="film must be input, encoder or both") as caught:
        UnetSeparator(tmp_path / "film.ckpt")
    assert "separator=" not in str(caught.value)
    with pytest.raises(ValueError, match="mask must be one of"):
        UnetSeparator(checkpoint, mask="phase")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_gpu_agrees(checkpoint: Path) -> None:
    data = batch(2)
    expected = UnetSeparator(checkpoint)(data["mixture"], data["f0"]).sources
    result = UnetSeparator(checkpoint, device="cuda")(data["mixture"], data["f0"]).sources
    assert torch.allclose(result, expected, atol=1e-3)
