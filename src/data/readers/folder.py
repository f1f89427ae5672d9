"""Any folder of songs with one file per voice: `<root>/<song>/<voice>.<ext>`.

Voices are ordered from the highest to the lowest by their names (soprano, mezzosoprano, alto,
countertenor, tenor, lead, baritone, bass, each with an optional number, `soprano2`); other names
need the option `parts`, the list of all names from the highest to the lowest.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .base import (
    VOICE_ORDER,
    DataError,
    FileReader,
    Song,
    Stem,
    check_song_names,
    index_parts,
    list_audio_files,
    list_song_folders,
)


class FolderReader(FileReader):
    """Reader of the user's own multitrack recordings (layout: see the module).

    Args:
        root: folder of song folders.
        parts: file names without extension, from the highest voice to the lowest; by default the
            known voice names.
    """

    name = "folder"
    license = "the user's own"
    layout = "<root>/<song>/<voice>.wav, e.g. evening_song/soprano.wav"

    def __init__(self, root: str | Path, parts: Sequence[str] | None = None) -> None:
        super().__init__(root)
        self.parts = None if parts is None else [str(part).lower() for part in parts]
        folders = list_song_folders(self.root)
        if not folders:
            raise DataError(
                f"{self.root}: no song folders in it (expected {self.layout}); move the files of "
                "a song into a folder of its own"
            )
        self._songs = check_song_names([self._build_song(f) for f in folders], str(self.root))

    def songs(self) -> list[Song]:
        """One song per folder, by name."""
        return list(self._songs)

    def options(self) -> dict[str, Any]:
        """The order of the voices."""
        return {"parts": self.parts}

    def _build_song(self, folder: Path) -> Song:
        files = index_parts(list_audio_files(folder))
        if not files:
            raise DataError(f"{folder}: no audio files in it (expected {self.layout})")
        ranks = {part: self._rank(folder, part) for part in files}
        parts = tuple(sorted(files, key=ranks.__getitem__))
        return Song(folder.name, parts, tuple(Stem(part, "1", files[part]) for part in parts))

    def _rank(self, folder: Path, part: str) -> tuple[int, int]:
        if self.parts is not None:
            if part not in self.parts:
                raise DataError(
                    f"{folder}: voice {part!r} is not in data.parts={self.parts}; add it there"
                )
            return (self.parts.index(part), 0)
        match = re.fullmatch(r"([a-z]+(?:[ _-]?soprano)?)[ _-]?(\d*)", part)
        base = re.sub(r"[ _-]", "", match[1]) if match else ""
        if match is None or base not in VOICE_ORDER:
            raise DataError(
                f"{folder}: cannot tell how high voice {part!r} is; set data.parts to the voice "
                "names from the highest to the lowest, e.g. data.parts=[descant,melody,bass]"
            )
        return (VOICE_ORDER.index(base), int(match[2] or 0))
