"""Frame metrics against their formulas, torchmetrics and librosa."""

from __future__ import annotations

import librosa
import numpy as np
import pytest
import scipy.fft
import torch

from src.dsp.stft import stft
from src.metrics.frames import (
    SILENCE_ENERGY,
    SnrSettings,
    cut_one_second_frames,
    frame_energy,
    mel_cepstral_distance,
    si_sdr,
    spectral_snr,
)


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def plain_si_sdr(estimate: np.ndarray, target: np.ndarray) -> float:
    estimate, target = estimate.astype(np.float64), target.astype(np.float64)
    scale = (estimate @ target) / (target @ target)
    signal = np.sum((scale * target) ** 2)
    distortion = np.sum((scale * target - estimate) ** 2)
    return float(10 * np.log10(signal / distortion + 1e-8))


@pytest.mark.parametrize("error", [1e-3, 0.1, 1.0, 30.0])
def test_si_sdr_against_the_formula(error: float) -> None:
    # An offset, because the protocol does not remove means.
    target = noise(2, 3, 4000) + 0.3
    estimate = 0.7 * target + error * noise(2, 3, 4000, seed=1)
    found = si_sdr(estimate, target)
    assert found.shape == (2, 3) and found.dtype == torch.float64
    for b in range(2):
        for j in range(3):
            expected = plain_si_sdr(estimate[b, j].numpy(), target[b, j].numpy())
            assert found[b, j].item() == pytest.approx(expected, abs=1e-8)


