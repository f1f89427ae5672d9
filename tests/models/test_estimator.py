"""The estimator network: size, symmetry in the sources, robustness."""

from __future__ import annotations

import librosa
import numpy as np
import pytest
import torch

from src.models.estimator import ParameterEstimator, compute_log_spectrogram, normalise_f0
from src.models.source_filter import SourceFilterVoice

SMALL = {"encoder_width": 12, "latent": 8, "decoder_width": 16}


def small_estimator(**voice: object) -> ParameterEstimator:
    torch.manual_seed(0)
    controls = SourceFilterVoice(**voice).controls  # type: ignore[arg-type]
    return ParameterEstimator(controls, **SMALL)


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def test_default_size_is_that_of_the_paper() -> None:
    network = ParameterEstimator(SourceFilterVoice().controls)
    assert sum(p.numel() for p in network.parameters()) == 5_573_961


@pytest.mark.parametrize("n_sources", range(1, 9))
def test_any_number_of_sources(n_sources: int) -> None:
    network = small_estimator()
    f0 = torch.linspace(100, 400, n_sources).view(1, -1, 1).expand(2, -1, 5)
    controls = network(noise(2, 1200), f0)
    assert {name: tuple(value.shape) for name, value in controls.items()} == {
        "harmonic_amplitude": (2, n_sources, 5, 1),
        "noise_gain": (2, n_sources, 5, 1),
        "lsf_increments": (2, n_sources, 5, 21),
        "noise_magnitudes": (2, n_sources, 40),
    }
    bounds = {"harmonic_amplitude": 2, "noise_gain": 1, "lsf_increments": 2, "noise_magnitudes": 2}
    for name, value in controls.items():
        assert (value > 0).all() and (value <= bounds[name] + 1e-6).all()


def test_permuting_the_sources_permutes_the_outputs() -> None:
    network = small_estimator()
    mixture, order = noise(2, 1200), [2, 0, 3, 1]
    f0 = 100 + 300 * noise(2, 4, 5).abs()
    plain, permuted = network(mixture, f0), network(mixture, f0[:, order])
    for name, value in plain.items():
        torch.testing.assert_close(value[:, order], permuted[name], rtol=1e-5, atol=1e-6)


def test_sources_and_batch_items_do_not_influence_each_other() -> None:
    network = small_estimator()
    mixture, f0 = noise(2, 1200), 100 + 300 * noise(2, 3, 5).abs()
    together = network(mixture, f0)
    alone = network(mixture[1:], f0[1:, :1])
    for name, value in together.items():
        torch.testing.assert_close(value[1:, :1], alone[name], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("level", [0.0, 1e-20, 1.0])
def test_silence_and_any_level(level: float) -> None:
    network = small_estimator()
    controls = network(level * noise(1, 1024), torch.zeros(1, 2, 4))
    sum(value.sum() for value in controls.values()).backward()
    for value in controls.values():
        assert torch.isfinite(value).all()
    for parameter in network.parameters():
        assert parameter.grad is None or torch.isfinite(parameter.grad).all()


def test_gradients_reach_every_weight() -> None:
    network = small_estimator()
    controls = network(noise(2, 2000), 100 + 300 * noise(2, 2, 8).abs())
    sum(value.square().sum() for value in controls.values()).backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None and (parameter.grad != 0).any(), name


def test_heads_follow_the_voice() -> None:
    network = small_estimator(order=10, n_noise_magnitudes=7, parameterisation="reflection")
    controls = network(noise(1, 600), torch.full((1, 2, 3), 200.0))
    assert controls["reflection"].shape == (1, 2, 3, 10)
    assert controls["reflection"].abs().max() < 1
    assert controls["noise_magnitudes"].shape == (1, 2, 7)


def test_log_spectrogram_against_librosa() -> None:
    x = noise(2, 64_000).double()
    found = compute_log_spectrogram(x, n_fft=512, hop=256).numpy()
    assert found.shape == (2, 250, 257)
    for row, spectrogram in zip(x.numpy(), found, strict=True):
        stft = librosa.stft(row, n_fft=512, hop_length=256, pad_mode="constant")[:, :250]
        expected = np.log(np.maximum(np.abs(stft), 1e-5))
        expected = (expected - expected.mean()) / np.sqrt(expected.var() + 1e-5)
        np.testing.assert_allclose(spectrogram.T, expected, atol=1e-8)


def test_log_spectrogram_of_silence_is_zero() -> None:
    assert (compute_log_spectrogram(torch.zeros(1, 3000), n_fft=512, hop=256).abs() < 1e-3).all()


@pytest.mark.parametrize(
    ("hertz", "expected"),
    [(20.0, 0.0), (8000.0, 1.0), (440.0, (69 - 15.487) / 103.726), (0.0, -0.149)],
)
def test_normalised_f0(hertz: float, expected: float) -> None:
    assert normalise_f0(torch.tensor(hertz)).item() == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize("shape", [(1, 2, 4), (2, 2, 4), (1, 5)])
def test_shapes_that_do_not_fit_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"f0 must be \[B, J, N\]"):
        small_estimator()(torch.zeros(1, 1025), torch.zeros(shape))


def test_recomputing_changes_nothing_but_memory() -> None:
    results = []
    for recompute in (False, True):
        torch.manual_seed(0)
        estimator = ParameterEstimator(SourceFilterVoice().controls, **SMALL, recompute=recompute)
        generator = torch.Generator().manual_seed(1)
        mixture = torch.randn(2, 2000, generator=generator)
        f0 = 100.0 + 200.0 * torch.rand(2, 3, 8, generator=generator)
        sum(v.float().square().sum() for v in estimator(mixture, f0).values()).backward()
        results.append([p.grad.clone() for p in estimator.parameters()])
    for kept, computed_again in zip(*results, strict=True):
        assert torch.equal(kept, computed_again)


def test_filters_of_the_voice_get_heads_of_their_kind() -> None:
    network = small_estimator(harmonic_filter="constant", noise_filter="varying")
    controls = network(torch.randn(2, 2560), torch.full((2, 3, 10), 200.0))
    assert controls["harmonic_magnitudes"].shape == (2, 3, 65)
    assert controls["noise_magnitudes"].shape == (2, 3, 10, 40)
