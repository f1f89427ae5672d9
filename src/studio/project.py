"""A project: a folder with a recording, its tracks, every change, and what was made of it.

project.json     what it is: title, recording (by its path, or copied), settings
journal.jsonl    every change (`src.studio.journal`)
recording/       the recording, if it was dropped in the browser
score/           a score, if one was given
tracks/          0001.csv, ...: what tracking or an import gave; NAME_f0.csv: the tracks now
edits.json       settings of `umss edit` now
separated/, edited/, practice/, page/, dataset/, intonation/, zip/    results
job.json         the last job
cache/           pictures, sound, salience; may be deleted
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..audio import count_resampled
from ..claims import LOCK, claim
from ..dsp.tracks import HOP, RATE
from ..errors import UmssError
from ..f0.contours import F0Contours
from ..files import write_json
from . import operations
from .cache import Cache
from .changes import Change, describe_change
from .journal import Entry, Journal
from .operation_error import OperationError
from .project_file import FILE, name_time, read_project
from .renaming import rename_edits
from .settings import check_names, check_settings, check_title
from .state import State, make, replay, take_meta
from .track_files import TrackFiles


class Project:
    """An open project. All methods may be called from any thread.

    Args:
        folder: of the project.

    Attributes:
        id: the folder's name.
        content: what project.json holds.
        state: what the journal leads to.
        track_files: the folder of tracks.
        cache: what may be deleted.

    Raises:
        ClaimedError: another studio has it open.
        ProjectError: it is damaged.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.id = folder.name
        self.lock = threading.RLock()
        self._held = ExitStack()
        self._held.enter_context(claim(folder, folder / LOCK))
        try:
            self.content = read_project(folder)
            self.track_files = TrackFiles(folder / "tracks", self.stem)
            self.journal = Journal(folder / "journal.jsonl")
            self.state = self._replay()
        except BaseException:
            self._held.close()
            raise
        self.cache = Cache(folder / "cache", self.frames)
        # The journal is the truth: what a killed server did not write yet is written now.
        self._unsaved = not self.track_files.has_newer_than(self.journal.path)
        self.save_tracks()

    def close(self) -> None:
        """Save what is derived, and let others have it."""
        with self.lock:
            self.save_tracks()
            self._held.close()

    # What there is

    @property
    def recording(self) -> dict[str, Any]:
        """The recording: name, path, bytes, copied; and, once opened, what was found in it."""
        found: dict[str, Any] = self.content["recording"]
        return found

    @property
    def recording_path(self) -> Path:
        """Where the recording lies."""
        path = Path(self.recording["path"])
        return path if path.is_absolute() else self.folder / path

    @property
    def stem(self) -> str:
        """How the names of result files begin."""
        return str(self.content["stem"])

    @property
    def missing(self) -> bool:
        """Whether the recording is gone, or another file lies in its place."""
        try:
            return self.recording_path.stat().st_size != self.recording["bytes"]
        except OSError:
            return True

    @property
    def score_path(self) -> Path | None:
        """The score, if there is one."""
        name = self.state.settings["score"]
        return None if name is None else self.folder / "score" / name

    @property
    def frames(self) -> int | None:
        """Number of frames N; None = not known yet."""
        samples = self.recording.get("samples")
        if samples is None:
            return None
        return -(-count_resampled(samples, self.recording["rate"], RATE) // HOP)

    def get_contours(self) -> F0Contours:
        """The tracks as they are now.

        Raises:
            OperationError: there are none.
        """
        with self.lock:
            f0, _ = self._get_tracks()
            return F0Contours.on_grid(f0, self.state.names)

    def means(self, tune: operations.Tune | None) -> operations.Means:
        """What corrections may look at."""
        return operations.Means(self.state.names, self.cache.load_ridges(), tune)

    # Changes

    def correct(self, revision: Any, operation: Any, tune: operations.Tune | None) -> Change:
        """Make a correction (`src.studio.operations`).

        Raises:
            StaleError, OperationError: it cannot be made.
        """
        with self.lock:
            self.journal.check_revision(revision)
            f0, locks = self._get_tracks()
            found = operations.apply(operation, f0, locks, self.means(tune))
            entry = {"operation": operation, "said": found.said}
            entry["patch"] = operations.find_changes(f0, found.f0)
            if not np.array_equal(found.locks, locks):
                entry["locks"] = {
                    "before": operations.list_locks(locks),
                    "after": operations.list_locks(found.locks),
                }
            return self._do("operation", entry)

    def try_correction(self, operation: Any, tune: operations.Tune | None) -> operations.Outcome:
        """What a correction would lead to; nothing is changed.

        Raises:
            OperationError: it cannot be made.
        """
        with self.lock:
            f0, locks = self._get_tracks()
            means = self.means(tune)
        return operations.apply(operation, f0, locks, means)

    def set_edits(self, revision: Any, edits: dict[str, Any], check: Callable[[], None]) -> Change:
        """Set the edits of `umss edit`, once `check` has found them possible."""
        with self.lock:
            self.journal.check_revision(revision)
            check()
            if edits == self.state.edits:
                raise OperationError("this changes nothing: the edits are like that already")
            names = ", ".join(edits) or "none"
            content = {"said": f"edits: {names}", "before": self.state.edits, "after": edits}
            return self._do("edits", content)

    def set_tracks(
        self, f0: NDArray[np.float32], names: Sequence[str], said: str, file: str | None = None
    ) -> Change:
        """Replace all tracks; locked stretches stay if the singers are as many.

        Args:
            f0: [N, J] Hz on the 16-ms grid.
            names: J singers.
            said: what was done, for people.
            file: where they lie already, e.g. "0002"; None = they are written here.
        """
        with self.lock:
            old, locks = self.state.f0, self.state.locks
            held = self.state.list_locks()
            kept: list[list[list[int]]] = [[] for _ in names]
            notes = None
            if old is not None and locks is not None and old.shape == f0.shape:
                kept = held
                if locks.any():
                    notes = None if file is None else self.track_files.read_accompaniment(file)
                    f0, file = np.where(locks, old, f0), None
            if file is None:
                file = self.track_files.write_next(f0, names, notes)
            before = {
                "tracks": self.state.tracks,
                "names": list(self.state.names),
                "locks": held,
            }
            after = {"tracks": file, "names": list(names), "locks": kept}
            if list(names) != before["names"] and before["names"]:
                self.journal.append("meta", {"after": {"names": list(names)}})
            return self._do("tracks", {"said": said, "before": before, "after": after})

    def undo(self, revision: Any) -> Change:
        """Take the last change back.

        Raises:
            OperationError: there is none.
        """
        return self._step(revision, "undo")

    def redo(self, revision: Any) -> Change:
        """Make the change again that was taken back last.

        Raises:
            OperationError: there is none.
        """
        return self._step(revision, "redo")

    def set_meta(self, revision: Any, content: Mapping[str, Any]) -> None:
        """Set title, names or settings.

        Raises:
            UmssError: values that are not possible.
        """
        with self.lock:
            self.journal.check_revision(revision)
            after: dict[str, Any] = {}
            if "title" in content:
                after["title"] = check_title(content["title"])
            if "names" in content:
                after["names"] = check_names(content["names"], len(self.state.names))
            if "settings" in content:
                after["settings"] = check_settings(content["settings"])
            if not after:
                raise UmssError("there is nothing to change: give title, names or settings")
            renamed = dict(zip(self.state.names, after.get("names", ()), strict=False))
            self._note(after)
            edits = rename_edits(self.state.edits, renamed)
            if edits != self.state.edits:
                said = {"said": "singers renamed", "before": self.state.edits, "after": edits}
                self._do("edits", said)

    def keep_settings(self, settings: Mapping[str, Any]) -> None:
        """Take over settings that were checked; nothing is written down if they are so already."""
        with self.lock:
            if any(self.state.settings[key] != value for key, value in settings.items()):
                self._note({"settings": dict(settings)})

    def set_score(self, revision: Any, name: str | None) -> None:
        """Set the score, which lies in its place already."""
        with self.lock:
            self.journal.check_revision(revision)
            self._note({"settings": {"score": name}})

    def set_found(self, found: Mapping[str, Any]) -> None:
        """Take over what was found in the recording when it was opened."""
        with self.lock:
            self.content["recording"] = {**self.recording, **found}
            self._save()
            self.cache = Cache(self.folder / "cache", self.frames)

    # Within

    def _note(self, after: dict[str, Any]) -> None:
        self.journal.append("meta", {"after": after})
        take_meta(self.state, after)
        self._unsaved = True
        self._save()

    def _get_tracks(self) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        if self.state.f0 is None or self.state.locks is None:
            raise OperationError("there are no tracks yet; find the pitches first")
        return self.state.f0, self.state.locks

    def _do(self, kind: str, content: Mapping[str, Any]) -> Change:
        entry = self.journal.append(kind, {"time": name_time(), **content})
        make(self.state, entry, self.track_files.read)
        return self._tell(entry, "after", str(entry["said"]))

    def _step(self, revision: Any, kind: str) -> Change:
        with self.lock:
            self.journal.check_revision(revision)
            entries = self.journal.done if kind == "undo" else self.journal.undone
            if not entries:
                raise OperationError(f"there is nothing to {kind}")
            entry = entries[-1]
            self.journal.append(kind, {"time": name_time()})
            if kind == "undo" and entry["kind"] == "tracks":
                self.state = self._replay()
            else:
                make(self.state, entry, self.track_files.read, back=kind == "undo")
            side = "before" if kind == "undo" else "after"
            word = "undone" if kind == "undo" else "made again"
            return self._tell(entry, side, f"{word}: {entry['said']}")

    def _tell(self, entry: Entry, side: str, said: str) -> Change:
        self._unsaved = True
        self._save()
        return describe_change(entry, side, said, self.state, self.journal)

    def _replay(self) -> State:
        return replay(self.journal, str(self.content["title"]), self.track_files.read)

    # Files that are derived

    def _save(self) -> None:
        self.content["changed"] = name_time()
        shown = {"title": self.state.title, "singers": list(self.state.names)}
        write_json(
            self.folder / FILE, {**self.content, "now": {**shown, "settings": self.state.settings}}
        )
        write_json(self.folder / "edits.json", self.state.edits)

    def save_tracks(self) -> None:
        """Write the tracks as they are now, if they have changed."""
        with self.lock:
            if not self._unsaved or self.state.f0 is None:
                return
            self.track_files.write_present(self.state.f0, self.state.names, self.state.tracks)
            self._unsaved = False
