"""The journal of a project: every change is one line, appended and never changed.

A line is a JSON object with its number ("revision", from 1) and what is needed to make the change
again and to take it back:

    kind        holds
    operation   operation (as sent), said, patch (what differs per singer, before and after), locks
    tracks      said; before and after: the tracks (their file) and the names
    edits       said, before, after: the settings of `umss edit`
    meta        after: title, names or settings; cannot be undone
    undo, redo  nothing

A line that was not written to its end, because the computer went off, is left out.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import UmssError
from ..files import name_failed_file

UNDOABLE = ("operation", "tracks", "edits")
KINDS = (*UNDOABLE, "meta", "undo", "redo")

Entry = dict[str, Any]


class JournalError(UmssError):
    """A journal that cannot be read; the message names it."""


class StaleError(UmssError):
    """A change of a state that is no longer the present one."""


class Journal:
    """The changes of a project.

    Args:
        path: the file; it need not exist yet.

    Attributes:
        entries: all that was written.
        done: changes that are in force and can be undone, the last one last.
        undone: those that can be made again, the next one last.

    Raises:
        JournalError: a damaged line that is not the last one.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.entries: list[Entry] = []
        self.done: list[Entry] = []
        self.undone: list[Entry] = []
        for entry in _read(path):
            self._take(entry)

    @property
    def revision(self) -> int:
        """Number of changes."""
        return len(self.entries)

    def check_revision(self, revision: Any) -> None:
        """Refuse a change of another state than the present one.

        Raises:
            UmssError: `revision` is no number.
            StaleError: it is that of another state.
        """
        if isinstance(revision, bool) or not isinstance(revision, int):
            raise UmssError("give the revision that this change was made on")
        if revision != self.revision:
            raise StaleError(
                "the project was changed in another window meanwhile; look at it, and make the "
                "change again"
            )

    def append(self, kind: str, content: Mapping[str, Any]) -> Entry:
        """Write a change down; it is on the disk when this returns.

        Raises:
            WriteError: the system does not write.
        """
        entry = {"revision": self.revision + 1, "kind": kind, **content}
        line = json.dumps(entry, separators=(",", ":"), allow_nan=False) + "\n"
        with name_failed_file(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("ab") as file:
                size = file.tell()
                try:
                    file.write(line.encode())
                    file.flush()
                    os.fsync(file.fileno())
                except OSError:
                    file.truncate(size)
                    raise
        self._take(entry)
        return entry

    def _take(self, entry: Entry) -> None:
        self.entries.append(entry)
        kind = entry["kind"]
        if kind == "undo":
            self.undone.append(self.done.pop())
        elif kind == "redo":
            self.done.append(self.undone.pop())
        elif kind in UNDOABLE:
            self.done.append(entry)
            self.undone.clear()


def _read(path: Path) -> list[Entry]:
    """Read the lines, and cut off a last one that is not complete."""
    if not path.exists():
        return []
    data = path.read_bytes()
    whole = data.rfind(b"\n") + 1
    entries: list[Entry] = []
    done = undone = 0
    for number, line in enumerate(data[:whole].splitlines(), start=1):
        try:
            entry = json.loads(line)
            kind = entry["kind"]
            if kind not in KINDS or entry["revision"] != number:
                raise ValueError("not the next change")
            if kind in UNDOABLE:
                done, undone = done + 1, 0
            elif kind in ("undo", "redo"):
                step = 1 if kind == "redo" else -1
                done, undone = done + step, undone - step
            if min(done, undone) < 0:
                raise ValueError("nothing to undo")
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise JournalError(
                f"{path}, line {number}: damaged ({error}); what was done before it is in the "
                "lines above, so remove this line and those below to go on from there"
            ) from error
        entries.append(entry)
    if whole < len(data):
        with path.open("r+b") as file:
            file.truncate(whole)
    return entries
