"""The list of practice tracks, and all of them in one ZIP file."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..files import replace_when_complete, write_text

_DATE = (1980, 1, 1, 0, 0, 0)  # the earliest; the same tracks give the same file


@dataclass(frozen=True)
class Entry:
    """One track: its file, its voice, what it is, and the gain of the whole in dB."""

    path: Path
    voice: str
    what: str
    gain: float


def write_list(path: Path, title: str, entries: Sequence[Entry], notes: Sequence[str]) -> None:
    """Write the list of tracks as text."""
    rows = [("file", "voice", "track", "gain")]
    rows += [(e.path.name, e.voice, e.what, f"{e.gain:+.1f} dB") for e in entries]
    widths = [max(len(row[k]) for row in rows) for k in range(4)]
    table = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
    lines = [f"{title}: practice tracks", "", *table, "", *notes]
    write_text(path, "\n".join(lines) + "\n")


def pack(path: Path, files: Mapping[Path, Path]) -> None:
    """Pack files into a ZIP file, in a folder of its name.

    Args:
        path: the ZIP file.
        files: where each lies now, by where it will be.
    """
    with replace_when_complete(path) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        for target, source in files.items():
            entry = zipfile.ZipInfo(f"{path.stem}/{target.name}", _DATE)
            entry.external_attr = 0o644 << 16
            # Sound is compressed already.
            entry.compress_type = (
                zipfile.ZIP_DEFLATED if target.suffix == ".txt" else zipfile.ZIP_STORED
            )
            with source.open("rb") as stream, archive.open(entry, "w", force_zip64=True) as packed:
                while data := stream.read(1 << 20):
                    packed.write(data)
