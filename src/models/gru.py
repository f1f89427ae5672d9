"""A gated recurrent unit whose input is shared in part by several sequences."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable


class _Recurrence(torch.autograd.Function):
    """GRU recurrence from precomputed input gates, with one product for all weight gradients.

    PyTorch's own CPU recurrence accumulates the recurrent weights' gradient frame by frame; here
    the gates' gradients are kept and multiplied once at the end.
    """

    @staticmethod
    def forward(ctx: Any, gates: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        """gates [N, R, 3 H] in the order reset, update, candidate; output [N, R, H]."""
        n_frames, rows, triple = gates.shape
        hidden = triple // 3
        weight_t = weight.t()
        outputs = gates.new_empty(n_frames + 1, rows, hidden)
        outputs[0].zero_()
        kept = gates.new_empty(n_frames, rows, 4 * hidden)
        for n in range(n_frames):
            recurrent = torch.addmm(bias, outputs[n], weight_t)
            reset, update, new, inner = kept[n].split(hidden, dim=-1)
            both = torch.sigmoid(gates[n, :, : 2 * hidden] + recurrent[:, : 2 * hidden])
            kept[n, :, : 2 * hidden] = both
            inner.copy_(recurrent[:, 2 * hidden :])
            torch.addcmul(gates[n, :, 2 * hidden :], reset, inner, out=new).tanh_()
            torch.lerp(new, outputs[n], update, out=outputs[n + 1])
        ctx.save_for_backward(outputs, kept, weight)
        return outputs[1:]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        outputs, kept, weight = ctx.saved_tensors
        n_frames, rows, hidden = grad.shape
        gates_grad = grad.new_empty(n_frames, rows, 3 * hidden)
        recurrent_grad = grad.new_empty(n_frames, rows, 3 * hidden)
        carried = grad.new_zeros(rows, hidden)
        for n in range(n_frames - 1, -1, -1):
            reset, update, new, inner = kept[n].split(hidden, dim=-1)
            g = grad[n] + carried
            new_grad = g * (1.0 - update) * (1.0 - new * new)
            update_grad = g * (outputs[n] - new) * update * (1.0 - update)
            reset_grad = new_grad * inner * reset * (1.0 - reset)
            torch.cat([reset_grad, update_grad, new_grad], dim=-1, out=gates_grad[n])
            torch.cat([reset_grad, update_grad, new_grad * reset], dim=-1, out=recurrent_grad[n])
            carried = torch.addmm(g * update, recurrent_grad[n], weight)
        flat = recurrent_grad.flatten(0, 1)
        return gates_grad, flat.t() @ outputs[:-1].flatten(0, 1), flat.sum(dim=0)


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
        """own [B, J, N, own] and shared [B, N, shared] to [B, J, N, hidden]."""
        batch, n_sources, n_frames, _ = own.shape
        if own.is_cuda:
            return self._cudnn(own, shared)
        linear = nn.functional.linear
        from_shared = linear(shared, self.weight_ih[:, self.own :], self.bias_ih)
        gates = linear(own, self.weight_ih[:, : self.own]) + from_shared.unsqueeze(1)
        rows = gates.permute(2, 0, 1, 3).reshape(n_frames, batch * n_sources, 3 * self.hidden)
        # Its backward pass runs outside of autocast, so the forward pass must, too.
        with torch.autocast(own.device.type, enabled=False):
            output: Tensor = _Recurrence.apply(  # type: ignore[no-untyped-call]
                rows.to(self.weight_hh.dtype), self.weight_hh, self.bias_hh
            )
        return output.reshape(n_frames, batch, n_sources, self.hidden).permute(1, 2, 0, 3)

    def _cudnn(self, own: Tensor, shared: Tensor) -> Tensor:
        """The fused recurrence of the GPU library, which takes whole inputs only."""
        inputs = torch.cat([own, shared.unsqueeze(1).expand(-1, own.shape[1], -1, -1)], dim=-1)
        flat = inputs.flatten(0, 1)
        weights: list[Tensor] = [self.weight_ih, self.weight_hh, self.bias_ih, self.bias_hh]
        start = flat.new_zeros(1, flat.shape[0], self.hidden)
        output, _ = torch.gru(flat, start, weights, True, 1, 0.0, self.training, False, True)
        return output.unflatten(0, own.shape[:2])
