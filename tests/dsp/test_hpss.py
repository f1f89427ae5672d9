"""Harmonic-percussive decomposition against librosa."""

from __future__ import annotations

import itertools
import math
from typing import Any

import librosa
import numpy as np
import pytest
import torch
from torch.autograd import gradcheck, gradgradcheck

import src.dsp.hpss as module
from src.dsp.hpss import harmonic_part, hpss
from src.dsp.stft import istft, stft
from src.errors import UmssError

KERNELS = [1, 2, 31, 6, (3, 8), (50, 60)]
POWERS = [1, 2, 3.3, math.inf]
MARGINS = [1.0, 3.0, (1, 5)]


def spectrogram(shape: tuple[int, ...], kind: str, *, seed: int = 0) -> np.ndarray:
    """Magnitudes: all bins filled, few, none, or all below the smallest normal number."""
    rng = np.random.default_rng(seed)
    values = np.abs(rng.normal(size=shape))
    if kind == "sparse":
        return values * (rng.random(shape) < 0.2)
    return values * {"random": 1.0, "silent": 0.0, "subnormal": 1e-41}[kind]


def scipy_can(size: int, n: int) -> bool:
    """Whether scipy mirrors rightly: it reads outside the array at sample -4 n, -6 n, ..."""
    return size // 2 < 4 * n


def relative_to_librosa(S: np.ndarray, device: torch.device, **settings: Any) -> float:  # noqa: N803
    expected = librosa.decompose.hpss(S, **settings)
    found = hpss(torch.from_numpy(S).to(device), **settings)
    assert len(found) == len(expected) == 2
    scale = max(1.0, float(np.abs(S).max(initial=0.0)))
    return max(
        float(np.abs(a - b.cpu().numpy()).max()) / scale
        for a, b in zip(expected, found, strict=True)
    )


@pytest.mark.parametrize("shape", [(17, 23), (40, 1), (1, 12), (2, 3, 9, 7)])
@pytest.mark.parametrize("kind", ["random", "sparse", "silent", "subnormal"])
@pytest.mark.parametrize("phase", [False, True], ids=["real", "complex"])
@pytest.mark.parametrize("mask", [False, True], ids=["parts", "masks"])
def test_parity_with_librosa(
    shape: tuple[int, ...], kind: str, phase: bool, mask: bool, device: torch.device
) -> None:
    S = spectrogram(shape, kind)
    if phase:
        S = S * np.exp(2j * np.pi * np.random.default_rng(1).random(shape))
    single = S.astype(np.complex64 if phase else np.float32)
    for kernel_size, power, margin in itertools.product(KERNELS, POWERS, MARGINS):
        settings: dict[str, Any] = {
            "kernel_size": kernel_size, "power": power, "margin": margin, "mask": mask
        }  # fmt: skip
        sizes = kernel_size if isinstance(kernel_size, tuple) else (kernel_size, kernel_size)
        if not scipy_can(sizes[0], shape[-1]) or not scipy_can(sizes[1], shape[-2]):
            continue
        assert relative_to_librosa(single, device, **settings) < 2e-6, settings
        if kernel_size == (3, 8):
            assert relative_to_librosa(S, device, **settings) < 1e-14, settings


