"""Files that are complete or not there."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any


def write_text(path: Path, content: str) -> None:
    """Write a UTF-8 text file, complete or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.write_text(content, encoding="utf-8")
    os.replace(temporary, path)


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write a JSON file, complete or not at all."""
    write_text(path, json.dumps(content, indent=2) + "\n")


def check_existing(paths: Iterable[Path], *, overwrite: bool) -> None:
    """Refuse to replace files unasked.

    Raises:
        FileExistsError: a file exists and `overwrite` is false.
    """
    existing = [str(p) for p in paths if p.exists()]
    if existing and not overwrite:
        raise FileExistsError(
            f"{', '.join(existing)}: exists; set overwrite=true or choose another output"
        )
