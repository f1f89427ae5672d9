"""Spectrograms of stems are drawn when they are asked for, and look like the recording's."""

from __future__ import annotations

import io
import json
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from PIL import Image
from starlette.testclient import TestClient

from src.studio import stem_pictures
from src.studio.pictures import HIGHEST, LOWEST, ROWS
from src.studio.stale import NOTES

AT = "/api/projects/song"


def read(client: TestClient, name: str) -> np.ndarray:
    """A picture [rows, columns], the lowest row first."""
    answer = client.get(f"{AT}/pictures/{name}.png")
    assert answer.status_code == 200, answer.text
    return np.asarray(Image.open(io.BytesIO(answer.content)))[::-1].astype(int)


def find_row(hertz: float) -> float:
    return (ROWS - 1) * np.log(hertz / LOWEST) / np.log(HIGHEST / LOWEST)


def write_stems(folder: Path, rate: int, channels: int = 1) -> list[Path]:
    """Two stems and a residual that is the recording, at another rate."""
    (folder / "separated").mkdir(exist_ok=True)
    (folder / "separated" / NOTES).write_text(json.dumps({"names": ["high", "low"]}))
    mono = np.load(folder / "cache" / "mono.npy")
    at = np.arange(len(mono) * rate // 16_000) / rate
    sounds = {
        "high": 0.1 * np.sin(2 * np.pi * 330 * at), "low": 0.1 * np.sin(2 * np.pi * 196 * at),
        "residual": np.interp(at, np.arange(len(mono)) / 16_000, mono),
    }  # fmt: skip
    paths = [folder / "separated" / f"song_{name}.wav" for name in sounds]
    for path, sound in zip(paths, sounds.values(), strict=True):
        sf.write(path, np.tile(sound[:, None], channels), rate, subtype="FLOAT")
    return paths


@pytest.mark.parametrize(("rate", "channels"), [(16_000, 1), (44_100, 2)])
def test_a_stem_is_drawn_as_the_recording_is(
    root: Path, song: TestClient, rate: int, channels: int
) -> None:
    write_stems(root / "song", rate, channels)
    recording = read(song, "spectrogram/0")
    for name, hertz in (("stem-0", 330.0), ("stem-1", 196.0)):
        picture = read(song, f"{name}/0")
        assert picture.shape == recording.shape
        middle = picture[:, 100]
        assert abs(middle.argmax() - find_row(hertz)) <= 1
        # As loud as the partial is in the recording.
        assert abs(int(middle.max()) - int(recording[middle.argmax(), 100])) <= 6
    # Resampled by straight lines, partials are softer upwards; below 1 kHz it is the same.
    same = np.abs(read(song, "residual/0") - recording)[:100, 5:-5]
    assert np.percentile(same, 95) < (1 if rate == 16_000 else 12)


def test_all_of_a_track_is_one_picture_and_its_pieces_end(root: Path, song: TestClient) -> None:
    write_stems(root / "song", 16_000)
    for name in ("stem-0", "recording"):
        picture = read(song, f"{name}/overview")
        assert picture.shape == (ROWS, 250)
        tone, beside = (picture[round(find_row(hertz)), 10:-10] for hertz in (330.0, 260.0))
        assert tone.min() > beside.max() + 50
    assert song.get(f"{AT}/pictures/stem-0/1.png").status_code == 404
    assert song.get(f"{AT}/pictures/stem-7/0.png").status_code == 404


def test_a_new_stem_is_drawn_anew_and_little_is_kept(root: Path, song: TestClient) -> None:
    high, low, _ = write_stems(root / "song", 16_000)
    before = read(song, "stem-0/0")
    time.sleep(0.02)  # another time of change
    high.write_bytes(low.read_bytes())
    assert (read(song, "stem-0/0") != before).any()
    np.testing.assert_array_equal(read(song, "stem-0/0"), read(song, "stem-1/0"))
    assert stem_pictures._draw.cache_info().maxsize == stem_pictures._KEPT
