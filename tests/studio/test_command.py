"""The command: where it listens, what it opens, what others on the machine can see of it."""

from __future__ import annotations

import socket
import threading
from pathlib import Path
from typing import Any

import httpx
import pytest
from omegaconf import OmegaConf

from src.audio import AudioError
from src.configuration import compose_config
from src.errors import UmssError
from src.studio import command
from src.studio.guard import TOKEN
from src.studio.library import Library


def test_it_listens_to_this_machine_on_a_free_port() -> None:
    with command.bind(0) as first:
        host, port = first.getsockname()
        assert host == "127.0.0.1"
        with command.bind(port) as second:
            assert port < second.getsockname()[1] < port + command.TRIED


def test_without_a_free_port_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "TRIED", 1)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(UmssError, match="taken"):
            command.bind(taken.getsockname()[1])


def test_a_recording_by_its_path_is_one_project(tmp_path: Path) -> None:
    library = Library(tmp_path / "projects")
    path = tmp_path / "Kyrie, Nr. 1 (über).wav"
    path.write_bytes(b"sound")
    identifier = library.add(path)
    assert identifier.startswith("kyrie-nr-1-uber-") and library.add(path) == identifier
    assert [one["title"] for one in library.list()] == ["Kyrie, Nr. 1 (über)"]
    library.remove(identifier)
    assert path.exists() and library.list() == []
    with pytest.raises(AudioError, match="no such audio file"):
        library.add(tmp_path / "none.wav")


def test_the_browser_is_opened_and_nobody_sees_the_token(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []
    pages: list[str] = []
    ready = threading.Event()

    def open_browser(address: str) -> bool:
        opened.append(address)
        pages.append(Path(address.removeprefix("file://")).read_text())
        ready.set()
        return True

    servers: list[Any] = []
    make = command.uvicorn.Server

    def keep(config: Any) -> Any:
        servers.append(make(config))
        return servers[-1]

    monkeypatch.setattr(command.webbrowser, "open", open_browser)
    monkeypatch.setattr(command.uvicorn, "Server", keep)
    settings = {"projects": str(tmp_path / "projects"), "port": 0}
    cfg = compose_config("studio", settings=settings)
    thread = threading.Thread(target=command.main, args=(OmegaConf.create(cfg),))
    thread.start()
    try:
        assert ready.wait(20)
        address = pages[0].partition("url=")[2].partition('"')[0]
        place, _, token = address.partition("/#token=")
        assert token not in opened[0]
        assert httpx.get(f"{place}/").status_code == 200
        assert httpx.get(f"{place}/api/projects").status_code == 403
        known = httpx.get(f"{place}/api/projects", headers={TOKEN: token})
        assert known.json() == {"projects": []}
        foreign = httpx.get(f"{place}/", headers={"host": "evil.example"})
        assert foreign.status_code == 400
    finally:
        servers[0].should_exit = True
        thread.join(20)
    assert not thread.is_alive()
