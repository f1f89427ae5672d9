"""The fused perceptron against PyTorch's own layers."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from src.models.mlp import NormalisedMLP


def plain(mlp: NormalisedMLP) -> nn.Sequential:
    layers: list[nn.Module] = []
    for i in range(0, len(mlp), 3):
        linear = nn.Linear(mlp[i].in_features, mlp[i].out_features)
        layers += [linear, nn.LayerNorm(linear.out_features), nn.LeakyReLU()]
    sequential = nn.Sequential(*layers)
    sequential.load_state_dict(mlp.state_dict())
    return sequential


@pytest.mark.parametrize(
    ("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 3e-5)], ids=["f64", "f32"]
)
@pytest.mark.parametrize(("rows", "n_inputs", "width"), [(1, 1, 3), (37, 5, 16), (200, 64, 64)])
def test_values_and_gradients(
    rows: int, n_inputs: int, width: int, dtype: torch.dtype, tolerance: float
) -> None:
    torch.manual_seed(0)
    ours = NormalisedMLP(n_inputs, width)
    for parameter in ours.parameters():
        nn.init.normal_(parameter, std=0.5)
    ours = ours.to(dtype)
    theirs = plain(ours).to(dtype)
    x = torch.randn(rows, 1, n_inputs, dtype=dtype)
    weight = torch.randn(rows, 1, width, dtype=dtype)
    inputs = []
    for mlp in (ours, theirs):
        inputs.append(x.clone().requires_grad_())
        (mlp(inputs[-1]) * weight).sum().backward()
    torch.testing.assert_close(ours(x), theirs(x), rtol=tolerance, atol=tolerance)
    torch.testing.assert_close(inputs[0].grad, inputs[1].grad, rtol=tolerance, atol=tolerance)
    for (name, one), two in zip(ours.named_parameters(), theirs.parameters(), strict=True):
        scale = max(1.0, float(two.grad.abs().max()))
        torch.testing.assert_close(
            one.grad / scale, two.grad / scale, rtol=tolerance, atol=tolerance, msg=name
        )


def test_constant_and_huge_rows_stay_finite() -> None:
    mlp = NormalisedMLP(4, 8)
    x = torch.cat([torch.zeros(1, 4), torch.full((1, 4), 1e8)])
    torch.testing.assert_close(mlp(x), plain(mlp)(x), rtol=1e-4, atol=1e-4)


def test_bfloat16_products_are_close_and_weights_keep_their_type() -> None:
    torch.manual_seed(0)
    mlp = NormalisedMLP(32, 64)
    x = torch.randn(50, 32)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        low = mlp(x)
    assert low.dtype == torch.float32
    low.square().sum().backward()
    gradients = [p.grad.clone() for p in mlp.parameters()]
    mlp.zero_grad()
    mlp(x).square().sum().backward()
    # bfloat16 keeps 8 bits; three layers of normalised values.
    assert float((low - mlp(x)).abs().max()) < 0.1
    for one, parameter in zip(gradients, mlp.parameters(), strict=True):
        assert one.dtype == parameter.dtype
        assert torch.linalg.norm(one - parameter.grad) < 0.05 * torch.linalg.norm(parameter.grad)
