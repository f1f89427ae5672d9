"""Bach Chorales and Barbershop Quartets, as bought by the user (the paper's training data).

Layout: `<root>/BC/NN_title/{soprano,alto,tenor,bass}.wav` and
`<root>/BQ/NN_title/{tenor,lead,baritone,bass}.wav`, NN the number of the song in its collection
(BC 1 to 26, BQ 1 to 22), any audio format. Songs are named BC_NN and BQ_NN.
"""

from __future__ import annotations

import re
from pathlib import Path

from .base import (
    DataError,
    FileReader,
    Song,
    Stem,
    check_song_names,
    index_parts,
    list_audio_files,
    list_song_folders,
)

COLLECTIONS = {
    "BC": ("soprano", "alto", "tenor", "bass"),
    "BQ": ("tenor", "lead", "baritone", "bass"),
}


class BcbqReader(FileReader):
    """Reader of the two commercial collections (layout: see the module).

    Args:
        root: folder that holds BC, BQ or both.
    """

    name = "bcbq"
    license = "commercial, owned by the user"
    layout = "BC/NN_title/{soprano,alto,tenor,bass}.wav and BQ/NN_title/{tenor,lead,...}.wav"

    def __init__(self, root: str | Path) -> None:
        super().__init__(root)
        present = [code for code in COLLECTIONS if (self.root / code).is_dir()]
        if not present:
            raise DataError(f"{self.root}: neither BC nor BQ in it (expected {self.layout})")
        self._songs = check_song_names(
            sorted(
                (
                    self._build_song(code, folder)
                    for code in present
                    for folder in list_song_folders(self.root / code)
                ),
                key=lambda song: song.name,
            ),
            str(self.root),
        )

    def songs(self) -> list[Song]:
        """Songs of BC, then of BQ, by number."""
        return list(self._songs)

    def _build_song(self, code: str, folder: Path) -> Song:
        match = re.match(r"(\d+)", folder.name)
        if match is None:
            raise DataError(f"{folder}: the name must start with the song's number, e.g. 08_title")
        parts = COLLECTIONS[code]
        files = index_parts(list_audio_files(folder))
        missing = [part for part in parts if part not in files]
        if missing:
            raise DataError(f"{folder}: no {' and no '.join(missing)} (expected {self.layout})")
        stems = tuple(Stem(part, "1", files[part]) for part in parts)
        return Song(f"{code}_{int(match[1]):02d}", parts, stems)
