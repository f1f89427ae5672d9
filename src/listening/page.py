"""Builds and writes a page to listen to: one HTML file, or one with its sound in files beside it.

The page needs no server and asks nobody for anything. In one file, the pieces of sound stand in
script elements that are read when they are heard; files beside it are small scripts, because a
page that was opened from the disk may load nothing else.
"""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TextIO
from urllib.parse import quote

import jinja2
import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from ..files import check_existing, name_failed_file
from ..staging import stage
from . import pictures
from .content import Page, Recording, Remark, Track
from .doubts import find_doubts
from .files import find_page, name_folder, tidy_folder
from .sound import (
    PIECE_SECONDS,
    Measured,
    choose_gain,
    choose_rate,
    encode_flac,
    measure,
    read_pieces,
)

LARGEST_FILE = 64_000_000  # bytes of sound in one HTML file
TEMPLATE = "listening.html.j2"
CENTS_FROM_HZ = 16.0
# Partials of a choir are softer than its loudest sample.
LOUDEST_PARTIAL = 0.35

SCRIPTS = ("player.js", "drawing.js", "pictures.js", "listening.js", "wiring.js", "page.js")

_HERE = Path(__file__).parent
_SOUND_HERE = "<!-- sound -->"


def write_page(
    path: str | Path, page: Page, *, single: bool | None = None, overwrite: bool = False
) -> list[Path]:
    """Write a page to listen to.

    Args:
        path: the HTML file; files of sound, if any, go to the folder NAME_files beside it.
        page: what it shows.
        single: everything in one file; None = if its sound has less than `LARGEST_FILE` bytes.
        overwrite: replace an earlier page.

    Returns:
        The files: the HTML file first.

    Raises:
        OutputExistsError: the page exists and `overwrite` is false.
        WriteError: it cannot be written.
        UmssError: tracks that do not fit each other, or audio that cannot be read.
    """
    path = Path(path)
    check_existing([path], overwrite=overwrite)
    former = find_page(path)
    with stage(path.parent, path.stem) as place:
        files = build_page(path, page, place.place, single=single)
        place.publish(files, remove=sorted(former - {*files}))
    tidy_folder(path)
    return files


def build_page(
    path: Path, page: Page, place: Callable[[Path], Path], *, single: bool | None = None
) -> list[Path]:
    """Write the files of a page where `place` says.

    Args:
        path: where the HTML file will be in the end.
        page, single: see `write_page`.
        place: from where a file will be in the end to where it is written now.

    Returns:
        Where the files will be in the end: the HTML file first.
    """
    folder = name_folder(path)
    pieces: dict[str, Path] = {}
    manifests = []
    with name_failed_file(path):
        for r, recording in enumerate(page.recordings):
            manifest = _build_manifest(recording)
            count = 0
            for count, piece in enumerate(_encode(recording, manifest), start=1):
                name = f"{r}-{count - 1}"
                pieces[name] = folder / f"sound-{name}.js"
                text = json.dumps(piece, separators=(",", ":"))
                place(pieces[name]).write_text(f'receiveSound("{name}",{text});\n', "ascii")
            manifest["pieces"] = count
            manifests.append(manifest)
        size = sum(place(file).stat().st_size for file in pieces.values())
        inside = size <= LARGEST_FILE if single is None else single
        # Names of folders may hold bytes that are no text.
        address = None if inside else quote(os.fsencode(folder.name))
        content = {"folder": address, "recordings": manifests}
        head, _, tail = _render(page, content).partition(_SOUND_HERE)
        with place(path).open("w", encoding="utf-8", errors="backslashreplace") as html:
            html.write(head)
            if inside:
                for name, file in pieces.items():
                    _move_inside(html, name, place(file))
            html.write(tail)
        if inside and pieces:
            place(folder / "sound").parent.rmdir()  # `place` makes folders
    return [path] if inside else [path, *pieces.values()]


def _move_inside(html: TextIO, name: str, file: Path) -> None:
    """Move a file of sound into the page, where it is read only when it is heard."""
    html.write(f'<script type="text/plain" data-sound="{name}">')
    text = file.read_text("ascii")
    html.write(text[text.index("{") : text.rindex("}") + 1])
    html.write("</script>\n")
    file.unlink()


