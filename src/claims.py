"""Sees to it that one process at a time writes into a place."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from .errors import UmssError
from .files import name_failed_file

LOCK = ".umss.lock"
_ATTEMPTS = 10


class ClaimedError(UmssError):
    """Another process is writing where this one wants to."""


@contextmanager
def claim(place: Path, lock: Path | None = None) -> Iterator[None]:
    """Keep other processes from writing into a place while the block runs.

    The operating system frees the claim of a process that is killed. The lock file disappears with
    the claim, or with the next one.

    Args:
        place: what is claimed; messages name it. A folder is created if there is none.
        lock: the lock file; by default `.umss.lock` inside the folder.

    Raises:
        ClaimedError: another process holds the claim.
    """
    path = place / LOCK if lock is None else lock
    held = FileLock(path, timeout=0)
    with name_failed_file(path):
        for attempt in range(_ATTEMPTS):
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                held.acquire()
                break
            except Timeout as error:
                raise ClaimedError(
                    f"{place}: {_describe_holder(path)} is writing here; wait until it has ended, "
                    "or give another output"
                ) from error
            except FileNotFoundError:  # another process has just removed the folder
                if attempt == _ATTEMPTS - 1:
                    raise
    try:
        with name_failed_file(path):
            path.write_text(json.dumps({"process": os.getpid(), "machine": socket.gethostname()}))
        yield
    finally:
        # Before the release: a process that opened the file meanwhile sees that it is gone.
        path.unlink(missing_ok=True)
        held.release()


def _describe_holder(path: Path) -> str:
    try:
        holder = json.loads(path.read_text(encoding="utf-8"))
        return f"process {holder['process']} on {holder['machine']}"
    except (OSError, ValueError, KeyError, TypeError):
        return "another process"
