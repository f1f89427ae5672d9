"""Where the files of a project are, as the child process is told, and how it says how far it is."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import Any

import numpy as np

from ..audio import Examination
from ..hearing import Mix
from .cache import Cache

Report = Callable[[float, str], None]


@dataclass(frozen=True)
class Place:
    """Where a project's files are.

    Attributes:
        folder: of the project.
        stem: how names of files begin.
        recording: the recording.
        title: of the recording.
        digest: its SHA-256.
        tracks: the tracks as they are now.
        score: the score, if there is one.
        names: the singers.
        frames: of the recording, if they are known.
        settings: of the project.
        edits: of the project.
        options: of this step.
        held: frames that separating must keep, as `src.studio.operations.list_locks` has them.
    """

    folder: Path
    stem: str
    recording: Path
    title: str
    digest: str | None
    tracks: Path
    score: Path | None
    names: tuple[str, ...]
    frames: int | None
    settings: dict[str, Any]
    edits: dict[str, Any]
    options: dict[str, Any]
    held: list[list[list[int]]] = field(default_factory=list)

    @classmethod
    def read(cls, content: dict[str, Any]) -> Place:
        """Read what the server sent."""
        paths = {key: Path(content[key]) for key in ("folder", "recording", "tracks")}
        score = None if content["score"] is None else Path(content["score"])
        return cls(**{**content, **paths, "score": score, "names": tuple(content["names"])})

    @property
    def cache(self) -> Cache:
        """What may be deleted."""
        return Cache(self.folder / "cache", self.frames)


def read_examination(place: Place) -> Examination:
    """What was found in the recording when it was opened."""
    sound = json.loads((place.folder / "cache" / "sound.json").read_text(encoding="utf-8"))
    weights = None if sound["mix"] is None else np.array(sound["mix"], np.float32)
    mix = Mix() if weights is None else Mix(weights)
    return Examination(mix=mix, **sound["source"])


@contextmanager
def guess_progress(report: Report, said: str, expected: float) -> Iterator[None]:
    """Report progress by the clock while something works that cannot say how far it is."""
    ended = threading.Event()
    begin = monotonic()

    def tell() -> None:
        while not ended.wait(0.5):
            passed = (monotonic() - begin) / expected
            report(min(0.9 * passed, 1 - 0.5 / (1 + passed)), said)

    thread = threading.Thread(target=tell, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
