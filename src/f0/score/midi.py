"""Parts of MIDI files."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Any

from ..names import clean_name
from .parts import Note, Part, ScoreError, build_clock

PERCUSSION = 10  # the channel of General MIDI, from 1
LARGEST = 8 * 2**20  # bytes; a choir sings a day in less


def read_midi(path: Path) -> list[Part]:
    """Read the parts of a MIDI file: its tracks, or its channels if there is only one track.

    Channel 10 is percussion. music21's own conversion to a score moves notes to a metrical
    grid; the events are read instead.

    Raises:
        ScoreError: the file is too large.
        Exception: of any type, from music21, if the file is malformed.
    """
    from music21.midi import MetaEvents, MidiFile  # takes a third of a second

    data = path.read_bytes()
    if len(data) > LARGEST:
        raise ScoreError(
            f"{path}: {len(data) / 2**20:.0f} MB are too large for a MIDI file; export the voices "
            "only"
        )
    file = MidiFile()
    file.readstr(data[max(data[:64].find(b"MThd"), 0) :])  # .rmi files have a header before it
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
                name = _read_name(event.data)
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