def test_parity_on_a_real_spectrogram_in_blocks(
    device: torch.device, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the spectrogram is longer than a block, with every kernel across the seams."""
    t = np.arange(40_000) / 16_000
    audio = np.sin(2 * np.pi * 330 * t) + 0.1 * np.random.default_rng(0).normal(size=t.shape)
    audio[::4000] += 10
    S = librosa.stft(audio.astype(np.float32), n_fft=512, hop_length=128)
    monkeypatch.setattr(module, "BLOCK_ELEMENTS", 1000)
    for kernel_size in (1, 4, 17, (5, 31), (31, 600)):
        assert relative_to_librosa(S, device, kernel_size=kernel_size, margin=2.0) < 1e-5


@pytest.mark.parametrize("kernel_size", [3, (4, 9)])
@pytest.mark.parametrize("power", [0.5, 2.5])
@pytest.mark.parametrize("margin", [1.0, 2.0])
def test_gradients(kernel_size: Any, power: float, margin: float, device: torch.device) -> None:
    # No two values are close, so that no small step changes which sample is the median.
    values = torch.randperm(30, generator=torch.Generator().manual_seed(1)).double() + 1
    S = values.reshape(1, 5, 6).to(device).requires_grad_()

    def parts(x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return hpss(x, kernel_size=kernel_size, power=power, margin=margin, residual=True)

    assert gradcheck(parts, S)
    phase = torch.exp(1j * values.reshape(1, 5, 6)).to(device)
    assert gradcheck(lambda x: parts(x * phase), S)
    if power == 2.5:
        assert gradgradcheck(parts, S)


@pytest.mark.parametrize("power", [0.5, 1.0, 2.0, math.inf])
@pytest.mark.parametrize("margin", [1.0, 2.0])
def test_gradients_of_zeros_are_finite(power: float, margin: float, device: torch.device) -> None:
    for kind in ("sparse", "silent"):
        S = torch.from_numpy(spectrogram((12, 14), kind)).to(device)
        for x in (S.requires_grad_(), S.detach().to(torch.complex128).requires_grad_()):
            parts = hpss(x, kernel_size=5, power=power, margin=margin, residual=True)
            sum(part.abs().square().sum() for part in parts).backward()  # type: ignore[union-attr]
            assert x.grad is not None and torch.isfinite(x.grad.abs()).all()


@pytest.mark.parametrize("power", [1.0, 3.3, math.inf])
@pytest.mark.parametrize("margin", [1.0, 3.0, (1.0, 5.0)])
def test_parts_sum_to_the_spectrogram_and_masks_to_one(
    power: float, margin: Any, device: torch.device
) -> None:
    for kind in ("random", "sparse", "silent"):
        S = torch.from_numpy(spectrogram((2, 30, 40), kind)).to(device)
        S = torch.polar(S, S)
        settings: dict[str, Any] = {
            "kernel_size": 7, "power": power, "margin": margin, "residual": True
        }  # fmt: skip
        parts = hpss(S, **settings)
        torch.testing.assert_close(sum(parts), S)
        masks = hpss(S, mask=True, **settings)
        torch.testing.assert_close(sum(masks), torch.ones_like(S.real))
        for part, mask in zip(parts, masks, strict=True):
            assert mask.dtype == torch.float64 and (mask >= 0).all() and (mask <= 1).all()
            torch.testing.assert_close(part, S * mask)
        for part, mask in zip(hpss(S, **{**settings, "residual": False}), parts, strict=False):
            assert torch.equal(part, mask)


def test_lines_go_where_they_belong(device: torch.device) -> None:
    S = torch.zeros(60, 70, device=device)
    S[20], S[:, 30] = 1.0, 1.0
    S[45:47, 50:52] = 1.0
    harmonic, percussive, residual = hpss(S, kernel_size=9, margin=2.0, residual=True)
    assert (harmonic[20, :26] == 1).all() and (percussive[30:, 30] == 1).all()
    assert harmonic[25:, :].sum() == 0 and percussive[:, :25].sum() == 0
    assert (residual[45:47, 50:52] == 1).all()  # a dot is neither


def test_any_real_type_list_or_numpy_setting(device: torch.device) -> None:
    S = torch.randint(0, 9, (12, 15), generator=torch.Generator().manual_seed(0)).to(device)
    expected = hpss(S.float(), kernel_size=(3, 5), margin=(1.0, 2.0))
    found = hpss(S, kernel_size=[np.int64(3), 5], margin=[1, np.float32(2)])
    assert all(torch.equal(a, b) for a, b in zip(expected, found, strict=True))
    assert [part.shape for part in hpss(torch.zeros(3, 9, 0), residual=True)] == [(3, 9, 0)] * 3


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"kernel_size": 0}, r"kernel_size=0 must be whole numbers of at least 1; a typical range"),
        ({"kernel_size": (3, -1)}, r"kernel_size=\(3, -1\) must be whole"),
        ({"kernel_size": 3.0}, "kernel_size=3.0 must be whole"),
        ({"kernel_size": True}, "kernel_size=True must be whole"),
        ({"kernel_size": (3, 3, 3)}, r"one number or two: \(harmonic, percussive\)"),
        ({"kernel_size": "31"}, "kernel_size=31 must be one number or two"),
        ({"power": 0}, "power=0 must be positive"),
        ({"power": -1.0}, "power=-1.0 must be positive"),
        ({"power": math.nan}, "power=nan must be positive"),
        ({"power": "two"}, "power=two must be positive"),
        ({"margin": 0.5}, "margin=0.5 must be at least 1; a typical range is 1 to 10"),
        ({"margin": (1, 0.9)}, r"margin=\(1, 0.9\) must be at least 1"),
        ({"margin": math.nan}, "margin=nan must be at least 1"),
        ({"margin": (1, "wide")}, r"margin=\(1, 'wide'\) must be at least 1"),
        ({"margin": (1.0,)}, "one number or two"),
    ],
)
def test_wrong_settings_are_refused(settings: dict[str, Any], message: str) -> None:
    for S in (torch.ones(4, 5), np.ones((4, 5))):
        with pytest.raises(UmssError, match=message):
            hpss(S, **settings)


@pytest.mark.parametrize(
    ("S", "message"),
    [
        (torch.ones(5), r"S must be a spectrogram \[..., F, N\], got \[5\]"),
        (torch.full((3, 4), math.nan), "NaN or infinite values"),
        (torch.full((3, 4), math.inf), "NaN or infinite values"),
        (torch.full((3, 4), complex(1, math.nan)), "NaN or infinite values"),
        (torch.full((3, 4), -1.0), r"S must not be negative: give magnitudes"),
        (torch.ones(3, 4).half(), r"single or double precision, got torch.float16; use S.float"),
    ],
)
def test_wrong_spectrograms_are_refused(S: torch.Tensor, message: str) -> None:  # noqa: N803
    with pytest.raises(UmssError, match=message):
        hpss(S)


@pytest.mark.parametrize("power", [2.0, math.inf])
def test_an_infinite_margin_leaves_nothing(power: float, device: torch.device) -> None:
    S = torch.from_numpy(spectrogram((12, 15), "sparse")).to(device)
    S.requires_grad_()
    settings: dict[str, Any] = {"kernel_size": 3, "power": power, "residual": True}
    harmonic, percussive, rest = hpss(S, margin=math.inf, **settings)
    assert not harmonic.any() and not percussive.any() and torch.equal(rest, S)
    harmonic, percussive, _ = hpss(S, margin=(2.0, math.inf), **settings)
    assert torch.equal(harmonic, hpss(S, margin=2.0, **settings)[0]) and not percussive.any()
    (harmonic.sum() + percussive.sum()).backward()
    assert S.grad is not None and torch.isfinite(S.grad).all()


@pytest.mark.parametrize("n_samples", [1, 100, 20_000, 33_333])
@pytest.mark.parametrize("kernel_size", [9, (12, 5)])
def test_harmonic_part_in_blocks_is_that_of_the_whole(
    n_samples: int, kernel_size: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    audio = np.random.default_rng(0).normal(size=n_samples).astype(np.float32)
    settings: dict[str, Any] = {"kernel_size": kernel_size, "margin": 2.0}
    whole = hpss(stft(torch.from_numpy(audio), n_fft=256, hop=64), **settings)[0]
    expected = istft(whole, n_samples, n_fft=256, hop=64).numpy()
    monkeypatch.setattr(module, "BLOCK_SAMPLES", 1)
    found = harmonic_part(audio, n_fft=256, hop=64, **settings)
    assert found.dtype == np.float32 and found.shape == audio.shape
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)


def test_harmonic_part_keeps_tones_and_drops_clicks() -> None:
    t = np.arange(32_000) / 16_000
    tone = np.sin(2 * np.pi * 440 * t).astype(np.float32)
    clicks = np.zeros_like(tone)
    clicks[2000::4000] = 5.0
    left = harmonic_part(tone + clicks) - tone
    assert np.sum(left[2000:-2000] ** 2) < 0.05 * np.sum(clicks**2)
    assert not harmonic_part(np.zeros(5000, np.float32)).any()


@pytest.mark.parametrize(
    ("audio", "message"),
    [
        (np.zeros((2, 9)), r"audio must be samples \[T\] and not empty, got \[2, 9\]"),
        (np.zeros(0), "not empty"),
        (np.array([0.0, np.nan]), "NaN or infinite samples"),
    ],
)
def test_harmonic_part_refuses_wrong_audio(audio: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        harmonic_part(audio)
