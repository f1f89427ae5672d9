"""Tags of audio files: read from a recording, written with the voice in the title.

They are read by tinytag. ID3v2.4 is written here, because libsndfile spoils what is not ASCII.
"""

from __future__ import annotations

import logging
import struct
from dataclasses import dataclass, replace
from pathlib import Path

LARGEST_COVER = 16 * 2**20 - 2**12  # bytes, what a block of a FLAC file can hold with its head

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Tags:
    """What a file says about itself; "" and None where it says nothing.

    Attributes:
        title, artist, album: as text.
        date: a year, or YYYY-MM-DD.
        cover: picture of the front, as JPEG, PNG or the like.
        cover_type: its MIME type.
    """

    title: str = ""
    artist: str = ""
    album: str = ""
    date: str = ""
    cover: bytes | None = None
    cover_type: str = "image/jpeg"

    def __bool__(self) -> bool:
        return self != Tags()

    def name_voice(self, voice: str, otherwise: str) -> Tags:
        """The tags with the voice added to the title, which is `otherwise` if there is none."""
        return replace(self, title=f"{self.title or otherwise} ({voice})")

    def leave_out_voice(self, voice: str) -> Tags:
        """The tags with the voice taken from the end of the title, where `name_voice` put it."""
        return replace(self, title=self.title.removesuffix(f" ({voice})"))

    def list_texts(self) -> dict[str, str]:
        """The texts that are there, by name."""
        texts = {"title": self.title, "artist": self.artist, "album": self.album, "date": self.date}
        return {name: " ".join(text.split()) for name, text in texts.items() if text.strip()}


def read_bitrate(path: Path) -> int | None:
    """The mean kbit/s of an MP3 file; None where it does not show."""
    from tinytag import TinyTag

    try:
        found = TinyTag.get(path).bitrate
    except Exception as error:  # as in `read_tags`
        log.debug("%s: bitrate not read: %s", path, error)
        return None
    return None if found is None else round(found)


def read_tags(path: Path) -> Tags:
    """Read the tags of a WAV, FLAC, OGG, MP3, AIFF or M4A file; none if they cannot be read."""
    from tinytag import TinyTag

    try:
        found = TinyTag.get(path, duration=False, image=True)
        picture = found.images.front_cover or found.images.any
    except Exception as error:  # whatever a broken file raises; tags are not needed
        log.debug("%s: tags not read (%s)", path, error)
        return Tags()
    tags = Tags(_clean(found.title), _clean(found.artist), _clean(found.album), _clean(found.year))
    if picture is None or not picture.data or len(picture.data) > LARGEST_COVER:
        return tags
    return replace(tags, cover=picture.data, cover_type=picture.mime_type or "image/jpeg")


def _clean(text: str | None) -> str:
    """Without what no file can hold: zero bytes, which end texts, and lone surrogates."""
    plain = (text or "").replace("\0", "").encode("utf-8", errors="ignore").decode("utf-8")
    return " ".join(plain.split())


def build_id3(tags: Tags) -> bytes:
    """Build an ID3v2.4 tag in UTF-8 (id3.org/id3v2.4.0-structure); empty without tags."""
    names = {"title": b"TIT2", "artist": b"TPE1", "album": b"TALB", "date": b"TDRC"}
    frames = b"".join(
        _build_frame(names[name], b"\x03" + text.encode("utf-8", errors="replace"))
        for name, text in tags.list_texts().items()
    )
    if tags.cover is not None:
        front = b"\x03" + tags.cover_type.encode("ascii", errors="replace") + b"\0\x03\0"
        frames += _build_frame(b"APIC", front + tags.cover)
    if not frames:
        return b""
    return b"ID3\x04\0\0" + _count(len(frames)) + frames


def _build_frame(name: bytes, content: bytes) -> bytes:
    return name + _count(len(content)) + b"\0\0" + content


def _count(size: int) -> bytes:
    """A size in four bytes of seven bits."""
    return bytes((size >> shift) & 0x7F for shift in (21, 14, 7, 0))


def build_flac_picture(tags: Tags) -> bytes:
    """Build the block of a FLAC file that holds the cover; empty without cover."""
    if tags.cover is None:
        return b""
    kind = tags.cover_type.encode("ascii", errors="replace")
    # Block type 6, not the last one; picture type 3, the front; no description, size or colours.
    head = struct.pack(">II", 3, len(kind)) + kind + struct.pack(">I16x", 0)
    content = head + struct.pack(">I", len(tags.cover)) + tags.cover
    return b"\x06" + len(content).to_bytes(3, "big") + content
