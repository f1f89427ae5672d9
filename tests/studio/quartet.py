"""A quartet whose pitches are known, and the same with errors that a singer sees at once."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import uvicorn
from numpy.typing import NDArray

from src.studio.app import build_app
from src.studio.command import bind
from src.studio.library import Library
from src.studio.project import Project
from src.studio.steps import open_recording
from tests.studio.conftest import SECRET, UPLOAD, describe_place
from tests.studio.singing import STEP, make_ridges, sing_file

NAMES = ("soprano", "alto", "tenor", "bass")
CHORDS = ((72, 67, 60, 48), (74, 67, 62, 50), (76, 69, 64, 48), (72, 67, 64, 43), (71, 67, 62, 43))
CHORD_SECONDS = 2.0
OCTAVE = slice(256, 344)  # frames where the alto is an octave too high
SWAP = slice(512, 590)  # frames where alto and tenor are exchanged

Tracks = NDArray[np.float64]


def make_quartet(seed: int = 0) -> Tracks:
    """Four tracks [N, 4] in Hz: chords with vibrato and breaths between them."""
    frames = round(len(CHORDS) * CHORD_SECONDS / STEP)
    times = np.arange(frames) * STEP
    notes = np.array(CHORDS)[np.minimum((times / CHORD_SECONDS).astype(int), len(CHORDS) - 1)]
    phases = np.random.default_rng(seed).uniform(0, 2 * np.pi, 4)
    vibrato = 0.15 * np.sin(2 * np.pi * times[:, None] * (5.0 + 0.3 * np.arange(4)) + phases)
    tracks: Tracks = 440.0 * 2.0 ** ((notes + vibrato - 69) / 12)
    tracks[times % CHORD_SECONDS > CHORD_SECONDS - 0.15] = 0.0
    return tracks


def plant_errors(tracks: Tracks) -> Tracks:
    """The tracks with an octave error and a swap."""
    wrong = tracks.copy()
    wrong[OCTAVE, 1] *= 2.0
    wrong[SWAP, 1], wrong[SWAP, 2] = tracks[SWAP, 2], tracks[SWAP, 1]
    return wrong


def write_tracks(path: Path, tracks: Tracks) -> Path:
    """A CSV file of tracks."""
    rows = np.column_stack([np.arange(len(tracks)) * STEP, tracks])
    header = ",".join(["time", *NAMES])
    np.savetxt(path, rows, delimiter=",", fmt="%.4f", header=header, comments="")
    return path


def make_project(root: Path) -> Path:
    """A project `quartet`: opened, with salience, and with the errors in its tracks."""
    right = make_quartet()
    folder = root / "quartet"
    (folder / "recording").mkdir(parents=True)
    path = sing_file(folder / "recording" / "quartet.wav", right)
    about = {"path": "recording/quartet.wav", "bytes": path.stat().st_size, "copied": True}
    Library(root).finish(folder, "quartet.wav", {**about, "sha256": None})
    project = Project(folder)
    project.set_found(open_recording(describe_place(project), lambda share, said: None))
    ridges = make_ridges(right)
    np.save(folder / "cache" / "salience.npy", ridges.odds.astype(np.float16))
    (folder / "cache" / "salience.json").write_text('{"lowest": 55.0, "cents": 20.0}')
    project.set_tracks(plant_errors(right).astype(np.float32), NAMES, "tracks with errors")
    project.close()
    return folder


@contextmanager
def serve(root: Path) -> Iterator[str]:
    """A server in a thread of this process; yields the address to open."""
    with bind(0) as listening:
        port = listening.getsockname()[1]
        app = build_app(root, token=SECRET, port=port, memory=None, upload_bytes=UPLOAD)
        config = uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=1)
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        while not server.started:
            time.sleep(0.01)
        yield f"http://127.0.0.1:{port}/#token={SECRET}"
        server.should_exit = True
        thread.join(10)


def measure_cents(found: Any, wanted: Any) -> float:
    """The largest distance of two tracks, cents; infinite where only one of them is silent."""
    found, wanted = np.asarray(found, np.float64), np.asarray(wanted, np.float64)
    if not np.array_equal(found > 0, wanted > 0):
        return float("inf")
    sung = wanted > 0
    return float(np.abs(1200 * np.log2(found[sung] / wanted[sung])).max(initial=0.0))
