"""Which files and folders below a data set are its own, and stamps that tell when they change."""

from __future__ import annotations

import functools
import logging
from collections.abc import Iterable
from pathlib import Path
from typing import Any

AUDIO_SUFFIXES = (
    ".wav", ".flac", ".mp3", ".ogg", ".oga", ".opus", ".aif", ".aiff", ".w64", ".rf64", ".caf",
    ".au",
)  # fmt: skip
# Sound all the same, but nothing here can decode it.
UNREAD_SUFFIXES = (
    ".m4a", ".aac", ".mp4", ".m4b", ".wma", ".amr", ".3gp", ".ape", ".wv", ".webm", ".mka", ".mov",
)  # fmt: skip

log = logging.getLogger(__name__)


def is_audio_file(path: Path) -> bool:
    """Whether a file is sound that can be read; hidden files are not, other sound is reported."""
    if path.name.startswith(".") or not path.is_file():
        return False
    suffix = path.suffix.lower()
    if suffix in UNREAD_SUFFIXES:
        _report_left_out(path)
    return suffix in AUDIO_SUFFIXES


@functools.cache
def _report_left_out(path: Path) -> None:
    """Once per file: folders are listed several times."""
    log.warning(
        "warning: %s: left out, %s cannot be read; convert it to WAV, FLAC, OGG or MP3",
        path,
        path.suffix,
    )


def list_audio_files(folder: Path) -> list[Path]:
    """List audio files directly in a folder, by name; hidden files are ignored."""
    return sorted(path for path in folder.iterdir() if is_audio_file(path))


def list_song_folders(folder: Path) -> list[Path]:
    """List sub-folders by name; hidden ones and leftovers of archives are ignored."""
    return sorted(
        path for path in folder.iterdir() if path.is_dir() and not path.name.startswith((".", "__"))
    )


def list_folders_below(folder: Path) -> list[Path]:
    """List a folder and all those below it, each once, whatever links lead there."""
    found: list[Path] = []
    seen: set[Path] = set()
    waiting = [folder]
    while waiting:
        place = waiting.pop()
        if place.resolve() not in seen:
            seen.add(place.resolve())
            found.append(place)
            waiting += reversed(list_song_folders(place))
    return found


def stamp_files(paths: Iterable[Path], root: Path) -> dict[str, Any]:
    """Stamp every file: {path below root: [size in bytes, modification time in ns]}."""
    stamps = {}
    for path in sorted(paths):
        stat = path.stat()
        stamps[path.relative_to(root).as_posix()] = [stat.st_size, stat.st_mtime_ns]
    return stamps
