"""Text files of any encoding; files that hold something else are told from their first bytes.

Read are UTF-8, UTF-16, UTF-32 and, for what is none of these, Windows-1252.
"""

from __future__ import annotations

import codecs
import re
from pathlib import Path

from ..errors import UmssError

LARGEST = 256 * 2**20  # bytes; a day of four singers at 10-ms steps is 250 MB
_MAGIC = (
    (b"PK\x03\x04", "a zip archive or spreadsheet; save the table as CSV"),
    (b"\xd0\xcf\x11\xe0", "an Excel workbook; save the table as CSV"),
    (b"MThd", "a MIDI file; name it .mid to use it as a score"),
    (b"RIFF", "a sound file; F0 is a table with time in seconds and one column in Hz per singer"),
    (b"fLaC", "a sound file; F0 is a table with time in seconds and one column in Hz per singer"),
    (b"OggS", "a sound file; F0 is a table with time in seconds and one column in Hz per singer"),
    (b"<", "XML or HTML; export the pitch layer as CSV, or name a score .musicxml"),
    (b"{", "JSON; write a table with time in seconds and one column in Hz per singer"),
    (b"File type", "an object of Praat; save its pitch listing, with time and F0, as a table"),
)


class ContourError(UmssError):
    """F0 contours that cannot be used; the message says where the fault is and how to fix it."""


def read_text(path: Path) -> str:
    """Read the text of an F0 file.

    Raises:
        ContourError: no such file, too large, not readable, or no text.
    """
    if path.is_dir():
        raise ContourError(f"{path}: this is a folder; give the F0 file itself")
    if not path.is_file():
        raise ContourError(f"{path}: no such F0 file")
    try:
        with path.open("rb") as handle:
            head = handle.read(4096)
            for magic, kind in _MAGIC:
                if head.lstrip(b"\xef\xbb\xbf \r\n").startswith(magic):
                    raise ContourError(f"{path}: this is no F0 file but {kind}")
            size = path.stat().st_size
            if size > LARGEST:
                raise ContourError(
                    f"{path}: {size / 2**20:.0f} MB are too large for an F0 file; give a table "
                    "with time in seconds and one column in Hz per singer"
                )
            text = decode(head + handle.read())
    except UnicodeDecodeError as error:
        raise ContourError(
            f"{path}: the text is broken ({error.encoding}, byte {error.start}); save it as UTF-8"
        ) from error
    except OSError as error:
        raise ContourError(f"{path}: cannot be read ({error.strerror or error})") from error
    if re.search("[\x00-\x08\x0e-\x1b]", text):
        raise ContourError(f"{path}: this is no text; F0 files are tables saved as text (CSV)")
    return text


def decode(data: bytes) -> str:
    """Decode text by its byte order mark, its zero bytes, or as UTF-8 or Windows-1252.

    Raises:
        UnicodeDecodeError: UTF-16 or UTF-32 that is cut off or broken.
    """
    if data.startswith((codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)):
        return data.decode("utf-32")
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return data.decode("utf-16")
    if b"\0" in data[:4096]:
        # Digits and separators have one zero byte each in UTF-16, before or after the other.
        first, second = data[:4096:2].count(0), data[1:4096:2].count(0)
        return data.decode("utf-16-be" if first > second else "utf-16-le")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("cp1252", errors="replace")
