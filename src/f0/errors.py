"""Artificial errors in F0 tracks, to test how robust a separation method is to wrong F0.

Errors come in stretches: time is cut into pieces of a given length, starting at a random phase, and
each piece is made wrong with the given probability. A rate is thus the share of wrong frames.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ..dsp.tracks import HOP, RATE
from ..errors import UmssError
from .contours import MAX_F0, F0Contours

LOWEST_F0 = 20.0  # Hz; an offset never makes a voiced frame lower, or silent


@dataclass(frozen=True)
class F0Errors:
    """Sizes and rates of the errors; if all are 0, tracks stay unchanged.

    Args:
        offset_hz: standard deviation of a Gaussian offset, drawn for every voiced frame, in Hz.
        octave_rate: share of the voiced frames that are an octave too high or (as often) too low.
        octave_seconds: length of a stretch of octave errors.
        swap_rate: share of the time in which two voices are exchanged; each stretch draws its pair.
        swap_seconds: length of a stretch of exchanged voices.
        dropped_rate: share of the voiced frames that become silent.
        false_rate: share of the silent frames that become voiced, with the last F0 before them
            (or the first after them). A voice that is silent throughout stays so.
        voicing_seconds: length of dropped and false stretches.

    Raises:
        UmssError: a rate outside 0 to 1, a negative offset, or a length that is not positive.
    """

    offset_hz: float = 0.0
    octave_rate: float = 0.0
    octave_seconds: float = 0.5
    swap_rate: float = 0.0
    swap_seconds: float = 1.0
    dropped_rate: float = 0.0
    false_rate: float = 0.0
    voicing_seconds: float = 0.1

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name.endswith("_rate") and not 0 <= value <= 1:
                raise UmssError(f"f0_errors.{field.name}={value}: a rate lies between 0 and 1")
            if field.name.endswith("_seconds") and not value > 0:
                raise UmssError(f"f0_errors.{field.name}={value}: must be more than 0 s")
        if not 0 <= self.offset_hz < np.inf:
            raise UmssError(f"f0_errors.offset_hz={self.offset_hz}: must be 0 Hz or more")

    @property
    def any(self) -> bool:
        """Whether any error is switched on."""
        rates = (self.octave_rate, self.swap_rate, self.dropped_rate, self.false_rate)
        return self.offset_hz > 0 or any(rate > 0 for rate in rates)

    def apply(
        self,
        f0: NDArray[np.float32],
        rng: np.random.Generator,
        frames_per_second: float = RATE / HOP,
    ) -> NDArray[np.float32]:
        """Add errors to tracks, in the order: exchanged voices, octaves, offsets, voicing.

        Args:
            f0: [N, J] Hz, 0 = silent.
            rng: random generator of the errors.
            frames_per_second: frame rate of the tracks.

        Returns:
            float32 [N, J] Hz.
        """

        def count_steps(seconds: float) -> int:
            return max(1, round(seconds * frames_per_second))

        wrong = np.array(f0, dtype=np.float64)
        wrong = swap_voices(wrong, self.swap_rate, count_steps(self.swap_seconds), rng)
        wrong = shift_octaves(wrong, self.octave_rate, count_steps(self.octave_seconds), rng)
        voiced = wrong > 0
        shifted = wrong + self.offset_hz * rng.standard_normal(wrong.shape)
        wrong = np.where(voiced, np.clip(shifted, LOWEST_F0, MAX_F0), 0.0)
        length = count_steps(self.voicing_seconds)
        dropped = voiced & (draw_uniform(wrong.shape, length, rng) < self.dropped_rate)
        false = ~voiced & (draw_uniform(wrong.shape, length, rng) < self.false_rate)
        held = np.where(false, hold(wrong), wrong)
        return np.where(dropped, 0.0, held).astype(np.float32)


def perturb(contours: F0Contours, errors: F0Errors, rng: np.random.Generator) -> F0Contours:
    """Add errors to contours; times and names stay the same."""
    span = contours.times[-1] - contours.times[0]
    per_second = (len(contours.times) - 1) / span if span > 0 else RATE / HOP
    return replace(contours, f0=errors.apply(contours.f0, rng, per_second), confidence=None)


def perturb_batches(
    batches: Iterable[dict[str, Any]], errors: F0Errors, seed: int = 0
) -> Iterator[dict[str, Any]]:
    """Add errors to the F0 [B, J, N] of batches; they do not depend on the batch size.

    Args:
        batches: as served by `src.data.datamodule.MixtureDataModule`.
        errors: the errors to add.
        seed: seeds the errors, together with the seed of every item.
    """
    for batch in batches:
        wrong = [
            errors.apply(f0.T.numpy(), np.random.default_rng([seed, int(item)])).T
            for f0, item in zip(batch["f0"], batch["seed"], strict=True)
        ]
        yield {**batch, "f0": torch.from_numpy(np.ascontiguousarray(np.stack(wrong)))}


def draw_uniform(
    shape: tuple[int, ...], length: int, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Draw uniform numbers [N, J] that stay constant for `length` frames, from a random phase."""
    n_frames, n_singers = shape
    numbers = rng.random((n_frames // length + 2, n_singers))
    phase = rng.integers(length, size=n_singers)
    piece = (np.arange(n_frames)[:, None] + phase) // length
    return np.take_along_axis(numbers, piece, axis=0)


def shift_octaves(
    f0: NDArray[np.float64], rate: float, length: int, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Shift stretches of tracks [N, J] an octave up or, equally often, down."""
    number = draw_uniform(f0.shape, length, rng)
    factor = np.where(number < rate / 2, 2.0, np.where(number < rate, 0.5, 1.0))
    return f0 * factor


def swap_voices(
    f0: NDArray[np.float64], rate: float, length: int, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Exchange two random voices of tracks [N, J] in stretches; a single voice stays unchanged."""
    n_frames, n_singers = f0.shape
    swapped = f0.copy()
    if n_singers < 2:
        return swapped
    phase = int(rng.integers(length))
    for start in range(-phase, n_frames, length):
        pair = rng.choice(n_singers, size=2, replace=False)
        if rng.random() < rate:
            piece = slice(max(start, 0), start + length)
            swapped[piece, pair] = f0[piece, pair[::-1]]
    return swapped


def hold(f0: NDArray[np.float64]) -> NDArray[np.float64]:
    """Fill silent frames of tracks [N, J] with the last F0 before them, else the first after."""
    held = f0.copy()
    for track in held.T:
        voiced = np.flatnonzero(track > 0)
        if len(voiced):
            last = np.searchsorted(voiced, np.arange(len(track)), side="right") - 1
            track[:] = track[voiced[np.maximum(last, 0)]]
    return held
