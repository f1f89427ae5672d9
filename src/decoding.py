"""Opens audio files so that they can be read to their end, whatever their headers promise.

libsndfile reads as many samples as the header says. Headers are wrong where a recorder was
interrupted, where a stream was cut out of a broadcast or files were joined. What the file holds
counts: for the formats below it is opened in such a way that the decoder goes on to the end.
"""

from __future__ import annotations

import os
import re
import struct
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import soundfile as sf

from .wav_headers import RawSound, View, find_unfinished

UNKNOWN = 1 << 62  # libsndfile's count of samples is at least this where it does not know
HEAD = 1 << 12  # bytes in which the first frame of an MP3 file lies

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
    unfinished = find_unfinished(path)
    if unfinished is not None:
        return _open_raw(path, unfinished)
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


class _Forward(sf.SoundFile):  # type: ignore[misc]
    """A file that is only read forward: after each read, soundfile would seek, which fails at the
    end of a file of unknown length."""

    def seekable(self) -> bool:
        return False


def _open_raw(path: Path, sound: RawSound) -> Decoder:
    source = sf.SoundFile(
        View(path, offset=sound.offset),
        samplerate=sound.rate,
        channels=sound.channels,
        format="RAW",
        subtype=sound.subtype,
        endian=sound.endian,
    )
    note = (
        f"the header is unfinished (it speaks of {sound.promised / sound.rate:.1f} s, as left by a "
        f"recorder that was interrupted); the file was read to its end, "
        f"{source.frames / sound.rate:.1f} s"
    )
    return Decoder(source, None, [note])


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
    return Decoder(_Forward(View(path, patches=patches)), promised)


def _open_mp3(path: Path, source: sf.SoundFile) -> Decoder:
    """Open as a stream unless the file states its own length, and that length is the file's."""
    tag = _find_mp3_tag(path)
    if tag is not None and tag.fits:
        return Decoder(source, source.frames)
    stream = _open_stream(View(path, offset=0 if tag is None else tag.end))
    if stream is None:
        note = "the length in the header is an estimate; the end may be missing"
        return Decoder(source, source.frames, [note])
    promised = None if tag is None else source.frames
    source.close()
    return Decoder(stream, promised)


def claims_mp3(path: Path) -> bool:
    """Whether a file says that it is MP3, by its name or its first bytes."""
    with path.open("rb") as file:
        return path.suffix.lower() == ".mp3" or file.read(3) == b"ID3"


def explain_failure(error: Exception) -> str:
    """libsndfile's words without the path that it writes before them; "" where they say nothing."""
    words = str(getattr(error, "error_string", "") or error).rstrip(". ")
    return "" if words == "Unspecified internal error" else words


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


def _open_stream(view: View) -> sf.SoundFile | None:
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
