"""Fourier transforms, overlap-add and masks against librosa and NumPy."""

from __future__ import annotations

import librosa
import numpy as np
import pytest
import torch
from torch.autograd import gradcheck

from src.dsp.stft import apply_masks, frame_stft, istft, overlap_add, soft_masks, stft

LENGTHS = [1, 2, 100, 255, 256, 257, 2048, 3200, 4999, 5000]


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("n_samples", [1, 255, 256, 257, 5000])
@pytest.mark.parametrize("n_fft", [512, 1024])
def test_frame_stft_is_centred_on_the_grid(
    n_samples: int, n_fft: int, device: torch.device
) -> None:
    x = noise(2, n_samples)
    found = frame_stft(x.to(device), n_fft=n_fft).cpu().numpy()
    n_frames = -(-n_samples // 256)
    assert found.shape == (2, n_fft // 2 + 1, n_frames)
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(n_fft) / n_fft)
    padded = np.pad(x.double().numpy(), ((0, 0), (n_fft // 2, n_fft + n_frames * 256)))
    for n in range(n_frames):
        expected = np.fft.rfft(window * padded[:, n * 256 : n * 256 + n_fft])
        np.testing.assert_allclose(found[:, :, n], expected, atol=1e-4)


def test_an_impulse_lies_symmetric_around_its_frame(device: torch.device) -> None:
    n = 7
    x = torch.zeros(20 * 256, dtype=torch.float64, device=device)
    x[n * 256] = 1.0
    energy = frame_stft(x, n_fft=1024).abs().square().sum(dim=0).cpu()
    assert int(energy.argmax()) == n
    around = energy[n - 3 : n + 4]
    torch.testing.assert_close(around, around.flip(0))


@pytest.mark.filterwarnings("ignore:n_fft=2048 is too large:UserWarning")
@pytest.mark.parametrize("n_samples", LENGTHS)
def test_stft_against_librosa(n_samples: int, device: torch.device) -> None:
    x = noise(n_samples).double()
    expected = librosa.stft(
        x.numpy(), n_fft=2048, hop_length=256, window="hann", center=True, pad_mode="constant"
    )
    found = stft(x.to(device)).cpu().numpy()
    assert found.shape == (1025, 1 + n_samples // 256)
    np.testing.assert_allclose(found, expected, atol=1e-10)


@pytest.mark.parametrize("n_samples", LENGTHS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_istft_inverts(n_samples: int, dtype: torch.dtype, device: torch.device) -> None:
    x = noise(2, 3, n_samples).to(device, dtype)
    back = istft(stft(x), n_samples)
    assert back.shape == x.shape and back.dtype == dtype
    assert (back - x).abs().max() < (1e-5 if dtype == torch.float32 else 1e-12)


@pytest.mark.parametrize(
    ("n_frames", "length", "hop"), [(1, 8, 4), (5, 8, 4), (4, 9, 2), (3, 2, 5)]
)
def test_overlap_add(n_frames: int, length: int, hop: int, device: torch.device) -> None:
    frames = noise(2, 3, n_frames, length).double()
    expected = np.zeros((2, 3, (n_frames - 1) * hop + length))
    for n in range(n_frames):
        expected[..., n * hop : n * hop + length] += frames[..., n, :].numpy()
    found = overlap_add(frames.to(device), hop=hop)
    np.testing.assert_allclose(found.cpu().numpy(), expected, atol=1e-14)


@pytest.mark.parametrize("power", [0.5, 1.0, 2.0])
@pytest.mark.parametrize("level", [1.0, 1e-12, 1e-25, 1e20])
def test_soft_masks_share_out_every_bin(power: float, level: float, device: torch.device) -> None:
    relative = noise(2, 4, 5, 6).abs()
    masks = soft_masks((level * relative).to(device), power=power).cpu()
    expected = relative.double().numpy() ** power
    expected /= expected.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(masks.numpy(), expected, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(masks.sum(dim=1), torch.ones(2, 5, 6), rtol=1e-6, atol=0)


@pytest.mark.parametrize("power", [1.0, 2.0])
def test_soft_masks_of_very_small_and_of_silent_bins(power: float) -> None:
    magnitudes = torch.zeros(3, 2, 2)
    magnitudes[0, 0, 0], magnitudes[1, 0, 0] = 3e-38, 1e-38
    magnitudes[2, 1, 0] = 1e-44  # below the smallest normal number
    masks = soft_masks(magnitudes, power=power)
    assert masks[:, 0, 0].sum() == pytest.approx(1.0)
    assert masks[0, 0, 0] == pytest.approx(3**power / (3**power + 1), rel=1e-5)
    assert masks[:, 1, 0].sum() == pytest.approx(1.0)
    assert (masks[:, :, 1] == 0).all()


def test_soft_masks_gradient() -> None:
    magnitudes = noise(3, 2, 2).double().abs().add(0.1).requires_grad_()
    assert gradcheck(lambda m: soft_masks(m, power=2.0), (magnitudes,))


@pytest.mark.parametrize("power", [0.0, -1.0])
def test_soft_masks_need_a_positive_power(power: float) -> None:
    with pytest.raises(ValueError, match="power"):
        soft_masks(torch.ones(2, 1, 1), power=power)


@pytest.mark.parametrize("n_samples", LENGTHS)
def test_masks_of_one_return_the_mixture(n_samples: int, device: torch.device) -> None:
    mixture = noise(2, n_samples).to(device)
    frames = 1 + n_samples // 256
    estimates = apply_masks(mixture, torch.ones(2, 3, 1025, frames, device=device))
    assert estimates.shape == (2, 3, n_samples)
    assert (estimates - mixture.unsqueeze(1)).abs().max() < 1e-5


def test_soft_masks_of_sources_sum_to_the_mixture() -> None:
    sources = noise(2, 3, 4000)
    mixture = sources.sum(dim=1)
    estimates = apply_masks(mixture, soft_masks(stft(sources).abs()))
    torch.testing.assert_close(estimates.sum(dim=1), mixture, rtol=0, atol=1e-5)
