"""What a training was run with: configuration, versions, and the state of the code."""

from __future__ import annotations

import os
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig, OmegaConf

_ROOT = Path(__file__).resolve().parents[2]


def describe_run(cfg: DictConfig) -> dict[str, Any]:
    """Collect what a run was started with: every setting, and below `code` what ran.

    Args:
        cfg: the configuration; interpolations are resolved.
    """
    settings = OmegaConf.to_container(cfg, resolve=True)
    assert isinstance(settings, dict)
    return {**{str(key): value for key, value in settings.items()}, "code": describe_code()}


def describe_code(root: Path = _ROOT) -> dict[str, Any]:
    """Describe the code that runs.

    Args:
        root: folder in which the package's folder lies.

    Returns:
        `git`, the hash of the commit; `git_dirty`, whether files have changed since; both None
        where there is no git or no repository (a wheel has none). The versions `umss` and `torch`.
    """
    try:
        own = version("umss")
    except PackageNotFoundError:  # a checkout that is not installed
        own = None
    commit, dirty = None, None
    top = _ask_git(root, "rev-parse", "--show-toplevel")
    # Another project's repository, in which a wheel is installed, says nothing about this code.
    if top is not None and Path(top).resolve() == root.resolve():
        commit = _ask_git(root, "rev-parse", "HEAD")
        changes = _ask_git(root, "status", "--porcelain", "--untracked-files=no")
        dirty = None if changes is None else bool(changes)
    return {"git": commit, "git_dirty": dirty, "umss": own, "torch": torch.__version__}


def _ask_git(folder: Path, *arguments: str) -> str | None:
    """Output of a git command; None if it fails, or if there is no git."""
    # The variables of a git hook would name another repository.
    environment = {k: v for k, v in os.environ.items() if not k.startswith("GIT_")}
    try:
        return subprocess.run(
            ["git", "-C", str(folder), *arguments],
            capture_output=True,
            text=True,
            check=True,
            timeout=20,
            env={**environment, "GIT_OPTIONAL_LOCKS": "0"},
        ).stdout.strip()
    except (OSError, subprocess.SubprocessError, UnicodeDecodeError):
        return None
