"""The lattice filter against scipy.signal.lfilter and a plain loop."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.signal
import torch
from torch.autograd import gradcheck

from src.dsp.control import exponential_sigmoid
from src.dsp.lattice import allpole_lattice
from src.dsp.lpc import lpc_to_reflection, lsf_from_increments, lsf_to_lpc, reflection_to_lpc


def noise(*shape: int, seed: int = 1) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def loop(e: np.ndarray, k: np.ndarray, hop: int) -> np.ndarray:
    """Normalised ladder: every stage rotates (forward, delayed backward) by asin(k)."""
    n_frames, order = k.shape
    state = np.zeros(order)
    y = np.zeros(len(e))
    for t in range(len(e)):
        n, w = t // hop, (t % hop) / hop
        now = (1 - w) * k[n] + w * k[min(n + 1, n_frames - 1)]
        angle = np.arcsin(now)
        forward = e[t]
        backward = np.zeros(order + 1)
        for m in reversed(range(order)):
            rotation = np.array(
                [[np.cos(angle[m]), -np.sin(angle[m])], [np.sin(angle[m]), np.cos(angle[m])]]
            )
            forward, backward[m + 1] = rotation @ np.array([forward, state[m]])
        backward[0] = forward
        state = backward[:order]
        y[t] = forward / np.prod(np.cos(angle))
    return y


@pytest.mark.parametrize("order", [1, 2, 5, 20])
def test_constant_coefficients_against_lfilter(order: int, device: torch.device) -> None:
    k = torch.randn(order, generator=torch.Generator().manual_seed(order)).mul(0.5).tanh().double()
    a = reflection_to_lpc(k).numpy()
    e = noise(2000).double()
    y = allpole_lattice(e.to(device), k.expand(8, order).to(device)).cpu().numpy()
    expected = scipy.signal.lfilter([1.0], np.append(1.0, a), e.numpy())
    np.testing.assert_allclose(y, expected, rtol=0, atol=1e-10 * np.abs(expected).max())


# The step-down recursion to reflection coefficients loses digits where poles nearly touch the unit
# circle, hence the wider bound for the widest spread.
@pytest.mark.parametrize(
    ("spread", "gap", "bound"), [(1.0, 0.0, 1e-5), (1.0, 0.1, 1e-6), (2.0, 0.1, 2e-5)]
)
def test_sharp_filters_against_lfilter(
    spread: float, gap: float, bound: float, device: torch.device
) -> None:
    rows = 40
    generator = torch.Generator().manual_seed(0)
    logits = spread * torch.randn(rows, 21, generator=generator)
    a = lsf_to_lpc(lsf_from_increments(exponential_sigmoid(logits), minimum_gap=gap))
    e = noise(rows, 2048)
    k = lpc_to_reflection(a).unsqueeze(1).expand(-1, 8, -1)
    y = allpole_lattice(e.to(device), k.to(device)).cpu()
    assert torch.isfinite(y).all()
    for r in range(rows):
        polynomial = np.append(1.0, a[r].numpy())
        expected = scipy.signal.lfilter([1.0], polynomial, e[r].double().numpy())
        error = np.linalg.norm(y[r].numpy() - expected) / np.linalg.norm(expected)
        assert error < bound


@pytest.mark.parametrize("n_samples", [1, 8, 9, 61])
@pytest.mark.parametrize("order", [1, 4])
def test_changing_coefficients_against_a_loop(
    n_samples: int, order: int, device: torch.device
) -> None:
    k = noise(-(-n_samples // 8), order).tanh().double()
    e = noise(n_samples, seed=2).double()
    y = allpole_lattice(e.to(device), k.to(device), hop=8).cpu()
    np.testing.assert_allclose(y.numpy(), loop(e.numpy(), k.numpy(), 8), rtol=1e-9, atol=1e-10)


def test_wildly_changing_filters_stay_bounded(device: torch.device) -> None:
    """Interpolated coefficients of 1 / A explode here; the rotations cannot."""
    generator = torch.Generator().manual_seed(0)
    logits = 2.0 * torch.randn(20, 60, 21, generator=generator)
    a = lsf_to_lpc(lsf_from_increments(exponential_sigmoid(logits), minimum_gap=0.1))
    y = allpole_lattice(noise(20, 60 * 256).to(device), lpc_to_reflection(a).to(device))
    assert torch.isfinite(y).all()


@pytest.mark.parametrize(("n_samples", "order"), [(16, 3), (13, 4), (5, 1)])
def test_gradcheck(n_samples: int, order: int, device: torch.device) -> None:
    e = noise(2, n_samples).double().to(device).requires_grad_()
    k = noise(2, -(-n_samples // 4), order, seed=3).mul(0.6).tanh().double()
    k = k.to(device).requires_grad_()
    assert gradcheck(lambda x, c: allpole_lattice(x, c, hop=4), (e, k), nondet_tol=1e-12)


def gradients(
    e: torch.Tensor, k: torch.Tensor, weight: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Gradients of <weight, y>, weight for the first samples of y, on the device of e."""
    x, c = e.clone().requires_grad_(), k.clone().requires_grad_()
    (allpole_lattice(x, c)[: len(weight)] * weight).sum().backward()
    assert x.grad is not None and c.grad is not None
    return x.grad, c.grad


def test_gradients_do_not_drift_over_long_signals(device: torch.device) -> None:
    """What comes later cannot matter: all of it is rotated back before the first frames."""
    n_frames, short = 60 * 62, 40
    e = noise(n_frames * 256).double().to(device)
    k = noise(n_frames, 20, seed=2).mul(0.5).tanh().double().to(device)
    weight = noise((short - 1) * 256, seed=3).double().to(device)
    found = gradients(e, k, weight)
    expected = gradients(e[: short * 256], k[:short], weight)
    for long, brief in zip(found, expected, strict=True):
        assert (long[: len(brief)] - brief).norm() < 1e-12 * brief.norm()
        assert not long[len(brief) :].any()


def test_silence_decays_to_exact_zeros() -> None:
    """Subnormal numbers would never decay, and would make the CPU some fifty times slower."""
    e, k = torch.zeros(20_000).double(), noise(79, 20).mul(0.3).tanh().double()
    e[0] = 1.0
    assert not allpole_lattice(e, k)[-2000:].any()
    last = torch.zeros_like(e)
    last[-1] = 1.0
    e_grad, k_grad = gradients(noise(20_000).double(), k, last)
    assert not e_grad[:2000].any() and not k_grad[:7].any()


def test_threads_do_not_change_the_result() -> None:
    e, k = noise(5, 700), noise(5, 3, 8).mul(0.5).tanh()
    before = torch.get_num_threads()
    results = []
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            x, c = e.clone().requires_grad_(), k.clone().requires_grad_()
            y = allpole_lattice(x, c)
            y.square().sum().backward()
            results.append((y.detach(), x.grad, c.grad))
    finally:
        torch.set_num_threads(before)
    for one, two in zip(*results, strict=True):
        torch.testing.assert_close(one, two)


def test_wrong_number_of_frames_is_refused() -> None:
    with pytest.raises(ValueError, match="frames"):
        allpole_lattice(torch.zeros(17), torch.zeros(2, 4), hop=8)
