"""How the files of a recording are named: by a pattern such as "{track}_{voice}.{ext}".

The track is the recording's name without ending. The voice is a singer, or another word for what a
file holds: residual, f0, parameters, listen (the page), ... Files that a singer has in a format of
their own have two, such as midi/alto. A pattern with slashes makes folders.
"""

from __future__ import annotations

import re
from pathlib import Path

from .errors import UmssError

FILENAME = "{track}_{voice}.{ext}"
_FIELDS = ("track", "voice", "ext")
_FIELD = re.compile(r"\{(\w*)\}")


def check_filename(filename: str) -> None:
    """Refuse a pattern under which files could not be told apart or would lie elsewhere.

    Raises:
        UmssError: names the remedy.
    """
    fields = _FIELD.findall(filename)
    rest = _FIELD.sub("x", filename)
    if {"{", "}"} & set(rest) or not set(fields) <= set(_FIELDS):
        raise UmssError(
            f"filename={filename}: in braces there may be {{track}}, {{voice}}, {{ext}}"
        )
    if fields.count("voice") != 1 or fields.count("ext") != 1 or rest[-2:] != ".x":
        raise UmssError(
            f"filename={filename}: it must have {{voice}} once and end in .{{ext}}, e.g. "
            "{track}/{voice}.{ext}"
        )
    if any(part in ("", ".", "..") for part in rest.split("/")) or "\0" in rest:
        raise UmssError(
            f"filename={filename}: files lie below the output folder; begin with no slash and "
            "leave out empty names, . and .."
        )


def name_file(folder: Path, track: str, voice: str, ending: str, filename: str = FILENAME) -> Path:
    """The place of a file of a recording.

    Args:
        folder: of all outputs.
        track: the recording's name without ending.
        voice: what the file holds.
        ending: of its name, without dot.
        filename: the pattern, as `check_filename` takes it.
    """
    words = {"track": track, "voice": voice, "ext": ending}
    relative = _FIELD.sub(lambda field: words[field[1]], filename)
    # A track may be called .. but must not lead there.
    parts = ["_" * len(part) if part in (".", "..") else part for part in relative.split("/")]
    return folder.joinpath(*parts)


def find_track(path: Path, voice: str, ending: str, filename: str) -> tuple[Path, str] | None:
    """The folder of all outputs and the track of a file, None if it is not named by the pattern.

    Where the pattern has no track, it is the name of the folder.
    """
    depth = filename.count("/")
    whole = path.absolute() if depth else path
    if len(whole.parents) <= depth:
        return None
    folder = whole.parents[depth]
    words = {"voice": re.escape(voice), "ext": re.escape(ending)}
    known = False
    pattern = ""
    for number, part in enumerate(_FIELD.split(filename)):
        if number % 2 == 0:
            pattern += re.escape(part)
        elif part == "track":
            pattern += "(?P=track)" if known else "(?P<track>[^/]*)"
            known = True
        else:
            pattern += words[part]
    match = re.fullmatch(pattern, whole.relative_to(folder).as_posix(), re.DOTALL)
    if match is None:
        return None
    return folder, match["track"] if known else path.absolute().parent.name
