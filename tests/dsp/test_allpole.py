"""All-pole filters against scipy.signal.lfilter and plain float64 loops."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.signal
import torch
from torch import Tensor
from torch.autograd import gradcheck

from src.dsp.allpole import allpole_ola, allpole_samplewise
from src.dsp.control import exponential_sigmoid
from src.dsp.lpc import lsf_from_increments, lsf_to_lpc, reflection_to_lpc

FILTERS = [allpole_ola, allpole_samplewise]


def head_filters(shape: tuple[int, ...], *, spread: float, gap: float, seed: int = 0) -> Tensor:
    """Coefficients [..., K] as a network with logits of standard deviation `spread` makes them."""
    generator = torch.Generator().manual_seed(seed)
    logits = spread * torch.randn(*shape[:-1], shape[-1] + 1, generator=generator)
    return lsf_to_lpc(lsf_from_increments(exponential_sigmoid(logits), minimum_gap=gap))


def tame_filters(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return reflection_to_lpc(torch.randn(shape, generator=generator).mul(0.4).tanh())


def noise(*shape: int, seed: int = 1) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def relative(found: Tensor | np.ndarray, expected: np.ndarray) -> float:
    difference = np.asarray(found, dtype=np.float64) - expected
    return float(np.linalg.norm(difference) / np.linalg.norm(expected))


def loop_samplewise(e: np.ndarray, a: np.ndarray, hop: int) -> np.ndarray:
    order = a.shape[1]
    y = np.zeros(len(e))
    for t in range(len(e)):
        n, weight = t // hop, (t % hop) / hop
        now = (1 - weight) * a[n] + weight * a[min(n + 1, len(a) - 1)]
        for k in range(1, order + 1):
            if t - k >= 0:
                e_t = now[k - 1] * y[t - k]
                y[t] -= e_t
        y[t] += e[t]
    return y


def loop_ola(e: np.ndarray, a: np.ndarray, hop: int) -> np.ndarray:
    """Frame by frame with scipy's lfilter, windowed and added up on a zero-padded signal."""
    n_frames = len(a)
    padded = np.pad(e, (hop, 2 * hop + n_frames * hop - len(e)))
    window = 0.5 - 0.5 * np.cos(np.pi * np.arange(2 * hop) / hop)
    y = np.zeros(len(padded))
    for n in range(n_frames + 1):
        polynomial = np.append(1.0, a[min(n, n_frames - 1)])
        part = slice(n * hop, (n + 2) * hop)
        y[part] += window * scipy.signal.lfilter([1.0], polynomial, padded[part])
    return y[hop : hop + len(e)]


