"""Reader of recordings without stems: which files, whose F0, how many singers; and bad input."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from src.data.readers.base import DataError
from src.data.readers.mixtures import MixturesReader
from src.data.readers.several import SeveralReader
from src.errors import UmssError
from src.f0.contour_files import write_f0
from src.f0.contours import F0Contours

TRACKS = np.tile(np.array([[400.0, 300.0]], np.float32), (100, 1))


def record(path: Path, seconds: float = 1.0, rate: int = 16_000, channels: int = 1) -> Path:
    """Write a recording: one tone."""
    path.parent.mkdir(parents=True, exist_ok=True)
    tone = 0.3 * np.sin(2 * np.pi * 300 * np.arange(round(seconds * rate)) / rate)
    sf.write(path, np.tile(tone[:, None], channels), rate)
    return path


def write_tracks(path: Path, tracks: np.ndarray = TRACKS) -> Path:
    write_f0(path, F0Contours.on_grid(tracks, tuple("abcdefgh"[: tracks.shape[1]])))
    return path


def sizes(reader: MixturesReader) -> dict[str, int]:
    return {song.name: len(song.parts) for song in reader.songs()}


def test_files_of_any_kind_in_any_folder(tmp_path: Path) -> None:
    root = tmp_path / "choirs"
    record(root / "Schöne Nacht, 2. Satz.wav", rate=44_100, channels=2)
    record(root / "b.mp3", rate=44_100, channels=2)
    record(root / "concert" / "2019" / "a.flac", rate=48_000, channels=4)
    record(root / "concert" / "a.ogg", rate=22_050)
    for hidden in (".a.wav", ".git/a.wav", "__MACOSX/a.wav"):
        record(root / hidden)
    (root / "notes.txt").write_text("not sound")
    os.symlink(root, root / "concert" / "circle")
    reader = MixturesReader(root, 3)
    assert sizes(reader) == {
        name: 3 for name in ("Schöne Nacht, 2. Satz", "b", "concert/2019/a", "concert/a")
    }
    for song in reader.songs():
        assert not song.has_stems and song.parts == ("singer1", "singer2", "singer3")
        loaded = reader.read_stem(song, song.stems[0])
        assert loaded.audio.shape[0] == pytest.approx(16_000, abs=1200)  # mp3 is padded
        assert loaded.rate == sf.info(song.stems[0].path).samplerate
        middle = loaded.audio[4000:12_000]
        assert np.abs(middle).max() == pytest.approx(0.3, abs=0.02)


def test_one_file_is_a_data_set_with_its_neighbours(tmp_path: Path) -> None:
    path = record(tmp_path / "choir one.wav")
    record(tmp_path / "other.wav")
    (tmp_path / "singers.csv").write_text("other.wav,7\n")  # of the folder, not of this file
    write_tracks(tmp_path / "choir one_f0.csv")
    reader = MixturesReader(path, 2)
    (song,) = reader.songs()
    assert song.name == "choir one" and len(song.parts) == 2
    contours = reader.recording_f0(song)
    assert contours is not None and contours.f0[5].tolist() == [400, 300]
    assert reader.location() == str(path)
    # A link keeps its own name and neighbours.
    os.symlink(path, tmp_path / "link.wav")
    (linked,) = MixturesReader(tmp_path / "link.wav").songs()
    assert linked.name == "link"


def test_the_table_counts_singers(tmp_path: Path) -> None:
    for name in ("a.wav", "b, c.wav", "concert/ü.flac", "d.wav"):
        record(tmp_path / name)
    table = tmp_path / "singers.csv"
    expected = {"a": 2, "b, c": 3, "concert/ü": 6, "d": 4}
    for text in (
        'file,n_singers\na.wav,2\n"b, c.wav",3\nconcert/ü.flac,6\n',
        "File;N_singers\r\na;2\r\nb, c;3\r\n\r\n./concert\\ü.flac;6\r\n",
        'a.wav, 2\n"b, c", 3\nconcert/u\u0308.flac, 6\n',  # decomposed, as on macOS
    ):
        for encoding in ("utf-8-sig", "cp1252", "utf-16"):
            if encoding == "cp1252" and "\u0308" in text:
                continue
            table.write_bytes(text.encode(encoding))
            assert sizes(MixturesReader(tmp_path, 4)) == expected
    moved = table.rename(tmp_path / "numbers.csv")
    assert sizes(MixturesReader(tmp_path, 4, table=moved)) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a.wav,2\nx.wav,4\ny.wav,4\n", r"not there: x.wav \(line 2\), y.wav \(line 3\); correct"),
        ("a.wav\n", "line 1: 1 cells"),
        ("a,b,3\n", "line 1: 3 cells"),
        ("file,n_singers\na.wav,many\n", "line 2: 'many' is no number of singers from 1 to 32"),
        ("a.wav,0\n", "'0' is no number"),
        ("a.wav,4\na,4\n", "line 2: names a a second time"),
        ("file,n_singers\n", "names no recordings"),
        ("", "names no recordings"),
        ("a.wav," + "4" * 200_000, "cannot be read as a table"),
    ],
)
def test_unusable_tables(tmp_path: Path, text: str, message: str) -> None:
    record(tmp_path / "a.wav")
    table = tmp_path / "singers.csv"
    table.write_text(text)
    with pytest.raises(DataError, match=message) as caught:
        MixturesReader(tmp_path)
    assert str(caught.value).startswith(str(table)) and len(str(caught.value)) < 400


def test_f0_and_scores_beside_the_recordings(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("a", "b", "c"):
        record(tmp_path / f"{name}.wav")
    write_tracks(tmp_path / "a.csv")
    write_tracks(tmp_path / "typo.csv")
    (tmp_path / "b.MID").write_bytes(b"MThd")
    reader = MixturesReader(tmp_path, 2)
    a, b, c = reader.songs()
    assert reader.recording_f0(a) is not None and reader.score(a) is None
    assert reader.recording_f0(c) is None and reader.score(c) is None
    assert "typo.csv: belongs to no recording" in caplog.text
    with pytest.raises(UmssError, match=r"b\.MID"):
        reader.score(b)
    before = [reader.fingerprint(song) for song in (a, b, c)]
    write_tracks(tmp_path / "c_f0.csv")
    after = [MixturesReader(tmp_path, 2).fingerprint(song) for song in (a, b, c)]
    assert before[:2] == after[:2] and before[2] != after[2]
    write_tracks(tmp_path / "c.csv")
    with pytest.raises(DataError, match=r"c_f0\.csv: a second F0 file beside c\.csv; keep one"):
        MixturesReader(tmp_path, 2)


def test_f0_of_another_number_of_singers(tmp_path: Path) -> None:
    record(tmp_path / "sub" / "a.wav")
    path = write_tracks(tmp_path / "sub" / "a.csv")
    reader = MixturesReader(tmp_path, 4)
    with pytest.raises(DataError) as caught:
        reader.recording_f0(reader.songs()[0])
    assert str(caught.value) == (
        f"{path}: holds 2 singers, but n_singers=4; set n_singers=2, or write singers.csv with the "
        "line sub/a.wav,2 if the songs differ"
    )
    # The remedy is right.
    (tmp_path / "singers.csv").write_text("sub/a.wav,2")
    reader = MixturesReader(tmp_path, 4)
    assert reader.recording_f0(reader.songs()[0]) is not None
    (tmp_path / "singers.csv").write_text("sub/a.wav,3")
    reader = MixturesReader(tmp_path, 4)
    with pytest.raises(DataError, match=r"holds 2 singers, but .*singers\.csv says 3; correct one"):
        reader.recording_f0(reader.songs()[0])


def test_what_umss_separate_wrote_is_no_recording(tmp_path: Path) -> None:
    for name in ("choir", "choir_singer1", "choir_singer2", "choir_residual", "choir_3"):
        record(tmp_path / f"{name}.wav")
    np.savez(tmp_path / "choir_parameters.npz", names=np.array(["singer1", "singer2"]))
    assert list(sizes(MixturesReader(tmp_path))) == ["choir", "choir_3"]


def test_messages(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(DataError, match="choir.wav: no such recording; set data.root"):
        MixturesReader(tmp_path / "choir.wav")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "song.m4a").write_bytes(b"x")
    with caplog.at_level(logging.WARNING), pytest.raises(DataError, match="no recordings in it"):
        MixturesReader(tmp_path)
    assert "song.m4a: left out" in caplog.text
    path = record(tmp_path / "a.wav")
    record(tmp_path / "a.flac")
    with pytest.raises(DataError, match=r"a\.wav: a second recording beside a\.flac; keep one"):
        MixturesReader(tmp_path)
    for number in (0, 33, 2.0, True):
        with pytest.raises(DataError, match=f"n_singers={number}: give a whole number"):
            MixturesReader(path, number)  # type: ignore[arg-type]
    with pytest.raises(DataError, match="table=none.csv: no such file; give a CSV file"):
        MixturesReader(path, table="none.csv")


def test_joined_with_data_that_have_stems(tmp_path: Path) -> None:
    record(tmp_path / "m" / "a.wav")
    write_tracks(tmp_path / "m" / "a.csv")
    choice = {"name": "mixtures", "root": tmp_path / "m", "options": {"n_singers": 2}}
    joined = SeveralReader({"own": choice, "sung": {"name": "generated"}})
    assert not joined.has_stems and joined.f0_kinds == ()
    first, second = joined.songs()[:2]
    assert (first.name, first.has_stems, second.has_stems) == ("own.a", False, True)
    assert joined.recording_f0(first) is not None and joined.score(first) is None
