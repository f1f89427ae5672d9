"""The files of one result appear together: all of them, or none.

They are written into a hidden folder beside their places, `.NAME.part`, and renamed when all are
complete. Renaming several files is not one step, so what is going to be renamed is written down
first: the next run finishes or undoes what a killed one had begun.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from .claims import LOCK, ClaimedError, claim
from .files import name_failed_file, write_json

PART = ".part"
_JOURNAL = "journal.json"


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
        """Move the files to their places and remove what they replace.

        Args:
            targets: places of the files; each was written at `place`.
            remove: files of an earlier result that the new one does not replace.
        """
        beside = self.folder.parent
        names = [str(target.relative_to(beside)) for target in targets]
        journal = {
            "move": names,
            "new": [name for name in names if not (beside / name).exists()],
            "remove": [str(path.relative_to(beside)) for path in remove],
        }
        write_json(self.folder / _JOURNAL, journal)
        _carry_out(self.folder, journal)


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
            if remains.name != f".{name}{PART}" and remains.is_dir():
                with suppress(ClaimedError), _occupy(remains, folder):
                    pass
        with _occupy(folder / f".{name}{PART}", folder / name) as scratch:
            yield Stage(scratch)
    except BaseException:
        for path in missing:
            with suppress(OSError):  # not empty: then it is somebody's
                path.rmdir()
        raise


@contextmanager
def _occupy(scratch: Path, place: Path) -> Iterator[Path]:
    """Claim a hidden folder, settle what a killed run left in it, and remove it at the end."""
    try:
        with claim(place, scratch / LOCK):
            try:
                _settle(scratch)
                yield scratch
            finally:
                _empty(scratch)
    finally:
        with suppress(OSError):  # not empty: another process holds the claim
            scratch.rmdir()


def _settle(scratch: Path) -> None:
    """Finish or undo what a killed run was about to publish, and empty the folder."""
    try:
        journal = json.loads((scratch / _JOURNAL).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        journal = None  # it was killed before
    if not _is_journal(journal):
        journal = None
    if journal is not None:
        if len(journal["new"]) < len(journal["move"]) or journal["remove"]:
            _carry_out(scratch, journal)  # an earlier result is replaced in part already
        else:
            for name in journal["new"]:
                if not (scratch / name).exists():
                    (scratch.parent / name).unlink(missing_ok=True)
    _empty(scratch)


def _is_journal(journal: Any) -> bool:
    """Whether it names files of one result only: folders from elsewhere may hold anything."""
    try:
        lists = [journal[key] for key in ("move", "new", "remove")]
    except (KeyError, TypeError):
        return False
    return all(isinstance(names, list) for names in lists) and all(
        isinstance(name, str) and not Path(name).is_absolute() and ".." not in Path(name).parts
        for names in lists
        for name in names
    )


def _carry_out(scratch: Path, journal: Mapping[str, Any]) -> None:
    for name in journal["move"]:
        if (scratch / name).exists():
            (scratch.parent / name).parent.mkdir(parents=True, exist_ok=True)
            os.replace(scratch / name, scratch.parent / name)
    for name in journal["remove"]:
        (scratch.parent / name).unlink(missing_ok=True)


def _empty(scratch: Path) -> None:
    for path in scratch.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        elif path.name != LOCK:
            path.unlink(missing_ok=True)
