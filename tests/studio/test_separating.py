"""Separating again where tracks have changed: the same samples as from the beginning."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile as sf

from src.audio import examine_audio
from src.baselines.masks import CombSeparator
from src.f0.contours import F0Contours
from src.resynthesis import read_parameters
from src.separate_file import separate_file
from src.studio.renaming import rename_separation
from src.studio.separating import separate_project
from src.studio.stale import Settings, describe_stale, find_changed_windows, find_former
from tests.studio.singing import sing_file

NAMES = ("high", "low")
SETTINGS = Settings("comb", 0, 3.0, 1.0)


def make_contours(seconds: float = 9.3) -> F0Contours:
    n = int(np.ceil(seconds / 0.016))
    f0 = np.repeat([[330.0, 196.0]], n, axis=0).astype(np.float32)
    f0[: n // 3, 0] = 0
    return F0Contours.on_grid(f0, NAMES)


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    return sing_file(tmp_path / "song.wav", make_contours().f0.astype(np.float64), 22_050)


def run(recording: Path, contours: F0Contours, folder: Path, **options: Any) -> int:
    found = examine_audio(recording)
    separator = CombSeparator()
    return separate_project(
        recording, found, "song", contours, separator, SETTINGS, folder, "d", **options
    )


def read(folder: Path) -> dict[str, Any]:
    return {path.stem: sf.read(path, dtype="float32")[0] for path in folder.glob("*.wav")}


def change(contours: F0Contours, begin: float, end: float, factor: float) -> F0Contours:
    f0 = contours.f0.copy()
    f0[round(begin / 0.016) : round(end / 0.016), 1] *= np.float32(factor)
    return F0Contours.on_grid(f0, NAMES)


def test_a_separation_is_that_of_the_command(recording: Path, tmp_path: Path) -> None:
    contours = make_contours()
    assert run(recording, contours, tmp_path / "own") == 5
    separate_file(
        recording, contours, CombSeparator(), tmp_path / "command", window_seconds=3.0,
        chunk_seconds=3.0, progress=False, with_f0=True,
    )  # fmt: skip
    own, command = read(tmp_path / "own"), read(tmp_path / "command")
    assert own.keys() == command.keys()
    assert all(np.array_equal(own[name], command[name]) for name in own)
    one, other = (
        read_parameters(tmp_path / name / "song_parameters.npz") for name in ("own", "command")
    )
    assert one.keys() == other.keys()
    assert all(np.array_equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize(("begin", "end"), [(4.4, 4.9), (2.3, 2.6), (0.0, 0.4), (9.0, 9.2)])
def test_windows_that_changed_are_spliced_in(
    recording: Path, tmp_path: Path, begin: float, end: float
) -> None:
    contours = make_contours()
    run(recording, contours, tmp_path / "again")
    before = read(tmp_path / "again")
    changed = change(contours, begin, end, 1.1)
    count = run(recording, changed, tmp_path / "again")
    assert 1 <= count <= 2
    run(recording, changed, tmp_path / "whole", whole=True)
    again, whole = read(tmp_path / "again"), read(tmp_path / "whole")
    rate = examine_audio(recording).rate
    for name, stem in again.items():
        assert np.array_equal(stem, whole[name]), name
        outside = np.ones(len(stem), bool)
        outside[int(max(0, begin - 4) * rate) : int((end + 4) * rate)] = False
        assert np.array_equal(stem[outside], before[name][outside]), name
    one, other = (
        read_parameters(tmp_path / name / "song_parameters.npz") for name in ("again", "whole")
    )
    assert all(np.array_equal(one[name], other[name]) for name in one)


def test_a_note_that_begins_in_silence_is_let_through(recording: Path, tmp_path: Path) -> None:
    contours = make_contours()
    silent = F0Contours.on_grid(np.where(contours.times[:, None] < 6, contours.f0, 0), NAMES)
    run(recording, silent, tmp_path / "again")
    run(recording, contours, tmp_path / "again")
    run(recording, contours, tmp_path / "whole", whole=True)
    again, whole = read(tmp_path / "again"), read(tmp_path / "whole")
    assert all(np.array_equal(again[name], whole[name]) for name in again)


def test_other_settings_or_names_separate_everything(recording: Path, tmp_path: Path) -> None:
    contours = make_contours()
    run(recording, contours, tmp_path / "out")
    assert run(recording, contours, tmp_path / "out") == 0
    renamed = F0Contours.on_grid(contours.f0, ("soprano", "bass"))
    assert run(recording, renamed, tmp_path / "out") == 5
    assert sorted(p.name for p in (tmp_path / "out").glob("*.wav")) == [
        "song_bass.wav", "song_residual.wav", "song_soprano.wav",
    ]  # fmt: skip


def test_singers_get_other_names_without_being_separated(recording: Path, tmp_path: Path) -> None:
    contours = make_contours()
    run(recording, contours, tmp_path / "out")
    before = read(tmp_path / "out")
    assert rename_separation(tmp_path / "out", "song", ("low", "bass"))
    after = read(tmp_path / "out")
    assert after.keys() == {"song_low", "song_bass", "song_residual"}
    assert np.array_equal(after["song_low"], before["song_high"])
    assert np.array_equal(after["song_bass"], before["song_low"])
    renamed = F0Contours.on_grid(contours.f0, ("low", "bass"))
    assert run(recording, renamed, tmp_path / "out") == 0
    assert not rename_separation(tmp_path / "out", "song", ("low", "bass"))
    assert not rename_separation(tmp_path / "out", "song", ("one",))


def test_what_is_stale_is_told_in_seconds() -> None:
    contours = make_contours(30.0)
    grid = Settings("comb").grid
    changed = find_changed_windows(contours, change(contours, 9.5, 9.6, 2.0), grid, 30.0)
    assert changed.tolist() == [False, True, False, False]
    both = find_changed_windows(contours, change(contours, 8.5, 8.6, 2.0), grid, 30.0)
    assert both.tolist() == [True, True, False, False], "it lies where two windows overlap"
    last = find_changed_windows(contours, change(contours, 29.0, 29.1, 2.0), grid, 30.0)
    assert last.tolist() == [False, False, False, True]
    assert describe_stale(None, contours, {}, 30.0) is None


def test_a_separation_without_notes_is_not_gone_on_from(tmp_path: Path) -> None:
    assert find_former(tmp_path, "song") is None
    (tmp_path / "separation.json").write_text("{")
    assert find_former(tmp_path, "song") is None
