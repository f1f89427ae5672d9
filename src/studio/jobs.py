"""Jobs: steps that a child process does one after the other, followed, cancelled, remembered."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from time import monotonic
from typing import Any

from ..errors import UmssError
from ..files import write_json
from .processes import Child
from .project_file import hide_folders, name_time

# Seconds that a step takes about: at least, and per second of recording.
EXPECTED = {
    "open": (1.5, 0.03),
    "f0": (4.0, 0.1),
    "salience": (3.0, 0.05),
    "separate": (4.0, 0.8),
    "rename": (1.0, 0.01),
    "edit": (3.0, 0.5),
    "practice": (3.0, 0.5),
    "page": (2.0, 0.15),
    "dataset": (1.0, 0.01),
    "intonation": (3.0, 0.02),
    "zip": (1.0, 0.02),
}
QUICK = {"comb": 0.06}
"""Seconds per second of recording that separating takes about with a method that fits nothing."""
EVERY = 0.2  # seconds between two reports
REST = 300.0  # seconds that a child waits for another job
INTERRUPTED = "the studio ended in the middle of this; start it again"

Step = Callable[[str], Awaitable[dict[str, Any]]]
Apply = Callable[[str, dict[str, Any]], Awaitable[None]]
Tell = Callable[[dict[str, Any]], None]


class BusyError(UmssError):
    """Another job of the project is running."""


class Job:
    """The last job of a project, and the one that is running.

    Args:
        path: job.json of the project.
        memory: bytes that the child may have; None = all.
        tell: told of every change.
    """

    def __init__(self, path: Path, memory: int | None, tell: Tell) -> None:
        self._path = path
        self._memory = memory
        self._tell = tell
        self._task: asyncio.Task[None] | None = None
        self._child: Child | None = None
        self._resting: asyncio.TimerHandle | None = None
        self._told = 0.0
        self.content: dict[str, Any] | None = _read(path)
        if self.content is not None and self.content["state"] == "running":
            self.content |= {"state": "interrupted", "error": INTERRUPTED, "left": None}
            self._save()

    @property
    def running(self) -> bool:
        """Whether a job is running."""
        return self._task is not None and not self._task.done()

    @property
    def pid(self) -> int | None:
        """Number of the child; None = none runs."""
        return self._child.pid if self.running and self._child is not None else None

    def start(
        self,
        steps: Sequence[str],
        options: Mapping[str, Any],
        seconds: float,
        build: Step,
        apply: Apply,
        *,
        method: str | None = None,
    ) -> dict[str, Any]:
        """Start a job.

        Args:
            steps: of `src.studio.steps`.
            options: of the steps, kept so that the job can be begun again.
            seconds: of the recording, to guess how long it takes.
            build: gives the request of a step.
            apply: takes over what a step gave.
            method: that separates, to guess how long that takes.

        Raises:
            BusyError: one is running.
        """
        if self.running:
            raise BusyError("this project is being worked on; wait, or cancel that first")
        expected = _expect(steps, seconds, method)
        number = 1 + (int(self.content["id"][1:]) if self.content else 0)
        self.content = {
            "id": f"j{number}",
            "steps": list(steps),
            "options": dict(options),
            "state": "running",
            "step": steps[0],
            "progress": 0.0,
            "left": round(sum(expected), 1),
            "said": "starting",
            "error": None,
            "started": name_time(),
            "ended": None,
        }
        self._save()
        # A process that has worked before is awake: it goes on.
        self._child = self._child or Child(self._memory)
        if self._resting is not None:
            self._resting.cancel()
        self._task = asyncio.create_task(self._run(expected, build, apply))
        return self.content

    async def cancel(self) -> None:
        """End the job; the child is gone when this returns."""
        if not self.running or self._task is None or self._child is None:
            return
        self._end("cancelled", None)
        self._task.cancel()
        await self._child.end()
        with suppress(asyncio.CancelledError):
            await self._task
        self._report()

    async def _run(self, weights: Sequence[float], build: Step, apply: Apply) -> None:
        assert self.content is not None and self._child is not None
        content, child = self.content, self._child
        try:
            for k, step in enumerate(content["steps"]):
                before, rest = sum(weights[:k]), sum(weights[k + 1 :])
                begin = monotonic()
                share_before, total = before / sum(weights), sum(weights)

                def follow(
                    share: float,
                    said: str,
                    *,
                    begin: float = begin,
                    weight: float = weights[k],
                    rest: float = rest,
                    share_before: float = share_before,
                    total: float = total,
                ) -> None:
                    passed = monotonic() - begin
                    # The guess counts until there is something to go by.
                    own = weight * (1 - share) if share < 0.1 else passed * (1 - share) / share
                    content["progress"] = round(share_before + share * weight / total, 4)
                    content["left"] = round(own + rest, 1)
                    content["said"] = said
                    if monotonic() - self._told > EVERY:
                        self._report()

                content["step"] = step
                self._report()
                request = {"step": step, "place": await build(step)}
                done = await child.ask(request, follow)
                await apply(step, done)
            self._end("done", None)
        except UmssError as error:
            self._end("failed", hide_folders(str(error), self._path.parents[1]))
        except asyncio.CancelledError:
            raise
        except Exception as error:
            self._end("failed", f"a fault of the program ({type(error).__name__}: {error})")
            raise
        finally:
            self._rest(child)
            self._report()

    def _rest(self, child: Child) -> None:
        """End the child if no other job comes soon."""
        loop = asyncio.get_running_loop()

        def end() -> None:
            if not self.running:
                self._ending = loop.create_task(child.end())

        self._resting = loop.call_later(REST, end)

    async def close(self) -> None:
        """End everything because the studio ends; a job that runs is said to be interrupted."""
        if self.running:
            await self.cancel()
            assert self.content is not None
            self.content |= {"state": "interrupted", "error": INTERRUPTED}
            self._save()
        if self._resting is not None:
            self._resting.cancel()
        if self._child is not None:
            await self._child.end()

    def _end(self, state: str, error: str | None) -> None:
        assert self.content is not None
        if self.content["state"] != "running":
            return
        self.content |= {"state": state, "error": error, "left": None, "ended": name_time()}
        if state == "done":
            self.content |= {"progress": 1.0, "step": None, "said": "done"}
        self._save()

    def _report(self) -> None:
        assert self.content is not None
        self._told = monotonic()
        self._tell(self.content)

    def _save(self) -> None:
        assert self.content is not None
        write_json(self._path, self.content)


def _expect(steps: Sequence[str], seconds: float, method: str | None = None) -> list[float]:
    """Seconds that steps take about, for a recording of `seconds`."""
    shares = {step: each for step, (_, each) in EXPECTED.items()}
    shares["separate"] = QUICK.get(method or "", shares["separate"])
    return [EXPECTED[step][0] + shares[step] * seconds for step in steps]


def _read(path: Path) -> dict[str, Any] | None:
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return content if {"id", "state", "steps"} <= content.keys() else None
    except (OSError, ValueError, AttributeError):
        return None
