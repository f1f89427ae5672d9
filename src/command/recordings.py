"""The recordings that a command line names, files and folders, and where their outputs go."""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ..errors import UmssError
from ..filenames import FILENAME, name_file

# By the end of their names; ffmpeg reads the second, where it is installed.
SOUND = (
    ".wav", ".flac", ".mp3", ".ogg", ".oga", ".opus", ".aif", ".aiff", ".w64", ".rf64", ".caf",
    ".au",
)  # fmt: skip
OTHERS = (
    ".m4a", ".aac", ".mp4", ".m4b", ".m4v", ".mov", ".mkv", ".mka", ".webm", ".avi", ".wma", ".amr",
    ".3gp", ".ape", ".wv",
)  # fmt: skip


@dataclass(frozen=True)
class Recording:
    """One recording.

    Attributes:
        path: the file.
        below: where its outputs go, below the folder of all outputs; "" = there.
    """

    path: Path
    below: str = ""


def find_recordings(
    given: Sequence[str], output: Path, filename: str = FILENAME
) -> list[Recording]:
    """Find the recordings: files as they are named, and those in folders and in folders below.

    Outputs of a folder's recordings lie in folders as the recordings do. Where two recordings would
    have outputs of the same names, theirs go into folders of their own.

    Args:
        given: files and folders.
        output: the folder of all outputs; it is not searched.
        filename: how outputs are named.

    Raises:
        UmssError: no recording in a folder.
    """
    found: dict[Path, Recording] = {}
    for name in given:
        path = Path(name)
        listed = _search(path, output) if path.is_dir() else [Recording(path)]
        for recording in listed:
            found.setdefault(recording.path.resolve(), recording)
    return _tell_apart(list(found.values()), filename)


def _search(folder: Path, output: Path) -> list[Recording]:
    from ..data.readers.listing import list_folders_below
    from ..outputs import find_all_outputs

    found = []
    inside = output.resolve() != folder.resolve()
    for place in list_folders_below(folder):
        if inside and place.resolve().is_relative_to(output.resolve()):
            continue
        if place.name.endswith("_practice") and (place / "tracks.txt").is_file():
            continue
        files = sorted(path for path in place.iterdir() if path.is_file())
        written = {
            output
            for path in files
            if path.suffix == ".npz" and "parameters" in path.name
            for output in find_all_outputs(path)
        }
        below = place.relative_to(folder).as_posix()
        found += [
            Recording(path, "" if below == "." else below)
            for path in files
            if path.suffix.lower() in (*SOUND, *OTHERS)
            and not path.name.startswith(".")
            and path not in written
        ]
    if not found:
        raise UmssError(
            f"{folder}: there is no recording in this folder ({', '.join(e[1:] for e in SOUND)}; "
            "with ffmpeg also m4a, mp4, mov, ...)"
        )
    return found


def _tell_apart(recordings: Sequence[Recording], filename: str) -> list[Recording]:
    """Give recordings whose outputs would have the same names folders of their own."""
    groups: dict[str, list[int]] = defaultdict(list)
    for index, recording in enumerate(recordings):
        groups[_identify(recording, filename)].append(index)
    result = list(recordings)
    for group in groups.values():
        if len(group) == 1:
            continue
        members = [recordings[index] for index in group]
        for index, recording in zip(group, _part(members, filename), strict=True):
            result[index] = recording
    taken: set[str] = set()
    for index, recording in enumerate(result):
        number, one = 2, recording
        while _identify(one, filename) in taken:
            one = replace(recording, below=f"{recording.below}/{number}".lstrip("/"))
            number += 1
        taken.add(_identify(one, filename))
        result[index] = one
    return result


def _part(members: Sequence[Recording], filename: str) -> list[Recording]:
    """Folders by what differs: the folder they are in, their names, the kind of file."""
    ways: list[Callable[[Path], str]] = [
        lambda path: path.resolve().parent.name,
        lambda path: path.stem,
        lambda path: path.suffix[1:],
        lambda path: f"{path.resolve().parent.name}/{path.suffix[1:]}",
    ]
    for way in ways:
        parted = [
            replace(one, below="/".join(filter(None, (one.below, way(one.path)))))
            for one in members
        ]
        if len({_identify(one, filename) for one in parted}) == len(parted):
            return parted
    return list(members)


def _identify(recording: Recording, filename: str) -> str:
    """What its outputs are called, as file systems that know no capitals tell names apart."""
    place = name_file(Path(recording.below), recording.path.stem, "x", "x", filename)
    return unicodedata.normalize("NFC", place.as_posix()).casefold()
