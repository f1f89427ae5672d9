"""Fixtures that every test may use."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="session")
def shared_dir() -> Path:
    """Folder of real recordings: environment variable UMSS_SHARED, else `../shared`."""
    folder = Path(os.environ.get("UMSS_SHARED", ROOT.parent / "shared"))
    if not (folder / "data").is_dir():
        pytest.skip(f"real recordings are missing: no {folder / 'data'} (set UMSS_SHARED)")
    return folder
