"""Opens audio files so that they can be read to their end, whatever their headers promise.

libsndfile reads as many samples as the header says. Headers are wrong where a recorder was
interrupted, where a stream was cut out of a broadcast or files were joined. What the file holds
counts: for the formats below it is opened in such a way that the decoder goes on to the end.
"""

from __future__ import annotations

import io
import os
import re
import struct
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import soundfile as sf

UNKNOWN = 1 << 62  # libsndfile's count of samples is at least this where it does not know
HEAD = 1 << 12  # bytes in which the first frame of an MP3 file lies
BRIEF = 0.1  # seconds; a smaller difference between promise and file is not worth a word

_WAV_SUBTYPES = {
    (1, 8): "PCM_U8", (1, 16): "PCM_16", (1, 24): "PCM_24", (1, 32): "PCM_32",
    (3, 32): "FLOAT", (3, 64): "DOUBLE", (6, 8): "ALAW", (7, 8): "ULAW",
}  # fmt: skip
_AU_SUBTYPES = {
    1: "ULAW", 2: "PCM_S8", 3: "PCM_16", 4: "PCM_24", 5: "PCM_32", 6: "FLOAT", 7: "DOUBLE",
    27: "ALAW",
}  # fmt: skip
# kbit/s of layer III by the index in the frame's header: MPEG 1, and MPEG 2 and 2.5.
_MP3_RATES = (
    (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
)


@dataclass
class Decoder:
    """An opened file.

    Attributes:
        source: the decoder.
        promised: samples per channel that the header promises; None = it makes no promise.
        notes: what is wrong with the file, as far as it shows before it is decoded.
    """

    source: sf.SoundFile
    promised: int | None
    notes: list[str] = field(default_factory=list)


def open_decoder(path: Path) -> Decoder:
    """Open a file so that reading goes on to its end.

    Raises:
        sf.LibsndfileError, RuntimeError: not readable as audio.
        OSError: not readable at all.
    """
    unfinished = _find_unfinished(path)
    if unfinished is not None:
        return unfinished.open(path)
    source = sf.SoundFile(name_for_soundfile(path))
    if source.format == "MP3":
        return _open_mp3(path, source)
    if source.format == "FLAC":
        return _open_flac(path, source)
    promised = None if source.frames >= UNKNOWN else source.frames
    notes = []
    if source.format == "OGG":
        notes += _examine_ogg(path)
    elif promised is not None:
        promised = _read_promise(source, promised)
    return Decoder(source, promised, notes)


def name_for_soundfile(path: Path) -> Path | bytes:
    """A path as soundfile takes it, whatever bytes its name has: text must be UTF-8 for it."""
    return path if os.name == "nt" else os.fsencode(path)


class _View(io.RawIOBase):
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


class _Forward(sf.SoundFile):  # type: ignore[misc]
    """A file that is only read forward: after each read, soundfile would seek, which fails at the
    end of a file of unknown length."""

    def seekable(self) -> bool:
        return False


@dataclass(frozen=True)
class _Raw:
    """Samples without a usable header: where they begin and what they are."""

    offset: int
    rate: int
    channels: int
    subtype: str
    endian: str
    promised: int

    def open(self, path: Path) -> Decoder:
        source = sf.SoundFile(
            _View(path, offset=self.offset),
            samplerate=self.rate,
            channels=self.channels,
            format="RAW",
            subtype=self.subtype,
            endian=self.endian,
        )
        seconds, held = self.promised / self.rate, source.frames / self.rate
        note = (
            f"the header is unfinished (it speaks of {seconds:.1f} s, as left by a recorder that "
            f"was interrupted); the file was read to its end, {held:.1f} s"
        )
        return Decoder(source, None, [note])


def _find_unfinished(path: Path) -> _Raw | None:
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
            return _Raw(offset, rate, channels, subtype, "BIG", 0)
    return None


def _find_unfinished_wav(file: io.BufferedIOBase, size: int) -> _Raw | None:
    wide: int | None = None
    sound: tuple[int, int, int, str, int] | None = None
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
            sound = (rate, channels, block, subtype, tag)
        elif name == b"data":
            length = wide if wide is not None and claimed == 0xFFFFFFFF else claimed
            if sound is None or (wide is None and claimed == 0xFFFFFFFF):
                return None  # libsndfile reads these to the end by itself
            rate, channels, block, subtype, _ = sound
            end = start + length + length % 2
            behind = size - end
            if behind < BRIEF * rate * block or _is_chunk_or_tag(file, end, size):
                return None
            return _Raw(start, rate, channels, subtype, "LITTLE", length // block)
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


def _read_promise(source: sf.SoundFile, held: int) -> int:
    """What the header promised, from libsndfile's notes on sizes that exceed the file's."""
    for name in ("data", "SSND", "Data Size", "riff", "Riff size", "RIFF", "FORM"):
        found = re.search(
            rf"^\s*{name}\s*: (\d+) \(should be (\d+)\)", source.extra_info, flags=re.MULTILINE
        )
        if found:
            claimed, there = int(found[1]), int(found[2])
            # Programs that write to a pipe claim the largest size there is.
            if claimed > there > 0 and claimed < 0x7FFFF000:
                return round(held * claimed / there)
    return held


def _open_flac(path: Path, source: sf.SoundFile) -> Decoder:
    """Open without the number of samples in the header, which is where the decoder would stop."""
    promised = None if source.frames >= UNKNOWN else source.frames
    with path.open("rb") as file:
        begin = file.read(1 << 20).find(b"fLaC")
        file.seek(begin + 21)
        first = file.read(1)
    if begin < 0 or not first:
        return Decoder(source, promised)
    patches = {begin + 21: first[0] & 0xF0} | dict.fromkeys(range(begin + 22, begin + 26), 0)
    source.close()
    return Decoder(_Forward(_View(path, patches=patches)), promised)


def _open_mp3(path: Path, source: sf.SoundFile) -> Decoder:
    """Open as a stream unless the file states its own length, and that length is the file's."""
    tag = _find_mp3_tag(path)
    if tag is not None and tag.fits:
        return Decoder(source, source.frames)
    notes = []
    if tag is not None:
        notes.append(
            f"the file goes on behind the {source.frames / source.samplerate:.1f} s that its "
            "header promises; it was read to its end"
        )
    stream = _open_stream(_View(path, offset=0 if tag is None else tag.end))
    if stream is None:
        notes.append("the length in the header is an estimate; the end may be missing")
        return Decoder(source, source.frames, notes)
    source.close()
    return Decoder(stream, None, notes)


@dataclass(frozen=True)
class _Mp3Tag:
    """The frame without sound with which encoders begin an MP3 file to state its length.

    Attributes:
        end: where the frame ends, bytes.
        fits: whether the length in bytes that it states is that of the file.
    """

    end: int
    fits: bool


def _find_mp3_tag(path: Path) -> _Mp3Tag | None:
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(10)
        begin = 0
        if head.startswith(b"ID3") and len(head) == 10:
            begin = 10 + sum(byte << 7 * (3 - k) for k, byte in enumerate(head[6:]))
        file.seek(begin)
        data = file.read(HEAD)
        file.seek(max(0, size - 160))
        tail = file.read()
    found = re.search(rb"\xff[\xe2-\xff][\x10-\xef].{10,37}?(Xing|Info)(....)", data, re.DOTALL)
    if found is None:
        return None
    second, third = data[found.start() + 1], data[found.start() + 2]
    first_kind = (second >> 3) & 3 == 3
    rates = (44100, 48000, 32000, 0)
    rate = rates[(third >> 2) & 3] >> {3: 0, 2: 1, 0: 2}.get((second >> 3) & 3, 0)
    kilobits = _MP3_RATES[0 if first_kind else 1][third >> 4]
    if not rate:
        return None
    length = (144 if first_kind else 72) * kilobits * 1000 // rate + ((third >> 1) & 1)
    flags = struct.unpack(">I", found[2])[0]
    if not flags & 1:
        return None
    stated = data[found.end() + 4 : found.end() + 8]
    if not flags & 2 or len(stated) < 4:
        return _Mp3Tag(begin + found.start() + length, fits=True)
    trailing = 128 if tail[-128:].startswith(b"TAG") else 0
    ape = tail[: len(tail) - trailing][-32:]
    if ape.startswith(b"APETAGEX"):
        trailing += 32 + struct.unpack("<I", ape[12:16])[0]
    behind = size - begin - found.start() - trailing - struct.unpack(">I", stated)[0]
    # Files that are shorter than stated are read as they are; the difference shows at their end.
    return _Mp3Tag(begin + found.start() + length, fits=behind < HEAD)


def _open_stream(view: _View) -> sf.SoundFile | None:
    """Open a file as if it came out of a pipe: the decoder knows no length and reads to the end."""
    receiver, sender = os.pipe()

    def feed() -> None:
        with suppress(OSError), view, os.fdopen(sender, "wb") as pipe:
            while data := view.read(1 << 16):
                pipe.write(data)

    threading.Thread(target=feed, daemon=True).start()
    try:
        source = sf.SoundFile(receiver)
    except (sf.LibsndfileError, RuntimeError):
        with suppress(OSError):
            os.close(receiver)
        return None
    if source.frames < UNKNOWN:
        source.close()
        return None
    return source


def _examine_ogg(path: Path) -> list[str]:
    """What the pages of an Ogg file say: whether it ends, and whether it is one recording."""
    notes = []
    data = path.read_bytes()
    last = data.rfind(b"OggS\0")
    if last >= 0 and last + 5 < len(data) and not data[last + 5] & 4:
        notes.append("the file ends without a mark of its end; its end may be missing")
    starts = [found.start() for found in re.finditer(rb"OggS\0[\x02\x06]", data)]
    if len(starts) > 1 and any(b"OggS\0\x00" in data[a:b] for a, b in zip(starts, starts[1:])):  # noqa: B905
        notes.append(
            f"the file holds {len(starts)} recordings one after the other and only the first is "
            "read; convert it to WAV or FLAC"
        )
    return notes
