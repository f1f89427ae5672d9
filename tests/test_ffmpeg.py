"""Files that libsndfile does not read go to ffmpeg, if there is one; here a stand-in for it."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from src.audio import AudioError, examine_audio, load_audio

# Takes the options that are given, and decodes a format of its own: MAGIC, then a NumPy file.
STAND_IN = """#!{python}
import sys
import numpy as np, soundfile as sf
given = sys.argv[1:]
assert given[given.index("-protocol_whitelist") + 1] == "file"
source, target = given[given.index("-i") + 1], given[-1]
assert source.startswith("file:/") and given[given.index("-f") + 1] == "w64"
with open(source[5:], "rb") as file:
    if file.read(5) != b"MAGIC":
        sys.exit("Invalid data found when processing input")
    samples = np.load(file)
sf.write(target, samples, 22050, format="W64", subtype="FLOAT")
"""


@pytest.fixture
def recording(tmp_path: Path) -> tuple[Path, np.ndarray]:
    samples = np.random.default_rng(0).uniform(-0.5, 0.5, (4000, 2)).astype(np.float32)
    path = tmp_path / "-Chör.m4a"
    with path.open("wb") as file:
        file.write(b"MAGIC")
        np.save(file, samples)
    return path, samples.T


def provide(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.mkdir()
    program = folder / "ffmpeg"
    program.write_text(STAND_IN.format(python=sys.executable))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    (folder / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder / "temporary"))


def test_what_ffmpeg_reads_is_read(
    recording: tuple[Path, np.ndarray], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, samples = recording
    provide(tmp_path / "bin", monkeypatch)
    monkeypatch.chdir(tmp_path)
    found, rate = load_audio(path.name)
    assert rate == 22_050 and np.array_equal(found, samples)
    assert examine_audio(path).frames == 4000
    assert not list((tmp_path / "bin" / "temporary").iterdir())
    (tmp_path / "bad.wma").write_bytes(b"nothing that sounds")
    with pytest.raises(AudioError, match=r"bad.wma: not readable.*ffmpeg neither: Invalid data"):
        load_audio(tmp_path / "bad.wma")
    assert not list((tmp_path / "bin" / "temporary").iterdir())


def test_without_ffmpeg_one_sentence_names_it(
    recording: tuple[Path, np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(AudioError, match=r"m4a: not readable .*or install ffmpeg"):
        load_audio(recording[0])


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="no ffmpeg")
def test_ffmpeg_itself(tmp_path: Path) -> None:
    import subprocess

    wave = 0.3 * np.sin(2 * np.pi * 440 * np.arange(44_100) / 44_100)
    sf.write(tmp_path / "a.wav", wave, 44_100)
    command = ["ffmpeg", "-v", "error", "-i", tmp_path / "a.wav", tmp_path / "a.m4a"]
    subprocess.run(command, check=True)
    found, rate = load_audio(tmp_path / "a.m4a")
    assert rate == 44_100 and abs(found.shape[1] - 44_100) < 4096
    assert np.std(found) == pytest.approx(np.std(wave), rel=0.05)
