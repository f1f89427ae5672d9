"""F0 contours of several singers: their tracks at common times, and their resampling."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from ..dsp.tracks import HOP, RATE, interpolate_tracks
from .columns import MAX_F0 as MAX_F0
from .texts import ContourError as ContourError

MAX_SINGERS = 32
ACCOMPANIMENT = "accompaniment"


@dataclass(frozen=True, eq=False)
class F0Contours:
    """F0 tracks of J singers at common times.

    Attributes:
        times: float64 [N], seconds, strictly increasing.
        f0: float32 [N, J], Hz, 0 where the singer is silent or unvoiced.
        names: J voice names, one per column of `f0`.
        confidence: float32 [N, J], probability that the column's singer sings it and not another;
            None where it is not known.
        accompaniment: float32 [N, K], Hz, 0 where silent: the notes of instruments that play along,
            which are nobody's stem; None where there are none.

    Raises:
        ContourError: shapes that disagree, times that do not increase, values that are negative,
            not finite or above 8000 Hz, or names that are empty or repeated.
    """

    times: NDArray[np.float64]
    f0: NDArray[np.float32]
    names: tuple[str, ...]
    confidence: NDArray[np.float32] | None = None
    accompaniment: NDArray[np.float32] | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "times", np.asarray(self.times, dtype=np.float64))
        object.__setattr__(self, "f0", np.asarray(self.f0, dtype=np.float32))
        object.__setattr__(self, "names", tuple(self.names))
        _check(self.times, self.f0, self.names)
        if self.confidence is not None and self.confidence.shape != self.f0.shape:
            raise ContourError(
                f"confidence must be {list(self.f0.shape)} like f0, got "
                f"{list(self.confidence.shape)}"
            )
        if self.accompaniment is not None:
            notes = np.asarray(self.accompaniment, dtype=np.float32)
            object.__setattr__(self, "accompaniment", notes)
            names = name_accompaniment(notes.shape[-1])
            _check(self.times, notes, names)

    @classmethod
    def on_grid(
        cls,
        f0: NDArray[np.float32],
        names: tuple[str, ...],
        *,
        hop: int = HOP,
        rate: int = RATE,
        confidence: NDArray[np.float32] | None = None,
    ) -> F0Contours:
        """Contours from f0 [N, J] in Hz whose frame n is at n * hop / rate seconds."""
        return cls(np.arange(len(f0)) * hop / rate, f0, names, confidence)

    @property
    def n_singers(self) -> int:
        """Number of singers J."""
        return int(self.f0.shape[1])

    @property
    def duration(self) -> float:
        """Time of the last frame, seconds."""
        return float(self.times[-1])

    @property
    def voiced(self) -> NDArray[np.bool_]:
        """Bool [N, J], true where the singer has a pitch."""
        return self.f0 > 0

    def resample(self, times: NDArray[np.float64]) -> F0Contours:
        """Interpolate the contours at other times (seconds, [M], strictly increasing).

        Follows the rule of `src.dsp.tracks`, except that every singer is silent before the first
        and after the last frame.
        """
        times = np.asarray(times, dtype=np.float64)
        # A target that equals a source time up to rounding must give exactly that frame.
        slack = 1e-9 * max(1.0, abs(self.duration))
        inside = (times >= self.times[0] - slack) & (times <= self.times[-1] + slack)
        right = np.clip(np.searchsorted(self.times, times[inside]), 0, len(self.times) - 1)
        left = np.maximum(right - 1, 0)
        gap = self.times[right] - self.times[left]
        weight = (times[inside] - self.times[left]) / np.where(gap > 0, gap, 1.0)
        position = torch.from_numpy(left + np.clip(weight, 0.0, 1.0))

        def interpolate(f0: NDArray[np.float32]) -> NDArray[np.float32]:
            resampled = np.zeros((len(times), f0.shape[1]), dtype=np.float32)
            tracks = torch.from_numpy(f0.T.astype(np.float64))
            resampled[inside] = interpolate_tracks(tracks, position).numpy().T
            return resampled

        notes = None if self.accompaniment is None else interpolate(self.accompaniment)
        confidence = None
        if self.confidence is not None:
            columns = [np.interp(times, self.times, x) for x in self.confidence.T]
            confidence = np.stack(columns, axis=1).astype(np.float32)
        return F0Contours(times, interpolate(self.f0), self.names, confidence, notes)

    def to_frames(self, n_frames: int, *, hop: int = HOP, rate: int = RATE) -> NDArray[np.float32]:
        """Resample to float32 [n_frames, J] in Hz, frame n at n * hop / rate seconds."""
        return self.resample(np.arange(n_frames) * hop / rate).f0

    def sorted_high_to_low(self) -> F0Contours:
        """The same tracks by the median of their voiced F0, highest first, silent ones last."""
        medians = [
            float(np.median(track[track > 0])) if (track > 0).any() else 0.0 for track in self.f0.T
        ]
        order = sorted(range(self.n_singers), key=lambda j: -medians[j])
        confidence = None if self.confidence is None else self.confidence[:, order]
        names = tuple(self.names[j] for j in order)
        return F0Contours(self.times, self.f0[:, order], names, confidence, self.accompaniment)


def join_contours(singers: Sequence[F0Contours], names: tuple[str, ...]) -> F0Contours:
    """Join J singers, one each, on the 16-ms grid unless all have the same times."""
    times = singers[0].times
    if not all(np.array_equal(singer.times, times) for singer in singers):
        n_frames = int(max(singer.duration for singer in singers) * RATE / HOP + 1e-6) + 1
        times = np.arange(n_frames) * HOP / RATE
        singers = [singer.resample(times) for singer in singers]
    return F0Contours(times, np.concatenate([singer.f0 for singer in singers], axis=1), names)


def name_accompaniment(n: int) -> tuple[str, ...]:
    """Name the columns of an accompaniment in a file."""
    return tuple(f"{ACCOMPANIMENT}{k + 1}" for k in range(n))


def _check(times: NDArray[np.float64], f0: NDArray[np.float32], names: tuple[str, ...]) -> None:
    if times.ndim != 1 or f0.ndim != 2 or len(times) != len(f0) or len(times) == 0:
        raise ContourError(
            f"expected times [N] and f0 [N, J] with N >= 1, got {times.shape} and {f0.shape}"
        )
    if f0.shape[1] == 0 or len(names) != f0.shape[1]:
        raise ContourError(f"{f0.shape[1]} F0 columns but {len(names)} names: {names}")
    if len(set(names)) != len(names) or not all(names):
        raise ContourError(f"voice names must differ and not be empty, got {names}")
    if not np.isfinite(times).all() or (np.diff(times) <= 0).any():
        raise ContourError("times must be finite and strictly increasing")
    for j, name in enumerate(names):
        bad = ~np.isfinite(f0[:, j]) | (f0[:, j] < 0) | (f0[:, j] > MAX_F0)
        if bad.any():
            n = int(np.argmax(bad))
            raise ContourError(
                f"F0 of {name} at frame {n} ({times[n]:g} s) is {f0[n, j]:g} Hz; expected 0 "
                f"(silent) to {MAX_F0:g} Hz"
            )
