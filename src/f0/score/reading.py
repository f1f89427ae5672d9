"""Reads MIDI and MusicXML scores as F0 tracks.

Every part with notes is one singer, percussion excepted. Tempo marks and repeats are followed, A4
is 440 Hz, ornaments without a length are ignored. Parts with chords or several voices (two voices
on one staff, a divided section) are split into single lines if that gives the wanted number of
singers: by voice as written, then chords from the highest note to the lowest; a single note among
chords is given to all lines of its part. Otherwise only the highest note of the part is used.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ...dsp.tracks import HOP, RATE
from ..contours import F0Contours
from ..names import number_names, shorten
from .lines import find_top_line, split_part
from .midi import read_midi
from .musicxml import read_musicxml
from .parts import Note as Note
from .parts import Part, names_instrument
from .parts import ScoreError as ScoreError

MIDI_SUFFIXES = (".mid", ".midi")
MUSICXML_SUFFIXES = (".musicxml", ".mxl", ".xml")
SCORE_SUFFIXES = (*MIDI_SUFFIXES, *MUSICXML_SUFFIXES)
MOST_SINGERS = 16  # whose F0 can be estimated, see src.f0.estimate
LONGEST = 5 * 3600.0  # seconds, longest score that is accepted

log = logging.getLogger(__name__)


def read_score(
    path: str | Path, n_singers: int | None = None, parts: Sequence[str | int] | None = None
) -> F0Contours:
    """Read a score as F0 tracks on the 16-ms grid, from the highest part to the lowest.

    Args:
        path: MIDI (.mid, .midi) or MusicXML (.musicxml, .mxl, .xml).
        n_singers: J; None takes every part as one singer.
        parts: the parts to use, by name or by number from 1; None = all that have notes.
            Percussion (MIDI channel 10, percussion clef) is no part and has no number.

    Raises:
        ScoreError: the file is missing or malformed, a part does not exist, or the number of
            parts is not `n_singers`.
    """
    path = Path(path)
    read = [part for part in _read(path) if part.notes]
    drums = [part for part in read if part.percussion]
    found = [part for part in read if not part.percussion]
    if drums:
        names = ", ".join(shorten(part.name) or "a part without a name" for part in drums)
        log.warning("%s: left out %s: percussion is no singer (MIDI channel 10)", path, names)
    if not found:
        but = " but percussion (MIDI channel 10)" if drums else ""
        raise ScoreError(f"{path}: the score holds no notes{but}; export the voices of the singers")
    chosen = found if parts is None else _choose_parts(path, found, parts)
    end = max(note.end for part in chosen for note in part.notes)
    if not math.isfinite(end) or end > LONGEST:
        raise ScoreError(f"{path}: the score lasts {end / 3600:.1f} hours; check its tempo marks")
    n_frames = int(end * RATE / HOP) + 2
    lines = [[find_top_line(part.notes, n_frames)] for part in chosen]
    if n_singers is not None and len(chosen) != n_singers:
        lines = [split_part(part.notes, n_frames) for part in chosen]
        if sum(map(len, lines)) != n_singers:
            raise ScoreError(_advise(path, found, n_singers, None if parts is None else chosen))
    if parts is None and n_singers is not None:
        for part in chosen:
            if names_instrument(part.name):
                log.warning(
                    "%s: %s counts as a singer; if it is an instrument, choose the parts that sing "
                    "by score_parts=",
                    path,
                    shorten(part.name),
                )
    written = [part.name for part, split in zip(chosen, lines, strict=True) for _ in split]
    pitch = np.stack([line for split in lines for line in split], axis=1)
    f0 = np.where(np.isnan(pitch), 0.0, 440.0 * 2.0 ** ((pitch - 69.0) / 12.0))
    columns = tuple(str(k) for k in range(len(written)))
    try:
        ordered = F0Contours.on_grid(f0.astype(np.float32), columns).sorted_high_to_low()
    except ValueError as error:
        raise ScoreError(f"{path}: {error}") from error
    names_in_order = number_names([written[int(column)] for column in ordered.names])
    return F0Contours(ordered.times, ordered.f0, names_in_order)


def _read(path: Path) -> list[Part]:
    if not path.is_file():
        raise ScoreError(f"{path}: no such score")
    suffix = path.suffix.lower()
    if suffix not in SCORE_SUFFIXES:
        raise ScoreError(f"{path}: scores are MIDI or MusicXML ({', '.join(SCORE_SUFFIXES)})")
    kind = "MIDI" if suffix in MIDI_SUFFIXES else "MusicXML"
    try:
        _check_kind(path, kind)
        return read_midi(path) if kind == "MIDI" else read_musicxml(path)
    except (ScoreError, MemoryError):
        raise
    except Exception as error:  # music21 raises many unrelated types
        reason = shorten(" ".join(str(error).split()), 120) or type(error).__name__
        raise ScoreError(
            f"{path}: not readable as a {kind} file ({reason}); export it again from a notation "
            "program"
        ) from error


def _check_kind(path: Path, kind: str) -> None:
    """Say what the file is if its suffix is wrong."""
    with path.open("rb") as handle:
        head = handle.read(64)
    if not head:
        raise ScoreError(f"{path}: the file is empty; export the score again")
    midi = head.startswith(b"MThd") or (head.startswith(b"RIFF") and b"RMID" in head)
    packed = head.startswith(b"PK\x03\x04")
    xml = head.replace(b"\0", b"").lstrip(b"\xef\xbb\xbf\xff\xfe \t\r\n").startswith(b"<")
    if kind == "MIDI" and (xml or packed):
        holds = "compressed MusicXML" if packed else "MusicXML"
        right = path.with_suffix(".mxl" if packed else ".musicxml").name
        raise ScoreError(f"{path}: looks like {holds}, not MIDI; rename it to {right}")
    if kind == "MusicXML" and midi:
        right = path.with_suffix(".mid").name
        raise ScoreError(f"{path}: holds MIDI, not MusicXML; rename it to {right}")
    if kind == "MIDI" and not midi:
        raise ScoreError(
            f"{path}: this is no MIDI file (it does not begin with MThd); export it again from a "
            "notation program"
        )


def _choose_parts(path: Path, parts: Sequence[Part], wanted: Sequence[str | int]) -> list[Part]:
    """Choose parts by number from 1, or by name whatever its case and blanks."""
    if not wanted:
        raise ScoreError(f"{path}: score_parts is empty; the parts with notes are: {_list(parts)}")
    chosen: list[Part] = []
    for choice in wanted:
        same = [part for part in parts if _fold(part.name) == _fold(str(choice))]
        number = int(choice) if str(choice).strip().isdecimal() else 0
        if 1 <= number <= len(parts) and (isinstance(choice, int) or not same):
            chosen.append(parts[number - 1])
        elif same:
            # Of several parts of one name, the next one.
            unused = [part for part in same if not any(part is other for other in chosen)]
            chosen.append((unused or same)[0])
        else:
            raise ScoreError(
                f"{path}: there is no part {choice!r}; the parts with notes are: {_list(parts)}"
            )
    return chosen


def _fold(name: str) -> str:
    return " ".join(name.split()).casefold()


def _list(parts: Sequence[Part], of: Sequence[Part] | None = None) -> str:
    """List parts with the numbers that they have in `of`, by default in the list itself."""
    numbers = {id(part): k for k, part in reversed(list(enumerate(of or parts, start=1)))}
    shown = [f"{numbers[id(part)]} {shorten(part.name) or '(no name)'}" for part in parts[:32]]
    return ", ".join(shown) + (", ..." if len(parts) > 32 else "")


def _advise(path: Path, found: Sequence[Part], n_singers: int, chosen: list[Part] | None) -> str:
    """Say what to do about a score with another number of parts; propose only what can be right."""
    if chosen is not None:
        return (
            f"{path}: score_parts chooses {len(chosen)} parts ({_list(chosen, found)}), but "
            f"n_singers={n_singers}; set n_singers={len(chosen)} or choose {n_singers} of the "
            f"parts: {_list(found)}"
        )
    parts = "1 part" if len(found) == 1 else f"{len(found)} parts"
    text = f"{path}: the score has {parts} ({_list(found)}), but n_singers={n_singers}; "
    sung = [part for part in found if not names_instrument(part.name)]
    numbers = [k for k, part in enumerate(found, start=1) if not names_instrument(part.name)]
    if len(sung) == n_singers:
        listed = ",".join(map(str, numbers))  # no blanks, as a shell would split them
        return text + f"if all but the instruments sing, choose score_parts=[{listed}]"
    every = f"set n_singers={len(found)} if every part sings, or "
    if len(sung) < len(found) or len(found) > MOST_SINGERS:
        every = ""
    if len(found) > n_singers:
        listed = f"choose the {n_singers} that sing by number or name: score_parts=[...]"
        return text + every + listed
    if len(sung) < len(found):
        return text + "give the number of parts that sing, and choose them: score_parts=[...]"
    return text + every + "give a score that has a part for every singer"
