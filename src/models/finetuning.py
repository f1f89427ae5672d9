"""Fine-tuning of a trained network on the mixture that is to be separated; no stems needed.

The paper (section III-C) names it: its unsupervised loss asks for nothing but mixtures and F0, so
that training may go on with the recording at hand.
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor

from ..dsp.spectral_loss import multi_scale_spectral_loss
from ..errors import TrainingDivergedError
from .source_filter_model import SourceFilterModel


def fine_tune(
    model: SourceFilterModel,
    mixture: Tensor,
    f0: Tensor,
    seed: Tensor,
    *,
    steps: int,
    learning_rate: float,
) -> SourceFilterModel:
    """A copy of a model after steps of Adam on the unsupervised loss of these mixtures.

    Args:
        model: stays as it is.
        mixture: [B, T] of peak 1, on the model's device.
        f0: [B, J, N] Hz.
        seed: [B] int64; every step draws noise of its own.
        steps: number of steps.
        learning_rate: of Adam.

    Raises:
        TrainingDivergedError: the loss is no longer a number.
    """
    with torch.inference_mode(False), torch.enable_grad():
        tuned = copy.deepcopy(model).requires_grad_(True)
        # Tensors of inference mode cannot take part in a gradient, copies of them can.
        mixture, f0, seed = mixture.clone(), f0.clone(), seed.clone()
        optimiser = torch.optim.Adam(tuned.parameters(), lr=learning_rate)
        for step in range(steps):
            sources, _ = tuned(mixture, f0, seed + step)
            loss = multi_scale_spectral_loss(sources.sum(dim=1), mixture, fft_sizes=tuned.fft_sizes)
            if not bool(torch.isfinite(loss)):
                raise TrainingDivergedError(
                    f"the loss became {loss.item()} in step {step + 1} of the fine-tuning; "
                    "lower separator.finetune_lr, or set separator.finetune_steps=0"
                )
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
        return tuned.requires_grad_(False)
