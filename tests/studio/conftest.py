"""A studio without a browser, and projects with everything but the slow steps."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from starlette.testclient import TestClient

from src.studio.app import build_app
from src.studio.guard import TOKEN
from src.studio.library import Library
from src.studio.place import Place
from src.studio.project import Project
from src.studio.steps import open_recording
from tests.studio.singing import make_ridges, sing_file

PORT = 8571
SECRET = "token-of-this-run"
UPLOAD = 2_000_000

Client = TestClient


def make_client(root: Path) -> TestClient:
    """A client that is let in, of a server of its own."""
    app = build_app(root, token=SECRET, port=PORT, memory=None, upload_bytes=UPLOAD)
    return TestClient(
        app,
        base_url=f"http://127.0.0.1:{PORT}",
        headers={TOKEN: SECRET},
        raise_server_exceptions=False,
    )


@pytest.fixture
def client(tmp_path: Path) -> Iterator[TestClient]:
    with make_client(tmp_path / "projects") as found:
        yield found


def describe_place(project: Project, **options: Any) -> Place:
    """What the child is told of a project."""
    return Place(
        folder=project.folder, stem=project.stem, recording=project.recording_path,
        title=project.state.title, digest=project.recording.get("sha256"),
        tracks=project.track_files.present, score=project.score_path, names=project.state.names,
        frames=project.frames, settings=project.state.settings, edits=project.state.edits,
        options=options,
    )  # fmt: skip


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one project, `song`: opened, with tracks and salience."""
    root = tmp_path_factory.mktemp("studio") / "projects"
    pitches = np.repeat([[330.0, 196.0]], 250, axis=0)
    folder = root / "song"
    (folder / "recording").mkdir(parents=True)
    path = sing_file(folder / "recording" / "song.wav", pitches)
    about = {"path": "recording/song.wav", "bytes": path.stat().st_size, "copied": True}
    Library(root).finish(folder, "song.wav", {**about, "sha256": None})
    project = Project(folder)
    found = open_recording(describe_place(project), lambda share, said: None)
    project.set_found(found)
    ridges = make_ridges(pitches)
    np.save(folder / "cache" / "salience.npy", ridges.odds.astype(np.float16))
    (folder / "cache" / "salience.json").write_text('{"lowest": 55.0, "cents": 20.0}')
    project.set_tracks(pitches.astype(np.float32), ("high", "low"), "tracks of a test")
    project.close()
    return root


@pytest.fixture
def root(finished: Path, tmp_path: Path) -> Path:
    """A copy of it that may be changed."""
    return Path(shutil.copytree(finished, tmp_path / "copy"))


@pytest.fixture
def song(root: Path) -> Iterator[TestClient]:
    """A client of a server with that project."""
    with make_client(root) as found:
        yield found


Ask = Callable[..., Any]
