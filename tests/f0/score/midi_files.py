"""MIDI and MusicXML files for tests, byte by byte."""

from __future__ import annotations

import struct
from collections.abc import Sequence

NAMES = ("Soprano", "Alto", "Tenor", "Bass")
PITCHES = (76, 69, 60, 48)


def chunk(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack(">I", len(body)) + body


def midi(*tracks: bytes, division: int = 100, kind: int = 1) -> bytes:
    head = chunk(b"MThd", struct.pack(">HHH", kind, len(tracks), division))
    return head + b"".join(chunk(b"MTrk", t + b"\x00\xff\x2f\x00") for t in tracks)


def sing(name: str, pitch: int, channel: int = 0) -> bytes:
    """A track of two notes of one quarter each."""
    title = b"\x00\xff\x03" + bytes([len(name.encode())]) + name.encode() if name else b""
    on, off = 0x90 | channel, 0x80 | channel
    note = bytes([on, pitch, 64, 100, off, pitch, 0])
    return title + b"\x00" + note + b"\x00" + note


def choir(*others: bytes, first: bool = True) -> bytes:
    voices = [sing(name, pitch) for name, pitch in zip(NAMES, PITCHES, strict=True)]
    return midi(*others, *voices) if first else midi(*voices, *others)


def musicxml(
    names: Sequence[str] = NAMES, encoding: str = "UTF-8", before: str = "", note: str = ""
) -> str:
    listed = "".join(
        f'<score-part id="P{k}"><part-name>{name}</part-name></score-part>'
        for k, name in enumerate(names)
    )
    parts = "".join(
        f'<part id="P{k}"><measure number="1"><attributes><divisions>1</divisions></attributes>'
        f"<note><pitch><step>A</step><octave>{5 - k}</octave></pitch><duration>4</duration>"
        f"<voice>1</voice></note>{note}</measure></part>"
        for k in range(len(names))
    )
    return (
        f'<?xml version="1.0" encoding="{encoding}"?>{before}<score-partwise version="3.1">'
        f"<part-list>{listed}</part-list>{parts}</score-partwise>"
    )
