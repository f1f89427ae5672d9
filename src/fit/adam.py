"""Steps of the optimiser that fits coefficients of spectra."""

from __future__ import annotations

import torch
from torch import Tensor


def differentiate_changes(x: Tensor) -> Tensor:
    """Half the gradient of sum (x[n + 1] - x[n])^2 over the last dimension; shaped like x."""
    step = x.diff(dim=-1)
    gradient = torch.zeros_like(x)
    gradient[..., 1:] += step
    gradient[..., :-1] -= step
    return gradient


class Adam:
    """Adam on one tensor, with a learning rate per step (Kingma and Ba 2015)."""

    def __init__(self, x: Tensor) -> None:
        self.x = x
        self.mean = torch.zeros_like(x)
        self.square = torch.zeros_like(x)
        self.steps = 0

    def step(self, gradient: Tensor, rate: float, active: Tensor) -> None:
        """Move the tensor one step against the gradient.

        Args:
            gradient: of the objective, shaped like the tensor.
            rate: learning rate of this step.
            active: [B], 1 for mixtures whose values may still change, else 0.
        """
        self.steps += 1
        self.mean.lerp_(gradient, 0.1)
        self.square.mul_(0.99).addcmul_(gradient, gradient, value=0.01)
        change = self.mean / ((self.square / (1.0 - 0.99**self.steps)).sqrt_() + 1e-8)
        scale = rate / (1.0 - 0.9**self.steps) * active
        self.x.sub_(change.mul_(scale.view(-1, *[1] * (self.x.ndim - 1))))
