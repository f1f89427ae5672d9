"""Readers bcbq, folder and choralsynth, and the registry."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from src.data.readers import READERS, build_reader
from src.data.readers.base import DataError, FileReader
from src.data.readers.bcbq import BcbqReader
from src.data.readers.choralsynth import ChoralSynthReader
from src.data.readers.folder import FolderReader
from tests.data.songs import SATB, WriteStem

BARBERSHOP = ("tenor", "lead", "baritone", "bass")


@pytest.fixture
def bcbq_root(tmp_path: Path, write_stem: WriteStem) -> Path:
    root = tmp_path / "bought"
    for number, title in ((1, "1_christ"), (2, "02_hymn"), (8, "08 a title")):
        for part in SATB:
            write_stem(root / "BC" / title / f"{part}.wav", 0.1 * number)
    for part in BARBERSHOP:
        write_stem(root / "BQ" / "09_sweet" / f"{part.title()}.flac", 0.1)
    return root


def test_bcbq(bcbq_root: Path) -> None:
    songs = BcbqReader(bcbq_root).songs()
    assert [song.name for song in songs] == ["BC_01", "BC_02", "BC_08", "BQ_09"]
    assert songs[0].parts == SATB
    assert songs[-1].parts == BARBERSHOP


def test_bcbq_messages(bcbq_root: Path, tmp_path: Path) -> None:
    (bcbq_root / "BQ" / "09_sweet" / "Lead.flac").unlink()
    with pytest.raises(DataError, match="09_sweet: no lead"):
        BcbqReader(bcbq_root)
    (bcbq_root / "BQ" / "09_sweet").rename(bcbq_root / "BQ" / "sweet")
    with pytest.raises(DataError, match="must start with the song's number"):
        BcbqReader(bcbq_root)
    (tmp_path / "other" / "x").mkdir(parents=True)
    with pytest.raises(DataError, match="neither BC nor BQ"):
        BcbqReader(tmp_path / "other")


def test_bcbq_repeated_number(bcbq_root: Path, write_stem: WriteStem) -> None:
    for part in SATB:
        write_stem(bcbq_root / "BC" / "001_again" / f"{part}.wav", 0.1)
    with pytest.raises(DataError, match="two songs are called 'BC_01'"):
        BcbqReader(bcbq_root)


def test_folder_orders_known_voices(tmp_path: Path, write_stem: WriteStem) -> None:
    for voice in ("bass", "Alto2", "alto1", "Mezzo-Soprano", "soprano", "tenor"):
        write_stem(tmp_path / "quintet" / f"{voice}.wav", 0.1)
    for voice in BARBERSHOP:
        write_stem(tmp_path / "shop" / f"{voice}.wav", 0.1)
    first, second = FolderReader(tmp_path).songs()
    assert first.parts == ("soprano", "mezzo-soprano", "alto1", "alto2", "tenor", "bass")
    assert second.parts == BARBERSHOP


def test_folder_needs_parts_for_unknown_names(tmp_path: Path, write_stem: WriteStem) -> None:
    for voice in ("anna", "otto"):
        write_stem(tmp_path / "duet" / f"{voice}.wav", 0.1)
    with pytest.raises(DataError, match="set data.parts"):
        FolderReader(tmp_path)
    assert FolderReader(tmp_path, parts=["Otto", "Anna"]).songs()[0].parts == ("otto", "anna")
    with pytest.raises(DataError, match="'otto' is not in data.parts"):
        FolderReader(tmp_path, parts=["anna"])


def test_folder_messages(tmp_path: Path, write_stem: WriteStem) -> None:
    write_stem(tmp_path / "a" / "alto.wav", 0.1)
    write_stem(tmp_path / "a" / "alto.flac", 0.1)
    with pytest.raises(DataError, match="a second file for alto"):
        FolderReader(tmp_path)
    with pytest.raises(DataError, match="no song folders"):
        FolderReader(tmp_path / "a")
    (tmp_path / "a" / "alto.flac").unlink()
    (tmp_path / "empty song").mkdir()
    with pytest.raises(DataError, match="empty song: no audio files"):
        FolderReader(tmp_path)


def piece(root: Path, write_stem: WriteStem, voices: dict[str, str]) -> Path:
    """A ChoralSynth piece {part name: type}; accompaniments get no audio."""
    parts = [{"id": i, "name": n, "type": t} for i, (n, t) in enumerate(voices.items(), 1)]
    for name, kind in voices.items():
        if kind != "accompaniment":
            write_stem(root / "voices" / f"{name.strip().replace(' ', '_')}.mp3", 0.5)
    (root / "info.json").write_text(json.dumps({"parts": parts}))
    return root


def test_choralsynth(tmp_path: Path, write_stem: WriteStem) -> None:
    plain = {"BASS": "bass", "Soprano ": "soprano", "Alto": "alto", "Organ": "accompaniment"}
    piece(tmp_path / "plain", write_stem, plain)
    double = {"Cantus Ch1": "soprano", "Bassus Ch1": "bass", "Cantus Ch2": "soprano"}
    piece(tmp_path / "a 3", write_stem, double)
    second, first = ChoralSynthReader(tmp_path).songs()
    assert first.parts == ("soprano", "alto", "bass")
    assert second.parts == ("Cantus_Ch1", "Cantus_Ch2", "Bassus_Ch1")


def test_choralsynth_messages(tmp_path: Path, write_stem: WriteStem) -> None:
    root = piece(tmp_path / "p", write_stem, {"Soprano": "soprano", "Alto": "alto"})
    (root / "voices" / "Alto.mp3").rename(root / "voices" / "Other.mp3")
    with pytest.raises(DataError, match="no audio for part 'Alto'"):
        ChoralSynthReader(tmp_path)
    (root / "info.json").write_text('{"parts": [{"name": "Soprano", "type": "soprano"}]}')
    with pytest.raises(DataError, match="Other.mp3: info.json has no such part"):
        ChoralSynthReader(tmp_path)
    (root / "info.json").write_text('{"parts": [{"name": "Soprano", "type": "kazoo"}]}')
    with pytest.raises(DataError, match="unknown type 'kazoo'"):
        ChoralSynthReader(tmp_path)
    (root / "info.json").write_text("{}")
    with pytest.raises(DataError, match="not a list of parts"):
        ChoralSynthReader(tmp_path)
    (root / "info.json").unlink()
    with pytest.raises(DataError, match="missing"):
        ChoralSynthReader(tmp_path)


def test_shared_choralsynth(shared_dir: Path) -> None:
    root = shared_dir / "data" / "choralsynth"
    if not root.is_dir():
        pytest.skip(f"no {root}")
    songs = {song.name: song for song in ChoralSynthReader(root).songs()}
    assert len(songs) == 20
    sizes = sorted(len(song.parts) for song in songs.values())
    assert sizes == [2] + 16 * [4] + [5, 8, 8]
    assert songs["08_Anima_nostra"].parts == ("CANTUS", "ALTUS", "TENOR_I", "TENOR_II", "BASSUS")


@pytest.mark.parametrize("name", [n for n, r in READERS.items() if issubclass(r, FileReader)])
def test_unusable_roots(tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError, match="no such folder; set data.root"):
        build_reader(name, tmp_path / "nowhere")
    with pytest.raises(DataError, match="the folder is empty"):
        build_reader(name, tmp_path)
    (tmp_path / "file").write_text("x")
    if name != "mixtures":  # which takes one recording, too
        with pytest.raises(DataError, match="not a folder"):
            build_reader(name, tmp_path / "file")
    with pytest.raises(DataError):
        build_reader(name, tmp_path)
    with pytest.raises(DataError, match="needs data.root"):
        build_reader(name)


def test_registry_messages(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="unknown; there are generated, csd"):
        build_reader("cantoria", tmp_path)
    with pytest.raises(DataError, match="unexpected keyword argument 'parts'"):
        build_reader("generated", parts=["a"])


def test_sound_that_cannot_be_read_is_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Telephones record AAC; a voice must not be missing without a word."""
    song = tmp_path / "data" / "song"
    song.mkdir(parents=True)
    for name in ("soprano.wav", "alto.wav", "bass.m4a", "._tenor.m4a", "notes.txt"):
        (song / name).write_bytes(b"x")
    with caplog.at_level("WARNING"):
        reader = FolderReader(tmp_path / "data")
        FolderReader(tmp_path / "data")
    assert reader.songs()[0].parts == ("soprano", "alto")
    messages = [record.getMessage() for record in caplog.records]
    assert len(messages) == 1 and "bass.m4a: left out" in messages[0]
