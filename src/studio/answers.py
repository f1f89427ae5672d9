"""Answers of the server: errors as sentences with the status that fits."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from ..claims import ClaimedError
from ..errors import UmssError
from .bodies import TooLargeError
from .jobs import BusyError
from .journal import StaleError
from .library import NoProjectError
from .opened import MissingRecordingError, Opened, Studio
from .processes import ChildEndedError
from .project_file import hide_folders
from .sound import NoSoundError

log = logging.getLogger(__name__)

_STATUS: dict[type[UmssError], int] = {
    StaleError: 409,
    BusyError: 409,
    NoProjectError: 404,
    NoSoundError: 404,
    MissingRecordingError: 410,
    TooLargeError: 413,
    ClaimedError: 423,
    ChildEndedError: 503,
}
_WORDS = {404: "there is nothing at this address", 405: "this is not done at this address"}

Handler = Callable[[Request], Awaitable[Response]]


def get_studio(request: Request) -> Studio:
    """The studio of the server."""
    studio: Studio = request.app.state.studio
    return studio


async def get_opened(request: Request) -> Opened:
    """The project that the address names."""
    return await get_studio(request).open(request.path_params["project"])


async def answer_error(request: Request, error: Exception) -> Response:
    """Answer what a user can mend."""
    status = next((s for kind, s in _STATUS.items() if isinstance(error, kind)), 400)
    message = hide_folders(str(error), get_studio(request).library.root)
    content: dict[str, object] = {"error": message}
    if isinstance(error, StaleError):
        content["project"] = (await get_opened(request)).describe()
    return JSONResponse(content, status)


async def answer_http(request: Request, error: Exception) -> Response:
    """Answer what the framework refuses."""
    assert isinstance(error, HTTPException)
    sentence = _WORDS.get(error.status_code, str(error.detail))
    return JSONResponse({"error": sentence}, error.status_code, headers=error.headers)


async def answer_fault(request: Request, error: Exception) -> Response:
    """Answer a fault of the program, which is printed in the terminal."""
    log.error("fault at %s", request.url.path, exc_info=error)
    sentence = f"a fault of the program ({type(error).__name__}); see the terminal of umss studio"
    return JSONResponse({"error": sentence}, 500)
