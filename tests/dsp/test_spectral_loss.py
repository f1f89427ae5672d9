"""Multi-scale spectral loss against SciPy's sliding Fourier transform."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.signal
import torch
from torch.autograd import gradcheck

from src.dsp.spectral_loss import (
    FFT_SIZES,
    _compute_with_tensors,
    covering_magnitudes,
    multi_scale_spectral_loss,
)


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def plain_magnitudes(x: np.ndarray, n_fft: int) -> np.ndarray:
    """Every window that overlaps the signal, with starts at multiples of a quarter window."""
    hop = n_fft // 4
    window = scipy.signal.windows.hann(n_fft, sym=False)
    starts = range(-(n_fft - hop), len(x), hop)
    frames = []
    for start in starts:
        frame = np.zeros(n_fft)
        for i in range(n_fft):
            if 0 <= start + i < len(x):
                frame[i] = x[start + i]
        frames.append(np.sqrt(np.abs(np.fft.rfft(window * frame)) ** 2 + 1e-10))
    return np.stack(frames, axis=1)


@pytest.mark.parametrize(("n_samples", "n_fft"), [(1, 64), (100, 64), (64, 64), (701, 256)])
def test_magnitudes(n_samples: int, n_fft: int, device: torch.device) -> None:
    x = noise(n_samples).double()
    found = covering_magnitudes(x.to(device), n_fft).cpu().numpy()
    np.testing.assert_allclose(found, plain_magnitudes(x.numpy(), n_fft), atol=1e-10)


@pytest.mark.parametrize("n_samples", [300, 1000])
def test_loss(n_samples: int, device: torch.device) -> None:
    sizes = (256, 128, 64)
    x, y = noise(2, n_samples).double(), noise(2, n_samples, seed=1).double()
    expected = 0.0
    for n_fft in sizes:
        mine = np.stack([plain_magnitudes(row, n_fft) for row in x.numpy()])
        theirs = np.stack([plain_magnitudes(row, n_fft) for row in y.numpy()])
        expected += np.abs(mine - theirs).mean() + np.abs(np.log(mine) - np.log(theirs)).mean()
    found = multi_scale_spectral_loss(x.to(device), y.to(device), fft_sizes=sizes)
    assert found.item() == pytest.approx(expected, rel=1e-9)


def test_default_scales_are_those_of_the_paper() -> None:
    assert FFT_SIZES == (2048, 1024, 512, 256, 128, 64)


def test_identical_signals_cost_nothing() -> None:
    x = noise(2, 5000).requires_grad_()
    assert multi_scale_spectral_loss(x, x.detach()).item() == 0.0
    silence = torch.zeros(2, 3000, requires_grad=True)
    loss = multi_scale_spectral_loss(silence, torch.zeros(2, 3000))
    loss.backward()
    assert loss.item() == 0.0
    assert silence.grad is not None and torch.isfinite(silence.grad).all()


def test_edges_count_as_much_as_the_middle() -> None:
    """An impulse costs the same wherever it lies, up to the grid of the largest window."""
    n_samples = 8192
    costs = []
    for position in (0, 4096, 7680, n_samples - 512):
        x = torch.zeros(n_samples, dtype=torch.float64)
        x[position] = 1.0
        costs.append(multi_scale_spectral_loss(x, torch.zeros_like(x)).item())
    np.testing.assert_allclose(costs, costs[0], rtol=1e-9)
    for first, second in ((511, 4607), (n_samples - 1, 4607)):
        pair = []
        for position in (first, second):
            x = torch.zeros(n_samples, dtype=torch.float64)
            x[position] = 1.0
            pair.append(multi_scale_spectral_loss(x, torch.zeros_like(x)).item())
        assert pair[0] == pytest.approx(pair[1], rel=1e-9)


def test_gradients_at_the_edges_are_as_large_as_in_the_middle() -> None:
    x, y = noise(64, 4096).requires_grad_(), noise(64, 4096, seed=1)
    multi_scale_spectral_loss(x, y).backward()
    assert x.grad is not None
    strength = x.grad.abs().mean(dim=0)
    middle = strength[1024:3072].mean()
    # A signal beside silence has less interference, so "as large" is meant within a factor.
    assert 0.5 < strength[:16].mean() / middle < 2.0
    assert 0.5 < strength[-16:].mean() / middle < 2.0


def test_no_gradient_flows_into_the_target() -> None:
    x, y = noise(600).requires_grad_(), noise(600, seed=1).requires_grad_()
    multi_scale_spectral_loss(x, y).backward()
    assert x.grad is not None and y.grad is None


def test_gradcheck(device: torch.device) -> None:
    x = noise(2, 24).double().to(device).requires_grad_()
    y = noise(2, 24, seed=1).double().to(device)
    assert gradcheck(lambda v: multi_scale_spectral_loss(v, y, fft_sizes=(16, 8)), (x,))


def test_shapes_must_agree() -> None:
    with pytest.raises(ValueError, match="differ in shape"):
        multi_scale_spectral_loss(torch.zeros(2, 10), torch.zeros(10))


@pytest.mark.parametrize("n_samples", [1, 777, 5000])
def test_compiled_loss_is_that_of_every_device(n_samples: int) -> None:
    x, y = noise(2, 3, n_samples).double(), noise(2, 3, n_samples, seed=1).double()
    y[0, 0] = 0.0
    gradients, values = [], []
    for distance in (multi_scale_spectral_loss, _compute_with_tensors):
        estimate = x.clone().requires_grad_()
        value = distance(estimate, y, fft_sizes=FFT_SIZES)
        (3.0 * value).backward()
        values.append(value.detach())
        gradients.append(estimate.grad)
    torch.testing.assert_close(values[0], values[1], rtol=1e-12, atol=0)
    torch.testing.assert_close(gradients[0], gradients[1], rtol=1e-9, atol=1e-12)


def test_float32_loss_is_close_to_float64() -> None:
    x, y = noise(4, 64_000), 0.1 * noise(4, 64_000, seed=1)
    exact_x = x.double().requires_grad_()
    exact = multi_scale_spectral_loss(exact_x, y.double())
    exact.backward()
    x.requires_grad_()
    found = multi_scale_spectral_loss(x, y)
    found.backward()
    assert found.item() == pytest.approx(exact.item(), rel=1e-6)
    # Where magnitudes are equal but for rounding, the sign of their difference is open.
    assert (x.grad - exact_x.grad).norm() < 5e-3 * exact_x.grad.norm()
