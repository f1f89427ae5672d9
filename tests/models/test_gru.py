"""The GRU with shared inputs against PyTorch's own."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from src.models.gru import SplitInputGRU, _Recurrence

DEVICES = ["cpu"] + (["cuda"] if torch.cuda.is_available() else [])


def pair(dtype: torch.dtype, device: str = "cpu") -> tuple[SplitInputGRU, nn.GRU]:
    torch.manual_seed(0)
    split = SplitInputGRU(5, 4, 7).to(device, dtype)
    whole = nn.GRU(9, 7).to(device, dtype)
    with torch.no_grad():
        for own, theirs in zip(
            (split.weight_ih, split.weight_hh, split.bias_ih, split.bias_hh),
            (whole.weight_ih_l0, whole.weight_hh_l0, whole.bias_ih_l0, whole.bias_hh_l0),
            strict=True,
        ):
            theirs.copy_(own)
    return split, whole


def inputs(dtype: torch.dtype, frames: int, device: str = "cpu") -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)

    def draw(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator, dtype=dtype).to(device)

    return (
        draw(frames, 2, 3, 5).requires_grad_(),
        draw(frames, 2, 4).requires_grad_(),
        draw(frames, 2, 3, 7),
    )


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("frames", [1, 2, 17])
@pytest.mark.parametrize(
    ("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 2e-5)], ids=["f64", "f32"]
)
def test_values_and_gradients(
    dtype: torch.dtype, tolerance: float, frames: int, device: str
) -> None:
    split, whole = pair(dtype, device)
    own, shared, weight = inputs(dtype, frames, device)
    output = split(own, shared)
    (output * weight).sum().backward()
    own2, shared2, _ = inputs(dtype, frames, device)
    joined = torch.cat([own2, shared2.unsqueeze(2).expand(-1, -1, 3, -1)], dim=-1)
    expected, _ = whole(joined.flatten(1, 2))
    expected = expected.unflatten(1, (2, 3))
    (expected * weight).sum().backward()
    torch.testing.assert_close(output, expected, rtol=tolerance, atol=tolerance)
    for one, two in (
        (own, own2),
        (shared, shared2),
        (split.weight_ih, whole.weight_ih_l0),
        (split.weight_hh, whole.weight_hh_l0),
        (split.bias_ih, whole.bias_ih_l0),
        (split.bias_hh, whole.bias_hh_l0),
    ):
        torch.testing.assert_close(one.grad, two.grad, rtol=tolerance, atol=tolerance)


def test_fused_branch_gives_the_same() -> None:
    """The branch for GPUs also runs on the CPU."""
    split, _ = pair(torch.float64)
    own, shared, weight = inputs(torch.float64, 6)
    (split(own, shared) * weight).sum().backward()
    parameters = [p.grad.clone() for p in split.parameters()]  # type: ignore[union-attr]
    split.zero_grad()
    own2, shared2, _ = inputs(torch.float64, 6)
    fused = split._recur_whole(own2, shared2)
    (fused * weight).sum().backward()
    torch.testing.assert_close(fused, split(own, shared), rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(own2.grad, own.grad, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(shared2.grad, shared.grad, rtol=1e-12, atol=1e-12)
    for one, two in zip(split.parameters(), parameters, strict=True):
        torch.testing.assert_close(one.grad, two, rtol=1e-12, atol=1e-12)


def test_gradcheck() -> None:
    generator = torch.Generator().manual_seed(0)

    def draw(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator, dtype=torch.float64).requires_grad_()

    inputs = (draw(4, 2, 9), draw(9, 3), draw(9), torch.float64)
    assert torch.autograd.gradcheck(_Recurrence.apply, inputs)


def test_the_past_does_not_see_the_future() -> None:
    split, _ = pair(torch.float64)
    own, shared, _ = inputs(torch.float64, 6)
    changed = own.detach().clone()
    changed[4] += 1.0
    before, after = split(own, shared), split(changed, shared)
    assert torch.equal(before[:4], after[:4])
    assert (before[4:] != after[4:]).any()


def test_initialisation_is_that_of_a_gru() -> None:
    torch.manual_seed(0)
    split = SplitInputGRU(32, 32, 64)
    for parameter in split.parameters():
        assert parameter.abs().max() <= 1 / 8
        assert parameter.abs().max() > 0.9 / 8


def test_trains_under_autocast() -> None:
    torch.manual_seed(0)
    gru = SplitInputGRU(3, 4, 5)
    own, shared = torch.randn(6, 2, 2, 3), torch.randn(6, 2, 4)
    exact = gru(own, shared)
    exact.square().sum().backward()
    wanted = gru.weight_hh.grad.clone()
    gru.zero_grad()
    with torch.autocast("cpu", torch.bfloat16):
        loss = gru(own, shared).float().square().sum()
    loss.backward()
    assert gru.weight_hh.grad.dtype == torch.float32
    assert (gru.weight_hh.grad - wanted).norm() < 0.05 * wanted.norm()
