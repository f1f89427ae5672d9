"""Line spectral frequencies and reflection coefficients against polynomial arithmetic in NumPy."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.signal
import torch
from torch.autograd import gradcheck

from src.dsp.control import exponential_sigmoid
from src.dsp.lpc import (
    lpc_response,
    lpc_to_reflection,
    lsf_from_increments,
    lsf_to_lpc,
    reflection_to_lpc,
)

ORDERS = [*range(1, 21)]


def random_lsf(order: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng([order, seed])
    steps = rng.uniform(0.2, 2.0, order + 1)
    return np.pi * np.cumsum(steps / steps.sum())[:-1]


def lpc_from_roots(lsf: np.ndarray) -> np.ndarray:
    """(P + Q) / 2 with P and Q expanded from their roots on the unit circle."""
    on_circle = np.exp(1j * lsf)
    p_roots = np.concatenate([on_circle[0::2], on_circle[0::2].conj()])
    q_roots = np.concatenate([on_circle[1::2], on_circle[1::2].conj()])
    if len(lsf) % 2 == 0:
        p_roots, q_roots = np.append(p_roots, -1.0), np.append(q_roots, 1.0)
    else:
        q_roots = np.append(q_roots, [1.0, -1.0])
    p, q = np.poly(p_roots).real, np.poly(q_roots).real
    return (0.5 * (p + q))[1 : len(lsf) + 1]


def algorithm_1(lsf: np.ndarray) -> np.ndarray:
    """The recursion of the paper for even K: second-order sections multiplied in one by one."""
    half = len(lsf) // 2
    p, q = np.array([1.0]), np.array([1.0])
    for i in range(half):
        for which in (0, 1):
            old = p if which == 0 else q
            c = -2.0 * np.cos(lsf[2 * i + which])
            new = np.zeros(len(old) + 2)
            for n in range(len(new)):
                now = old[n] if n < len(old) else 0.0
                before = old[n - 1] if 1 <= n <= len(old) else 0.0
                two_before = old[n - 2] if n >= 2 else 0.0
                new[n] = now + c * before + two_before
            if which == 0:
                p = new
            else:
                q = new
    a = np.zeros(len(lsf))
    for k in range(1, len(lsf) + 1):
        a[k - 1] = 0.5 * (p[k] + p[k - 1] + q[k] - q[k - 1])
    return a


@pytest.mark.parametrize("order", ORDERS)
def test_lsf_to_lpc_is_the_polynomial_with_these_roots(order: int, device: torch.device) -> None:
    lsf = np.stack([random_lsf(order, seed) for seed in range(5)])
    a = lsf_to_lpc(torch.tensor(lsf, device=device)).cpu().numpy()
    expected = np.stack([lpc_from_roots(row) for row in lsf])
    np.testing.assert_allclose(a, expected, rtol=0, atol=1e-12 * 2**order)


@pytest.mark.parametrize("order", [2, 8, 20])
def test_lsf_to_lpc_agrees_with_the_recursion_of_the_paper(order: int) -> None:
    lsf = random_lsf(order)
    np.testing.assert_allclose(
        lsf_to_lpc(torch.tensor(lsf)).numpy(), algorithm_1(lsf), rtol=0, atol=1e-11
    )


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("gap", [0.0, 0.1])
def test_filters_of_random_logits_are_stable(order: int, gap: float) -> None:
    generator = torch.Generator().manual_seed(order)
    logits = 2.0 * torch.randn(20, order + 1, generator=generator)
    a = lsf_to_lpc(lsf_from_increments(exponential_sigmoid(logits), minimum_gap=gap))
    for row in a.numpy():
        # The roots of a polynomial with clustered zeros are only found to about 1e-4.
        slack = 1e-3 if gap == 0.0 else 0.0
        assert np.abs(np.roots(np.append(1.0, row))).max() < 1.0 + slack


@pytest.mark.parametrize("order", [1, 4, 7, 20])
@pytest.mark.parametrize("gap", [0.0, 0.1, 0.5])
def test_increments_give_ordered_lsfs_with_the_minimum_gap(order: int, gap: float) -> None:
    generator = torch.Generator().manual_seed(order)
    increments = exponential_sigmoid(3.0 * torch.randn(50, order + 1, generator=generator))
    lsf = lsf_from_increments(increments, minimum_gap=gap).numpy()
    assert lsf.dtype == np.float64
    assert lsf.shape == (50, order)
    distances = np.diff(np.pad(lsf, ((0, 0), (1, 0))), axis=1)
    last = np.pi - lsf[:, -1:]
    smallest = np.concatenate([distances, last], axis=1).min()
    assert smallest > 0
    assert smallest >= gap * np.pi / (order + 1) - 1e-12


def test_increments_without_gap_are_normalised_cumulative_sums() -> None:
    increments = np.random.default_rng(0).uniform(0.1, 2.0, (3, 21))
    expected = np.pi * np.cumsum(increments / increments.sum(1, keepdims=True), axis=1)[:, :-1]
    np.testing.assert_allclose(
        lsf_from_increments(torch.tensor(increments)).numpy(), expected, rtol=1e-13
    )


@pytest.mark.parametrize("gap", [-0.1, 1.0])
def test_impossible_gap_is_refused(gap: float) -> None:
    with pytest.raises(ValueError, match="minimum_gap"):
        lsf_from_increments(torch.ones(3), minimum_gap=gap)


def test_a_single_increment_is_refused() -> None:
    with pytest.raises(ValueError, match="two increments"):
        lsf_from_increments(torch.ones(4, 1))


def levinson(reflection: np.ndarray) -> np.ndarray:
    """Step-up recursion, written out."""
    a = np.array([1.0])
    for k in reflection:
        grown = np.append(a, 0.0)
        a = grown + k * grown[::-1]
    return a[1:]


@pytest.mark.parametrize("order", [1, 2, 5, 20])
def test_reflection_to_lpc(order: int, device: torch.device) -> None:
    rng = np.random.default_rng(order)
    reflection = np.tanh(rng.normal(size=(6, order)))
    a = reflection_to_lpc(torch.tensor(reflection, device=device)).cpu().numpy()
    np.testing.assert_allclose(a, np.stack([levinson(r) for r in reflection]), rtol=1e-9)
    for row in a:
        assert np.abs(np.roots(np.append(1.0, row))).max() < 1.0 + 1e-9


def test_reflection_to_lpc_solves_the_normal_equations() -> None:
    """Autocorrelation of a random signal: Toeplitz solution and its own reflection sequence."""
    x = np.random.default_rng(3).normal(size=500)
    order = 6
    r = np.array([x[: len(x) - k] @ x[k:] for k in range(order + 1)])
    reflection = []
    for m in range(1, order + 1):
        solution = scipy.linalg.solve_toeplitz(r[:m], -r[1 : m + 1])
        reflection.append(solution[-1])
    a = reflection_to_lpc(torch.tensor(reflection)).numpy()
    np.testing.assert_allclose(a, solution, rtol=1e-9, atol=1e-12)
    back = lpc_to_reflection(torch.tensor(solution)).numpy()
    np.testing.assert_allclose(back, reflection, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("order", [1, 2, 9, 20])
def test_lpc_to_reflection(order: int, device: torch.device) -> None:
    rng = np.random.default_rng(order)
    reflection = rng.uniform(-0.7, 0.7, size=(6, order))
    a = np.stack([levinson(row) for row in reflection])
    found = lpc_to_reflection(torch.tensor(a, device=device)).cpu().numpy()
    np.testing.assert_allclose(found, reflection, rtol=0, atol=1e-9)


def test_reflection_of_the_sharpest_filters_stays_inside_one() -> None:
    generator = torch.Generator().manual_seed(0)
    logits = 3.0 * torch.randn(200, 21, generator=generator)
    found = lpc_to_reflection(lsf_to_lpc(lsf_from_increments(exponential_sigmoid(logits))))
    assert torch.isfinite(found).all()
    assert found.abs().max() < 1


@pytest.mark.parametrize(("order", "n_fft"), [(1, 2), (4, 64), (20, 512)])
def test_lpc_response_against_freqz(order: int, n_fft: int, device: torch.device) -> None:
    a = lpc_from_roots(random_lsf(order))
    n_bins = n_fft // 2 + 1
    _, expected = scipy.signal.freqz([1.0], np.append(1.0, a), worN=n_bins, include_nyquist=True)
    response = lpc_response(torch.tensor(a, device=device), n_fft)
    assert response.dtype == torch.complex128
    np.testing.assert_allclose(response.cpu().numpy(), expected, rtol=1e-9)


def test_lpc_response_needs_a_large_enough_fft() -> None:
    with pytest.raises(ValueError, match="too small"):
        lpc_response(torch.zeros(20), 16)


@pytest.mark.parametrize("order", [1, 2, 5, 6])
def test_gradients(order: int, device: torch.device) -> None:
    rng = np.random.default_rng(order)
    increments = torch.tensor(rng.uniform(0.3, 2.0, (2, order + 1)), device=device)
    increments.requires_grad_()
    assert gradcheck(lambda x: lsf_from_increments(x, minimum_gap=0.1), (increments,))
    assert gradcheck(lambda x: lsf_to_lpc(lsf_from_increments(x)), (increments,))
    reflection = torch.tensor(rng.uniform(-0.8, 0.8, (2, order)), device=device)
    reflection.requires_grad_()
    assert gradcheck(reflection_to_lpc, (reflection,))
    coefficients = reflection_to_lpc(reflection.detach()).requires_grad_()
    assert gradcheck(lpc_to_reflection, (coefficients,))
    assert gradcheck(lambda x: lpc_response(reflection_to_lpc(x), 16).abs(), (reflection,))
