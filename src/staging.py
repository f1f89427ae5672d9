"""The files of one result appear together: all of them, or none.

They are written into a hidden folder beside their places, `.NAME.umss-part`, and renamed when all
are complete. Renaming several files is not one step, so what is going to be renamed is written
down first, and what it replaces is set aside: what a killed run had begun is undone by the next.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from .claims import LOCK, ClaimedError, claim
from .files import name_failed_file, write_json

PART = ".umss-part"
_JOURNAL = "journal.json"
_OLD = "old"


class Stage:
    """A hidden folder in which the files of a result are written.

    Attributes:
        folder: the hidden folder.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def place(self, target: Path) -> Path:
        """Where a file is written before it moves to `target`, beside the folder or deeper."""
        path = self.folder / target.relative_to(self.folder.parent)
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def publish(self, targets: Iterable[Path], *, remove: Iterable[Path] = ()) -> None:
        """Move the files to their places and remove what they replace: all of it, or nothing.

        Args:
            targets: places of the files; each was written at `place`.
            remove: files of an earlier result that the new one does not replace.
        """
        beside = self.folder.parent
        names = [str(target.relative_to(beside)) for target in targets]
        replaced = [name for name in names if (beside / name).exists()]
        removed = [str(path.relative_to(beside)) for path in remove]
        journal = {"move": names, "old": [*replaced, *removed]}
        write_json(self.folder / _JOURNAL, journal)
        try:
            for name in journal["old"]:
                _move(beside / name, self.folder / _OLD / name)
            for name in names:
                _move(self.folder / name, beside / name)
        except BaseException:
            _undo(self.folder)
            raise
        (self.folder / _JOURNAL).unlink()


@contextmanager
def stage(folder: Path, name: str) -> Iterator[Stage]:
    """Keep other processes away from one result in a folder and collect its files.

    What killed runs left in the folder is cleared away. A folder that did not exist before is
    removed again if the block fails.

    Args:
        folder: where the result goes.
        name: of the result, unique in the folder.

    Raises:
        ClaimedError: another process is writing this result.
    """
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    with name_failed_file(folder):
        folder.mkdir(parents=True, exist_ok=True)
    try:
        for remains in folder.glob(f".*{PART}"):
            if remains.name == f".{name}{PART}":
                continue
            if (remains / LOCK).is_file():
                with suppress(ClaimedError), _occupy(remains, folder):
                    pass
            else:
                with suppress(OSError):  # not empty: it is not ours
                    remains.rmdir()
        with _occupy(folder / f".{name}{PART}", folder / name) as scratch:
            yield Stage(scratch)
    except BaseException:
        for path in missing:
            with suppress(OSError):  # not empty: then it is somebody's
                path.rmdir()
        raise


@contextmanager
def _occupy(scratch: Path, place: Path) -> Iterator[Path]:
    """Claim a hidden folder, undo what a killed run began in it, and remove it at the end."""
    try:
        with claim(place, scratch / LOCK):
            try:
                _undo(scratch)
                _empty(scratch)
                yield scratch
            finally:
                _empty(scratch)
    finally:
        with suppress(OSError):  # not empty: another process holds the claim
            scratch.rmdir()


def _undo(scratch: Path) -> None:
    """Undo what was published so far, if it was not completed."""
    try:
        journal = json.loads((scratch / _JOURNAL).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return  # nothing was published, or all of it
    if not _is_journal(journal):
        return
    for name in journal["move"]:
        if not (scratch / name).exists():
            (scratch.parent / name).unlink(missing_ok=True)
    for name in journal["old"]:
        if (scratch / _OLD / name).exists():
            os.replace(scratch / _OLD / name, scratch.parent / name)


def _is_journal(journal: Any) -> bool:
    """Whether it names files of one result only: folders from elsewhere may hold anything."""
    try:
        lists = [journal[key] for key in ("move", "old")]
    except (KeyError, TypeError):
        return False
    return all(isinstance(names, list) for names in lists) and all(
        isinstance(name, str) and not Path(name).is_absolute() and ".." not in Path(name).parts
        for names in lists
        for name in names
    )


def _move(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    os.replace(source, target)


def _empty(scratch: Path) -> None:
    for path in scratch.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        elif path.name != LOCK:
            path.unlink(missing_ok=True)
