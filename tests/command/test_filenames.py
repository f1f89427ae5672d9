"""Names of files by a pattern, and back."""

from __future__ import annotations

from pathlib import Path

import pytest

from src.command.recordings import Recording, find_recordings
from src.errors import UmssError
from src.filenames import FILENAME, check_filename, find_track, name_file


@pytest.mark.parametrize(
    "filename",
    [FILENAME, "{track}/{voice}.{ext}", "{voice}/{track}.{ext}", "{track}/{track} ({voice}).{ext}"],
)
@pytest.mark.parametrize("track", ["choir", "a_b {voice}", "x.y (1)", "two\nlines"])
def test_tracks_are_found_again(filename: str, track: str, tmp_path: Path) -> None:
    check_filename(filename)
    path = name_file(tmp_path, track, "parameters", "npz", filename)
    assert find_track(path, "parameters", "npz", filename) == (tmp_path, track)
    assert find_track(path.with_name("x"), "parameters", "npz", filename) is None


def test_no_track_leads_elsewhere(tmp_path: Path) -> None:
    path = name_file(tmp_path, "..", "alto", "wav", "{track}/{voice}.{ext}")
    assert path == tmp_path / "__" / "alto.wav"


def test_without_a_track_the_folder_is_one(tmp_path: Path) -> None:
    filename = "{voice}.{ext}"
    path = name_file(tmp_path / "mass", "choir", "parameters", "npz", filename)
    assert find_track(path, "parameters", "npz", filename) == (tmp_path / "mass", "mass")


@pytest.mark.parametrize(
    "filename",
    ["", "{voice}", "{track}.{ext}", "{voice}{voice}.{ext}", "/{voice}.{ext}", "a/../{voice}.{ext}",
     "{voice.{ext}", "{name}_{voice}.{ext}", "{voice}.{ext}/", "a//{voice}.{ext}"],
)  # fmt: skip
def test_patterns_that_would_mix_files_up(filename: str) -> None:
    with pytest.raises(UmssError, match="filename="):
        check_filename(filename)


def test_recordings_get_folders_where_names_meet(tmp_path: Path) -> None:
    def below(*names: str, filename: str = FILENAME) -> list[str]:
        given = [str(tmp_path / name) for name in names]
        return [found.below for found in find_recordings(given, tmp_path / "o", filename)]

    assert below("a/x.wav", "a/y.wav") == ["", ""]
    assert below("a/x.wav", "b/x.wav") == ["a", "b"]
    assert below("a/x.wav", "a/X.mp3") == ["x", "X"] or below("a/x.wav", "a/X.mp3") == [
        "wav",
        "mp3",
    ]
    assert below("a/x.wav", "a/x.mp3", "b/x.wav") == ["a/wav", "a/mp3", "b/wav"]
    assert below("a/x.wav", "a/x.wav") == [""]
    assert below("a/x.wav", "a/y.wav", filename="{voice}.{ext}") == ["x", "y"]
    # Folders made up here that are taken already.
    assert below("p/b/x.wav", "q/b/x.wav", "r/b/x.wav") == ["", "2", "3"]
    assert find_recordings([str(tmp_path / "a.wav")], tmp_path) == [Recording(tmp_path / "a.wav")]
