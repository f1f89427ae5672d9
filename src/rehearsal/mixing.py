"""How practice tracks are mixed: one voice and all the others, with gains and places."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ..errors import UmssError

Signal = NDArray[np.float32]

TRACKS = {
    "loud": "my part loud",
    "without": "without me",
    "split": "me left, the others right",
}
BLOCK = 1 << 17  # samples that are mixed at a time


class Reader(Protocol):
    """What gives the next n samples [C, n], fewer at the end."""

    def read(self, n: int) -> Signal: ...


class ArrayReader:
    """Reads samples [C, T] that are in memory."""

    def __init__(self, samples: Signal) -> None:
        self._samples = samples
        self._position = 0

    def read(self, n: int) -> Signal:
        start, self._position = self._position, self._position + n
        return self._samples[:, start : self._position]


@dataclass(frozen=True)
class Mixing:
    """Gains and places.

    Attributes:
        my_gain: dB, of the voice that practises, in "loud" and "split".
        others_gain: dB, of the others in "loud".
        pan: of "split": 1 = left and right only, 0 = both in the middle, at equal power.

    Raises:
        UmssError: `pan` outside 0 to 1.
    """

    my_gain: float = 0.0
    others_gain: float = -12.0
    pan: float = 1.0

    def __post_init__(self) -> None:
        if not 0.0 <= self.pan <= 1.0:
            raise UmssError(f"pan={self.pan}: give a number from 0 (the middle) to 1 (the sides)")

    def build(self, track: str, channels: int) -> tuple[Signal, Signal]:
        """Build the matrices [channels out, channels in] of the voice and of the others."""
        mine, theirs = _to_factor(self.my_gain), _to_factor(self.others_gain)
        same = np.eye(channels, dtype=np.float32)
        if track == "loud":
            return mine * same, theirs * same
        if track == "without":
            return 0 * same, same
        mono = np.full((1, channels), 1 / channels, np.float32)
        angle = (1 - self.pan) * math.pi / 4
        near, far = math.cos(angle), math.sin(angle)
        left, right = np.array([[near], [far]]) @ mono, np.array([[far], [near]]) @ mono
        return (mine * left).astype(np.float32), right.astype(np.float32)

    def describe(self, track: str) -> str:
        """What a track is, in words."""
        if track != "loud":
            return TRACKS[track]
        return f"{TRACKS[track]}, the others {self.others_gain - self.my_gain:+.0f} dB"


def _to_factor(decibels: float) -> np.float32:
    return np.float32(10 ** (decibels / 20))


def mix_blocks(
    readers: Sequence[Reader], voices: Sequence[int], tracks: Sequence[str], mixing: Mixing
) -> Iterator[dict[tuple[int, str], Signal]]:
    """Mix stems block by block into every track of every voice.

    Args:
        readers: of the stems, all with the same channels and length.
        voices: for whom there are tracks, as numbers of stems.
        tracks: keys of `TRACKS`.
        mixing: gains and places.

    Yields:
        Blocks [C, n] by voice and track.
    """
    while True:
        blocks = [reader.read(BLOCK) for reader in readers]
        if not blocks[0].shape[1]:
            return
        total = np.sum(blocks, axis=0, dtype=np.float64)
        mixed = {}
        for voice in voices:
            others = (total - blocks[voice]).astype(np.float32)
            for track in tracks:
                mine, theirs = mixing.build(track, len(others))
                mixed[voice, track] = mine @ blocks[voice] + theirs @ others
        yield mixed
