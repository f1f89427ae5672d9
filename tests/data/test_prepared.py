"""Preparation: what is stored, what is refused, interruption and concurrency."""

from __future__ import annotations

import logging
import multiprocessing
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from src.audio import AudioError
from src.data.prepared import PreparedSet, locate_prepared, prepare
from src.data.readers import generated
from src.data.readers.base import DataError, FileReader
from src.data.readers.csd import CsdReader
from src.data.readers.folder import FolderReader
from src.data.readers.generated import GeneratedReader
from tests.data.songs import PITCH, SATB, WriteStem, tone


@pytest.fixture
def root(tmp_path: Path, write_stem: WriteStem) -> Path:
    """Two songs of two voices, 6 s."""
    for song in ("first", "second"):
        for part in ("soprano", "bass"):
            write_stem(tmp_path / "songs" / song / f"{part}.wav")
    return tmp_path / "songs"


def run(root: Path, **options: object) -> PreparedSet:
    cache = root.parent / "cache"
    return prepare(FolderReader(root), cache, "stems", progress=False, **options)  # type: ignore[arg-type]


def test_songs_are_stored_with_their_f0(root: Path) -> None:
    result = run(root)
    assert [song.name for song in result.songs] == ["first", "second"]
    song = result.song("second")
    assert song.keys == (("soprano", "1"), ("bass", "1"))
    assert song.n_samples == 6 * 16_000
    audio = song.audio(("bass", "1"))
    assert isinstance(audio, np.memmap)
    assert not audio.flags.writeable
    np.testing.assert_allclose(audio, tone("bass", 6.0), atol=1e-4)
    f0 = song.f0(song.keys, "stems")
    assert f0.shape == (375, 2)
    for track, part in zip(f0.T, ("soprano", "bass"), strict=True):
        np.testing.assert_allclose(track[20:350], PITCH[part], rtol=0.01)
    np.testing.assert_array_equal(song.f0(song.keys, "stems", 5, 9), f0[5:9])
    assert song.f0_kinds == ("stems",)
    with pytest.raises(DataError, match="set data.f0=stems"):
        song.f0(song.keys, "cached")
    with pytest.raises(DataError, match="unknown kind"):
        song.f0(song.keys, "psychic")
    with pytest.raises(DataError, match="no stem alto_1; there are soprano_1, bass_1"):
        song.audio(("alto", "1"))
    with pytest.raises(DataError, match="'third' is not prepared"):
        result.song("third")


