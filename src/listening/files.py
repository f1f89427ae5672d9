"""The files of a page to listen to."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from ..filenames import FILENAME, name_file

EVALUATION = "listen.html"  # in the folder of an evaluation


def name_page(folder: Path, stem: str, filename: str = FILENAME) -> Path:
    """Where the page of a separated recording goes."""
    return name_file(folder, stem, "listen", "html", filename)


def name_folder(path: Path) -> Path:
    """The folder of the files of sound of a page."""
    return path.with_name(f"{path.stem}_files")


def find_page(path: Path) -> set[Path]:
    """Find the files of an earlier page."""
    folder = name_folder(path)
    sounds = folder.glob("sound-*.js") if folder.is_dir() else ()
    return {file for file in (path, *sounds) if file.exists()}


def tidy_folder(path: Path) -> None:
    """Remove the folder of the files of sound of a page if nothing is left in it."""
    with suppress(OSError):
        name_folder(path).rmdir()
