"""Writing files so that a crash never leaves half of one."""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .errors import OutputExistsError, UmssError, WriteError


@contextmanager
def name_failed_file(path: Path) -> Iterator[None]:
    """Turn errors of the system into one sentence that names the file.

    Raises:
        WriteError: the system refuses, e.g. because the disk is full.
    """
    try:
        yield
    except UmssError:
        raise
    except OSError as error:
        named = os.fsdecode(error.filename) if isinstance(error.filename, (str, bytes)) else path
        # Files are written beside their places, in a hidden folder (`staging`).
        shown = re.sub(r"[^/]*\.umss-part/", "", str(named))
        reason = error.strerror or str(error)
        raise WriteError(
            f"{shown}: could not be written ({reason}); earlier files are as they were"
        ) from error


@contextmanager
def replace_when_complete(path: str | Path) -> Iterator[Path]:
    """Write a temporary file, then rename it, so that readers see the old or the complete new file.

    Yields:
        Path of a temporary file in the same folder with the same ending. It replaces `path` when
        the block ends without an error, and is removed otherwise.

    Raises:
        WriteError: the system refuses, e.g. because the disk is full.
    """
    path = Path(path)
    with name_failed_file(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(
            dir=path.parent, prefix=f".{path.stem}.", suffix=path.suffix
        )
        os.close(handle)
        temporary = Path(name)
        try:
            yield temporary
            # Temporary files are created readable by their owner only.
            temporary.chmod(0o666 & ~_read_umask())
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)


def _read_umask() -> int:
    """The process's mask of permissions; it can only be read by setting it."""
    mask = os.umask(0o022)
    os.umask(mask)
    return mask


def write_text(path: Path, content: str) -> None:
    """Write a UTF-8 text file with `replace_when_complete`.

    Names of files that are not UTF-8 are written with backslashes.
    """
    with replace_when_complete(path) as temporary:
        temporary.write_text(content, encoding="utf-8", errors="backslashreplace")


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write a JSON file with `replace_when_complete`."""
    write_text(path, json.dumps(content, indent=2) + "\n")


def check_existing(paths: Iterable[Path], *, overwrite: bool) -> None:
    """Refuse to replace files unless the user asked for it.

    Raises:
        OutputExistsError: a file exists and `overwrite` is false.
        WriteError: there cannot be such a file, because its folder cannot be made.
    """
    paths = list(paths)
    for folder in {path.parent for path in paths}:
        check_folder(folder)
    existing = [str(p) for p in paths if p.exists()]
    if existing and not overwrite:
        raise OutputExistsError(
            f"{', '.join(existing)}: exists; set overwrite=true or choose another output"
        )


def check_inputs(paths: Iterable[Path], recording: Path, others: Iterable[Path] = ()) -> None:
    """Refuse to replace files that are read, whether the user asked for overwriting or not.

    Args:
        paths: files that will be written.
        recording: whose files they are.
        others: files that are read, too, such as other recordings, F0 and scores; and folders
            whose files are.

    Raises:
        UmssError: names the file.
    """
    read = {_identify(path): path for path in (*others, recording)} | {_identify(recording): None}
    read.pop(None, None)
    for path in paths:
        found = {_identify(path), _identify(path.parent)} & set(read) if path.exists() else set()
        for identity in found:
            if read[identity] is None:
                raise UmssError(
                    f"{recording}: a stem would replace the recording; choose another output"
                )
            raise UmssError(
                f"{path}: is read as well, and a file of {recording} would replace it; choose "
                "another output"
            )


def _identify(path: Path) -> tuple[int, int] | None:
    """What tells a file from others, whatever its names; None = there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def check_folder(folder: Path) -> None:
    """Refuse a folder for results that is a file, or lies below one, before the work begins.

    Raises:
        WriteError: names what is in the way.
    """
    with name_failed_file(folder):
        there = next(path for path in (folder, *folder.absolute().parents) if os.path.lexists(path))
    if not there.is_dir():
        raise WriteError(f"{there}: is no folder, so results cannot go there; set another output")


def check_space(folder: Path, size: int) -> None:
    """Refuse work whose result would not fit on the disk.

    Args:
        folder: where the result goes; it need not exist yet.
        size: of the result, bytes.

    Raises:
        WriteError: there is less space.
    """
    there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    free = shutil.disk_usage(there).free
    if free < size:
        raise WriteError(
            f"{folder}: the result needs {size / 1e9:.1f} GB, but {free / 1e9:.1f} GB are free "
            "there; make space or choose another output"
        )