def test_a_second_run_decodes_nothing(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = run(root).folder
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*.*")}
    with monkeypatch.context() as patch:
        patch.setattr(FileReader, "read_stem", lambda *_: pytest.fail("decoded again"))
        run(root)
    after = {path: path.stat().st_mtime_ns for path in folder.rglob("*.*")}
    assert {p for p in before if p.name != ".lock"} == {p for p in after if p.name != ".lock"}
    assert before[folder / "index.json"] == after[folder / "index.json"]


def test_a_changed_file_prepares_its_song_anew(root: Path, write_stem: WriteStem) -> None:
    first = run(root)
    kept = first.song("first").folder
    write_stem(root / "second" / "bass.wav", 7.0)
    write_stem(root / "second" / "soprano.wav", 7.0)
    second = run(root)
    assert second.song("second").n_samples == 7 * 16_000
    assert second.song("first").folder == kept
    assert not first.song("second").folder.exists()


def test_songs_can_be_prepared_one_by_one(root: Path) -> None:
    assert [song.name for song in run(root, songs={"second"}).songs] == ["second"]
    assert [song.name for song in run(root, songs={"first"}).songs] == ["first", "second"]


def test_an_interrupted_run_starts_cleanly(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    def stop(reader: FileReader, *args: object) -> object:
        calls.append(args)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return original(reader, *args)  # type: ignore[arg-type]

    original = FileReader.read_stem
    with monkeypatch.context() as patch:
        patch.setattr(FileReader, "read_stem", stop)
        with pytest.raises(KeyboardInterrupt):
            run(root)
    folder = locate_prepared(FolderReader(root), root.parent / "cache")
    assert [song.name for song in PreparedSet.open(folder).songs] == ["first"]
    (folder / ".tmp-left-by-a-kill").mkdir()
    assert [song.name for song in run(root).songs] == ["first", "second"]
    assert not list(folder.glob(".tmp-*"))


def test_a_damaged_index_is_replaced(root: Path) -> None:
    folder = run(root).folder
    (folder / "index.json").write_text("{")
    with pytest.raises(DataError, match="not prepared"):
        PreparedSet.open(folder)
    assert len(run(root).songs) == 2


def test_a_deleted_song_is_prepared_again(root: Path) -> None:
    shutil.rmtree(run(root).song("first").folder)
    song = run(root).song("first")
    assert song.audio(song.keys[0]).size == song.n_samples


def _prepare_in_process(root: str) -> int:
    return len(run(Path(root)).songs)


@pytest.mark.slow
def test_two_processes_at_once(root: Path) -> None:
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        assert pool.map(_prepare_in_process, [str(root)] * 2) == [2, 2]
    result = run(root)
    assert len(list(result.folder.glob("*-*"))) == 2
    for song in result.songs:
        assert np.isfinite(song.audio(song.keys[0])).all()


def test_folder_names_depend_on_place_and_options(root: Path, tmp_path: Path) -> None:
    one = locate_prepared(FolderReader(root), tmp_path)
    two = locate_prepared(FolderReader(root, parts=["soprano", "bass"]), tmp_path)
    assert one.name.startswith("folder-")
    assert one != two
    assert one == locate_prepared(FolderReader(str(root) + "/../songs"), tmp_path)


def test_cached_f0_of_a_singer(csd_root: Path, tmp_path: Path) -> None:
    result = prepare(CsdReader(csd_root), tmp_path / "cache", progress=False)
    [song] = result.songs
    assert song.n_samples == 103 * 16_000
    assert song.cached_sizes == {2: 6, 4: 1}
    keys = tuple((part, "4") for part in SATB)
    f0 = song.f0(keys, "cached")
    assert f0.shape == (6438, 4)  # the last frame, half in the song, is padded
    assert not f0[-1].any()
    np.testing.assert_array_equal(f0[0], [400, 300, 200, 100])
    np.testing.assert_array_equal(song.f0(keys[1:3], "cached")[0], [300, 200])
    np.testing.assert_array_equal(song.f0(keys[2:0:-1], "cached")[0], [200, 300])
    with pytest.raises(DataError, match="no cached F0 for the mixture soprano_4.alto_4.tenor_4"):
        song.f0(keys[:3], "cached")


def test_stem_f0_can_be_added_later(root: Path, csd_root: Path, tmp_path: Path) -> None:
    [song] = prepare(CsdReader(csd_root), tmp_path / "c", progress=False).songs
    assert song.f0_kinds == ("cached",)
    [song] = prepare(CsdReader(csd_root), tmp_path / "c", "stems", progress=False).songs
    assert song.f0_kinds == ("cached", "stems")


def test_data_without_f0_say_so(root: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="come without F0; set data.f0=stems"):
        prepare(FolderReader(root), tmp_path / "cache", "cached", progress=False)


def test_generated_songs_have_exact_f0(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = generated.SONGS[0]
    reader = GeneratedReader(max_seconds=5.0)
    [song] = prepare(reader, tmp_path, songs={name}, progress=False).songs
    assert song.parts == SATB
    sung = generated.generate_song(name, seed=0, rate=16_000, max_seconds=5.0)
    np.testing.assert_array_equal(song.audio(("alto", "1")), sung.audio[1])
    np.testing.assert_array_equal(song.f0(song.keys, "cached"), sung.f0.T)
    np.testing.assert_array_equal(song.f0(song.keys[2:], "cached"), sung.f0.T[:, 2:])
    assert song.f0_kinds == ("exact",)
    monkeypatch.setattr(generated, "generate_song", lambda *_, **__: pytest.fail("sung again"))
    prepare(GeneratedReader(max_seconds=5.0), tmp_path, songs={name}, progress=False)


def test_missing_and_unreadable_audio(root: Path) -> None:
    path = root / "first" / "bass.wav"
    path.write_bytes(b"no audio at all" * 100)
    with pytest.raises(AudioError, match="bass.wav: not readable as audio"):
        run(root)
    path.write_bytes(b"")
    with pytest.raises(AudioError, match="bass.wav"):
        run(root)
    sf.write(path, np.zeros(0, np.float32), 16_000)
    with pytest.raises(AudioError, match="bass.wav: the audio file is empty"):
        run(root)


def test_nan(root: Path, write_stem: WriteStem) -> None:
    audio = tone("bass", 6)
    audio[100] = np.nan
    sf.write(root / "first" / "bass.wav", audio, 16_000, subtype="FLOAT")
    with pytest.raises(AudioError, match=r"bass.wav: .* NaN"):
        run(root)


def test_silent_stems(root: Path, write_stem: WriteStem) -> None:
    path = write_stem(root / "first" / "bass.wav", audio=np.zeros(96_000, np.float32))
    with pytest.raises(DataError, match="bass.wav: silent .* set data.allow_silent=true"):
        run(root)
    result = run(root, allow_silent=True)
    assert ("warning", f"{path}: silent") in result.song("first").notes
    with pytest.raises(DataError, match="silent"):  # also where it is prepared already
        run(root)


def test_clipped_stems(root: Path, write_stem: WriteStem, caplog: pytest.LogCaptureFixture) -> None:
    loud = tone("bass", 6) * 20
    write_stem(root / "first" / "bass.wav", audio=np.clip(loud, -1, 1))
    # A full-scale tone is not clipped, nor is a quiet flat top.
    sine = np.sin(2 * np.pi * 50 * np.arange(96_000) / 16_000).astype(np.float32)
    write_stem(root / "second" / "bass.wav", audio=sine)
    result = run(root)
    [(level, text)] = result.song("first").notes
    assert level == "warning"
    assert "clipped samples" in text
    assert "clipped samples" in caplog.text
    assert result.song("second").notes == []


def test_differing_lengths(root: Path, write_stem: WriteStem) -> None:
    write_stem(root / "first" / "bass.wav", 7.5)
    result = run(root)
    assert result.song("first").n_samples == 6 * 16_000
    assert result.song("first").notes[0][0] == "info"
    assert "stems of 6.00 to 7.50 s cut to 6.00 s" in result.song("first").notes[0][1]
    write_stem(root / "first" / "bass.wav", 9.0)
    with pytest.raises(DataError, match=r"soprano.wav lasts 6.00 s but .*bass.wav lasts 9.00 s"):
        run(root)


def test_differing_sample_rates(
    root: Path, write_stem: WriteStem, caplog: pytest.LogCaptureFixture
) -> None:
    write_stem(root / "first" / "bass.wav", rate=44_100)
    with caplog.at_level(logging.INFO):
        song = run(root).song("first")
    assert "first: sample rate 16000, 44100 Hz, resampled to 16000 Hz" in caplog.text
    assert song.n_samples == 6 * 16_000
    inside = slice(1000, 90_000)
    got, wanted = song.audio(("bass", "1"))[inside], tone("bass", 6)[inside]
    assert np.corrcoef(got, wanted)[0, 1] > 0.999


def test_too_short(root: Path, write_stem: WriteStem) -> None:
    for part in ("soprano", "bass"):
        write_stem(root / "first" / f"{part}.wav", 0.5)
    with pytest.raises(DataError, match="0.50 s is too short"):
        run(root)


def test_f0_of_another_recording(csd_root: Path, tmp_path: Path) -> None:
    class Mistaken(CsdReader):
        def song_seconds(self, song: object, shortest: int) -> int:
            return 103

    track = np.ones((50, 2), np.float32)
    np.savez(
        csd_root / "f0_mixtures" / "cuesta_assigned_2_singers.npz",
        allow_pickle=False,
        **{"alto_4+bass_4": track},
    )
    with pytest.raises(DataError, match="belongs to another recording"):
        prepare(Mistaken(csd_root), tmp_path / "cache", progress=False)


def test_singers_without_a_part(csd_root: Path, tmp_path: Path, write_stem: WriteStem) -> None:
    write_stem(csd_root / "audio" / "alto_2.flac", 103.5)
    [song] = prepare(CsdReader(csd_root), tmp_path / "cache", progress=False).songs
    assert ("warning", "some_singers: singer 2 has no soprano, tenor, bass") in song.notes


def test_cache_that_cannot_be_written(root: Path) -> None:
    (root.parent / "cache").write_text("a file in the way")
    with pytest.raises(DataError, match="set paths.cache_dir"):
        run(root)


def test_files_are_readable_by_others(root: Path) -> None:
    song = run(root).songs[0]
    assert os.stat(song.folder).st_mode & 0o777 == 0o755
