"""Choral Singing Dataset (Cuesta, Gomez, Martorell, Loaiciga 2018, Zenodo 1286570, CC BY 4.0).

Three songs, four parts, four singers per part, each recorded alone. Two layouts are read:

(a) flat: `{part}_{singer}.{flac,wav}` in a folder (or its sub-folder `audio`), one folder per song;
(b) the Zenodo archive: `CSD_{ER,LI,ND}_{part}_{singer}.wav` anywhere below the root.

Multi-F0 tracks of mixtures may be stored with the audio,
`f0_mixtures/cuesta_assigned_{J}_singers.npz` (in the song's folder or the root), one array per
mixture: key `soprano_1+alto_2+...` in any order of parts, value float32 [N, J] in Hz, frame n at 16
n ms, 0 = silent. Columns always run from the highest part to the lowest, also if the key has
another order.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from ...archives import ArchiveError, read_arrays
from ...errors import shorten_reason
from .base import (
    HOP,
    RATE,
    DataError,
    FileReader,
    Song,
    Stem,
    StemKey,
    check_song_names,
)
from .listing import is_audio_file

PARTS = ("soprano", "alto", "tenor", "bass")
# Whole seconds that the paper's evaluation uses (paper section V, reference implementation).
SONG_SECONDS = {"el_rossinyol": 134, "locus_iste": 190, "nino_dios": 103}
SONG_CODES = {"ER": "el_rossinyol", "LI": "locus_iste", "ND": "nino_dios"}
PART_ALIASES = {"contraalt": "alto", "bajos": "bass", **{part: part for part in PARTS}}

_PART = "|".join(PART_ALIASES)
_FLAT = re.compile(rf"(?P<part>{_PART})_(?P<singer>\d+)", re.IGNORECASE)
_ZENODO = re.compile(rf"CSD_(?P<code>ER|LI|ND)_(?P<part>{_PART})_(?P<singer>\d+)", re.IGNORECASE)


class CsdReader(FileReader):
    """Reader of the Choral Singing Dataset (layouts: see the module).

    Args:
        root: folder of the data set, or of one song of it.
    """

    name = "csd"
    # That of the paper: 102 excerpts of four voices, 612 of two (released code, eval.py).
    test_sets: ClassVar = {"paper": {"el_rossinyol": [2], "locus_iste": [3], "nino_dios": [4]}}
    license = "CC BY 4.0 (Zenodo 1286570)"
    layout = (
        "soprano_1.flac ... bass_4.flac, also in a sub-folder audio/ or one folder per song, "
        "or CSD_ND_soprano_1.wav ... of the Zenodo archive"
    )

    def __init__(self, root: str | Path) -> None:
        super().__init__(root)
        self._folders: dict[str, Path] = {}
        self._songs = self._find_songs()
        # A mixture's keys may be in any order, so it is addressed by the set of its singers.
        self._archives = {song.name: self._find_archives(song) for song in self._songs}
        self.f0_kinds = (
            ("cached", "stems") if any(any(a) for a in self._archives.values()) else ("stems",)
        )

    def songs(self) -> list[Song]:
        """The songs found below the root, by name."""
        return list(self._songs)

    def song_seconds(self, song: Song, shortest: int) -> int | None:
        """The paper's length for a known title whose stems are that long, else whole seconds.

        A song is never longer than its cached F0 (one frame of rounding allowed).
        """
        seconds = shortest // RATE
        known = SONG_SECONDS.get(song.name)
        if known is not None and seconds >= known:
            seconds = known
        for archive in self._archives[song.name]:
            frames = min(len(track) for track in archive.values())
            seconds = min(seconds, (frames + 1) * HOP // RATE)
        return seconds

    def length_tolerance(self, song: Song, shortest: int) -> float:
        """Known titles start together and have a documented length, so their ends may differ."""
        known = SONG_SECONDS.get(song.name)
        return 10.0 if known is not None and shortest >= known * RATE else 2.0

    def cached_mixtures(self, song: Song) -> list[tuple[StemKey, ...]]:
        """Mixtures of the .npz files, keys from soprano to bass."""
        order = {part: index for index, part in enumerate(PARTS)}
        return [
            tuple(sorted(keys, key=lambda key: order[key[0]]))
            for archive in self._archives[song.name]
            for keys in archive
        ]

    def cached_f0(self, song: Song, keys: Sequence[StemKey]) -> NDArray[np.float32] | None:
        """Cuesta's multi-F0 of exactly this mixture, float32 [N, J] Hz, or None."""
        for archive in self._archives[song.name]:
            if frozenset(keys) in archive:
                return archive[frozenset(keys)]
        return None

    def extra_files(self, song: Song) -> list[Path]:
        """The .npz files of the song."""
        return self._find_npz_files(song)

    def _find_songs(self) -> list[Song]:
        found: dict[str, dict[StemKey, Path]] = {}
        for path in sorted(self.root.rglob("*")):
            if not is_audio_file(path):
                continue
            if match := _ZENODO.fullmatch(path.stem):
                name, folder = SONG_CODES[match["code"].upper()], path.parent
            elif match := _FLAT.fullmatch(path.stem):
                folder = path.parent.parent if path.parent.name == "audio" else path.parent
                if path.parent == self.root:
                    folder = self.root
                name = _name_song(folder)
            else:
                continue
            key = (PART_ALIASES[match["part"].lower()], str(int(match["singer"])))
            stems = found.setdefault(name, {})
            if key in stems:
                raise DataError(
                    f"{path}: a second file for {name} {key[0]} {key[1]} beside {stems[key]}; "
                    "keep one"
                )
            stems[key] = path
            self._folders[name] = folder
        if not found:
            raise DataError(f"{self.root}: no stems found (expected {self.layout})")
        for name, stems in found.items():
            missing = [part for part in PARTS if all(key[0] != part for key in stems)]
            if missing:
                raise DataError(
                    f"{self._folders[name]}: {name} has no {' and no '.join(missing)}; add "
                    f"{missing[0]}_{min(key[1] for key in stems)} beside the other stems"
                )
        return check_song_names(
            [_build_song(name, stems) for name, stems in sorted(found.items())], str(self.root)
        )

    def _find_npz_files(self, song: Song) -> list[Path]:
        folders = [
            self._folders[song.name] / "f0_mixtures",
            self._folders[song.name].parent / "f0_mixtures",
            self.root / "f0_mixtures" / song.name,
        ]
        if len(self._songs) == 1:
            folders.append(self.root / "f0_mixtures")
        inside = [
            folder
            for folder in dict.fromkeys(folders)
            if folder.is_relative_to(self.root) and folder.is_dir()
        ]
        # With several songs the parent's folder does not say which of them it belongs to.
        if len(self._songs) > 1:
            inside = [f for f in inside if f != self.root / "f0_mixtures"]
        return sorted({path for folder in inside for path in folder.glob("*_singers.npz")})

    def _find_archives(self, song: Song) -> list[dict[frozenset[StemKey], NDArray[np.float32]]]:
        return [_read_npz(path) for path in self._find_npz_files(song)]


