"""Running medians against scipy and sorted windows."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from scipy.ndimage import median_filter as scipy_median

import src.dsp.median as module
from src.dsp.median import median_filter, mirror_ends, select_medians


def scipy_can(size: int, n: int) -> bool:
    """Whether scipy mirrors rightly: it reads outside the array at sample -4 n, -6 n, ..."""
    return size // 2 < 4 * n


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
    # Exactly, whatever the threads: a median is one of the numbers, nothing is computed.
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
        monkeypatch.setattr(module, "BLOCK_ELEMENTS", block)
        found = select_medians(x.to(device), mirror_ends(50, size, 0, 50).to(device), size).cpu()
        assert torch.equal(found, median_filter(x, size, dim=1))


def test_part_of_the_outputs_sees_the_whole_input(device: torch.device) -> None:
    x = torch.randn(4, 60, generator=torch.Generator().manual_seed(0)).to(device)
    whole = median_filter(x, 12, dim=-1)
    for start, stop in ((0, 1), (7, 20), (55, 60), (0, 60)):
        part = median_filter(x, 12, dim=-1, start=start, stop=stop)
        assert torch.equal(part, whole[:, start:stop])


def test_gradient_of_a_median_is_that_of_its_sample(device: torch.device) -> None:
    x = torch.tensor([3.0, 1.0, 2.0, 5.0, 4.0], device=device).requires_grad_()
    medians = median_filter(x, 3, dim=0)
    assert medians.tolist() == [3.0, 2.0, 2.0, 4.0, 4.0]
    medians.backward(torch.tensor([1.0, 10.0, 100.0, 1000.0, 10000.0], device=device))
    assert x.grad is not None and x.grad.tolist() == [1.0, 0.0, 110.0, 0.0, 11000.0]


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
