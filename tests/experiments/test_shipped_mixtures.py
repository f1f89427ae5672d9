"""Mixtures of quartets, as the package's network and the rows of few minutes hear them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soundfile

from experiments.shipped.mixtures import PARTS, list_quartets, write_mixtures

RATE, SECONDS = 16000, 3.0


def _sing(folder: Path) -> Path:
    (folder / "audio").mkdir(parents=True)
    rng = np.random.default_rng(0)
    for part in PARTS:
        for singer in (1, 2):
            audio = 0.1 * rng.standard_normal(round(RATE * SECONDS))
            soundfile.write(folder / "audio" / f"{part}_{singer}.flac", audio, RATE)
    return folder


def test_every_quartet_once_and_each_beside_its_opposite() -> None:
    quartets = list_quartets()
    assert len(set(quartets)) == len(quartets) == 16
    for one, other in zip(quartets[::2], quartets[1::2], strict=True):
        assert all(a + b == 3 for a, b in zip(one, other, strict=True))


def test_mixtures_last_as_many_minutes_as_wanted(tmp_path: Path) -> None:
    write_mixtures(_sing(tmp_path / "csd"), tmp_path / "some", minutes=7.0 / 60.0)
    lengths = [soundfile.info(path).frames for path in sorted((tmp_path / "some").iterdir())]
    assert sorted(lengths) == [RATE, 3 * RATE, 3 * RATE]


def test_all_mixtures_without_a_limit(tmp_path: Path) -> None:
    write_mixtures(_sing(tmp_path / "csd"), tmp_path / "all")
    paths = sorted((tmp_path / "all").iterdir())
    assert len(paths) == 16
    assert all(soundfile.info(path).frames == round(RATE * SECONDS) for path in paths)
