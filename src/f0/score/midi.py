"""Parts of MIDI files.

The events are read with mido, not as a score of music21: that moves notes to a metrical grid, and
takes minutes for large files.
"""

from __future__ import annotations

import io
from collections import defaultdict
from pathlib import Path

import mido

from ..names import clean_name
from .parts import Note, Part, ScoreError, build_clock

PERCUSSION = 9  # channel 10 of General MIDI, counted from 0
LARGEST = 16 * 2**20  # bytes; those of a choir have a hundred thousand


def read_midi(path: Path) -> list[Part]:
    """Read the parts of a MIDI file: its tracks, or its channels if there is only one track.

    Raises:
        ScoreError: the file is too large, or holds patterns (format 2).
        ValueError: the file is malformed or cut off.
    """
    if path.stat().st_size > LARGEST:
        raise ScoreError(
            f"{path}: more than {LARGEST >> 20} MB are too large for a MIDI file; export the "
            "voices only"
        )
    data = path.read_bytes()
    start = max(0, data[:64].find(b"MThd"))  # .rmi files have a header before it
    try:
        file = mido.MidiFile(file=io.BytesIO(data[start:]))
    except EOFError as error:
        raise ValueError("it ends too early") from error
    if file.type not in (0, 1):
        raise ScoreError(
            f"{path}: MIDI of format {file.type} holds patterns, no score; save it in format 1"
        )
    tempi: dict[int, int] = {}
    names: dict[tuple[int, int], str] = {}
    sounding: dict[tuple[int, int, int], int] = {}
    played: dict[tuple[int, int], list[tuple[int, int, int]]] = defaultdict(list)
    for number, track in enumerate(file.tracks):
        tick, name = 0, ""
        for message in track:
            tick += message.time
            if message.type == "set_tempo":
                tempi[tick] = message.tempo
            elif message.type == "track_name":
                name = _read_name(message.name.encode(file.charset))
            elif message.type in ("note_on", "note_off"):
                key = (number, message.channel, message.note)
                if key in sounding:
                    played[key[:2]].append((sounding.pop(key), tick, message.note))
                if message.type == "note_on" and message.velocity:
                    sounding[key] = tick
                    names.setdefault(key[:2], name)
    # Ticks in film time (SMPTE) have a fixed length; they are read at 120 quarters per minute.
    division = file.ticks_per_beat
    film = division < 0
    quarter = -(division >> 8) * (division & 0xFF) / 2 if film else float(division)
    if not quarter:
        raise ValueError("its ticks have no length")
    marks = {} if film else tempi
    clock = build_clock([(tick / quarter, 6e7 / max(micros, 1)) for tick, micros in marks.items()])
    return [
        Part(
            names[key],
            tuple(Note(clock(a / quarter), clock(b / quarter), p) for a, b, p in notes if b > a),
            percussion=key[1] == PERCUSSION,
        )
        for key, notes in sorted(played.items())
    ]


def _read_name(data: bytes) -> str:
    try:
        return clean_name(data.decode("utf-8"))
    except UnicodeDecodeError:
        return clean_name(data.decode("cp1252", errors="replace"))
