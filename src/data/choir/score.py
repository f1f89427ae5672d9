"""Reads a four-part chorale from music21's corpus into plain notes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from ...errors import UmssError

PARTS = ("soprano", "alto", "tenor", "bass")


@dataclass(frozen=True)
class Note:
    """A sung note; ties are merged.

    Attributes
    ----------
    start, end : quarter notes from the beginning of the piece
    midi : pitch as MIDI number (69 = A4 = 440 Hz)
    syllable : text sung from this note on; None continues the syllable of the note before
    stressed : False for a syllable inside or at the end of a word
    fermata : True where the score holds the note
    """

    start: float
    end: float
    midi: int
    syllable: str | None = None
    stressed: bool = True
    fermata: bool = False


class ScoreError(UmssError):
    """A chorale that the synthesiser cannot sing."""


def _read_notes(part: Any) -> tuple[Note, ...]:
    notes = []
    for element in part.stripTies().flatten().notes:
        if element.quarterLength == 0:  # grace note
            continue
        # the first verse; where repeats end, some scores carry on in the second verse's line
        verses = sorted((ly for ly in element.lyrics if ly.text), key=lambda ly: ly.number)
        first = verses[0] if verses else None
        notes.append(
            Note(
                start=float(element.offset),
                end=float(element.offset + element.quarterLength),
                midi=int(max(pitch.midi for pitch in element.pitches)),
                syllable=first.text if first is not None else None,
                stressed=first is None or first.syllabic in ("begin", "single"),
                fermata=any(ex.name == "fermata" for ex in element.expressions),
            )
        )
    return tuple(notes)


def _spread_text(leader: tuple[Note, ...], follower: tuple[Note, ...]) -> tuple[Note, ...]:
    """Give `follower` the leader's syllables: each to the first free note at or after its onset.

    A note before the first syllable gets the first syllable. Notes without a syllable continue the
    one before (melisma). A syllable is left out if the part holds one note until the next syllable.
    """
    sung = [(note.start, note.syllable, note.stressed) for note in leader if note.syllable]
    result = []
    position = 0
    for index, note in enumerate(follower):
        nearest = None
        while position < len(sung) and (sung[position][0] <= note.start or index == 0):
            nearest = sung[position]
            position += 1
            if index == 0:
                break
        if nearest is None:
            result.append(note)
        else:
            result.append(replace(note, syllable=nearest[1], stressed=nearest[2]))
    return tuple(result)


@cache
def read_score(source: str) -> tuple[tuple[Note, ...], ...]:
    """Read four parts, highest first, all with text; the soprano's fermatas are in every part.

    Parameters
    ----------
    source : path in music21's corpus, such as "bach/bwv358.mxl"

    Returns
    -------
    four tuples of notes: soprano, alto, tenor, bass. Repeats are sung once.

    Raises
    ------
    ScoreError
        the file is missing, has not exactly four parts, or a part has no notes.
    """
    from music21 import corpus  # takes half a second and is needed nowhere else

    try:
        score = corpus.parse(source)
    except Exception as error:  # music21 raises many unrelated types
        raise ScoreError(
            f"{source}: cannot be read from music21's corpus ({error}); "
            "reinstall the music21 package with its corpus"
        ) from error
    parts = [_read_notes(part) for part in score.parts]
    if len(parts) != len(PARTS) or not all(parts):
        raise ScoreError(f"{source}: {len(parts)} parts instead of four; take another piece")
    soprano = parts[0]
    return (soprano, *(_spread_text(soprano, part) for part in parts[1:]))


def find_phrase_ends(parts: tuple[tuple[Note, ...], ...]) -> tuple[tuple[float, float], ...]:
    """Find held notes of the soprano, (start, end) in quarter notes; always with the last note."""
    held = {(note.start, note.end) for note in parts[0] if note.fermata}
    held.add((parts[0][-1].start, parts[0][-1].end))
    return tuple(sorted(held))
