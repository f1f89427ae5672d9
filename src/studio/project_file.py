"""The file project.json: what a project is."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ..errors import UmssError

VERSION = 1
FILE = "project.json"


class ProjectError(UmssError):
    """A project that cannot be used; the message names it."""


def name_time() -> str:
    """The time as it stands in files."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def read_project(folder: Path) -> dict[str, Any]:
    """Read project.json.

    Raises:
        ProjectError: it is missing or damaged.
    """
    path = folder / FILE
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        recording = content["recording"]
        fine = (
            content["version"] == VERSION
            and isinstance(content["stem"], str)
            and isinstance(content["title"], str)
            and isinstance(recording["path"], str)
            and isinstance(recording["bytes"], int)
        )
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise ProjectError(f"{path}: no project of umss studio, or damaged ({error})") from error
    if not fine:
        raise ProjectError(f"{path}: written by another version of umss studio, or damaged")
    found: dict[str, Any] = content
    return found


def hide_folders(message: str, root: Path) -> str:
    """Leave out of a message where files of projects lie: people know them by their names.

    Args:
        message: names files by their paths.
        root: folder of the projects.
    """
    return re.sub(re.escape(f"{root}/") + r"(?:[^/\s:]+/)*", "", message)
