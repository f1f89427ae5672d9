"""Addresses of what is heard, seen and downloaded."""

from __future__ import annotations

import asyncio
import base64
import math
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route

from ..errors import UmssError
from ..files import replace_when_complete
from ..listening.sound import encode_flac
from . import sound
from .answers import get_opened, get_studio
from .bodies import read_json
from .corrections import LOWEST
from .edit_settings import check_edits
from .opened import MissingRecordingError, Opened
from .operations import STEP, find_frames, read_points
from .sound import NoSoundError
from .stale import NOTES
from .stem_pictures import draw_stem

FLAC = "audio/flac"
MOST_TONES, MOST_PREVIEW = 30.0, 20.0  # seconds
_KINDS = ("spectrogram", "salience")


async def send_piece(request: Request) -> Response:
    """A piece of sound."""
    there = await get_opened(request)
    track, k = request.path_params["track"], request.path_params["k"]
    described = sound.describe_sound(there.project)
    tag = f'"{described["version"] if described else ""}-{track[:40]}-{k}"'
    if request.headers.get("if-none-match") == tag:
        return Response(status_code=304, headers={"etag": tag})
    data = await asyncio.to_thread(sound.encode_piece, there.project, track, k)
    return Response(data, media_type=FLAC, headers={"etag": tag})


async def send_peaks(request: Request) -> Response:
    """A waveform."""
    there = await get_opened(request)
    track = request.path_params["track"]
    data = await asyncio.to_thread(sound.measure_peaks, there.project, track)
    return Response(data, media_type="application/octet-stream")


async def send_recording(request: Request) -> Response:
    """The recording as it is."""
    there = await get_opened(request)
    if there.project.missing:
        raise MissingRecordingError("the recording is gone or has been changed")
    path = there.project.recording_path
    return FileResponse(path, media_type="application/octet-stream", filename=path.name)


async def send_picture(request: Request) -> Response:
    """A piece of a picture: of the recording, its salience, or a stem."""
    there = await get_opened(request)
    kind, k = request.path_params["kind"], request.path_params["k"]
    if kind not in _KINDS:
        data = await asyncio.to_thread(draw_stem, there.project, kind, k)
        return Response(data, media_type="image/png")
    path = there.project.cache.name_piece(kind, k)
    try:
        data = await asyncio.to_thread(path.read_bytes)
    except OSError as error:
        raise NoSoundError("there is no such picture (yet)") from error
    return Response(data, media_type="image/png")


async def send_overview(request: Request) -> Response:
    """All of a stem in one picture."""
    there = await get_opened(request)
    data = await asyncio.to_thread(draw_stem, there.project, request.path_params["kind"], None)
    return Response(data, media_type="image/png")


def _read_stretch(content: dict[str, Any], most: float) -> tuple[float, float]:
    begin: Any = content.get("from")
    end: Any = content.get("to")
    for value in (begin, end):
        fine = isinstance(value, (int, float)) and not isinstance(value, bool)
        if not fine or not math.isfinite(value) or value < 0:
            raise UmssError("from and to must be seconds from 0")
    if not 0 < end - begin <= most:
        raise UmssError(f"a stretch to hear lasts at most {most:g} s")
    return float(begin), float(end)


async def preview_f0(request: Request) -> Response:
    """Tracks as tones: as they are, as an operation would make them, or a line of points."""
    there = await get_opened(request)
    content = await read_json(request)
    begin, end = _read_stretch(content, MOST_TONES)
    points = content.get("points")
    found = sound.read_sound(there.project)
    rate = int(found["rate"])

    def sing() -> bytes:
        n = round((end - begin) * rate)
        if points is not None:
            times, pitches = np.array(read_points("points", points)).T
            at = begin + np.arange(math.ceil((end - begin) / STEP) + 1) * STEP
            line = np.exp2(np.interp(at, times, np.log2(np.maximum(pitches, LOWEST))))
            f0 = np.where((at >= times[0]) & (at <= times[-1]), line, 0.0)[:, None]
            tones = sound.sing(f0, STEP, rate, n)
        else:
            operation = content.get("operation")
            if operation is None:
                f0 = there.project.get_contours().f0
            else:
                f0 = there.project.try_correction(operation, there.make_tune()).f0
            part = find_frames(begin, end, len(f0))
            if part is None:
                raise UmssError("this stretch is outside the recording")
            singers = _choose_singers(content.get("singers"), f0.shape[1])
            late = round((part.start * STEP - begin) * rate)
            heard = sound.sing(f0[part][:, singers], STEP, rate, n - late)
            tones = np.pad(heard, (late, 0))
        return encode_flac(sound.fade(tones[None], rate), rate, 1.0)

    return Response(await asyncio.to_thread(sing), media_type=FLAC)


def _choose_singers(given: Any, count: int) -> list[int]:
    if given is None:
        return list(range(count))
    fine = isinstance(given, list) and given
    if not fine or any(isinstance(j, bool) or not isinstance(j, int) for j in given):
        raise UmssError("singers must be a list of numbers")
    if any(not 0 <= j < count for j in given):
        raise UmssError(f"singers must be numbers from 0 to {count - 1}")
    return list(given)


