"""All projects: listed, made, opened, removed. They are named by identifiers, never by paths."""

from __future__ import annotations

import re
import secrets
import shutil
import unicodedata
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..audio import AudioError
from ..errors import UmssError
from ..files import write_json
from .bodies import clean_file_name
from .project_file import FILE, VERSION, ProjectError, name_time, read_project

_IDENTIFIER = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
MOST_IDENTIFIER = 80


class NoProjectError(UmssError):
    """There is no such project."""


class Library:
    """The projects below a folder.

    Args:
        root: the folder; it is made when it is needed.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def find(self, identifier: str) -> Path:
        """Find the folder of a project.

        Raises:
            NoProjectError: there is none.
        """
        known = len(identifier) <= MOST_IDENTIFIER and _IDENTIFIER.fullmatch(identifier)
        folder = self.root / identifier if known else None
        if folder is None or folder.is_symlink() or not (folder / FILE).is_file():
            raise NoProjectError("there is no such project; it may have been removed")
        return folder

    def list(self) -> list[dict[str, Any]]:
        """What the page shows of all projects, last changed first."""
        found = []
        for path in self.root.glob(f"*/{FILE}"):
            if not _IDENTIFIER.fullmatch(path.parent.name) or path.parent.is_symlink():
                continue
            try:
                content = read_project(path.parent)
            except ProjectError:
                continue
            now = content.get("now", {})
            found.append(
                {
                    "id": path.parent.name,
                    "title": now.get("title", content["title"]),
                    "seconds": content["recording"].get("seconds"),
                    "singers": now.get("singers", []),
                    "changed": content.get("changed", content["created"]),
                    "separated": (path.parent / "separated" / "separation.json").is_file(),
                }
            )
        return sorted(found, key=lambda one: str(one["changed"]), reverse=True)

    def make(self, name: str) -> Path:
        """Make the folder of a new project, named after its recording."""
        plain = unicodedata.normalize("NFKD", Path(name).stem).encode("ascii", "ignore").decode()
        slug = "-".join(re.findall(r"[a-z0-9]+", plain.lower()))[:48].strip("-") or "recording"
        folder = self.root / f"{slug}-{secrets.token_hex(3)}"
        folder.mkdir(parents=True)
        return folder

    def discard(self, folder: Path) -> None:
        """Remove what `make` made, because nothing came of it."""
        shutil.rmtree(folder, ignore_errors=True)

    def finish(self, folder: Path, name: str, recording: Mapping[str, Any]) -> None:
        """Write down what a new project is; before, it is none.

        Args:
            folder: that `make` made.
            name: of the recording.
            recording: "path", "bytes", "copied", "sha256".
        """
        stem = Path(clean_file_name(name)).stem or "recording"
        now = name_time()
        content = {
            "version": VERSION,
            "title": Path(name).stem or name,
            "stem": stem,
            "created": now,
            "changed": now,
            "recording": {"name": name, **recording},
        }
        write_json(folder / FILE, content)

    def add(self, recording: Path) -> str:
        """Make a project of a recording that stays where it is; one that there is is gone on with.

        Raises:
            AudioError: there is no such file.
        """
        path = recording.expanduser().resolve()
        if not path.is_file():
            raise AudioError(f"{recording}: no such audio file")
        for known in self.list():
            found = read_project(self.root / known["id"])["recording"]
            if found["path"] == str(path) and found["bytes"] == path.stat().st_size:
                return str(known["id"])
        folder = self.make(path.name)
        about = {"path": str(path), "bytes": path.stat().st_size, "copied": False}
        self.finish(folder, path.name, {**about, "sha256": None})
        return folder.name

    def remove(self, identifier: str) -> None:
        """Remove a project with everything in it; a recording elsewhere stays.

        Raises:
            NoProjectError: there is none.
        """
        folder = self.find(identifier)
        (folder / FILE).unlink()
        self.discard(folder)
