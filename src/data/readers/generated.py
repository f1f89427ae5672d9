"""The generated choir: Bach chorales sung by an independent synthesiser (`src.data.choir`)."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..choir.generate import SONGS, GeneratedSong, generate_song
from .base import RATE, DataError, Reader, Song, Stem, StemAudio

PARTS = ("soprano", "alto", "tenor", "bass")


class GeneratedReader(Reader):
    """Chorales synthesised when needed, with exact F0; needs neither files nor network.

    Args:
        seed: seed of the performance (singers, timing, intonation, room).
        max_seconds: sing only the beginning of every chorale; None = all.
        vary: random keys, tempi and singers (see `generate_song`).
        wide: random keys, tempi and singers of any style (see `generate_song`).
    """

    name = "generated"
    license = "generated here from public-domain chorales"
    f0_kinds = ("exact", "stems")

    def __init__(
        self,
        seed: int = 0,
        max_seconds: float | None = None,
        vary: bool = False,
        wide: bool = False,
    ) -> None:
        self.seed = seed
        self.max_seconds = max_seconds
        self.vary = vary
        self.wide = wide
        self._sung: GeneratedSong | None = None

    def songs(self) -> list[Song]:
        """All chorales, four parts, one singer (number 1) each."""
        stems = tuple(Stem(part, "1") for part in PARTS)
        return [Song(name, PARTS, stems) for name in SONGS]

    def options(self) -> dict[str, Any]:
        """Seed, length and variation."""
        options = {"seed": self.seed, "max_seconds": self.max_seconds, "vary": self.vary}
        return options | ({"wide": True} if self.wide else {})

    def read_stem(self, song: Song, stem: Stem) -> StemAudio:
        """One part of the performance."""
        sung = self._sing(song)
        return StemAudio(sung.audio[sung.parts.index(stem.part)], RATE, 0)

    def exact_f0(self, song: Song, stem: Stem) -> NDArray[np.float32] | None:
        """F0 of the synthesis, float32 [N] in Hz."""
        sung = self._sing(song)
        track: NDArray[np.float32] = sung.f0[sung.parts.index(stem.part)]
        return track

    def fingerprint(self, song: Song) -> dict[str, Any]:
        """Digest of the synthesiser's source code, so that songs are made again when it changes."""
        folder = Path(__file__).parents[1] / "choir"
        sources = sorted(
            p for p in folder.rglob("*") if p.is_file() and "__pycache__" not in p.parts
        )
        digest = hashlib.sha256()
        for path in sources:
            digest.update(path.name.encode())
            digest.update(path.read_bytes())
        return {"choir": digest.hexdigest()}

    def _sing(self, song: Song) -> GeneratedSong:
        # The four stems of a song are read one after the other, so the last song is kept.
        if self._sung is None or self._sung.name != song.name:
            if song.name not in SONGS:
                raise DataError(f"generated: no chorale called {song.name!r}")
            self._sung = generate_song(
                song.name,
                seed=self.seed,
                rate=RATE,
                max_seconds=self.max_seconds,
                vary=self.vary,
                wide=self.wide,
            )
            if tuple(self._sung.parts) != PARTS:
                raise DataError(f"generated: {song.name} has parts {self._sung.parts}")
        return self._sung
