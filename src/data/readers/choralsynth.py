"""ChoralSynth (Zenodo 10137883, CC BY-NC-SA 4.0: research only).

Twenty pieces, one synthetic singer per part: `<piece>/voices/*.mp3` and `<piece>/info.json`, which
gives every part's name and type. Where the types of a piece differ they are its part names
(soprano, alto, tenor, bass); where two parts share a type (pieces a 5, a 8) the parts keep their
file names, ordered by type, then as in the score. Accompaniments have no audio and are ignored.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

from .base import (
    VOICE_ORDER,
    DataError,
    FileReader,
    Song,
    Stem,
    check_song_names,
    list_audio_files,
    list_song_folders,
)


class ChoralSynthReader(FileReader):
    """Reader of ChoralSynth (layout: see the module).

    Args:
        root: folder of the pieces.
    """

    name = "choralsynth"
    license = "CC BY-NC-SA 4.0 (Zenodo 10137883): research only, nothing trained on it is free"
    layout = "<piece>/info.json and <piece>/voices/*.mp3"

    def __init__(self, root: str | Path) -> None:
        super().__init__(root)
        pieces = [f for f in list_song_folders(self.root) if (f / "voices").is_dir()]
        if not pieces:
            raise DataError(f"{self.root}: no pieces in it (expected {self.layout})")
        self._songs = check_song_names(
            [self._build_song(piece) for piece in pieces], str(self.root)
        )

    def songs(self) -> list[Song]:
        """The pieces, by name."""
        return list(self._songs)

    def extra_files(self, song: Song) -> list[Path]:
        """info.json, which names the parts."""
        return [self.root / song.name / "info.json"]

    def _build_song(self, piece: Path) -> Song:
        files = {_simplify(path.stem): path for path in list_audio_files(piece / "voices")}
        if not files:
            raise DataError(f"{piece / 'voices'}: no audio files in it (expected {self.layout})")
        found = []
        for position, (name, kind) in enumerate(_read_voices(piece / "info.json")):
            if kind == "accompaniment":
                continue
            if kind not in VOICE_ORDER:
                raise DataError(f"{piece / 'info.json'}: part {name!r} has unknown type {kind!r}")
            path = files.pop(_simplify(name), None)
            if path is None:
                raise DataError(f"{piece}: no audio for part {name!r} of info.json in voices/")
            found.append((VOICE_ORDER.index(kind), position, kind, path))
        if files:
            raise DataError(f"{next(iter(files.values()))}: info.json has no such part")
        found.sort()
        kinds = [kind for *_, kind, _ in found]
        distinct = len(set(kinds)) == len(kinds)
        parts = tuple(kind if distinct else path.stem for *_, kind, path in found)
        stems = (Stem(p, "1", path) for p, (*_, path) in zip(parts, found, strict=True))
        return Song(piece.name, parts, tuple(stems))


def _read_voices(path: Path) -> list[tuple[str, str]]:
    """Read (name, type) of every part in info.json."""
    try:
        info = json.loads(path.read_text(encoding="utf-8"))
        return [(str(part["name"]), str(part["type"])) for part in info["parts"]]
    except FileNotFoundError:
        raise DataError(f"{path}: missing; it names the parts of the piece") from None
    except (json.JSONDecodeError, UnicodeDecodeError, KeyError, TypeError) as error:
        raise DataError(f"{path}: not a list of parts with name and type ({error!r})") from error


def _simplify(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")
