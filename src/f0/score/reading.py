"""Reads MIDI and MusicXML scores as F0 tracks.

Every part with notes is one singer. Tempo marks and repeats are followed, A4 is 440 Hz, ornaments
without a length are ignored. Parts with chords or several voices (two voices on one staff, a
divided section) are split into single lines if that gives the wanted number of singers: by voice as
written, then chords from the highest note to the lowest; a single note among chords is given to all
lines of its part. Otherwise only the highest note of the part is used.
"""

from __future__ import annotations

import math
import warnings
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...dsp.tracks import HOP, RATE
from ...errors import UmssError
from ..contours import F0Contours

MIDI_SUFFIXES = (".mid", ".midi")
MUSICXML_SUFFIXES = (".musicxml", ".mxl", ".xml")
SCORE_SUFFIXES = (*MIDI_SUFFIXES, *MUSICXML_SUFFIXES)
LEGATO = 0.1  # seconds by which notes played on a keyboard may overlap the next one
LONGEST = 5 * 3600.0  # seconds, longest score that is accepted
DEFAULT_TEMPO = 120.0  # quarter notes per minute


class ScoreError(UmssError):
    """A score that cannot be used; the message names the file and the remedy."""


@dataclass(frozen=True)
class Note:
    """A note: start and end in seconds, MIDI pitch, and its voice in the part (None = all)."""

    start: float
    end: float
    pitch: float
    voice: str | None = None


@dataclass(frozen=True)
class Part:
    """One staff or MIDI track."""

    name: str
    notes: tuple[Note, ...]


def read_score(
    path: str | Path, n_singers: int | None = None, parts: Sequence[str | int] | None = None
) -> F0Contours:
    """Read a score as F0 tracks on the 16-ms grid, from the highest part to the lowest.

    Args:
        path: MIDI (.mid, .midi) or MusicXML (.musicxml, .mxl, .xml).
        n_singers: J; None takes every part as one singer.
        parts: the parts to use, by name or by number from 1; None = all that have notes.

    Raises:
        ScoreError: the file is missing or malformed, a part does not exist, or the number of
            parts is not `n_singers`.
    """
    path = Path(path)
    found = [part for part in _read(path) if part.notes]
    if not found:
        raise ScoreError(f"{path}: the score holds no notes")
    if parts is not None:
        found = [_choose(path, found, wanted) for wanted in parts]
    end = max(note.end for part in found for note in part.notes)
    if not math.isfinite(end) or end > LONGEST:
        raise ScoreError(f"{path}: the score lasts {end / 3600:.1f} hours; check its tempo marks")
    n_frames = int(end * RATE / HOP) + 2
    lines = [[_find_top_line(part.notes, n_frames)] for part in found]
    if n_singers is not None and len(found) != n_singers:
        lines = [_split(part.notes, n_frames) for part in found]
        if sum(map(len, lines)) != n_singers:
            listed = ", ".join(part.name or "without a name" for part in found)
            raise ScoreError(
                f"{path}: the score has {len(found)} parts ({listed}), but n_singers={n_singers}; "
                f"set n_singers={len(found)}, or name the parts that sing: "
                f"score_parts=[{', '.join(str(k + 1) for k in range(min(n_singers, 4)))}]"
            )
    written = [part.name for part, split in zip(found, lines, strict=True) for _ in split]
    pitch = np.stack([line for split in lines for line in split], axis=1)
    f0 = np.where(np.isnan(pitch), 0.0, 440.0 * 2.0 ** ((pitch - 69.0) / 12.0))
    columns = tuple(str(k) for k in range(len(written)))
    try:
        ordered = F0Contours.on_grid(f0.astype(np.float32), columns).sorted_high_to_low()
    except ValueError as error:
        raise ScoreError(f"{path}: {error}") from error
    names = _name_lines([written[int(column)] for column in ordered.names])
    return F0Contours(ordered.times, ordered.f0, names)