def _build_song(name: str, stems: dict[StemKey, Path]) -> Song:
    ordered = sorted(stems, key=lambda key: (PARTS.index(key[0]), int(key[1])))
    return Song(name, PARTS, tuple(Stem(*key, stems[key]) for key in ordered))


def _name_song(folder: Path) -> str:
    """Name a song by the known title in the folder's name (without accents), else by that name."""
    plain = unicodedata.normalize("NFKD", folder.name).encode("ascii", "ignore").decode().lower()
    plain = re.sub(r"[^a-z0-9]+", "_", plain).strip("_")
    letters = plain.replace("_", "")
    known = (title for title in SONG_SECONDS if title.replace("_", "") in letters)
    return next(known, plain or "song")


def _read_npz(path: Path) -> dict[frozenset[StemKey], NDArray[np.float32]]:
    try:
        tracks = read_arrays(path)
    except ArchiveError as error:
        raise DataError(
            f"{path}: not a readable .npz file ({shorten_reason(error)}); copy it again"
        ) from error
    if not tracks:
        raise DataError(f"{path}: the F0 file holds no mixtures")
    result: dict[frozenset[StemKey], NDArray[np.float32]] = {}
    for key, track in tracks.items():
        matches = [_FLAT.fullmatch(name) for name in key.split("+")]
        if not all(matches):
            raise DataError(f"{path}: key {key!r} is not of the form soprano_1+alto_2+...")
        keys = [(PART_ALIASES[m["part"].lower()], str(int(m["singer"]))) for m in matches if m]
        if track.ndim != 2 or track.shape[1] != len(keys) or len(track) == 0:
            raise DataError(f"{path}: {key!r} has shape {track.shape}, expected [N, {len(keys)}]")
        if track.dtype.kind not in "fiu":
            raise DataError(f"{path}: {key!r} holds {track.dtype}, expected numbers in Hz")
        if not np.isfinite(track).all() or (track < 0).any() or (track > RATE / 2).any():
            raise DataError(f"{path}: {key!r} holds F0 that is NaN, negative or above 8000 Hz")
        result[frozenset(keys)] = track.astype(np.float32)
    return result
