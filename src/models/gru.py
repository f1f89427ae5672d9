"""Gated recurrent units: fast on the CPU, and one whose input several sequences share in part."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from ..dsp.compiled import jit


class _Recurrence(torch.autograd.Function):
    """GRU recurrence from precomputed input gates.

    PyTorch's own CPU recurrence accumulates the recurrent weights' gradient frame by frame, in a
    dozen tensor operations each; here a frame is one product and one compiled loop, and the
    weights' gradients are products over all frames at the end.
    """

    @staticmethod
    def forward(
        ctx: Any, gates: Tensor, weight: Tensor, bias: Tensor, dtype: torch.dtype
    ) -> Tensor:
        """gates [N, R, 3 H] in the order reset, update, candidate; output [N, R, H].

        Products are computed in `dtype`, everything else in the type of `gates`.
        """
        n_frames, rows, triple = gates.shape
        hidden = triple // 3
        factor = weight.to(dtype).t().contiguous()
        outputs = gates.new_zeros(n_frames + 1, rows, hidden)
        kept = gates.new_empty(n_frames, rows, 4 * hidden)
        state = outputs[0].to(dtype)
        for n in range(n_frames):
            recurrent = torch.mm(state, factor).to(gates.dtype).add_(bias)
            both, new, inner = kept[n].split([2 * hidden, hidden, hidden], dim=-1)
            torch.add(gates[n, :, : 2 * hidden], recurrent[:, : 2 * hidden], out=both).sigmoid_()
            inner.copy_(recurrent[:, 2 * hidden :])
            torch.addcmul(gates[n, :, 2 * hidden :], both[:, :hidden], inner, out=new).tanh_()
            torch.lerp(new, outputs[n], both[:, hidden:], out=outputs[n + 1])
            state = outputs[n + 1].to(dtype)
        ctx.save_for_backward(outputs, kept, weight)
        ctx.dtype = dtype
        return outputs[1:]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        outputs, kept, weight = ctx.saved_tensors
        n_frames, rows, hidden = grad.shape
        factor = weight.to(ctx.dtype)
        grad = grad.contiguous()
        recurrent = grad.new_empty(n_frames, rows, 3 * hidden)
        candidate = grad.new_empty(n_frames, rows, hidden)
        carried = grad.new_zeros(rows, hidden)
        past = grad.new_empty(rows, hidden)
        arrays = [x.numpy() for x in (grad, outputs, kept, carried, recurrent, candidate, past)]
        one = arrays[0].dtype.type(1)
        for n in range(n_frames - 1, -1, -1):
            _step_back(n, one, *arrays)
            # One product a frame; what the state itself hands back is added to it.
            torch.add(past, torch.mm(recurrent[n].to(ctx.dtype), factor), out=carried)
        flat = recurrent.flatten(0, 1)
        before = outputs[:-1].flatten(0, 1)
        weight_grad = (flat.to(ctx.dtype).t() @ before.to(ctx.dtype)).to(weight.dtype)
        bias_grad = _sum_columns(flat)
        # In place of what the recurrent weights needed, what the input's gates need.
        recurrent[..., 2 * hidden :] = candidate
        return recurrent, weight_grad, bias_grad, None


@jit
def _step_back(n, one, grad, outputs, kept, carried, recurrent, candidate, past):  # type: ignore[no-untyped-def]
    """Gradients of frame n: of the recurrent products, of the candidate, of the state before."""
    rows, hidden = carried.shape
    for r in range(rows):
        for h in range(hidden):
            reset = kept[n, r, h]
            update = kept[n, r, hidden + h]
            new = kept[n, r, 2 * hidden + h]
            inner = kept[n, r, 3 * hidden + h]
            g = grad[n, r, h] + carried[r, h]
            new_grad = g * (one - update) * (one - new * new)
            candidate[n, r, h] = new_grad
            recurrent[n, r, h] = new_grad * inner * reset * (one - reset)
            recurrent[n, r, hidden + h] = g * (outputs[n, r, h] - new) * update * (one - update)
            recurrent[n, r, 2 * hidden + h] = new_grad * reset
            past[r, h] = g * update


def _sum_columns(rows: Tensor) -> Tensor:
    """Sum over rows as a product, which runs in all threads."""
    return rows.new_ones(len(rows)) @ rows


def choose_product_dtype(device: str, otherwise: torch.dtype) -> torch.dtype:
    """Type of matrix products: that of the surrounding autocast, if there is one."""
    return torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else otherwise


def _recur(gates: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """`_Recurrence` with its products in the type of the surrounding autocast, if there is one."""
    device = gates.device.type
    dtype = choose_product_dtype(device, weight.dtype)
    # Its backward pass runs outside of autocast, so the forward pass must, too.
    with torch.autocast(device, enabled=False):
        output: Tensor = _Recurrence.apply(  # type: ignore[no-untyped-call]
            gates.to(weight.dtype), weight, bias, dtype
        )
    return output


class SequenceGRU(nn.GRU):
    """One layer of `torch.nn.GRU` from zero state, time first; returns the outputs alone.

    Same weights, names and values.

    Args:
        inputs: size of the input.
        hidden: size of the state.
    """

    def __init__(self, inputs: int, hidden: int) -> None:
        super().__init__(inputs, hidden)

    def forward(self, x: Tensor) -> Tensor:  # type: ignore[override]
        """[N, B, inputs] to [N, B, hidden]."""
        # Without gradients PyTorch's own loop has less to do between the products.
        if x.is_cuda or not torch.is_grad_enabled():
            output: Tensor = nn.GRU.forward(self, x)[0]  # type: ignore[has-type]
            return output
        weight_ih, weight_hh, bias_ih, bias_hh = self.all_weights[0]
        return _recur(nn.functional.linear(x, weight_ih, bias_ih), weight_hh, bias_hh)


class SplitInputGRU(nn.Module):
    """GRU over concatenated [own, shared] inputs, the shared part computed once per mixture.

    Same weights and values as `torch.nn.GRU(own + shared, hidden)` on inputs that are concatenated
    and repeated for every source.

    Args:
        own: size of the input that every sequence has for itself.
        shared: size of the input that the J sequences of a mixture share.
        hidden: size of the state.
    """

    def __init__(self, own: int, shared: int, hidden: int) -> None:
        super().__init__()
        self.own = own
        self.hidden = hidden
        self.weight_ih = nn.Parameter(torch.empty(3 * hidden, own + shared))
        self.weight_hh = nn.Parameter(torch.empty(3 * hidden, hidden))
        self.bias_ih = nn.Parameter(torch.empty(3 * hidden))
        self.bias_hh = nn.Parameter(torch.empty(3 * hidden))
        bound = 1.0 / math.sqrt(hidden)
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -bound, bound)

    def forward(self, own: Tensor, shared: Tensor) -> Tensor:
        """own [N, B, J, own] and shared [N, B, shared] to [N, B, J, hidden]."""
        if own.is_cuda or not torch.is_grad_enabled():
            return self._recur_whole(own, shared)
        linear = nn.functional.linear
        from_shared = linear(shared, self.weight_ih[:, self.own :], self.bias_ih)
        gates = linear(own, self.weight_ih[:, : self.own]).add_(from_shared.unsqueeze(2))
        output = _recur(gates.flatten(1, 2), self.weight_hh, self.bias_hh)
        return output.unflatten(1, own.shape[1:3])

    def _recur_whole(self, own: Tensor, shared: Tensor) -> Tensor:
        """PyTorch's recurrence (fused on GPUs), which takes whole inputs only."""
        inputs = torch.cat([own, shared.unsqueeze(2).expand(-1, -1, own.shape[2], -1)], dim=-1)
        flat = inputs.flatten(1, 2)
        weights: list[Tensor] = [self.weight_ih, self.weight_hh, self.bias_ih, self.bias_hh]
        start = flat.new_zeros(1, flat.shape[1], self.hidden)
        output, _ = torch.gru(flat, start, weights, True, 1, 0.0, self.training, False, False)
        return output.unflatten(1, own.shape[1:3])
