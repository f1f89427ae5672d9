"""Finds a place for compiled code where neither the installation nor the home can be written.

numba keeps what it compiled beside the modules or in the user's cache, and refuses to work where
both are read-only, as in containers and on clusters. Matplotlib has the same question.
"""

from __future__ import annotations

import os
import stat
import tempfile
from pathlib import Path


def provide_caches() -> None:
    """Point numba and matplotlib to a folder for temporary files if they would find no other."""
    if _is_writable(Path(os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser())):
        return
    folder = None
    for variable, name in (("NUMBA_CACHE_DIR", "numba"), ("MPLCONFIGDIR", "matplotlib")):
        if variable not in os.environ:
            folder = folder or _make_private_folder()
            os.environ[variable] = str(folder / name)


def _is_writable(folder: Path) -> bool:
    """Whether files can be written in a folder, which is created if need be by those who do."""
    there = next((path for path in (folder, *folder.parents) if path.exists()), folder)
    # Root may write everywhere as far as permissions go, not on a read-only file system.
    return there.is_dir() and os.access(there, os.W_OK | os.X_OK) and not _is_pseudo(there)


def _is_pseudo(folder: Path) -> bool:
    """Whether it belongs to /proc or /sys, which hold no files of users."""
    return folder.resolve().parts[:2] in (("/", "proc"), ("/", "sys"))


def _make_private_folder() -> Path:
    """A folder of this user alone: what lies in it is executed."""
    user = os.getuid() if hasattr(os, "getuid") else 0
    folder = Path(tempfile.gettempdir()) / f"umss-caches-{user}"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        state = folder.lstat()
    except OSError:
        return Path(tempfile.mkdtemp(prefix="umss-caches-"))
    others = stat.S_IWGRP | stat.S_IWOTH
    if stat.S_ISDIR(state.st_mode) and state.st_uid == user and not state.st_mode & others:
        return folder
    return Path(tempfile.mkdtemp(prefix="umss-caches-"))
