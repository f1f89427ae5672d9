"""Errors in the F0 of training excerpts, which make networks robust to errors of estimators."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import Dataset

from ..f0.errors import F0Errors
from .items import Item
from .readers.base import HOP, RATE, DataError


@dataclass(frozen=True)
class F0Augmentation(F0Errors):
    """Errors in the F0 of training excerpts (`data.f0_augmentation`).

    Only the tracks given to the network change: mixtures, sources and the order of the sources
    stay those of the true F0, and so do validation and test.

    Args:
        probability: share of the excerpts with errors; 0 = none.
        jitter_cents: standard deviation of a Gaussian error of every voiced frame, in cents.
        detune_cents: standard deviation of a Gaussian error of a voice as a whole, in cents.
        offset_hz and all others: see `src.f0.errors.F0Errors`.

    Raises:
        DataError: values out of range.
    """

    probability: float = 0.0
    jitter_cents: float = 10.0
    detune_cents: float = 15.0
    octave_rate: float = 0.01
    dropped_rate: float = 0.05
    false_rate: float = 0.02

    def __post_init__(self) -> None:
        try:
            super().__post_init__()
        except ValueError as error:
            raise DataError(str(error).replace("f0_errors.", "data.f0_augmentation.")) from error
        if not 0 <= self.probability <= 1:
            raise DataError(
                f"data.f0_augmentation.probability={self.probability}: must lie between 0 and 1"
            )
        for name in ("jitter_cents", "detune_cents"):
            value = getattr(self, name)
            if not 0 <= value < np.inf:
                raise DataError(f"data.f0_augmentation.{name}={value}: must be 0 cents or more")
        if self.probability > 0 and not self.any:
            raise DataError(
                f"data.f0_augmentation.probability={self.probability}, but no error is asked for; "
                "set data.f0_augmentation.jitter_cents or another"
            )

    @property
    def any(self) -> bool:
        """Whether any error is switched on."""
        return super().any or self.jitter_cents > 0 or self.detune_cents > 0

    def apply(
        self,
        f0: NDArray[np.float32],
        rng: np.random.Generator,
        frames_per_second: float = RATE / HOP,
    ) -> NDArray[np.float32]:
        """Add errors to tracks [N, J] in Hz: jitter, detuning, then those of `F0Errors.apply`."""
        detune = self.detune_cents * rng.standard_normal((1, f0.shape[1]))
        cents = detune + self.jitter_cents * rng.standard_normal(f0.shape)
        detuned = (f0 * 2 ** (cents / 1200)).astype(np.float32)
        return super().apply(detuned, rng, frames_per_second)

    def apply_to_item(self, item: Item) -> Item:
        """Add errors to the F0 of an excerpt with the given probability; only its seed decides."""
        rng = np.random.default_rng([int(item["seed"]), 1])
        if rng.random() >= self.probability:
            return item
        wrong = self.apply(item["f0"].T.numpy(), rng)
        changed = item.copy()
        changed["f0"] = torch.from_numpy(np.ascontiguousarray(wrong.T))
        return changed


class WrongF0Excerpts(Dataset[Item]):
    """Excerpts of another data set, with errors in their F0.

    Args:
        excerpts: training excerpts.
        errors: the errors to add.
    """

    def __init__(self, excerpts: Dataset[Item], errors: F0Augmentation) -> None:
        self.excerpts = excerpts
        self.errors = errors

    def __len__(self) -> int:
        return len(self.excerpts)  # type: ignore[arg-type]

    def __getitem__(self, address: Any) -> Item:
        return self.errors.apply_to_item(self.excerpts[address])
