"""Songs whose samples tell where they come from."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from src.data.readers.base import StemKey
from src.data.store import PreparedSong
from tests.data.songs import SATB


class CodedSong(PreparedSong):
    """Sample t of every stem is (code + t) * 1e-6, its F0 at frame n is (code + 256 n) * 1e-6.

    Codes are 1e7 times a whole number: parts of the first song 1 (bass) to 4, of the next song
    (number 1) 11 to 14, ...; further singers of a part have the part's number plus 0.1.
    """

    def __init__(
        self,
        number: int,
        seconds: float = 30,
        singers: Sequence[str] = "1",
        parts: Sequence[str] = SATB,
        exact: bool = True,
    ) -> None:
        entry = {
            "name": f"song{number}",
            "parts": parts,
            "keys": [(part, singer) for part in parts for singer in singers],
            "n_samples": round(seconds * 16_000),
            "notes": [],
            "cached": {},
            "exact": exact,
            "stems": False,
        }
        super().__init__(Path("nowhere"), entry)
        self.number = number
        self._audio: dict[StemKey, np.ndarray] = {}

    def code(self, key: StemKey) -> float:
        part = len(SATB) - SATB.index(key[0])
        return 1e7 * (10 * self.number + part + 0.1 * (int(key[1]) - 1))

    def audio(self, key: StemKey) -> np.ndarray:
        if key not in self._audio:
            samples = (self.code(key) + np.arange(self.n_samples)) * 1e-6
            self._audio[key] = samples.astype(np.float32)
        return self._audio[key]

    def f0(
        self, keys: Sequence[StemKey], kind: str, start: int = 0, stop: int | None = None
    ) -> np.ndarray:
        assert kind == "cached"
        frames = np.arange(start, self.n_frames if stop is None else stop)
        codes = np.array([self.code(key) for key in keys])
        return ((codes + 256 * frames[:, None]) * 1e-6).astype(np.float32)
