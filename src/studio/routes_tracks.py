"""Addresses of tracks: read, corrected, undone, replaced; doubts; edits."""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np
from numpy.typing import NDArray
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from ..errors import UmssError
from ..f0.contour_files import read_f0
from .answers import get_opened, get_studio
from .bodies import read_json, read_name, save_body
from .changes import Change
from .edit_settings import check_edits
from .opened import Opened
from .operations import find_changes, find_frames
from .routes_projects import MOST_SCORE, read_revision
from .suspicions import find_suspicions

MOST_CANDIDATE_SECONDS = 20.0
WINDOW = "x-umss-window"


async def show_tracks(request: Request) -> Response:
    """Tracks as numbers."""
    there = await get_opened(request)
    contours = there.project.get_contours()
    return _send_numbers(request, there, contours.f0)


async def show_confidence(request: Request) -> Response:
    """How sure it is who sings what."""
    there = await get_opened(request)
    f0 = there.project.get_contours().f0
    found = await asyncio.to_thread(_read_confidence, there)
    return _send_numbers(request, there, np.ones_like(f0) if found is None else found)


def _read_confidence(there: Opened) -> NDArray[np.float32] | None:
    state = there.project.state
    path = there.project.folder / "tracks" / f"{state.tracks}_confidence.txt"
    if not path.is_file() or state.f0 is None:
        return None
    found = np.loadtxt(path, delimiter=",", dtype=np.float32, ndmin=2)
    return found if found.shape == state.f0.shape else None


def _send_numbers(request: Request, there: Opened, values: NDArray[Any]) -> Response:
    first = _read_count(request, "first", 0)
    count = min(_read_count(request, "count", len(values)), max(0, len(values) - first))
    part = np.ascontiguousarray(values[first : first + count].T, "<f4")
    headers = {
        "X-UMSS-Revision": str(there.project.journal.revision),
        "X-UMSS-Singers": str(values.shape[1]),
        "X-UMSS-First": str(first),
        "X-UMSS-Count": str(part.shape[1]),
    }
    return Response(part.tobytes(), media_type="application/octet-stream", headers=headers)


def _read_count(request: Request, name: str, default: int) -> int:
    text = request.query_params.get(name, str(default))
    if not text.isdigit() or len(text) > 12:
        raise UmssError(f"{name} must be a whole number from 0")
    return int(text)


async def replace_tracks(request: Request) -> Response:
    """Take tracks of a file of F0."""
    there = await get_opened(request)
    project = there.project
    revision, name = read_revision(request), read_name(request)
    project.journal.check_revision(revision)
    if project.frames is None:
        raise UmssError("the recording must be opened first")
    folder = project.folder / "tracks"
    waiting, made = folder / "new" / name, folder / "new" / "tracks.new.csv"
    waiting.parent.mkdir(parents=True, exist_ok=True)
    try:
        await save_body(request, waiting, MOST_SCORE)
        about = {"path": str(waiting), "frames": project.frames, "target": str(made)}
        found = await get_studio(request).helper.ask({"call": "import_tracks", "with": about})
        f0 = await asyncio.to_thread(lambda: read_f0(made).f0)

        def take() -> Change:
            with project.lock:
                project.journal.check_revision(revision)
                return project.set_tracks(f0, found["names"], f"tracks of {name}")

        change = await asyncio.to_thread(take)
    finally:
        waiting.unlink(missing_ok=True)
        made.unlink(missing_ok=True)
    await _tell(request, there, change)
    if project.cache.load_ridges() is None and not there.job.running:
        there.start(["salience"], {})  # what corrections and doubts go by
    return JSONResponse(there.describe())


async def correct(request: Request) -> Response:
    """Make a correction."""
    there = await get_opened(request)
    content = await read_json(request)
    change = await asyncio.to_thread(
        there.project.correct,
        content.get("revision"),
        content.get("operation"),
        there.make_tune(),
    )
    return JSONResponse(await _tell(request, there, change))


