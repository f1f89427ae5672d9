"""Compiled code finds a place where neither the installation nor the home can be written."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from src.caches import provide_caches

VARIABLES = ("NUMBA_CACHE_DIR", "MPLCONFIGDIR")


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in VARIABLES:
        monkeypatch.setenv(name, "")  # so that it is restored afterwards
        monkeypatch.delenv(name)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))


def test_a_home_that_can_be_written_is_used(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "not yet" / "there"))
    provide_caches()
    assert not any(name in os.environ for name in VARIABLES)


def test_without_a_home_a_private_folder_is_used(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/proc/none")
    provide_caches()
    folder = Path(os.environ["NUMBA_CACHE_DIR"]).parent
    assert folder.parent == tmp_path and folder == Path(os.environ["MPLCONFIGDIR"]).parent
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    monkeypatch.delenv("NUMBA_CACHE_DIR")
    provide_caches()
    assert Path(os.environ["NUMBA_CACHE_DIR"]).parent == folder


def test_a_folder_that_others_can_write_is_not_trusted(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """What lies in it is executed."""
    prepared = tmp_path / f"umss-caches-{os.getuid()}"
    prepared.mkdir()
    prepared.chmod(0o777)
    monkeypatch.setenv("XDG_CACHE_HOME", "/proc/none")
    provide_caches()
    assert Path(os.environ["NUMBA_CACHE_DIR"]).parent != prepared
    monkeypatch.setenv("NUMBA_CACHE_DIR", "chosen by the user")
    provide_caches()
    assert os.environ["NUMBA_CACHE_DIR"] == "chosen by the user"
