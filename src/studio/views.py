"""What the page is told of a project: its state, results, downloads."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ..formats.names import FORMATS
from .changes import describe_next
from .operations import STEP
from .project import Project
from .sound import describe_sound, list_heard
from .stale import NOTES, Former, Settings, describe_stale, find_former

_GROUPS = ("practice", "page", "dataset", "intonation", "zip")


class View:
    """Describes an open project; remembers what is slow to read.

    Args:
        project: the project.
    """

    def __init__(self, project: Project) -> None:
        self.project = project
        self._former: tuple[int, Former | None] = (0, None)

    def describe(self) -> dict[str, Any]:
        """The state of the project, without its job."""
        project = self.project
        with project.lock:
            state, recording = project.state, project.recording
            f0 = state.f0
            notes = self.read_notes()
            return {
                "id": project.id,
                "title": state.title,
                "revision": project.journal.revision,
                "created": project.content["created"],
                "changed": project.content["changed"],
                "recording": {
                    "name": recording["name"],
                    "seconds": recording.get("seconds"),
                    "rate": recording.get("rate"),
                    "channels": recording.get("channels"),
                    "copied": recording["copied"],
                    "missing": project.missing,
                },
                "settings": state.settings,
                "singers": list(state.names) if f0 is not None else [],
                "frames": None if f0 is None else {"count": len(f0), "step": STEP},
                "undo": describe_next(project.journal.done),
                "redo": describe_next(project.journal.undone),
                "locks": state.list_locks(),
                "warnings": notes["warnings"],
                "confidence": notes["confidence"],
                "edits": state.edits,
                "results": self.describe_results(),
                "sound": describe_sound(project),
                "pictures": project.cache.describe_pictures(),
                "opened": project.cache.opened,
            }

    def read_notes(self) -> dict[str, Any]:
        """Doubts about the estimate on which corrections are made."""
        path = self.project.folder / "tracks" / f"{self.project.state.tracks}.json"
        try:
            notes = json.loads(path.read_text(encoding="utf-8"))
            return {"warnings": list(notes["warnings"]), "confidence": notes["confidence"]}
        except (OSError, ValueError, KeyError, TypeError):
            return {"warnings": [], "confidence": None}

    def find_former(self) -> Former | None:
        """The separation that there is."""
        folder = self.project.folder / "separated"
        try:
            stamp = (folder / NOTES).stat().st_mtime_ns
        except OSError:
            return None
        if self._former[0] != stamp:
            self._former = (stamp, find_former(folder, self.project.stem))
        return self._former[1]

    def describe_results(self) -> dict[str, Any]:
        """The results that there are, and whether they fit the present."""
        project, state = self.project, self.project.state
        results: dict[str, Any] = {"separated": None, "edited": None}
        former = self.find_former()
        seconds = project.recording.get("seconds")
        if former is not None and state.f0 is not None and seconds:
            settings = Settings(state.settings["method"], state.settings["seed"])
            notes = settings.note(state.names, project.recording.get("sha256") or "")
            separated = describe_stale(
                former, project.get_contours(), notes, seconds, state.find_held()
            )
            if separated is not None:
                made = _tell_time(project.folder / "separated" / NOTES)
                results["separated"] = {**separated, "made": made}
        edited = project.folder / "edited" / "edits.json"
        if edited.is_file():
            results["edited"] = {"made": _tell_time(edited), "stale": self._is_stale(edited)}
        for group in _GROUPS:
            folder = project.folder / group
            there = folder.is_dir() and any(folder.iterdir())
            results[group] = {"made": _tell_time(folder)} if there else None
        return results

    def _is_stale(self, edited: Path) -> bool:
        separated = self.project.folder / "separated"
        parameters = separated / f"{self.project.stem}_parameters.npz"
        try:
            notes = json.loads(edited.read_text(encoding="utf-8"))
            same = notes["edits"] == self.project.state.edits
            return not same or notes["tracks"] != parameters.stat().st_mtime_ns
        except (OSError, ValueError, KeyError):
            return True

    def list_downloads(self) -> list[tuple[dict[str, Any], Path | None]]:
        """Everything that can be downloaded; a path that is None is made when it is asked for."""
        project = self.project
        found: list[tuple[dict[str, Any], Path | None]] = []

        def add(identifier: str, path: Path | None, group: str, label: str, name: str = "") -> None:
            size = None if path is None else path.stat().st_size
            name = name if path is None else path.name
            about = {"id": identifier, "name": name, "bytes": size, "group": group, "label": label}
            found.append((about, path))

        for one in list_heard(project):
            if one.path is not None:
                group = "edited" if one.role.startswith("edited") else "stems"
                add(one.id, one.path, group, one.name)
        parameters = project.folder / "separated" / f"{project.stem}_parameters.npz"
        if parameters.is_file():
            add("parameters", parameters, "stems", "parameters")
        for group in _GROUPS:
            folder = project.folder / group
            paths = sorted(path for path in folder.rglob("*") if path.is_file())
            paths = [path for path in paths if not path.name.startswith(".")]
            for number, path in enumerate(paths):
                add(f"{group}-{number}", path, group, str(path.relative_to(folder)))
        if project.state.f0 is not None:
            for kind in FORMATS:
                add(f"f0-{kind}", None, "f0", kind, f"{project.stem} ({kind})")
        return found


def _tell_time(path: Path) -> str:

    return datetime.fromtimestamp(path.stat().st_mtime, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
