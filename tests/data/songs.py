"""Songs for tests: without audio, and tones."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from src.data.readers.base import StemKey
from src.data.store import PreparedSong

SATB = ("soprano", "alto", "tenor", "bass")
PITCH = {"soprano": 520.0, "alto": 390.0, "tenor": 260.0, "bass": 130.0}


class FakeSong(PreparedSong):
    """A song of any length without audio: silence, no files."""

    def __init__(
        self, name: str, seconds: int, singers: Sequence[str], parts: Sequence[str] = SATB
    ) -> None:
        entry: dict[str, Any] = {
            "name": name,
            "parts": parts,
            "keys": [(part, singer) for part in parts for singer in singers],
            "n_samples": seconds * 16_000,
            "notes": [],
            "cached": {},
            "exact": False,
            "stems": True,
        }
        super().__init__(Path("nowhere"), entry)

    def audio(self, key: StemKey) -> np.ndarray:
        return np.broadcast_to(np.float32(0), (self.n_samples,))

    def f0(
        self, keys: Sequence[StemKey], kind: str, start: int = 0, stop: int | None = None
    ) -> np.ndarray:
        return np.zeros(((stop or self.n_frames) - start, len(keys)), np.float32)


def tone(part: str, seconds: float, rate: int = 16_000, seed: int = 0) -> np.ndarray:
    """A harmonic tone at the part's pitch with a little noise, float32 [T]."""
    t = np.arange(round(seconds * rate)) / rate
    pitch = PITCH.get(part, 300.0) * (1 + 0.01 * seed)
    audio = sum(np.sin(2 * np.pi * k * pitch * t) / k for k in range(1, 5))
    noise = np.random.default_rng(seed).standard_normal(t.size)
    return (0.1 * audio + 0.001 * noise).astype(np.float32)


WriteStem = Callable[..., Path]
