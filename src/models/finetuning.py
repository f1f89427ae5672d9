"""Fine-tuning of a trained network on the mixture that is to be separated; no stems needed.

The paper (section III-C) names it: its unsupervised loss asks for nothing but mixtures and F0, so
that training may go on with the recording at hand.
"""

from __future__ import annotations

import copy
from collections.abc import Callable

import torch
from torch import Tensor

from ..dsp.spectral_loss import multi_scale_spectral_loss
from ..errors import TrainingDivergedError
from ..separator import Separation, Separator
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


def separate_one_by_one(
    fine_tune: Callable[[Tensor, Tensor, Tensor], Separator],
    mixture: Tensor,
    f0: Tensor,
    seed: Tensor,
    channels: Tensor,
) -> Separation:
    """Separate every mixture with a separator that was fine-tuned on it alone.

    Args:
        fine_tune: makes that separator of a mixture [1, T], its F0s [1, J, N] and its seed [1].
        mixture: [B, T].
        f0: [B, J, N] Hz, 0 where silent.
        seed: [B] int64.
        channels: [B, C, T] to be filtered.
    """
    parts: list[Separation] = []
    for one, tracks, draw, heard in zip(
        *(x.split(1) for x in (mixture, f0, seed, channels)), strict=True
    ):
        separator = fine_tune(one, tracks, draw)
        parts.append(separator.separate(one, tracks, draw, None, heard))
    synthesised = [p.synthesised for p in parts if p.synthesised is not None]
    return Separation(
        torch.cat([p.sources for p in parts]),
        torch.cat([p.masks for p in parts]),
        torch.cat(synthesised) if synthesised else None,
        {name: torch.cat([p.parameters[name] for p in parts]) for name in parts[0].parameters},
        {name: torch.cat([p.tracks[name] for p in parts]) for name in parts[0].tracks},
    )