@pytest.mark.parametrize("spread", [1.0, 2.0])
@pytest.mark.parametrize("gap", [0.0, 0.1])
def test_constant_filters_against_lfilter(spread: float, gap: float, device: torch.device) -> None:
    rows, n_samples, hop = 40, 2048, 256
    e = noise(rows, n_samples)
    a = head_filters((rows, 20), spread=spread, gap=gap)
    frames = a.unsqueeze(1).expand(-1, n_samples // hop, -1)
    y = allpole_samplewise(e.to(device), frames.to(device), hop=hop).cpu()
    assert torch.isfinite(y).all()
    worst = 0.0
    for r in range(rows):
        expected = scipy.signal.lfilter(
            [1.0], np.append(1.0, a[r].numpy()), e[r].numpy().astype(np.float64)
        )
        worst = max(worst, relative(y[r], expected))
    assert worst < 1e-5


@pytest.mark.parametrize("spread", [1.0, 2.0])
@pytest.mark.parametrize("gap", [0.0, 0.1])
def test_ola_of_sharp_changing_filters(spread: float, gap: float, device: torch.device) -> None:
    rows, n_samples, hop = 4, 2500, 256
    e = noise(rows, n_samples)
    a = head_filters((rows, 10, 20), spread=spread, gap=gap)
    y = allpole_ola(e.to(device), a.to(device), hop=hop).cpu()
    assert torch.isfinite(y).all()
    for r in range(rows):
        expected = loop_ola(e[r].double().numpy(), a[r].numpy(), hop)
        assert relative(y[r], expected) < 1e-5


@pytest.mark.parametrize("n_samples", [1, 7, 8, 9, 64, 61])
@pytest.mark.parametrize("order", [1, 4])
def test_float64_against_loops_for_any_length(
    n_samples: int, order: int, device: torch.device
) -> None:
    hop = 8
    e = noise(n_samples).double()
    a = tame_filters(-(-n_samples // hop), order)
    for function, reference in ((allpole_ola, loop_ola), (allpole_samplewise, loop_samplewise)):
        y = function(e.to(device), a.to(device), hop=hop).cpu().numpy()
        np.testing.assert_allclose(y, reference(e.numpy(), a.numpy(), hop), rtol=0, atol=1e-12)


def test_samplewise_meets_each_frame_at_its_sample(device: torch.device) -> None:
    """A filter that is 1 except in frame 2 acts between frames 1 and 3 only."""
    hop = 16
    a = torch.zeros(5, 1, dtype=torch.float64)
    a[2] = -0.5
    e = torch.ones(80, dtype=torch.float64)
    y = allpole_samplewise(e.to(device), a.to(device), hop=hop).cpu()
    changed = (y - e).abs() > 1e-12
    assert changed.nonzero().min() == hop + 1
    assert changed.nonzero().max() < 3 * hop
    assert int((y - e).abs().argmax()) in (2 * hop, 2 * hop + 1)


@pytest.mark.parametrize("function", FILTERS)
def test_one_filter_for_all_frames_and_edges(function, device: torch.device) -> None:  # type: ignore[no-untyped-def]
    """Without poles nothing changes: windows sum to one from the first sample to the last."""
    e = noise(3, 1000)
    a = torch.zeros(4, 20, dtype=torch.float64)
    y = function(e.to(device), a.to(device)).cpu()
    torch.testing.assert_close(y, e, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("function", FILTERS)
def test_leading_dimensions_broadcast(function, device: torch.device) -> None:  # type: ignore[no-untyped-def]
    e = noise(2, 1, 50).to(device)
    a = tame_filters(3, 7, 4).to(device)
    y = function(e, a, hop=8)
    assert y.shape == (2, 3, 50)
    for b in range(2):
        for j in range(3):
            torch.testing.assert_close(y[b, j], function(e[b, 0], a[j], hop=8))


@pytest.mark.parametrize("function", FILTERS)
def test_output_has_the_dtype_of_the_signal(function) -> None:  # type: ignore[no-untyped-def]
    a = tame_filters(2, 3)
    assert function(noise(16), a, hop=8).dtype == torch.float32
    assert function(noise(16).double(), a.float(), hop=8).dtype == torch.float64


@pytest.mark.parametrize("function", FILTERS)
def test_wrong_number_of_frames_is_refused(function) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ValueError, match="need coefficients for 3 frames, got 2"):
        function(torch.zeros(17), torch.zeros(2, 4), hop=8)


@pytest.mark.parametrize("function", FILTERS)
@pytest.mark.parametrize(("n_samples", "order"), [(16, 3), (13, 4), (5, 1)])
def test_gradcheck(function, n_samples: int, order: int, device: torch.device) -> None:  # type: ignore[no-untyped-def]
    e = noise(2, n_samples).double().to(device).requires_grad_()
    a = tame_filters(2, -(-n_samples // 4), order).to(device).requires_grad_()
    assert gradcheck(lambda x, c: function(x, c, hop=4), (e, a), nondet_tol=1e-12)


@pytest.mark.parametrize("function", FILTERS)
def test_gradcheck_with_broadcasting(function, device: torch.device) -> None:  # type: ignore[no-untyped-def]
    e = noise(2, 1, 10).double().to(device).requires_grad_()
    a = tame_filters(3, 3, 2).to(device).requires_grad_()
    assert gradcheck(lambda x, c: function(x, c, hop=4), (e, a), nondet_tol=1e-12)


def autograd_loop(e: Tensor, a: Tensor, hop: int, *, ola: bool) -> Tensor:
    """The same filters for one row, from elementary operations that autograd knows."""
    n_samples, (n_frames, order) = len(e), a.shape

    def recursion(x: Tensor, filters: list[Tensor]) -> list[Tensor]:
        y: list[Tensor] = []
        for t in range(len(x)):
            value = x[t]
            for k in range(1, min(order, t) + 1):
                value = value - filters[t][k - 1] * y[t - k]
            y.append(value)
        return y

    if not ola:
        filters = []
        for t in range(n_samples):
            n, w = t // hop, (t % hop) / hop
            filters.append((1 - w) * a[n] + w * a[min(n + 1, n_frames - 1)])
        return torch.stack(recursion(e, filters))
    padded = torch.nn.functional.pad(e, (hop, (n_frames + 1) * hop - n_samples))
    window = torch.hann_window(2 * hop, dtype=torch.float64)
    y = torch.zeros_like(padded)
    for n in range(n_frames + 1):
        frame = recursion(padded[n * hop : (n + 2) * hop], [a[min(n, n_frames - 1)]] * (2 * hop))
        y = y + torch.nn.functional.pad(
            window * torch.stack(frame), (n * hop, (n_frames - n) * hop)
        )
    return y[hop : hop + n_samples]


@pytest.mark.parametrize("function", FILTERS)
def test_float32_gradients_against_autograd_through_a_loop(function, device: torch.device) -> None:  # type: ignore[no-untyped-def]
    hop, n_samples, order = 16, 70, 6
    weight = noise(n_samples, seed=5)
    e, a = noise(n_samples), tame_filters(5, order)
    e_ref, a_ref = e.double().requires_grad_(), a.clone().requires_grad_()
    reference = autograd_loop(e_ref, a_ref, hop, ola=function is allpole_ola)
    (reference * weight).sum().backward()
    e32 = e.to(device).requires_grad_()
    a32 = a.float().to(device).requires_grad_()
    (function(e32, a32, hop=hop) * weight.to(device)).sum().backward()
    assert e32.grad is not None and a32.grad is not None
    assert e32.grad.dtype == a32.grad.dtype == torch.float32
    assert relative(e32.grad.cpu(), e_ref.grad.numpy()) < 1e-5
    assert relative(a32.grad.cpu(), a_ref.grad.numpy()) < 1e-5


@pytest.mark.parametrize("gap", [0.0, 0.1])
def test_gradients_of_sharp_filters_are_finite(gap: float, device: torch.device) -> None:
    generator = torch.Generator().manual_seed(0)
    logits = (2.0 * torch.randn(16, 4, 21, generator=generator)).to(device).requires_grad_()
    e = noise(16, 1024).to(device).requires_grad_()
    lsf = lsf_from_increments(exponential_sigmoid(logits), minimum_gap=gap)
    allpole_ola(e, lsf_to_lpc(lsf)).square().mean().backward()
    assert torch.isfinite(logits.grad).all() and torch.isfinite(e.grad).all()
    assert (logits.grad != 0).all()


@pytest.mark.parametrize("function", FILTERS)
def test_threads_do_not_change_the_result(function) -> None:  # type: ignore[no-untyped-def]
    e, a = noise(5, 700), tame_filters(5, 3, 8)
    before = torch.get_num_threads()
    results = []
    try:
        for threads in (1, 2, 8):
            torch.set_num_threads(threads)
            x, c = e.clone().requires_grad_(), a.clone().requires_grad_()
            y = function(x, c)
            y.square().sum().backward()
            results.append((y.detach(), x.grad, c.grad))
    finally:
        torch.set_num_threads(before)
    for other in results[1:]:
        for one, two in zip(results[0], other, strict=True):
            torch.testing.assert_close(one, two)
