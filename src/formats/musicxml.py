"""Notes as a sketch of a score: MusicXML in sixteenths, to be corrected in a notation program."""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..files import replace_when_complete
from .midi import SungPart
from .notes import Beats

STEPS = 4  # per quarter note
_SHARPS = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")
_FLATS = ("C", "D-", "D", "E-", "E", "F", "G-", "G", "A-", "A", "B-", "B")


def write_musicxml(path: Path, parts: Sequence[SungPart], beats: Beats, title: str) -> None:
    """Write the notes of all singers as a score in 4/4.

    Times are rounded to sixteenths between the beats, pitches to semitones; a bar begins at the
    first beat. Key and spelling are guesses from all notes (Krumhansl's profiles, by music21).

    Args:
        path: the file; it is replaced.
        parts: the singers, from the highest down.
        beats: quarter notes.
        title: of the score.
    """
    from music21 import metadata, meter, stream, tempo  # takes a second
    from music21.musicxml.m21ToXml import GeneralObjectExporter

    # Bars before the first beat, so that no note begins before the first bar.
    first = min((note.start for part in parts for note in part.notes), default=0.0)
    before = 4 * max(0, -int(beats.count(first) // 4))
    score = stream.Score()
    score.metadata = metadata.Metadata()
    score.metadata.title = title
    grids = [_round_notes(part, beats, before) for part in parts]
    key = _guess_key(grids)
    flat = key is not None and key.sharps < 0
    for number, (part, grid) in enumerate(zip(parts, grids, strict=True)):
        staff = stream.Part(id=f"P{number + 1}")
        staff.partName = part.name
        staff.append(meter.TimeSignature("4/4"))
        if key is not None:
            staff.append(type(key)(key.tonic, key.mode))
        if number == 0:
            staff.append(tempo.MetronomeMark(number=round(beats.tempo)))
        for element in _spell(grid, flat):
            staff.append(element)
        score.insert(0, staff)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about details of notation
        text = GeneralObjectExporter(score).parse().decode("utf-8")
    # The same notes give the same file, and music21 has not composed them.
    text = re.sub(r"\s*<(encoding-date|creator)\b.*?</\1>", "", text)
    for number, identifier in enumerate(re.findall(r'<score-part id="(\w+)"', text), start=1):
        text = text.replace(identifier, f"P{number}")
    with replace_when_complete(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _round_notes(part: SungPart, beats: Beats, before: int) -> list[tuple[int, int, int]]:
    """Notes as (begin, end, MIDI number) in sixteenths; of two in one step the longer stays."""
    found: list[tuple[int, int, int]] = []
    for note in part.notes:
        begin = round(STEPS * (beats.count(note.start) + before))
        end = max(begin + 1, round(STEPS * (beats.count(note.end) + before)))
        if found and begin < found[-1][1]:
            if begin <= found[-1][0]:
                if end - begin <= found[-1][1] - found[-1][0]:
                    continue
                found.pop()
            else:
                found[-1] = (found[-1][0], begin, found[-1][2])
        found.append((begin, end, round(note.pitch)))
    return found


def _guess_key(grids: Sequence[Sequence[tuple[int, int, int]]]) -> Any:
    from music21 import note, stream

    flat: Any = stream.Stream()
    for begin, end, number in (entry for grid in grids for entry in grid):
        flat.insert(begin / STEPS, note.Note(number, quarterLength=(end - begin) / STEPS))
    return flat.analyze("key") if len(flat) else None


def _spell(grid: Sequence[tuple[int, int, int]], flat: bool) -> list[Any]:
    """Notes and the rests between them, one after the other."""
    from music21 import note, pitch

    elements: list[Any] = []
    now = 0
    for begin, end, number in grid:
        if begin > now:
            elements.append(note.Rest(quarterLength=(begin - now) / STEPS))
        name = (_FLATS if flat else _SHARPS)[number % 12]
        sung = note.Note(pitch.Pitch(f"{name}{number // 12 - 1}"))
        sung.quarterLength = (end - begin) / STEPS
        elements.append(sung)
        now = end
    return elements or [note.Rest(quarterLength=4.0)]
