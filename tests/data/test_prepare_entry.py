"""`umss prepare`: summary, messages without traceback, exit status."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.data.songs import WriteStem
from tests.processes import Done, run_python


def run(cache: Path, *arguments: str) -> Done:
    return run_python("-m", "src.prepare", *arguments, UMSS_CACHE=str(cache), COLUMNS="200")


@pytest.mark.slow
def test_prepare_and_its_messages(tmp_path: Path, write_stem: WriteStem) -> None:
    root = tmp_path / "songs"
    for voice in ("soprano", "alto"):
        write_stem(root / "duet" / f"{voice}.wav", 6.5 if voice == "alto" else 6.0)
    done = run(tmp_path / "cache", "data=folder", f"data.root={root}")
    assert done.returncode == 0, done.stderr
    assert "duet" in done.stdout
    assert "stems of 6.00 to 6.50 s cut to 6.00 s" in done.stdout
    assert str(tmp_path / "cache" / "folder-") in done.stdout
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cache", "songs"]

    (root / "duet" / "alto.wav").write_bytes(b"x")
    failed = run(tmp_path / "cache", "data=folder", f"data.root={root}")
    assert failed.returncode == 1
    assert "Traceback" not in failed.stderr
    lines = [line for line in failed.stderr.splitlines() if line.strip()]
    assert any(line.startswith("error: ") and "alto.wav" in line for line in lines)
