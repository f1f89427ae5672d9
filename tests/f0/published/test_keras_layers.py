from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from src.f0.published.keras_layers import TallConv, Weights, WeightsError


@pytest.mark.parametrize(
    ("tall", "wide", "n_bins"), [(70, 3, 360), (360, 1, 360), (4, 3, 9), (5, 1, 8)]
)
def test_tall_convolution_is_a_convolution_padded_as_in_keras(
    tall: int, wide: int, n_bins: int
) -> None:
    torch.manual_seed(0)
    kernel, bias = torch.randn(tall, wide, 3, 2), torch.randn(2)
    x = torch.randn(2, 3, n_bins, 7)
    before = (tall - 1) // 2  # Keras puts the odd row of padding at the end
    padded = F.pad(x, (wide // 2, wide // 2, before, tall - 1 - before))
    expected = F.conv2d(padded.double(), kernel.permute(3, 2, 0, 1).double(), bias.double())
    found = TallConv(kernel, bias, n_bins)(x)
    torch.testing.assert_close(found, expected.float(), rtol=1e-4, atol=1e-4)
    channels_last = x.contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(TallConv(kernel, bias, n_bins)(channels_last), found)


def test_missing_weights_are_named_with_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"nowhere.npz: no such.*umss published-weights"):
        Weights(tmp_path / "nowhere.npz")


def test_what_is_no_file_of_weights_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "weights.npz"
    path.write_text("not an archive")
    with pytest.raises(WeightsError, match=r"weights.npz: not a file of weights"):
        Weights(path)


def test_missing_arrays_and_wrong_shapes_are_named(tmp_path: Path) -> None:
    path = tmp_path / "weights.npz"
    np.savez(path, **{"a.kernel": np.zeros((3, 3, 1, 2))})
    with pytest.raises(WeightsError, match=r"a.kernel has shape \(3, 3, 1, 2\), expected"):
        Weights(path).conv("a.", (3, 3, 1, 4))
    with pytest.raises(WeightsError, match=r"lacks a.bias"):
        Weights(path).conv("a.", (3, 3, 1, 2))
