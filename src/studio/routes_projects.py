"""Addresses of projects: listed, made, changed, removed, followed; jobs."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from ..errors import UmssError
from ..f0.names import MAX_ESTIMATED as MAX_SINGERS
from ..formats.names import FORMATS
from ..writing.writer import ENDINGS
from .answers import get_opened, get_studio
from .bodies import MOST_JSON, read_json, read_name, save_body
from .jobs import EXPECTED
from .opened import Opened
from .operations import KINDS
from .settings import ALIGNMENTS, check_settings, list_methods
from .state import SETTINGS

CONTRACT = 1
STEPS = tuple(EXPECTED)
_OPTIONS = ("n_singers", "names", "score_alignment", "method", "seed")
BEAT = 10.0  # seconds
MOST_SCORE = 20_000_000  # bytes


async def describe_studio(request: Request) -> Response:
    """What the studio can do."""
    return JSONResponse(
        {
            "version": find_version(),
            "contract": CONTRACT,
            "limits": {
                "upload_bytes": get_studio(request).upload_bytes,
                "json_bytes": MOST_JSON,
                "singers": MAX_SINGERS,
            },
            "methods": list_methods(),
            "default_method": SETTINGS["method"],
            "alignments": ALIGNMENTS,
            "practice": {"tracks": ["loud", "without", "split"], "formats": list(ENDINGS)},
            "f0_formats": FORMATS,
            "operations": list(KINDS),
        }
    )


def find_version() -> str:
    """The version of the package; in a checkout that is not installed, none."""
    try:
        return version("umss")
    except PackageNotFoundError:
        return "unknown"


async def list_projects(request: Request) -> Response:
    """All projects."""
    studio = get_studio(request)
    found = await asyncio.to_thread(studio.library.list)
    for one in found:
        there = studio.opened.get(one["id"])
        one["job"] = there.job.content["state"] if there and there.job.content else None
    return JSONResponse({"projects": found})


async def make_project(request: Request) -> Response:
    """Make a project of a recording that is sent."""
    studio = get_studio(request)
    name = read_name(request)
    folder = await asyncio.to_thread(studio.library.make, name)
    try:
        target = folder / "recording" / name
        target.parent.mkdir()
        digest, size = await save_body(request, target, studio.upload_bytes)
        about = {"path": f"recording/{name}", "bytes": size, "copied": True, "sha256": digest}
        studio.library.finish(folder, name, about)
    except BaseException:
        await asyncio.to_thread(studio.library.discard, folder)
        raise
    there = await studio.open(folder.name)
    return JSONResponse(there.describe(), 201)


async def show_project(request: Request) -> Response:
    """The state of a project."""
    there = await get_opened(request)
    return JSONResponse(await asyncio.to_thread(there.describe))


async def change_project(request: Request) -> Response:
    """Change title, names or settings."""
    there = await get_opened(request)
    content = await read_json(request)
    await asyncio.to_thread(there.project.set_meta, content.get("revision"), content)
    there.save_soon()
    if "names" in content:
        there.rename_files()
    await there.tell_project()
    return JSONResponse(there.describe())


async def remove_project(request: Request) -> Response:
    """Remove a project."""
    await get_studio(request).remove(request.path_params["project"])
    return Response(status_code=204)


def read_revision(request: Request) -> int:
    """The revision in a header, for what is sent raw."""
    text = request.headers.get("x-umss-revision", "")
    if not text.isdigit():
        raise UmssError("give the revision that this change was made on")
    return int(text)


async def set_score(request: Request) -> Response:
    """Take a score."""
    there = await get_opened(request)
    project = there.project
    revision, name = read_revision(request), read_name(request)
    project.journal.check_revision(revision)
    folder = project.folder / "score"
    waiting = folder / "new" / name
    waiting.parent.mkdir(parents=True, exist_ok=True)
    try:
        await save_body(request, waiting, MOST_SCORE)
        request_to_child = {"call": "check_score", "with": {"path": str(waiting)}}
        await get_studio(request).helper.ask(request_to_child)
        with project.lock:
            project.journal.check_revision(revision)
            waiting.replace(folder / name)
            project.set_score(revision, name)
    finally:
        waiting.unlink(missing_ok=True)
    await there.tell_project()
    return JSONResponse(there.describe())


async def remove_score(request: Request) -> Response:
    """Do without the score."""
    there = await get_opened(request)
    there.project.set_score(read_revision(request), None)
    await there.tell_project()
    return JSONResponse(there.describe())


async def start_job(request: Request) -> Response:
    """Start a job."""
    there = await get_opened(request)
    content = await read_json(request)
    there.project.journal.check_revision(content.get("revision"))
    steps = content.get("steps")
    if not isinstance(steps, list) or not steps or any(step not in STEPS for step in steps):
        raise UmssError(f"steps: choose from {', '.join(STEPS)}")
    options = check_options(content.get("options") or {})
    check_order(there, steps)
    kept = {key: options[key] for key in _OPTIONS if key in options}
    if not there.job.running:
        # What a job is told counts from now on.
        await asyncio.to_thread(there.project.keep_settings, kept)
    job = there.start(steps, options)
    await there.tell_project()
    return JSONResponse({"job": job, "revision": there.project.journal.revision}, 202)


def check_order(there: Opened, steps: list[str]) -> None:
    """Refuse steps whose foundation is missing, before a process is started for them.

    Raises:
        UmssError: says what comes first.
    """
    has_tracks = there.project.state.f0 is not None or "f0" in steps
    if not has_tracks and {"separate", "dataset", "intonation"} & {*steps}:
        raise UmssError("find the pitches first: everything else is made from them")
    is_separated = there.view.find_former() is not None or "separate" in steps
    if not is_separated and {"edit", "practice", "page"} & {*steps}:
        raise UmssError("separate the recording first")
    if "edit" in steps and not there.project.state.edits:
        raise UmssError("there are no edits: change something first")


def check_options(given: Any) -> dict[str, Any]:
    """Check the options of a job.

    Raises:
        UmssError: an unknown one, or a value that is not possible.
    """
    if not isinstance(given, dict):
        raise UmssError("options are given by name")
    unknown = given.keys() - {*_OPTIONS, "whole", "practice", "zip"}
    if unknown:
        raise UmssError(f"there is no option {min(unknown)[:40]!r}")
    options = check_settings({key: given[key] for key in _OPTIONS if key in given})
    if not isinstance(given.get("whole", False), bool):
        raise UmssError("whole must be true or false")
    if not isinstance(given.get("practice") or {}, dict):
        raise UmssError("practice holds settings of umss practice by name")
    kinds = given.get("zip") or []
    if not isinstance(kinds, list) or not all(isinstance(kind, str) for kind in kinds):
        raise UmssError("zip: give a list of what is packed")
    return {**given, **options}


async def cancel_job(request: Request) -> Response:
    """Cancel the job."""
    there = await get_opened(request)
    await there.job.cancel()
    return JSONResponse({"job": there.job.content})


async def follow(request: Request) -> Response:
    """Follow a project: server-sent events."""
    there = await get_opened(request)
    return StreamingResponse(
        _stream(there), media_type="text/event-stream", headers={"x-accel-buffering": "no"}
    )


async def _stream(there: Opened) -> AsyncIterator[str]:
    queue = there.watch()
    try:
        yield _write_event("project", await asyncio.to_thread(there.describe))
        while True:
            try:
                event = await asyncio.wait_for(queue.get(), BEAT)
            except TimeoutError:
                yield ": beat\n\n"
                continue
            if event is None:
                return
            yield _write_event(*event)
    finally:
        there.leave(queue)


def _write_event(kind: str, content: dict[str, Any]) -> str:
    return f"event: {kind}\ndata: {json.dumps(content)}\n\n"


ROUTES = [
    Route("/api/studio", describe_studio),
    Route("/api/projects", list_projects),
    Route("/api/projects", make_project, methods=["POST"]),
    Route("/api/projects/{project}", show_project),
    Route("/api/projects/{project}", change_project, methods=["PATCH"]),
    Route("/api/projects/{project}", remove_project, methods=["DELETE"]),
    Route("/api/projects/{project}/score", set_score, methods=["PUT"]),
    Route("/api/projects/{project}/score", remove_score, methods=["DELETE"]),
    Route("/api/projects/{project}/jobs", start_job, methods=["POST"]),
    Route("/api/projects/{project}/jobs", cancel_job, methods=["DELETE"]),
    Route("/api/projects/{project}/events", follow),
]
