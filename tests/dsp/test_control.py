"""Activations and upsampling against their formulas."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch.autograd import gradcheck

from src.dsp.control import (
    compute_crossfade,
    count_frames,
    exponential_sigmoid,
    find_neighbours,
    interpolate_frames,
    upsample,
)


@pytest.mark.parametrize(("maximum", "slope"), [(2.0, 1.0), (1.0, 1.0), (2.0, 2.5)])
def test_exponential_sigmoid(maximum: float, slope: float, device: torch.device) -> None:
    x = np.linspace(-30, 30, 301)
    expected = maximum * (1.0 / (1.0 + np.exp(-slope * x))) ** math.log(10.0) + 1e-7
    found = exponential_sigmoid(torch.tensor(x, device=device), maximum=maximum, slope=slope)
    np.testing.assert_allclose(found.cpu().numpy(), expected, rtol=1e-12)
    assert (found > 0).all() and (found <= maximum + 1e-7).all()


def test_exponential_sigmoid_far_out(device: torch.device) -> None:
    x = torch.tensor([-1e4, -100.0, -20.0, 0.0, 100.0, 1e4], device=device, requires_grad=True)
    y = exponential_sigmoid(x)
    y.sum().backward()
    assert torch.isfinite(y).all()
    assert x.grad is not None and torch.isfinite(x.grad).all()
    # d/dx 2 s^ln10 = 2 ln10 s^ln10 (1 - s), here in float64.
    s = 1.0 / (1.0 + math.exp(20.0))
    assert x.grad[2].item() == pytest.approx(2 * math.log(10) * s ** math.log(10) * (1 - s))


def test_exponential_sigmoid_gradient() -> None:
    x = torch.linspace(-4, 4, 9, dtype=torch.float64, requires_grad=True)
    assert gradcheck(lambda v: exponential_sigmoid(v, slope=2.5), (x,))


@pytest.mark.parametrize(("n_samples", "hop", "frames"), [(0, 256, 0), (1, 256, 1), (256, 256, 1)])
def test_number_of_frames_of_short_signals(n_samples: int, hop: int, frames: int) -> None:
    assert count_frames(n_samples, hop) == frames


def test_number_of_frames_of_an_excerpt() -> None:
    assert count_frames(64_000, 256) == 250


def hann_overlap_add(control: np.ndarray, hop: int, n_samples: int) -> np.ndarray:
    """Every frame a Hann window of 2 hop samples with its peak at n hop; the last one is held."""
    held = np.append(control, control[-1])
    out = np.zeros((len(held) + 1) * hop)
    window = 0.5 - 0.5 * np.cos(np.pi * np.arange(2 * hop) / hop)
    for n, value in enumerate(held):
        for i in range(2 * hop):
            t = (n - 1) * hop + i
            if t >= 0:
                out[t] += window[i] * value
    return out[:n_samples]


@pytest.mark.parametrize(("n_samples", "hop"), [(80, 16), (77, 16), (65, 16), (9, 2), (5, 1)])
@pytest.mark.parametrize("window", ["hann", "linear"])
def test_upsample(n_samples: int, hop: int, window: str, device: torch.device) -> None:
    control = np.random.default_rng(0).uniform(0, 2, (2, -(-n_samples // hop)))
    found = upsample(
        torch.tensor(control, device=device), hop=hop, n_samples=n_samples, window=window
    ).cpu()
    grid = hop * np.arange(control.shape[1])
    for row, expected_row in zip(found.numpy(), control, strict=True):
        if window == "hann":
            expected = hann_overlap_add(expected_row, hop, n_samples)
        else:
            expected = np.interp(np.arange(n_samples), grid, expected_row)
        np.testing.assert_allclose(row, expected, rtol=0, atol=1e-14)
    assert torch.equal(found[:, ::hop], torch.tensor(control))


def test_crossfade_and_neighbours() -> None:
    weight = compute_crossfade(10, hop=4, window="hann", like=torch.zeros(1))
    expected = 0.5 - 0.5 * np.cos(np.pi * (np.arange(10) % 4) / 4)
    np.testing.assert_allclose(weight.numpy(), expected, atol=1e-7)
    left, right = find_neighbours(torch.tensor([1.0, 2.0, 3.0]), hop=2, n_samples=5)
    assert left.tolist() == [1, 1, 2, 2, 3]
    assert right.tolist() == [2, 2, 3, 3, 3]


def test_upsample_gradient() -> None:
    control = torch.rand(2, 3, dtype=torch.float64, requires_grad=True)
    assert gradcheck(lambda c: upsample(c, hop=4, n_samples=11), (control,))


def test_errors() -> None:
    with pytest.raises(ValueError, match="window"):
        upsample(torch.ones(2), hop=4, n_samples=8, window="cosine")
    with pytest.raises(ValueError, match="9 samples at hop 4 need 3 frames, got 2"):
        upsample(torch.ones(2), hop=4, n_samples=9)
    with pytest.raises(ValueError, match="need 1 frames"):
        upsample(torch.ones(2), hop=4, n_samples=4)


@pytest.mark.parametrize("n_samples", [5, 13, 20])
def test_frames_are_interpolated_and_the_last_is_held(n_samples: int) -> None:
    values = torch.tensor([[[0.0, 4.0, -2.0, 6.0]], [[1.0, 1.0, 5.0, 0.0]]])
    found = interpolate_frames(values, hop=4, n_samples=n_samples)
    assert found.shape == (2, 1, n_samples)
    for got, frames in zip(found[:, 0], values[:, 0], strict=True):
        wanted = np.interp(np.arange(n_samples), 4 * np.arange(4), frames)
        assert got.numpy() == pytest.approx(wanted, abs=1e-6)