def _render(page: Page, content: dict[str, Any]) -> str:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_HERE.parent / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )

    def read(name: str) -> Markup:
        return Markup((_HERE / name).read_text(encoding="utf-8").rstrip())

    return environment.get_template(TEMPLATE).render(
        page=page,
        content=content,
        sound=Markup(_SOUND_HERE),
        css=read("page.css"),
        scripts=[read(name) for name in SCRIPTS],
    )


def _build_manifest(recording: Recording) -> dict[str, Any]:
    """What the page must know of a recording beside its sound and pictures."""
    measured = measure(recording)
    rate = choose_rate(recording.rate)
    gain = choose_gain(measured)
    remarks = [*recording.remarks, *find_doubts(recording, measured)]
    alone = all(track.role != "stem" for track in recording.tracks)
    return {
        "title": recording.title,
        "rate": rate,
        "length": measured[0].length,
        "piece": PIECE_SECONDS * rate,
        "gain": gain,
        "columns": pictures.COLUMNS_PER_SECOND,
        "peaks": pictures.PEAKS_PER_SECOND,
        "lowest": pictures.LOWEST_HZ,
        "highest": pictures.HIGHEST_HZ,
        "frame": recording.frame_seconds,
        "remarks": [_describe_remark(remark) for remark in remarks],
        "tracks": [
            _describe_track(track, found, alone)
            for track, found in zip(recording.tracks, measured, strict=True)
        ],
    }


def _describe_remark(remark: Remark) -> dict[str, Any]:
    return {"text": remark.text, "spans": [[float(a), float(b)] for a, b in remark.spans]}


def _describe_track(track: Track, found: Measured, alone: bool) -> dict[str, Any]:
    """A track without its sound; what sums to the recording is heard from the beginning."""
    power = float(found.levels.mean())
    heard = track.role in ("stem", "residual") or (alone and track.role == "mixture")
    return {
        "name": track.name,
        "role": track.role,
        "channels": found.channels,
        "heard": heard,
        "decibels": round(10 * np.log10(power), 1) if power > 1e-12 else None,
        "f0": None if track.f0 is None else encode_f0(np.asarray(track.f0)),
    }


def encode_f0(f0: NDArray[np.floating]) -> str:
    """F0 [N] in whole cents above 16 Hz, 16 bits each, 0 where silent, as base64."""
    finite = np.nan_to_num(f0.astype(np.float64), nan=0.0)
    cents = 1200 * np.log2(np.maximum(finite, CENTS_FROM_HZ) / CENTS_FROM_HZ)
    numbers = np.where(finite > CENTS_FROM_HZ, np.clip(np.round(cents), 1, 65535), 0)
    return encode(numbers.astype("<u2").tobytes())


def encode(data: bytes) -> str:
    """Bytes as base64 text."""
    return base64.b64encode(data).decode("ascii")


def _encode(recording: Recording, manifest: dict[str, Any]) -> Iterator[dict[str, list[str]]]:
    """Encode piece after piece of all tracks; at the end, the manifest gets their overviews.

    Yields:
        "sound": FLAC per track; "picture": PNG per track.
    """
    n, rate, gain = manifest["piece"], manifest["rate"], manifest["gain"]
    loudest = LOUDEST_PARTIAL / gain
    peaks: list[list[bytes]] = [[] for _ in recording.tracks]
    overviews: list[list[pictures.Bytes]] = [[] for _ in recording.tracks]
    sounds = [read_pieces(track, recording.rate, n) for track in recording.tracks]
    drawn = [
        pictures.draw(read_pieces(track, recording.rate, n), rate, n, loudest=loudest)
        for track in recording.tracks
    ]
    for heard, seen in zip(zip(*sounds, strict=True), zip(*drawn, strict=True), strict=True):
        for t, (piece, picture) in enumerate(zip(heard, seen, strict=True)):
            peaks[t].append(pictures.find_peaks(piece, rate, gain).tobytes())
            overviews[t].append(picture)
        yield {
            "sound": [encode(encode_flac(piece, rate, gain)) for piece in heard],
            "picture": [encode(pictures.encode_png(picture)) for picture in seen],
        }
    for t, described in enumerate(manifest["tracks"]):
        overview = pictures.shrink(np.concatenate(overviews[t], axis=1))
        described["peaks"] = encode(b"".join(peaks[t]))
        described["overview"] = encode(pictures.encode_png(overview))
