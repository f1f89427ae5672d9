"""The layers of Keras in their plain form, to compare the networks with."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F


def conv(x: Tensor, arrays: dict[str, np.ndarray], name: str, suffix: str = "") -> Tensor:
    """Convolution [B, C, F, N] with "same" padding; an odd row of padding goes to the end."""
    kernel = torch.from_numpy(arrays[f"{name}kernel{suffix}"])
    tall, wide = kernel.shape[0] - 1, kernel.shape[1] - 1
    x = F.pad(x, (wide // 2, wide - wide // 2, tall // 2, tall - tall // 2))
    bias = torch.from_numpy(arrays[f"{name}bias{suffix}"])
    return F.conv2d(x, kernel.permute(3, 2, 0, 1), bias)


def norm(x: Tensor, arrays: dict[str, np.ndarray], name: str, suffix: str = "") -> Tensor:
    """Batch normalisation as Keras does it in inference."""
    gamma, beta, mean, variance = (
        torch.from_numpy(arrays[f"{name}{part}{suffix}"])[:, None, None]
        for part in ("gamma", "beta", "moving_mean", "moving_variance")
    )
    return gamma * (x - mean) / torch.sqrt(variance + 1e-3) + beta