def test_si_sdr_against_torchmetrics() -> None:
    functional = pytest.importorskip(
        "torchmetrics.functional.audio", reason="torchmetrics is not installed"
    )
    target = noise(5, 16_000).double() + 0.1
    estimate = target + noise(5, 16_000, seed=1).double()
    expected = functional.scale_invariant_signal_distortion_ratio(estimate, target, zero_mean=False)
    torch.testing.assert_close(si_sdr(estimate, target), expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("metric", [si_sdr, spectral_snr])
@pytest.mark.parametrize("scale", [1e-4, 0.5, 20.0])
def test_scale_of_the_estimate_does_not_matter(metric, scale: float) -> None:  # type: ignore[no-untyped-def]
    target = noise(16_000)
    estimate = target + 0.5 * noise(16_000, seed=1)
    torch.testing.assert_close(
        metric(scale * estimate, target), metric(estimate, target), rtol=0, atol=1e-4
    )
    torch.testing.assert_close(
        metric(estimate, scale * target), metric(estimate, target), rtol=0, atol=1e-4
    )


def test_si_sdr_at_its_limits() -> None:
    target = noise(1000)
    assert si_sdr(torch.zeros(1000), target).item() == pytest.approx(-80.0)
    assert si_sdr(noise(1000), torch.zeros(1000)).item() == pytest.approx(-80.0)
    assert si_sdr(torch.zeros(1000), torch.zeros(1000)).item() == pytest.approx(-80.0)
    # Exact estimates score the documented ceiling, so that means stay finite.
    assert si_sdr(target, target).item() == pytest.approx(150.0)


def test_spectral_snr_against_the_formula() -> None:
    target, estimate = noise(8000), noise(8000, seed=1)
    magnitudes = [
        np.abs(librosa.stft(x.double().numpy(), n_fft=2048, hop_length=256, pad_mode="constant"))
        for x in (estimate, target)
    ]
    expected = plain_si_sdr(magnitudes[0].ravel(), magnitudes[1].ravel())
    assert spectral_snr(estimate, target).item() == pytest.approx(expected, abs=1e-4)


def test_spectral_snr_ignores_phase() -> None:
    t = torch.arange(16_000) / 16_000
    one, two = torch.sin(2 * torch.pi * 1000 * t), torch.cos(2 * torch.pi * 1000 * t)
    assert si_sdr(one, two) < -60
    assert spectral_snr(one, two) > 20


@pytest.mark.parametrize(
    ("n_samples", "frames"), [(0, 0), (15_999, 0), (16_000, 1), (64_000, 4), (79_999, 4)]
)
def test_one_second_frames(n_samples: int, frames: int) -> None:
    x = torch.arange(2 * n_samples, dtype=torch.float32).view(2, n_samples)
    cut = cut_one_second_frames(x)
    assert cut.shape == (2, frames, 16_000)
    for n in range(frames):
        assert torch.equal(cut[:, n], x[:, n * 16_000 : (n + 1) * 16_000])


def test_frame_energy_after_scaling_the_full_mix_to_one() -> None:
    target = noise(2, 3, 48_000)
    peak = torch.tensor([[2.0], [4.0]])
    found = frame_energy(target, peak)
    assert found.shape == (2, 3, 3)
    x = target.double().numpy().reshape(2, 3, 3, 16_000) / np.array([2.0, 4.0])[:, None, None, None]
    np.testing.assert_allclose(found.numpy(), (x**2).sum(-1), rtol=1e-12)
    np.testing.assert_allclose(frame_energy(target, 2.0)[0].numpy(), found[0].numpy())


def test_silence_rule() -> None:
    """10 over 16 000 samples is an RMS level of 0.025 of the mix's peak."""
    assert SILENCE_ENERGY == 10.0
    t = np.arange(16_000) / 16_000
    for level, heard in ((0.034, False), (0.037, True)):
        # A sine of amplitude A has an energy of 8000 A^2.
        x = torch.tensor(level * np.sin(2 * np.pi * 200 * t))
        energy = frame_energy(x, 1.0)
        assert energy.item() == pytest.approx(8000 * level**2, rel=1e-6)
        assert (energy.item() >= SILENCE_ENERGY) is heard


def mel_decibels(x: torch.Tensor) -> np.ndarray:
    spectrogram = librosa.feature.melspectrogram(
        y=x.numpy(), sr=16_000, n_fft=1024, hop_length=256, n_mels=80, fmax=8000.0, htk=True,
        norm=None, pad_mode="constant",
    )  # fmt: skip
    return 10 * np.log10(spectrogram)


@pytest.mark.filterwarnings("ignore:.*mel filterbank has all zero values.*")
@pytest.mark.filterwarnings("ignore:Empty filters detected in mel:UserWarning")
def test_mel_cepstral_distance_is_a_distance_of_envelopes_in_decibels() -> None:
    target = noise(16_000)
    estimate = torch.tensor(np.convolve(noise(16_000, seed=1).numpy(), [1.0, 0.8], "same"))
    difference = mel_decibels(target) - mel_decibels(estimate)
    usable = np.isfinite(difference).all(axis=1)
    difference[~usable] = 0.0
    # All 79 cepstral coefficients together: the RMS difference of mel levels, level left out.
    expected = np.sqrt(((difference - difference.mean(axis=0)) ** 2).mean(axis=0)).mean()
    found = mel_cepstral_distance(estimate, target, order=79)
    assert found.item() == pytest.approx(expected, rel=1e-3)
    coefficients = scipy.fft.dct(difference, axis=0, norm="ortho")[1:14] / np.sqrt(80)
    expected = np.sqrt((coefficients**2).sum(axis=0)).mean()
    assert mel_cepstral_distance(estimate, target).item() == pytest.approx(expected, rel=1e-3)


@pytest.mark.filterwarnings("ignore:.*mel filterbank has all zero values.*")
def test_mel_cepstral_distance_of_equal_envelopes() -> None:
    target = noise(2, 16_000)
    assert mel_cepstral_distance(target, target).abs().max() < 1e-4
    assert mel_cepstral_distance(3.0 * target, target).abs().max() < 1e-3
    assert torch.isfinite(mel_cepstral_distance(torch.zeros(2, 16_000), target)).all()
    silence = torch.zeros(2, 16_000)
    assert torch.isfinite(mel_cepstral_distance(target, silence)).all()


def test_spectral_snr_of_another_stft() -> None:
    generator = torch.Generator().manual_seed(0)
    target = torch.randn(16_000, generator=generator)
    estimate = target + 0.3 * torch.randn(16_000, generator=generator)
    wanted = stft(target, n_fft=512, hop=256).abs().flatten()
    found = stft(estimate, n_fft=512, hop=256).abs().flatten()
    expected = si_sdr(found, wanted)
    released = SnrSettings(n_fft=512, hop=256)
    got = spectral_snr(estimate, target, n_fft=released.n_fft, hop=released.hop)
    assert got.item() == pytest.approx(expected.item())
    assert abs(got.item() - spectral_snr(estimate, target).item()) > 1e-3


@pytest.mark.parametrize(
    "wrong", [{"n_fft": 8}, {"n_fft": 512, "hop": 0}, {"n_fft": 64, "hop": 65}]
)
def test_settings_of_the_spectral_snr_are_checked(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="spectral_snr"):
        SnrSettings(**wrong)
