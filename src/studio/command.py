"""`umss studio choir.wav`: the server and the browser."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import tempfile
import webbrowser
from html import escape
from pathlib import Path
from urllib.parse import quote

import platformdirs
import uvicorn
from omegaconf import DictConfig
from starlette.applications import Starlette

from ..errors import UmssError
from ..files import check_folder
from .app import build_app
from .guard import make_token
from .library import Library

HOST = "127.0.0.1"
TRIED = 20  # ports
GB = 1_000_000_000

log = logging.getLogger(__name__)


def main(cfg: DictConfig) -> None:
    root = Path(cfg.projects).expanduser() if cfg.projects else find_projects()
    check_folder(root)
    root.mkdir(parents=True, exist_ok=True)
    identifier = None if cfg.input is None else Library(root).add(Path(cfg.input))
    memory = measure_memory() if cfg.memory_gb is None else int(cfg.memory_gb * GB)
    token = make_token()
    with bind(cfg.port) as listening:
        port = listening.getsockname()[1]
        app = build_app(
            root.resolve(),
            token=token,
            port=port,
            memory=memory,
            upload_bytes=int(cfg.upload_gb * GB),
        )
        address = name_address(port, token, identifier)
        log.info("umss studio: %s", address)
        log.info("projects: %s; Ctrl-C ends it", root.resolve())
        config = uvicorn.Config(
            app,
            log_level="critical",  # faults are printed where they are answered
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=1,
        )
        server = uvicorn.Server(config)
        asyncio.run(_serve(server, app, listening, address if cfg.browser else None))


async def _serve(
    server: uvicorn.Server, app: Starlette, listening: socket.socket, address: str | None
) -> None:
    beside = [
        asyncio.create_task(_open_browser(server, address)),
        asyncio.create_task(_say_goodbye(server, app)),
    ]
    try:
        await server.serve(sockets=[listening])
    finally:
        for task in beside:
            task.cancel()


async def _say_goodbye(server: uvicorn.Server, app: Starlette) -> None:
    """End the streams that windows follow when the server is to end, which would wait for them."""
    while not server.should_exit:
        await asyncio.sleep(0.05)
    for there in list(app.state.studio.opened.values()):
        there.say_goodbye()


async def _open_browser(server: uvicorn.Server, address: str | None) -> None:
    """Open the browser when the server answers.

    Through a file that only this user may read: the arguments of a process, and with them the
    token, are seen by everybody.
    """
    while not server.started:
        await asyncio.sleep(0.05)
    if address is None:
        return
    with tempfile.TemporaryDirectory(prefix="umss-studio-") as folder:
        page = Path(folder) / "open.html"
        page.write_text(
            f'<meta charset="utf-8"><meta http-equiv="refresh" content="0; url={escape(address)}">'
            f'<a href="{escape(address)}">umss studio</a>',
            encoding="utf-8",
        )
        opened = await asyncio.to_thread(webbrowser.open, page.as_uri())
        if not opened:
            log.warning("no browser could be opened; open the address above")
        while not server.should_exit:
            await asyncio.sleep(0.2)
            if opened:
                await asyncio.sleep(60)
                return


def find_projects() -> Path:
    """The folder of projects among the user's data."""
    return Path(platformdirs.user_data_dir("umss", appauthor=False)) / "projects"


def name_address(port: int, token: str, identifier: str | None) -> str:
    """The address of the page; what follows # is told to no server and stands in no log."""
    project = f"&project={quote(identifier)}" if identifier else ""
    return f"http://{HOST}:{port}/#token={token}{project}"


def bind(port: int) -> socket.socket:
    """Listen on a port of this machine, or on one of the next that is free.

    Raises:
        UmssError: none is free.
    """
    for number in [port] if port == 0 else range(port, min(port + TRIED, 65_536)):
        listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        if os.name != "nt":
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind((HOST, number))
            listening.listen(128)  # who asks before the server has started, waits
            return listening
        except OSError:
            listening.close()
    raise UmssError(
        f"port={port}: this port and the next {TRIED - 1} are taken; set port=0 for any"
    )


def measure_memory() -> int | None:
    """Three quarters of the machine's memory, bytes; None = it cannot be told."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") * 3 // 4
    except (AttributeError, ValueError, OSError):
        return None
