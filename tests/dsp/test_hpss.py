"""Harmonic-percussive decomposition and running medians against librosa and scipy."""

from __future__ import annotations

import itertools
import math
from typing import Any

import librosa
import numpy as np
import pytest
import torch
from scipy.ndimage import median_filter as scipy_median
from torch.autograd import gradcheck, gradgradcheck

import src.dsp.hpss as module
import src.dsp.median as median_module
from src.dsp.hpss import harmonic_part, hpss
from src.dsp.median import median_filter, mirrored, unfolded_median
from src.dsp.stft import istft, stft

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


def sorted_windows(x: np.ndarray, size: int, dim: int) -> np.ndarray:
    """Running median by padding, sorting every window and taking its place size // 2."""
    pad = [(0, 0)] * x.ndim
    pad[dim] = (size // 2, size - 1 - size // 2)
    padded = np.pad(x, pad, mode="symmetric")
    windows = np.lib.stride_tricks.sliding_window_view(padded, size, axis=dim)
    return np.sort(windows, axis=-1)[..., size // 2]


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 8, 31, 64])
@pytest.mark.parametrize("shape", [(1,), (5,), (40,), (3, 70), (9, 2), (2, 5, 33), (2, 2, 3, 4)])
def test_median_is_scipys(size: int, shape: tuple[int, ...], device: torch.device) -> None:
    for dtype, ties in itertools.product((np.float32, np.float64), (False, True)):
        x = np.random.default_rng(size).normal(size=shape)
        x = (np.round(2 * x) if ties else x).astype(dtype)
        for dim in range(-len(shape), len(shape)):
            found = median_filter(torch.from_numpy(x).to(device), size, dim=dim).cpu().numpy()
            np.testing.assert_array_equal(found, sorted_windows(x, size, dim))
            if scipy_can(size, shape[dim]):
                sizes = [1] * len(shape)
                sizes[dim] = size
                # In two dimensions at least: scipy has another way for vectors.
                expected = scipy_median(x[None], size=[1, *sizes], mode="reflect")[0]
                np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("threads", [1, 2])
def test_many_lanes_any_thread_count_and_strides(threads: int) -> None:
    x = torch.randn(3, 150, 201, generator=torch.Generator().manual_seed(0))
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        for view, dim in itertools.product((x, x[:, ::2], x.mT, x[..., 3:99]), (-1, -2)):
            sizes = [1, 1, 1]
            sizes[dim] = 9
            expected = scipy_median(view.numpy(), size=sizes, mode="reflect")
            np.testing.assert_array_equal(median_filter(view, 9, dim=dim).numpy(), expected)
    finally:
        torch.set_num_threads(before)


def test_unfolded_windows_give_the_same(
    device: torch.device, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The way of other devices, whole and in blocks of few outputs."""
    x = torch.randn(2, 50, 6, generator=torch.Generator().manual_seed(0))
    for size, block in itertools.product((1, 4, 31, 120), (1, 3000, 1 << 26)):
        monkeypatch.setattr(median_module, "BLOCK_ELEMENTS", block)
        found = unfolded_median(x.to(device), mirrored(50, size, 0, 50).to(device), size).cpu()
        assert torch.equal(found, median_filter(x, size, dim=1))


def test_part_of_the_outputs_sees_the_whole_input(device: torch.device) -> None:
    x = torch.randn(4, 60, generator=torch.Generator().manual_seed(0)).to(device)
    whole = median_filter(x, 12, dim=-1)
    for start, stop in ((0, 1), (7, 20), (55, 60), (0, 60)):
        part = median_filter(x, 12, dim=-1, start=start, stop=stop)
        assert torch.equal(part, whole[:, start:stop])


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


def test_gradient_of_a_median_is_that_of_its_sample(device: torch.device) -> None:
    x = torch.tensor([3.0, 1.0, 2.0, 5.0, 4.0], device=device).requires_grad_()
    medians = median_filter(x, 3, dim=0)
    assert medians.tolist() == [3.0, 2.0, 2.0, 4.0, 4.0]
    medians.backward(torch.tensor([1.0, 10.0, 100.0, 1000.0, 10000.0], device=device))
    assert x.grad is not None and x.grad.tolist() == [1.0, 0.0, 110.0, 0.0, 11000.0]


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
        ({"margin": 0.5}, "margin=0.5 must be at least 1 and finite; a typical range is 1 to 10"),
        ({"margin": (1, 0.9)}, r"margin=\(1, 0.9\) must be at least 1"),
        ({"margin": math.nan}, "margin=nan must be at least 1"),
        ({"margin": math.inf}, "margin=inf must be at least 1 and finite"),
        ({"margin": (1.0,)}, "one number or two"),
    ],
)
def test_wrong_settings_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        hpss(torch.ones(4, 5), **settings)


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
    with pytest.raises(ValueError, match=message):
        hpss(S)


def test_wrong_medians_are_refused() -> None:
    for settings, message in (
        ({"size": 0}, "size must be at least 1"),
        ({"size": 3, "start": 4}, "nothing to filter"),
        ({"size": 3, "stop": 9}, "nothing to filter"),
    ):
        with pytest.raises(ValueError, match=message):
            median_filter(torch.ones(2, 4), dim=-1, **settings)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="must be float32 or float64"):
        median_filter(torch.ones(2, 4).int(), 3, dim=-1)


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
