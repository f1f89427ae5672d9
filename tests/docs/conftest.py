"""A folder with all files that the pages speak of: a small choir, its F0, a score, a model."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
import umss

from tests.tiny_training import F0, tiny_checkpoint, write_choir

SECONDS = 2


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the pages call choir.wav, choir.csv, choir.mid, songs, DIR and best.ckpt."""
    folder = tmp_path_factory.mktemp("pages")
    songs = write_choir(folder / "songs", 2 * SECONDS)
    (songs / "one").rename(songs / "evening_song")
    (songs / "two").rename(songs / "morning_song")
    stems = [sf.read(songs / "evening_song" / f"{part}.wav")[0] for part in F0]
    sf.write(folder / "choir.wav", np.sum(stems, axis=0)[: SECONDS * 16_000], 16_000)
    # F0 as `write_choir` sings it, without its vibrato.
    times = np.arange(SECONDS * 16_000 // 256) * 0.016
    steps = 2 ** ((times // 1 * 2) / 12)
    tracks = np.stack([base * steps for base in F0.values()], axis=1).astype(np.float32)
    umss.write_f0(folder / "choir.csv", umss.F0Contours(times, tracks, tuple(F0)))
    (folder / "first" / "checkpoints").mkdir(parents=True)
    checkpoint = tiny_checkpoint(folder)
    for copy in ("first/checkpoints/best.ckpt", "voices.ckpt"):
        shutil.copy(checkpoint, folder / copy)
    return folder


@pytest.fixture
def playground(files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the files as working directory."""
    shutil.copytree(files, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("UMSS_CACHE", str(tmp_path / "prepared"))
    return tmp_path
