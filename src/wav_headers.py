"""Finds samples behind the end that an unfinished header states: WAV, RF64 and AU.

A recorder writes the length into the header when it stops. If it was interrupted, the header speaks
of nothing, or of what there was when it was last brought up to date.
"""

from __future__ import annotations

import io
import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

BRIEF = 0.1  # seconds; a smaller difference between promise and file is not worth a word

_WAV_SUBTYPES = {
    (1, 8): "PCM_U8", (1, 16): "PCM_16", (1, 24): "PCM_24", (1, 32): "PCM_32",
    (3, 32): "FLOAT", (3, 64): "DOUBLE", (6, 8): "ALAW", (7, 8): "ULAW",
}  # fmt: skip
_AU_SUBTYPES = {
    1: "ULAW", 2: "PCM_S8", 3: "PCM_16", 4: "PCM_24", 5: "PCM_32", 6: "FLOAT", 7: "DOUBLE",
    27: "ALAW",
}  # fmt: skip


class View(io.RawIOBase):
    """A file from `offset` on, as if that were its beginning, with some bytes replaced."""

    def __init__(self, path: Path, *, offset: int = 0, patches: dict[int, int] | None = None):
        self._file = path.open("rb")
        self._offset = offset
        self._patches = patches or {}
        self.seek(0)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        start = self._offset if whence == os.SEEK_SET else 0
        return self._file.seek(start + offset, whence) - self._offset

    def tell(self) -> int:
        return self._file.tell() - self._offset

    def readinto(self, buffer: Any) -> int:
        start = self._file.tell()
        data = bytearray(self._file.read(len(buffer)))
        for place, value in self._patches.items():
            if start <= place < start + len(data):
                data[place - start] = value
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        self._file.close()
        super().close()


@dataclass(frozen=True)
class RawSound:
    """Samples without a usable header: where they begin and what they are."""

    offset: int
    rate: int
    channels: int
    subtype: str
    endian: str
    promised: int


def find_unfinished(path: Path) -> RawSound | None:
    """Find samples in a WAV, RF64 or AU file that lie behind the end that its header states."""
    size = path.stat().st_size
    with path.open("rb") as file:
        magic = file.read(12).ljust(12, b"\0")
        if magic[:4] in (b"RIFF", b"RF64") and magic[8:] == b"WAVE":
            return _find_unfinished_wav(file, size)
        if magic[:4] == b".snd":
            offset, claimed = struct.unpack(">II", magic[4:])
            encoding, rate, channels = struct.unpack(">III", file.read(12).ljust(12, b"\0"))
            subtype = _AU_SUBTYPES.get(encoding, "")
            if claimed or not subtype or not channels or not rate or size <= offset:
                return None
            return RawSound(offset, rate, channels, subtype, "BIG", 0)
    return None


def _find_unfinished_wav(file: io.BufferedIOBase, size: int) -> RawSound | None:
    wide: int | None = None
    sound: tuple[int, int, int, str] | None = None
    for name, start, claimed in _walk_chunks(file, size):
        if name == b"ds64":
            wide = struct.unpack("<Q", file.read(28).ljust(28, b"\0")[8:16])[0]
        elif name == b"fmt ":
            body = file.read(26).ljust(26, b"\0")
            tag, channels, rate, _, block, bits = struct.unpack("<HHIIHH", body[:16])
            if tag == 0xFFFE:
                tag = struct.unpack("<H", body[24:26])[0]
            subtype = _WAV_SUBTYPES.get((tag, bits), "")
            if not (subtype and channels and rate and block == channels * bits // 8):
                return None
            sound = (rate, channels, block, subtype)
        elif name == b"data":
            length = wide if wide is not None and claimed == 0xFFFFFFFF else claimed
            if sound is None or (wide is None and claimed == 0xFFFFFFFF):
                return None  # libsndfile reads these to the end by itself
            rate, channels, block, subtype = sound
            end = start + length + length % 2
            behind = size - end
            if behind < BRIEF * rate * block or _is_chunk_or_tag(file, end, size):
                return None
            return RawSound(start, rate, channels, subtype, "LITTLE", length // block)
    return None


def _walk_chunks(file: io.BufferedIOBase, size: int) -> Iterator[tuple[bytes, int, int]]:
    """Chunks of a RIFF file: name, where its content begins, and how many bytes it claims."""
    place = 12
    while place + 8 <= size:
        file.seek(place)
        name, claimed = struct.unpack("<4sI", file.read(8))
        yield name, place + 8, claimed
        place += 8 + claimed + claimed % 2


def _is_chunk_or_tag(file: io.BufferedIOBase, place: int, size: int) -> bool:
    file.seek(place)
    head = file.read(8).ljust(8, b"\0")
    if head.startswith((b"TAG", b"ID3", b"APETAGEX")):
        return True
    printable = all(32 <= byte < 127 for byte in head[:4])
    return printable and place + 8 + struct.unpack("<I", head[4:])[0] <= size + 1
