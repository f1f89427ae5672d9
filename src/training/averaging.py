"""Running average of the weights, used for validation and saved as the model."""

from __future__ import annotations

from functools import partial

from pytorch_lightning.callbacks import WeightAveraging
from torch import Tensor


def _average(averaged: Tensor, current: Tensor, n_averaged: Tensor | int, maximum: float) -> Tensor:
    steps = float(n_averaged)
    decay = min(maximum, (1.0 + steps) / (6.0 + steps))
    return averaged + (1.0 - decay) * (current - averaged)


class WarmingAverage(WeightAveraging):
    """Exponential moving average of the weights whose memory grows with training.

    The average reaches back over about a fifth of the steps so far, and never over more than
    1 / (1 - maximum). Batches with sharp resonances make the weights fluctuate; the average
    does not, so the validation loss falls steadily and the saved model is better than the models of
    single steps. Training itself continues with the plain weights.

    Args:
        maximum: upper bound of the decay per step.
    """

    def __init__(self, maximum: float = 0.999) -> None:
        super().__init__(use_buffers=False, avg_fn=partial(_average, maximum=maximum))
