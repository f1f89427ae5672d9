"""The server of the studio: the page and its assets, and the addresses that the page asks."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import jinja2
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from ..errors import UmssError
from . import routes_projects, routes_results, routes_tracks
from .answers import answer_error, answer_fault, answer_http
from .guard import Guard
from .library import Library
from .opened import Studio
from .routes_projects import find_version

TEMPLATE = "studio.html.j2"
_HERE = Path(__file__).parent
# What the page has in common with pages to listen to.
_SHARED = (
    "player.js", "drawing.js", "pictures.js", "listening.js", "wiring.js", "page.css",
)  # fmt: skip
_TYPES = {
    ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml", ".png": "image/png",
    ".woff2": "font/woff2", ".wasm": "application/wasm", ".json": "application/json",
}  # fmt: skip


def build_app(
    root: Path, *, token: str, port: int, memory: int | None, upload_bytes: int
) -> Starlette:
    """Build the server.

    Args:
        root: folder of the projects.
        token: of this run.
        port: on which it listens.
        memory: bytes that a child process may have; None = all.
        upload_bytes: largest recording that may be sent.
    """
    assets = find_assets()
    page = render_page()

    async def show_page(request: Request) -> Response:
        return HTMLResponse(page)

    async def send_asset(request: Request) -> Response:
        # Looked up by name: no path from outside reaches the disk.
        path = assets.get(request.path_params["name"])
        if path is None:
            raise HTTPException(404)
        return Response(path.read_bytes(), media_type=_TYPES[path.suffix])

    @asynccontextmanager
    async def live(app: Starlette) -> AsyncIterator[None]:
        app.state.studio = Studio(Library(root), memory, upload_bytes)
        try:
            yield
        finally:
            await app.state.studio.close()

    return Starlette(
        routes=[
            Route("/", show_page),
            Route("/static/{name}", send_asset),
            *routes_projects.ROUTES,
            *routes_tracks.ROUTES,
            *routes_results.ROUTES,
        ],
        middleware=[Middleware(Guard, token=token, port=port)],
        exception_handlers={
            UmssError: answer_error,
            HTTPException: answer_http,
            Exception: answer_fault,
        },
        lifespan=live,
    )


def find_assets() -> dict[str, Path]:
    """Find what the page may load, by name."""
    own = (_HERE / "static").iterdir()
    shared = (_HERE.parent / "listening" / name for name in _SHARED)
    found = [path for path in (*shared, *own) if path.is_file() and path.suffix in _TYPES]
    return {path.name: path for path in found}


def render_page() -> str:
    """Render the page."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_HERE.parent / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
    )
    return environment.get_template(TEMPLATE).render(version=find_version())
