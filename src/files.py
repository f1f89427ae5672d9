"""Writing files so that a crash never leaves half of one."""

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
    """Write a temporary file, then rename it, so that readers see the old or the complete new file.

    Yields:
        Path of a temporary file in the same folder with the same ending. It replaces `path` when
        the block ends without an error, and is removed otherwise.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}.", suffix=path.suffix)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(0o644)  # temporary files are created readable by their owner only
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: Path, content: str) -> None:
    """Write a UTF-8 text file with `replace_when_complete`."""
    with replace_when_complete(path) as temporary:
        temporary.write_text(content, encoding="utf-8")


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write a JSON file with `replace_when_complete`."""
    write_text(path, json.dumps(content, indent=2) + "\n")


def check_existing(paths: Iterable[Path], *, overwrite: bool) -> None:
    """Refuse to replace files unless the user asked for it.

    Raises:
        OutputExistsError: a file exists and `overwrite` is false.
    """
    existing = [str(p) for p in paths if p.exists()]
    if existing and not overwrite:
        raise OutputExistsError(
            f"{', '.join(existing)}: exists; set overwrite=true or choose another output"
        )