async def preview_stem(request: Request) -> Response:
    """A stretch of a stem, or of anything else that is heard."""
    there = await get_opened(request)
    content = await read_json(request)
    begin, end = _read_stretch(content, MOST_TONES)
    track = content.get("track")
    if track is None:
        singer = content.get("singer")
        track = f"stem-{singer}" if isinstance(singer, int) else ""
    data = await asyncio.to_thread(sound.encode_stretch, there.project, str(track), begin, end)
    return Response(data, media_type=FLAC)


async def preview_edit(request: Request) -> Response:
    """An edited stretch."""
    there = await get_opened(request)
    content = await read_json(request)
    begin, end = _read_stretch(content, MOST_PREVIEW)
    project = there.project
    names = sound.read_names(project.folder / "separated" / NOTES)
    if not names:
        raise UmssError("separate the recording first: edits change the separated singers")
    edits = content.get("edits")
    edits = project.state.edits if edits is None else edits
    check_edits(edits, names)
    residual = content.get("residual", True)
    found = sound.read_sound(project)
    end = min(end, found["length"] / found["rate"])
    if end <= begin:
        raise UmssError("this stretch is outside the recording")
    asked = {
        "folder": str(project.folder / "separated"), "stem": project.stem, "names": names,
        "edits": edits, "begin": begin, "end": end, "residual": bool(residual),
        "gain": found["gain"], "rate": found["rate"],
    }  # fmt: skip
    done = await get_studio(request).helper.ask({"call": "preview_edit", "with": asked})
    headers = {"X-UMSS-Start": f"{begin:.6f}"}
    return Response(base64.b64decode(done["flac"]), media_type=FLAC, headers=headers)


async def list_downloads(request: Request) -> Response:
    """What can be downloaded."""
    there = await get_opened(request)
    found = await asyncio.to_thread(there.view.list_downloads)
    return JSONResponse({"downloads": [about for about, _ in found]})


async def send_download(request: Request) -> Response:
    """A file."""
    there = await get_opened(request)
    path = await _find_download(request, there)
    return FileResponse(path, media_type="application/octet-stream", filename=path.name)


async def make_ticket(request: Request) -> Response:
    """Permission to download a file without a header, once."""
    there = await get_opened(request)
    path = await _find_download(request, there)
    key = get_studio(request).make_ticket(path, path.name)
    return JSONResponse({"url": f"/download/{key}", "name": path.name})


async def use_ticket(request: Request) -> Response:
    """The file of a ticket."""
    ticket = get_studio(request).use_ticket(request.path_params["key"])
    if ticket is None or not ticket.path.is_file():
        sentence = "this address was good once, for a minute; download the file again"
        return JSONResponse({"error": sentence}, 403)
    return FileResponse(ticket.path, media_type="application/octet-stream", filename=ticket.name)


async def _find_download(request: Request, there: Opened) -> Path:
    identifier = request.path_params["download"]
    for about, path in await asyncio.to_thread(there.view.list_downloads):
        if about["id"] == identifier:
            return path or await _make_f0_file(request, there, identifier.removeprefix("f0-"))
    raise NoSoundError("there is no such file; look at the list again")


async def _make_f0_file(request: Request, there: Opened, kind: str) -> Path:
    """Write the tracks in a format; several files become one ZIP file."""
    project = there.project
    await asyncio.to_thread(project.save_tracks)
    folder = project.cache.folder / "f0"
    asked = {
        "tracks": str(project.track_files.present), "kind": kind, "folder": str(folder),
        "stem": project.stem,
    }  # fmt: skip
    done = await get_studio(request).helper.ask({"call": "write_f0_format", "with": asked})
    files = [Path(name) for name in done["files"]]
    if len(files) == 1:
        return files[0]
    target = folder / f"{project.stem}_{kind}.zip"

    def pack() -> None:
        with (
            replace_when_complete(target) as temporary,
            zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as archive,
        ):
            for file in files:
                archive.write(file, str(file.relative_to(folder)))

    await asyncio.to_thread(pack)
    return target


_AT = "/api/projects/{project}"
ROUTES = [
    Route(f"{_AT}/sound/{{track}}/{{k:int}}", send_piece),
    Route(f"{_AT}/peaks/{{track}}", send_peaks),
    Route(f"{_AT}/recording", send_recording),
    Route(f"{_AT}/pictures/{{kind}}/{{k:int}}.png", send_picture),
    Route(f"{_AT}/pictures/{{kind}}/overview.png", send_overview),
    Route(f"{_AT}/preview/f0", preview_f0, methods=["POST"]),
    Route(f"{_AT}/preview/stem", preview_stem, methods=["POST"]),
    Route(f"{_AT}/preview/edit", preview_edit, methods=["POST"]),
    Route(f"{_AT}/downloads", list_downloads),
    Route(f"{_AT}/downloads/{{download}}", send_download),
    Route(f"{_AT}/downloads/{{download}}/ticket", make_ticket, methods=["POST"]),
    Route("/download/{key}", use_ticket),
]