async def try_correction(request: Request) -> Response:
    """What a correction would lead to: the stretches that it would change."""
    there = await get_opened(request)
    operation = (await read_json(request)).get("operation")

    def look() -> dict[str, Any]:
        before = there.project.get_contours().f0
        found = there.project.try_correction(operation, there.make_tune())
        changes = [
            {"singer": change["singer"], "first": change["first"], "f0": change["after"]}
            for change in find_changes(before, found.f0)
        ]
        return {"said": found.said, "changes": changes}

    return JSONResponse(await asyncio.to_thread(look))


async def undo(request: Request) -> Response:
    """Take the last change back."""
    there = await get_opened(request)
    content = await read_json(request)
    change = await asyncio.to_thread(there.project.undo, content.get("revision"))
    there.rename_files()
    return JSONResponse(await _tell(request, there, change))


async def redo(request: Request) -> Response:
    """Make it again."""
    there = await get_opened(request)
    content = await read_json(request)
    change = await asyncio.to_thread(there.project.redo, content.get("revision"))
    there.rename_files()
    return JSONResponse(await _tell(request, there, change))


async def set_edits(request: Request) -> Response:
    """Set the edits."""
    there = await get_opened(request)
    content = await read_json(request)
    names = there.project.state.names
    edits = content.get("edits")
    check = lambda: check_edits(edits, names)  # noqa: E731 - once the revision is known to be right
    given = edits if isinstance(edits, dict) else {}
    change = await asyncio.to_thread(there.project.set_edits, content.get("revision"), given, check)
    return JSONResponse(await _tell(request, there, change))


async def _tell(request: Request, there: Opened, change: Change) -> Change:
    """Tell all windows of a change, and have it saved."""
    there.save_soon()
    whole = await asyncio.to_thread(there.complete, change)
    there.tell("change", {**whole, "by": request.headers.get(WINDOW, "")[:64]})
    if change["reload"]:
        await there.tell_project()
    return whole


async def show_candidates(request: Request) -> Response:
    """The pitches that sound."""
    there = await get_opened(request)
    begin, end = read_seconds(request, "from"), read_seconds(request, "to")
    if end - begin > MOST_CANDIDATE_SECONDS:
        raise UmssError(f"ask for at most {MOST_CANDIDATE_SECONDS:g} s at a time")
    ridges = there.project.cache.load_ridges()
    if ridges is None:
        raise UmssError("find the pitches first: there are no candidates yet")
    part = find_frames(begin, end, ridges.odds.shape[1])
    if part is None:
        raise UmssError("this stretch is outside the recording")
    peaks = ridges.find_peaks(part.start, part.stop - part.start)
    pitches = [[round(float(hertz), 2) for hertz in found] for found in peaks]
    return JSONResponse({"first": part.start, "pitches": pitches})


def read_seconds(request: Request, name: str) -> float:
    """A time of the address."""
    try:
        seconds = float(request.query_params.get(name, ""))
    except ValueError:
        seconds = float("nan")
    if not 0 <= seconds < 1e6:
        raise UmssError(f"{name} must be seconds from 0")
    return seconds


async def show_doubts(request: Request) -> Response:
    """Suspicious places."""
    there = await get_opened(request)

    def look() -> dict[str, Any]:
        project = there.project
        with project.lock:
            state, revision = project.state, project.journal.revision
            f0, locks = state.f0, state.locks
        if f0 is None or locks is None:
            raise UmssError("find the pitches first: there are no tracks yet")
        ridges = project.cache.load_ridges()
        found = find_suspicions(f0, locks, state.names, ridges, _read_confidence(there))
        return {"revision": revision, "doubts": [doubt.describe() for doubt in found]}

    return JSONResponse(await asyncio.to_thread(look))


_AT = "/api/projects/{project}"
ROUTES = [
    Route(f"{_AT}/tracks", show_tracks),
    Route(f"{_AT}/tracks", replace_tracks, methods=["PUT"]),
    Route(f"{_AT}/confidence", show_confidence),
    Route(f"{_AT}/operations", correct, methods=["POST"]),
    Route(f"{_AT}/preview/operation", try_correction, methods=["POST"]),
    Route(f"{_AT}/undo", undo, methods=["POST"]),
    Route(f"{_AT}/redo", redo, methods=["POST"]),
    Route(f"{_AT}/edits", set_edits, methods=["PUT"]),
    Route(f"{_AT}/candidates", show_candidates),
    Route(f"{_AT}/doubts", show_doubts),
]