def _read(path: Path) -> list[Part]:
    if not path.is_file():
        raise ScoreError(f"{path}: no such score")
    suffix = path.suffix.lower()
    if suffix not in SCORE_SUFFIXES:
        raise ScoreError(f"{path}: scores are MIDI or MusicXML ({', '.join(SCORE_SUFFIXES)})")
    try:
        return _read_midi(path) if suffix in MIDI_SUFFIXES else _read_musicxml(path)
    except Exception as error:  # music21 raises many unrelated types
        kind = "MIDI" if suffix in MIDI_SUFFIXES else "MusicXML"
        raise ScoreError(
            f"{path}: not readable as a {kind} file ({error or type(error).__name__}); export it "
            "again from a notation program"
        ) from error


def _read_midi(path: Path) -> list[Part]:
    """Read the parts of a MIDI file: its tracks, or its channels if there is only one track.

    music21's own conversion to a score moves notes to a metrical grid; the events are read instead.
    """
    from music21.midi import MetaEvents, MidiFile  # takes a third of a second

    file = MidiFile()
    file.open(str(path))
    try:
        file.read()
    finally:
        file.close()
    tempi: dict[int, int] = {}
    names: dict[tuple[int, int], str] = {}
    sounding: dict[tuple[int, int, int], int] = {}
    played: dict[tuple[int, int], list[tuple[int, int, int]]] = defaultdict(list)
    for number, track in enumerate(file.tracks):
        tick = 0
        name = ""
        events: list[Any] = track.events
        for event in events:
            if event.isDeltaTime():
                tick += event.time
            elif event.type == MetaEvents.SET_TEMPO:
                tempi[tick] = int.from_bytes(event.data, "big")
            elif event.type == MetaEvents.SEQUENCE_TRACK_NAME:
                name = event.data.decode("utf-8", errors="replace").strip()
            elif event.isNoteOn() or event.isNoteOff():
                key = (number, event.channel, event.pitch)
                if key in sounding:
                    played[key[:2]].append((sounding.pop(key), tick, event.pitch))
                if event.isNoteOn() and event.velocity:
                    sounding[key] = tick
                    names.setdefault(key[:2], name)
    # Ticks in film time (SMPTE) have a fixed length; they are read at 120 quarters per minute.
    film = file.ticksPerSecond
    quarter = float(film / 2 if film else file.ticksPerQuarterNote)
    marks = {} if film else tempi
    clock = _build_clock([(tick / quarter, 6e7 / max(micros, 1)) for tick, micros in marks.items()])
    return [
        Part(
            names[key],
            tuple(Note(clock(a / quarter), clock(b / quarter), p) for a, b, p in notes if b > a),
        )
        for key, notes in sorted(played.items())
    ]


def _read_musicxml(path: Path) -> list[Part]:
    from music21 import converter, stream

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about details of notation
        score = converter.parse(str(path), format="musicxml", forceSource=True, storePickle=False)
        score = _unfold(score).toSoundingPitch()
        marks = [
            (float(start), float(mark.getQuarterBPM() or DEFAULT_TEMPO))
            for start, _, mark in score.metronomeMarkBoundaries()
        ]
    clock = _build_clock(marks)
    parts = []
    for part in score.getElementsByClass(stream.Part):
        notes = []
        for element in part.recurse().notes:
            length = float(element.quarterLength)
            pitches = getattr(element, "pitches", ())
            if not length or not pitches:  # ornaments; drums
                continue
            container = element.activeSite
            voice = str(container.id) if isinstance(container, stream.Voice) else None
            start = float(element.getOffsetInHierarchy(part))
            notes += [
                Note(clock(start), clock(start + length), float(pitch.ps), voice)
                for pitch in pitches
            ]
        parts.append(Part((part.partName or "").strip(), tuple(notes)))
    return parts


def _unfold(score: Any) -> Any:
    """Write out the repeats of a score; leave it unchanged if music21 cannot interpret them."""
    from music21.exceptions21 import Music21Exception

    try:
        return score.expandRepeats()
    except Music21Exception:
        return score


