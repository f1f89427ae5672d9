"""Perceptron of linear layers, layer normalisation and leaky ReLU, with fused CPU passes."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from ..dsp.compiled import jit, run_over_rows
from .gru import choose_product_dtype

_SLOPE = 0.01
_EPSILON = 1e-5


@jit
def _normalise(x, scale, shift, slope, share, zero, inverse, y):  # type: ignore[no-untyped-def]
    """x becomes the normalised x, y = leaky ReLU(scale x + shift); inverse: 1 / deviation."""
    rows, width = x.shape
    for r in range(rows):
        mean = zero
        for i in range(width):
            mean += x[r, i]
        mean *= share
        variance = zero
        for i in range(width):
            x[r, i] -= mean
            variance += x[r, i] * x[r, i]
        inverse[r, 0] = 1.0 / np.sqrt(variance * share + _EPSILON)
        factor = inverse[r, 0]
        for i in range(width):
            x[r, i] *= factor
            value = scale[i] * x[r, i] + shift[i]
            y[r, i] = value if value > zero else slope * value


@jit
def _normalise_back(x, inverse, grad, scale, shift, slope, share, zero, gx):  # type: ignore[no-untyped-def]
    """gx: gradient before normalisation; returns [3, width]: of scale, of shift, sum of gx."""
    rows, width = x.shape
    sums = np.zeros((3, width), dtype=x.dtype)
    for r in range(rows):
        mean = zero
        product = zero
        for i in range(width):
            value = scale[i] * x[r, i] + shift[i]
            g = grad[r, i] if value > zero else slope * grad[r, i]
            sums[0, i] += g * x[r, i]
            sums[1, i] += g
            g *= scale[i]
            gx[r, i] = g
            mean += g
            product += g * x[r, i]
        mean *= share
        product *= share
        factor = inverse[r, 0]
        for i in range(width):
            gx[r, i] = factor * (gx[r, i] - mean - x[r, i] * product)
            sums[2, i] += gx[r, i]
    return sums


class _Layer(torch.autograd.Function):
    """Leaky ReLU of layer normalisation of a linear map: two passes over memory around a product.

    The product is computed in `dtype`, everything else in the type of the weights.
    """

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor,
        bias: Tensor,
        scale: Tensor,
        shift: Tensor,
        dtype: torch.dtype,
    ) -> Tensor:
        """x [R, inputs] to [R, width]."""
        if dtype == weight.dtype:
            normalised = torch.addmm(bias, x, weight.t())
        else:
            normalised = (x.to(dtype) @ weight.to(dtype).t()).to(weight.dtype).add_(bias)
        y = torch.empty_like(normalised)
        inverse = normalised.new_empty(len(x), 1)
        kernel_inputs = (scale.numpy(), shift.numpy(), *_make_constants(scale))
        run_over_rows(
            _normalise, len(x), normalised.numpy(), *kernel_inputs, inverse.numpy(), y.numpy()
        )
        ctx.save_for_backward(x, weight, scale, shift, normalised, inverse)
        ctx.dtype = dtype
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, scale, shift, normalised, inverse = ctx.saved_tensors
        gx = torch.empty_like(normalised)
        sums = run_over_rows(
            _normalise_back,
            len(x),
            normalised.numpy(),
            inverse.numpy(),
            grad.contiguous().numpy(),
            scale.numpy(),
            shift.numpy(),
            *_make_constants(scale),
            gx.numpy(),
        )
        of_scale, of_shift, of_bias = torch.from_numpy(sum(sums))
        low = gx.to(ctx.dtype)
        of_weight = (low.t() @ x.to(ctx.dtype)).to(weight.dtype)
        of_x = (low @ weight.to(ctx.dtype)).to(x.dtype) if ctx.needs_input_grad[0] else None
        return of_x, of_weight, of_bias, of_scale, of_shift, None


def _make_constants(like: Tensor) -> tuple[Any, Any, Any]:
    """Slope, 1 / width and zero as NumPy scalars of the tensor's type: literals are float64."""
    slope, share, zero = np.array([_SLOPE, 1.0 / len(like), 0.0], dtype=like.numpy().dtype)
    return slope, share, zero


class NormalisedMLP(nn.Sequential):
    """Three times a linear layer, layer normalisation and leaky ReLU.

    Args:
        n_inputs: size of the input.
        width: units of every layer.
    """

    def __init__(self, n_inputs: int, width: int) -> None:
        layers: list[nn.Module] = []
        for size in (n_inputs, width, width):
            layers += [
                nn.Linear(size, width),
                nn.LayerNorm(width, eps=_EPSILON),
                nn.LeakyReLU(_SLOPE, inplace=True),
            ]
        super().__init__(*layers)

    def forward(self, x: Tensor) -> Tensor:  # type: ignore[override]
        """[..., n_inputs] to [..., width]."""
        device = x.device.type
        if device != "cpu":
            plain: Tensor = super().forward(x)
            return plain
        dtype = choose_product_dtype(device, x.dtype)
        rows = x.reshape(-1, x.shape[-1])
        with torch.autocast(device, enabled=False):
            for i in range(0, len(self), 3):
                linear, norm = self[i], self[i + 1]
                assert isinstance(linear, nn.Linear)
                rows = _Layer.apply(  # type: ignore[no-untyped-call]
                    rows.to(linear.weight.dtype),
                    linear.weight,
                    linear.bias,
                    norm.weight,
                    norm.bias,
                    dtype,
                )
        return rows.reshape(*x.shape[:-1], -1)
