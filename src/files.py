"""Files that are complete or not there."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .errors import OutputExistsError


@contextmanager
def replace_when_complete(path: str | Path) -> Iterator[Path]:
    """Write beside a file, then rename: whoever reads it finds the old one or the whole new one.

    Yields:
        Where to write; it lies in the same folder and has the same ending. It takes the file's
        place when the block ends well, and is removed when it does not.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}.", suffix=path.suffix)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(0o644)  # made for its owner's eyes alone
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: Path, content: str) -> None:
    """Write a UTF-8 text file, complete or not at all."""
    with replace_when_complete(path) as temporary:
        temporary.write_text(content, encoding="utf-8")


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write a JSON file, complete or not at all."""
    write_text(path, json.dumps(content, indent=2) + "\n")


def check_existing(paths: Iterable[Path], *, overwrite: bool) -> None:
    """Refuse to replace files unasked.

    Raises:
        OutputExistsError: a file exists and `overwrite` is false.
    """
    existing = [str(p) for p in paths if p.exists()]
    if existing and not overwrite:
        raise OutputExistsError(
            f"{', '.join(existing)}: exists; set overwrite=true or choose another output"
        )
