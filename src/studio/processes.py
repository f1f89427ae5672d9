"""A child process from the server's side: started, asked, ended at once."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from ..errors import UmssError

_PACKAGE = Path(__file__).parents[1]
# The package has two names in a checkout; the child imports it by the name of its folder.
_PROGRAM = (
    f"import sys; sys.path.insert(0, {str(_PACKAGE.parent)!r}); "
    f"from {_PACKAGE.name}.studio.child import main; main()"
)
_LONGEST_LINE = 64 << 20  # bytes; previews of sound come as text

Progress = Callable[[float, str], None]


class ChildError(UmssError):
    """What a child says went wrong."""


class ChildEndedError(UmssError):
    """The child ended without an answer."""


class Child:
    """A child process (`src.studio.child`), which answers one request at a time.

    Args:
        memory: bytes that it may have; None = as many as there are.
    """

    def __init__(self, memory: int | None) -> None:
        self._memory = memory
        self._process: asyncio.subprocess.Process | None = None
        self._turn = asyncio.Lock()

    @property
    def pid(self) -> int | None:
        """Its number; None = it does not run."""
        return None if self._process is None else self._process.pid

    async def ask(
        self, request: dict[str, Any], progress: Progress | None = None
    ) -> dict[str, Any]:
        """Send a request and wait for the answer; the process starts if it does not run.

        Raises:
            ChildError: the child says what is wrong.
            ChildEndedError: it ended, or was ended.
        """
        async with self._turn:
            process = self._process
            if process is None or process.returncode is not None:
                process = self._process = await self._start()
            assert process.stdin is not None and process.stdout is not None
            try:
                process.stdin.write(json.dumps(request).encode() + b"\n")
                await process.stdin.drain()
                answer = await self._hear(process.stdout, progress)
            except (ConnectionError, json.JSONDecodeError):
                answer = None
            if answer is not None:
                if "error" in answer:
                    raise ChildError(answer["error"])
                done: dict[str, Any] = answer["done"]
                return done
            await self.end()
            code = await process.wait()
            reason = "there may not be enough memory (see memory_gb)" if code == -9 else f"{code}"
            raise ChildEndedError(f"the process that worked ended: {reason}; start again")

    async def _hear(
        self, stream: asyncio.StreamReader, progress: Progress | None
    ) -> dict[str, Any] | None:
        """Wait for an answer, telling of progress; None = the child has ended."""
        while line := await stream.readline():
            answer: dict[str, Any] = json.loads(line)
            if "progress" not in answer:
                return answer
            if progress is not None:
                progress(answer["progress"], answer["said"])
        return None

    async def _start(self) -> asyncio.subprocess.Process:
        environment = os.environ | {"PYTHONUNBUFFERED": "1"}
        return await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            _PROGRAM,
            str(self._memory or 0),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env=environment,
            limit=_LONGEST_LINE,
            start_new_session=True,
        )

    async def end(self) -> None:
        """End it and all that it started, at once."""
        # Who asks from now on starts a new one, even while this one is dying.
        process, self._process = self._process, None
        if process is None or process.returncode is not None:
            return
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
