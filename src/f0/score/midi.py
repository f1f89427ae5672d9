"""Parts of MIDI files.

The events are read here, not by music21: that takes minutes for large files, and moves notes to a
metrical grid when it makes them a score.
"""

from __future__ import annotations

import struct
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from ..names import clean_name
from .parts import Note, Part, ScoreError, build_clock

PERCUSSION = 9  # channel 10 of General MIDI, counted from 0
LARGEST = 16 * 2**20  # bytes; those of a choir have a hundred thousand
_TEMPO, _TRACK_NAME, _END = 0x51, 0x03, 0x2F


class _Event(NamedTuple):
    """What happens at a tick: a status byte (0xFF with a kind of meta event) and its data."""

    tick: int
    status: int
    kind: int
    data: bytes


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
    division, tracks = _split_tracks(path)
    tempi: dict[int, int] = {}
    names: dict[tuple[int, int], str] = {}
    sounding: dict[tuple[int, int, int], int] = {}
    played: dict[tuple[int, int], list[tuple[int, int, int]]] = defaultdict(list)
    for number, track in enumerate(tracks):
        name = ""
        for tick, status, kind, data in _read_events(track):
            if status == 0xFF and kind == _TEMPO:
                tempi[tick] = int.from_bytes(data, "big")
            elif status == 0xFF and kind == _TRACK_NAME:
                name = _read_name(data)
            elif status >> 4 in (8, 9):
                pitch, velocity = (byte & 0x7F for byte in data)
                key = (number, status & 15, pitch)
                if key in sounding:
                    played[key[:2]].append((sounding.pop(key), tick, pitch))
                if status >> 4 == 9 and velocity:
                    sounding[key] = tick
                    names.setdefault(key[:2], name)
    # Ticks in film time (SMPTE) have a fixed length; they are read at 120 quarters per minute.
    film = division & 0x8000
    per_second = (256 - (division >> 8)) * (division & 0xFF)
    quarter = per_second / 2 if film else float(division)
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


def _split_tracks(path: Path) -> tuple[int, list[bytes]]:
    """Read the division of time and the bytes of all tracks."""
    data = path.read_bytes()
    start = data[:64].find(b"MThd")  # .rmi files have a header before it
    if start < 0 or len(data) < start + 14:
        raise ValueError("it ends within its header")
    length, kind, _, division = struct.unpack_from(">IHHH", data, start + 4)
    if kind not in (0, 1):
        raise ScoreError(
            f"{path}: MIDI of format {kind} holds patterns, no score; save it in format 1"
        )
    tracks = []
    position = start + 8 + length
    while position + 8 <= len(data):
        name, size = struct.unpack_from(">4sI", data, position)
        position += 8
        if name == b"MTrk":
            if position + size > len(data):
                raise ValueError("it ends within a track")
            tracks.append(data[position : position + size])
        position += size
    if not tracks:
        raise ValueError("it holds no tracks")
    return division, tracks


def _read_events(track: bytes) -> Iterator[_Event]:
    """Read the events of a track in order; system messages are skipped."""
    position = tick = running = 0

    def read_length() -> int:
        nonlocal position
        value = 0
        while True:
            byte = track[position]
            position += 1
            value = value << 7 | byte & 0x7F
            if byte < 0x80:
                return value

    try:
        while position < len(track):
            tick += read_length()
            status = running
            if track[position] >= 0x80:
                status = track[position]
                position += 1
            kind = 0
            if status == 0xFF:
                kind = track[position]
                position += 1
            if status >= 0xF0:
                size = read_length() if status in (0xF0, 0xF7, 0xFF) else 0
            elif status >= 0x80:
                running = status  # meta events between do not end it: some programs rely on that
                size = 1 if status >> 4 in (0xC, 0xD) else 2
            else:
                raise ValueError("a track begins with data")
            if position + size > len(track):
                raise ValueError("a track ends within an event")
            if status == 0xFF and kind == _END:
                return
            yield _Event(tick, status, kind, track[position : position + size])
            position += size
    except IndexError:
        raise ValueError("a track ends within an event") from None


def _read_name(data: bytes) -> str:
    try:
        return clean_name(data.decode("utf-8"))
    except UnicodeDecodeError:
        return clean_name(data.decode("cp1252", errors="replace"))
