"""What the journal of a project leads to: tracks, locks, edits, names and settings."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .journal import Entry, Journal
from .operations import list_locks, read_locks

Tracks = NDArray[np.float32]
ReadTracks = Callable[[str], Tracks]

SETTINGS: dict[str, Any] = {
    "n_singers": 4,
    "names": None,
    "method": "umss_fit",
    "seed": 0,
    "score": None,
    "score_alignment": "dtw",
}


@dataclass
class State:
    """The present of a project.

    Attributes:
        f0: [N, J] Hz on the 16-ms grid; None = there are no tracks yet.
        base: the same before they were corrected.
        locks: [N, J], true where frames must stay.
        tracks: the name of the tracks on which corrections were made; None = none.
        names: J singers.
        edits: settings of `umss edit` by singer.
        title: of the recording.
        settings: of estimating and separating.
    """

    f0: Tracks | None = None
    base: Tracks | None = None
    locks: NDArray[np.bool_] | None = None
    tracks: str | None = None
    names: tuple[str, ...] = ()
    edits: dict[str, Any] = field(default_factory=dict)
    title: str = ""
    settings: dict[str, Any] = field(default_factory=lambda: dict(SETTINGS))

    def list_locks(self) -> list[list[list[int]]]:
        """Locks as JSON; empty without tracks."""
        return [] if self.locks is None else list_locks(self.locks)

    def find_held(self) -> NDArray[np.bool_] | None:
        """Find what separating must keep, [N, J]: what is locked or was corrected; None = none."""
        if self.f0 is None or self.locks is None:
            return None
        held: NDArray[np.bool_] = self.locks | (self.f0 != self.base)
        return held


def replay(journal: Journal, title: str, read: ReadTracks) -> State:
    """Replay a journal.

    Args:
        journal: of the project.
        title: before it was changed.
        read: gives the tracks [N, J] of a name.
    """
    state = State(title=title)
    for entry in journal.entries:
        if entry["kind"] == "meta":
            take_meta(state, entry["after"])
    names = state.names
    # Only what came after the last change of all tracks counts for them.
    begin = max((k for k, e in enumerate(journal.done) if e["kind"] == "tracks"), default=0)
    for k, entry in enumerate(journal.done):
        if entry["kind"] == "edits" or k >= begin:
            make(state, entry, read)
    if names and state.f0 is not None and len(names) == state.f0.shape[1]:
        state.names = names
    return state


def take_meta(state: State, after: Mapping[str, Any]) -> None:
    """Take over what cannot be undone."""
    state.title = after.get("title", state.title)
    state.names = tuple(after.get("names", state.names))
    state.settings = {**state.settings, **after.get("settings", {})}


def make(state: State, entry: Entry, read: ReadTracks, *, back: bool = False) -> None:
    """Make a change of the journal, or take it back (not one of all tracks: replay then)."""
    side = "before" if back else "after"
    if entry["kind"] == "edits":
        state.edits = entry[side]
    elif entry["kind"] == "tracks":
        content = entry[side]
        state.tracks, state.names = content["tracks"], tuple(content["names"])
        state.f0 = state.base = read(content["tracks"])
        state.locks = read_locks(content["locks"], len(state.f0))
    else:
        assert state.f0 is not None
        f0 = state.f0.copy()
        for change in entry["patch"]:
            values = np.array(change[side], np.float32)
            f0[change["first"] : change["first"] + len(values), change["singer"]] = values
        state.f0 = f0
        if "locks" in entry:
            state.locks = read_locks(entry["locks"][side], len(f0))