def _build_clock(marks: Sequence[tuple[float, float]]) -> Callable[[float], float]:
    """Build the map from quarter notes to seconds, given (position, quarter notes per minute)."""
    ordered = sorted({0.0: DEFAULT_TEMPO, **dict(marks)}.items())
    starts = [position for position, _ in ordered]
    begins = [0.0]
    for (position, tempo), (following, _) in zip(ordered, ordered[1:], strict=False):
        begins.append(begins[-1] + (following - position) * 60 / tempo)

    def to_seconds(position: float) -> float:
        index = max(bisect_right(starts, position) - 1, 0)
        return begins[index] + (position - starts[index]) * 60 / ordered[index][1]

    return to_seconds


def _choose(path: Path, parts: Sequence[Part], wanted: str | int) -> Part:
    if isinstance(wanted, int) and 1 <= wanted <= len(parts):
        return parts[wanted - 1]
    for part in parts:
        if part.name.lower() == str(wanted).lower():
            return part
    names = ", ".join(f"{k + 1} {part.name}".strip() for k, part in enumerate(parts))
    raise ScoreError(f"{path}: there is no part {wanted!r}; the parts with notes are: {names}")


def _find_top_line(notes: Sequence[Note], n_frames: int) -> NDArray[np.float64]:
    """Find the highest sounding MIDI pitch per frame, [N], NaN in rests."""
    line = np.full(n_frames, np.nan)
    for note in sorted(_detach(notes), key=lambda note: note.pitch):
        line[_find_frames(note)] = note.pitch
    return line


def _split(notes: Sequence[Note], n_frames: int) -> list[NDArray[np.float64]]:
    """Split a part into single lines [N]: by voice, and chords from top to bottom."""
    written = sorted({note.voice for note in notes if note.voice is not None})
    if len(written) < 2:
        return _split_chords(notes, n_frames)
    voices = [[n for n in notes if n.voice in (voice, None)] for voice in written]
    return [line for voice in voices for line in _split_chords(voice, n_frames)]


def _split_chords(notes: Sequence[Note], n_frames: int) -> list[NDArray[np.float64]]:
    notes = _detach(notes)
    pitches = sorted({note.pitch for note in notes}, reverse=True)
    sounds = np.zeros((len(pitches), n_frames), dtype=np.bool_)
    for note in notes:
        sounds[pitches.index(note.pitch), _find_frames(note)] = True
    count = sounds.sum(axis=0)
    depth = int(count.max())
    # Sounding pitches first, from high to low.
    order = np.argsort(~sounds, axis=0, kind="stable")
    lines = []
    for rank in range(depth):
        row = order[np.clip(rank, 0, np.maximum(count - 1, 0)), np.arange(n_frames)]
        lines.append(np.where(count > 0, np.array(pitches)[row], np.nan))
    return lines


def _detach(notes: Sequence[Note]) -> list[Note]:
    """Shorten notes that overlap the next one a little, as played on a keyboard."""
    starts = sorted({note.start for note in notes})
    detached = []
    for note in notes:
        index = bisect_right(starts, max(note.start, note.end - LEGATO))
        end = starts[index] if index < len(starts) and starts[index] < note.end else note.end
        detached.append(Note(note.start, end, note.pitch, note.voice))
    return detached


def _find_frames(note: Note) -> slice:
    return slice(round(note.start * RATE / HOP), round(note.end * RATE / HOP))


def _name_lines(names: Sequence[str]) -> tuple[str, ...]:
    """Make names unique by numbering repeated ones, from the highest line to the lowest."""
    named = [name or f"singer{k + 1}" for k, name in enumerate(names)]
    seen: dict[str, int] = defaultdict(int)
    result: list[str] = []
    for name in named:
        seen[name] += 1
        label = name if named.count(name) == 1 else f"{name} {seen[name]}"
        while label in result:
            label += "'"
        result.append(label)
    return tuple(result)
