"""The studio while it runs: open projects, their jobs, and the windows that look at them."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..dsp.tracks import HOP
from ..errors import UmssError
from ..f0.names import name_singers
from ..f0.retune import retune
from .changes import Change
from .jobs import Job
from .library import Library
from .operations import Tune, list_locks
from .processes import Child
from .project import Project
from .stale import NOTES
from .views import View

SAVE_AFTER = 0.7  # seconds without a change
TICKET_SECONDS = 60.0
_WAITING = 200  # events that a window may lag behind
_MARGIN = 32  # frames beside a stretch that is tuned

Event = tuple[str, dict[str, Any]]


class MissingRecordingError(UmssError):
    """The recording is not where it was."""


class Opened:
    """An open project with its job and the windows that look at it.

    Args:
        project: the project.
        memory: bytes that its child may have; None = all.
    """

    def __init__(self, project: Project, memory: int | None) -> None:
        self.project = project
        self.view = View(project)
        self.job = Job(project.folder / "job.json", memory, self._tell_job)
        self._windows: set[asyncio.Queue[Event | None]] = set()
        self._saving: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    def describe(self) -> dict[str, Any]:
        """The state of the project with its job."""
        return {**self.view.describe(), "job": self.job.content}

    def watch(self) -> asyncio.Queue[Event | None]:
        """A queue of events for a window; None ends it."""
        queue: asyncio.Queue[Event | None] = asyncio.Queue(_WAITING)
        self._windows.add(queue)
        return queue

    def leave(self, queue: asyncio.Queue[Event | None]) -> None:
        """A window has gone."""
        self._windows.discard(queue)

    def tell(self, kind: str, content: dict[str, Any]) -> None:
        """Tell all windows."""
        for queue in list(self._windows):
            with suppress(asyncio.QueueFull):
                queue.put_nowait((kind, content))

    async def tell_project(self) -> None:
        """Tell all windows the state of the project."""
        if self._windows:
            self.tell("project", await asyncio.to_thread(self.describe))

    def complete(self, change: Change) -> Change:
        """Add to a change what else the page shows."""
        with self.project.lock:
            results = self.view.describe_results()
        return {**change, "results": results, "job": self.job.content}

    def save_soon(self) -> None:
        """Write the tracks when nothing has changed for a while."""
        loop = asyncio.get_running_loop()
        if self._saving is not None:
            self._saving.cancel()

        def save() -> None:
            loop.run_in_executor(None, self.project.save_tracks)

        self._saving = loop.call_later(SAVE_AFTER, save)

    def say_goodbye(self) -> None:
        """End what the windows follow."""
        for queue in list(self._windows):
            while queue.full():
                queue.get_nowait()
            queue.put_nowait(None)

    async def close(self) -> None:
        """End the job, say good-bye to the windows, save."""
        await self.job.close()
        if self._saving is not None:
            self._saving.cancel()
        self.say_goodbye()
        await asyncio.to_thread(self.project.close)

    def start(self, steps: Sequence[str], options: Mapping[str, Any]) -> dict[str, Any]:
        """Start a job.

        Raises:
            BusyError: one is running.
            MissingRecordingError: the recording is gone.
        """
        if self.project.missing:
            raise MissingRecordingError(
                f"{self.project.recording['name']} is gone or has been changed: put it back to "
                f"{self.project.recording_path}"
            )
        wanted = list(steps)
        if not self.project.cache.opened and "open" not in wanted:
            wanted.insert(0, "open")
        seconds = float(self.project.recording.get("seconds") or 60.0)
        method = {**self.project.state.settings, **options}["method"]
        return self.job.start(wanted, options, seconds, self._build, self._apply, method=method)

    def rename_files(self) -> None:
        """Give the files of a separation the singers' present names, if that is possible now."""
        former = self.view.find_former()
        names = list(self.project.state.names)
        if former is None or self.job.running or self.project.missing:
            return
        known = former.notes["names"]
        if known != names and len(known) == len(names):
            self.start(["rename"], {})

    async def _build(self, step: str) -> dict[str, Any]:
        """What the child must know for a step."""
        await asyncio.to_thread(self.project.save_tracks)
        project = self.project
        with project.lock:
            state = project.state
            options = dict(self.job.content["options"]) if self.job.content else {}
            if step == "f0":
                options["file"] = project.track_files.name_next()
            score = project.score_path
            held = state.find_held()
            return {
                "held": [] if held is None else list_locks(held),
                "folder": str(project.folder),
                "stem": project.stem,
                "recording": str(project.recording_path),
                "title": state.title,
                "digest": project.recording.get("sha256"),
                "tracks": str(project.track_files.present),
                "score": None if score is None else str(score),
                "names": list(state.names),
                "frames": project.frames,
                "settings": state.settings,
                "edits": state.edits,
                "options": options,
            }

    async def _apply(self, step: str, done: dict[str, Any]) -> None:
        """Take over what a step gave."""
        project = self.project
        if step == "open":
            await asyncio.to_thread(project.set_found, done)
        elif step == "f0":
            await asyncio.to_thread(self._take_tracks, done)
        await self.tell_project()

    def _take_tracks(self, done: dict[str, Any]) -> None:
        file, names = done["tracks"], done["names"]
        known = self.project.state.names
        automatic = names == list(name_singers(len(names)))
        if automatic and len(known) == len(names):
            names = list(known)
        said = f"pitches of {len(names)} singers found"
        self.project.set_tracks(self.project.track_files.read(file), names, said, file)

    def _tell_job(self, content: dict[str, Any]) -> None:
        self.tell("job", dict(content))
        if content["state"] != "running":
            task = asyncio.get_running_loop().create_task(self.tell_project())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def make_tune(self) -> Tune | None:
        """Fine tuning of tracks to the recording; None = it is not opened."""
        samples = self.project.cache.load_samples()
        if samples is None:
            return None

        def tune(f0: NDArray[np.float32], part: slice) -> NDArray[np.float32]:
            first, last = max(0, part.start - _MARGIN), min(len(f0), part.stop + _MARGIN)
            heard = np.array(samples[first * HOP : last * HOP])
            tuned = retune(heard, f0[first : first + -(-len(heard) // HOP)])
            stretch = tuned[part.start - first : part.stop - first]
            missing = part.stop - part.start - len(stretch)
            return np.pad(stretch, ((0, missing), (0, 0)))

        return tune


@dataclass(frozen=True)
class Ticket:
    """Permission to download one file, once."""

    path: Path
    name: str
    expires: float


class Studio:
    """The studio while it runs.

    Args:
        library: all projects.
        memory: bytes that a child may have; None = all.
        upload_bytes: largest recording that may be sent.
    """

    def __init__(self, library: Library, memory: int | None, upload_bytes: int) -> None:
        self.library = library
        self.memory = memory
        self.upload_bytes = upload_bytes
        self.helper = Child(memory)
        self.opened: dict[str, Opened] = {}
        self._opening = asyncio.Lock()
        self._tickets: dict[str, Ticket] = {}
        self._waking: asyncio.Task[None] | None = None

    async def open(self, identifier: str) -> Opened:
        """Open a project, or find it open.

        Raises:
            NoProjectError, ClaimedError, ProjectError, JournalError: it cannot be opened.
        """
        async with self._opening:
            there = self.opened.get(identifier)
            if there is not None:
                return there
            folder = self.library.find(identifier)
            project = await asyncio.to_thread(Project, folder)
            there = self.opened[identifier] = Opened(project, self.memory)
        if (project.folder / "separated" / NOTES).is_file():
            self._wake()
        last = there.job.content
        if (
            not project.cache.opened
            and not project.missing
            and (last is None or last["state"] == "done")
        ):
            there.start(["open"], {})
        return there

    def _wake(self) -> None:
        """Have the helper load what previews need, so that the first is heard at once."""

        async def wake() -> None:
            with suppress(UmssError):
                await self.helper.ask({"call": "wake", "with": {}})

        if self._waking is None:
            self._waking = asyncio.create_task(wake())

    async def remove(self, identifier: str) -> None:
        """Remove a project."""
        there = await self.open(identifier)
        await there.close()
        del self.opened[identifier]
        await asyncio.to_thread(self.library.remove, identifier)

    async def close(self) -> None:
        """Close everything."""
        for there in list(self.opened.values()):
            await there.close()
        self.opened.clear()
        if self._waking is not None:
            self._waking.cancel()
        await self.helper.end()

    def make_ticket(self, path: Path, name: str) -> str:
        """Permit one download without the token in a header."""
        now = monotonic()
        self._tickets = {key: t for key, t in self._tickets.items() if t.expires > now}
        key = secrets.token_urlsafe(24)
        self._tickets[key] = Ticket(path, name, now + TICKET_SECONDS)
        return key

    def use_ticket(self, key: str) -> Ticket | None:
        """The download of a ticket, which is used up; None = it is not good."""
        ticket = self._tickets.pop(key, None)
        return ticket if ticket is not None and ticket.expires > monotonic() else None
