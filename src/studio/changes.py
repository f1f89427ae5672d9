"""What the page is told of a change of a project."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .journal import Entry, Journal
from .operations import list_pitches
from .state import State, Tracks

Change = dict[str, Any]


def describe_change(entry: Entry, side: str, said: str, state: State, journal: Journal) -> Change:
    """Describe a change that was just made, for the page.

    Args:
        entry: of the journal.
        side: "after", or "before" where it was taken back.
        said: what was done, for people.
        state: that it led to.
        journal: of the project.
    """
    changes: list[dict[str, Any]] = []
    again = False
    if entry["kind"] == "operation":
        changes = [
            {"singer": c["singer"], "first": c["first"], "f0": c[side]} for c in entry["patch"]
        ]
    elif entry["kind"] == "tracks":
        again = True
        if state.f0 is not None and len(entry["before"]["names"]) == len(state.names):
            changes, again = _list_all(state.f0), False
    return {
        "revision": journal.revision,
        "changes": changes,
        "reload": again,
        "undo": describe_next(journal.done),
        "redo": describe_next(journal.undone),
        "locks": state.list_locks(),
        "edits": state.edits,
        "said": said,
    }


def describe_next(entries: Sequence[Entry]) -> str | None:
    """What would be undone or made again; None = nothing."""
    return str(entries[-1]["said"]) if entries else None


def _list_all(f0: Tracks) -> list[dict[str, Any]]:
    """Whole tracks as changes for the page."""
    return [{"singer": j, "first": 0, "f0": list_pitches(track)} for j, track in enumerate(f0.T)]
