"""Folders of recordings with anything in them: prepared right, or one sentence that names it."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile as sf
from hypothesis import strategies as st

from src.data.prepared import PreparedSet, prepare
from src.data.readers import build_reader
from tests.doors import JUNK, assert_one_sentence, damaged, few_and_many, snapshot, with_junk

T = np.arange(17_000) / 16_000
TONE = (0.1 * np.sin(2 * np.pi * 220 * T)).astype(np.float32)
SATB = ("soprano", "alto", "tenor", "bass")


def write_folder(root: Path) -> None:
    for part in SATB:
        write(root / "song" / f"{part}.wav")


def write_csd(root: Path) -> None:
    for part in SATB:
        write(root / "a_song" / f"{part}_1.wav")
    (root / "a_song" / "f0_mixtures").mkdir()
    track = np.full((200, 2), 220.0, np.float32)
    np.savez(root / "a_song" / "f0_mixtures" / "x_2_singers.npz", **{"soprano_1+bass_1": track})


def write_bcbq(root: Path) -> None:
    for part in SATB:
        write(root / "BC" / "01_a" / f"{part}.wav")
    for part in ("tenor", "lead", "baritone", "bass"):
        write(root / "BQ" / "02_b" / f"{part}.wav")


def write_choralsynth(root: Path) -> None:
    for part in SATB:
        write(root / "piece" / "voices" / f"{part}.wav")
    info = {"parts": [{"name": part, "type": part} for part in SATB]}
    (root / "piece" / "info.json").write_text(json.dumps(info))


def write(path: Path, audio: np.ndarray = TONE, rate: int = 16_000) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    sf.write(path, audio, rate, subtype="FLOAT")


LAYOUTS: dict[str, Callable[[Path], None]] = {
    "folder": write_folder,
    "csd": write_csd,
    "bcbq": write_bcbq,
    "choralsynth": write_choralsynth,
}
NAMES = st.one_of(
    st.sampled_from([
        "soprano.wav", "Soprano.WAV", "soprano2.wav", "soprano_1.wav", "soprano_01.wav", "x.flac",
        ".hidden.wav", "voice.m4a", "tenor.flac", "a b.wav", "ü.wav", "x\ny.wav", "'.wav", "#.wav",
        "CSD_ER_soprano_1.wav", "info.json", "-.wav", "..wav", "x" * 200 + ".wav",
    ]),
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="/\0"), min_size=1,
            max_size=8).map(lambda stem: f"{stem}.wav"),
)  # fmt: skip


def spoil(root: Path, data: st.DataObject) -> None:
    """Do something to a data set that happens to data sets."""
    files = sorted(path for path in root.rglob("*") if path.is_file())
    path = data.draw(st.sampled_from(files))
    kind = data.draw(st.sampled_from([
        "remove", "empty", "damage", "folder", "link", "loop", "rename", "add", "rate", "short",
        "long", "nan", "silent", "channels", "json", "locked", "move",
    ]))  # fmt: skip
    if kind == "remove":
        path.unlink()
    elif kind == "empty":
        path.write_bytes(b"")
    elif kind == "damage":
        path.write_bytes(data.draw(damaged(path.read_bytes())))
    elif kind in ("folder", "link", "loop"):
        path.unlink()
        if kind == "folder":
            path.mkdir()
        else:
            path.symlink_to(path.name if kind == "loop" else "nothing.wav")
    elif kind in ("rename", "add"):
        target = path.with_name(data.draw(NAMES))
        if not target.exists():
            shutil.copy(path, target)
            if kind == "rename":
                path.unlink()
    elif kind == "json":
        info = {"parts": [{"name": part, "type": part} for part in SATB]}
        changed = data.draw(st.one_of(JUNK, with_junk(info), st.lists(JUNK, max_size=3)))
        for place in root.rglob("info.json"):
            place.write_text(json.dumps(changed))
    elif kind == "locked":
        path.chmod(0)
    elif kind == "move":
        os.replace(path, root / path.name)
    elif path.suffix == ".wav":
        audio, rate = TONE, 16_000
        if kind == "rate":
            rate = data.draw(st.sampled_from([1, 100, 8000, 44_100, 192_000, 1_000_000]))
        elif kind == "short":
            audio = TONE[: data.draw(st.sampled_from([0, 1, 100, 15_999, 16_001]))]
        elif kind == "long":
            audio = np.tile(TONE, 6)
        elif kind == "nan":
            audio = np.where(T > 0.5, data.draw(st.sampled_from([np.nan, np.inf, 1e30])), TONE)
        elif kind == "silent":
            audio = 0 * TONE
        elif kind == "channels":
            audio = np.tile(TONE[:, None], data.draw(st.integers(2, 5)))
        write(path, audio, rate)


def check_prepared(prepared: PreparedSet) -> None:
    """Every stem of every song is there, whole and finite."""
    for song in prepared.songs:
        assert song.find_damage() == []
        for key in song.keys:
            audio = song.audio(key)
            assert audio.shape == (song.n_samples,) and np.isfinite(audio).all()


def check_data_sets(tmp_path: Path, data: st.DataObject) -> None:
    for name in ("data", "cache"):
        shutil.rmtree(tmp_path / name, ignore_errors=True)
    name = data.draw(st.sampled_from(sorted(LAYOUTS)))
    root = tmp_path / "data"
    LAYOUTS[name](root)
    spoil(root, data)
    before = snapshot(root)
    try:
        # F0 of stems takes long; that of the stems is asked for by no part of this.
        reader = build_reader(name, root)
        reader.f0_kinds = (*reader.f0_kinds, "cached")
        prepared = prepare(reader, tmp_path / "cache", "cached", progress=False)
    except (ValueError, OSError) as error:
        if "\n" not in str(sorted(root.rglob("*"))) and "\\n" not in repr(sorted(root.rglob("*"))):
            assert_one_sentence(error, str(root), str(tmp_path / "cache"))
    else:
        check_prepared(prepared)
    assert snapshot(root) == before


globals().update(few_and_many(check_data_sets))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set with its cache."""
    folder = tmp_path_factory.mktemp("whole")
    write_csd(folder / "data")
    prepare(build_reader("csd", folder / "data"), folder / "cache", progress=False)
    return folder


def check_half_deleted_caches(whole: Path, tmp_path: Path, data: st.DataObject) -> None:
    cache = tmp_path / "cache"
    shutil.rmtree(cache, ignore_errors=True)
    shutil.copytree(whole / "cache", cache)
    files = sorted(path for path in cache.rglob("*") if path.is_file() and path.name != ".lock")
    path = data.draw(st.sampled_from(files))
    kind = data.draw(st.sampled_from(["remove", "cut", "index", "empty", "folder"]))
    if kind == "remove":
        path.unlink()
    elif kind == "cut":
        content = path.read_bytes()
        path.write_bytes(content[: data.draw(st.integers(0, len(content) - 1))])
    elif kind == "empty":
        path.write_bytes(b"")
    elif kind == "folder":
        shutil.rmtree(path.parent)
    else:
        (index,) = cache.rglob("index.json")
        changed = st.one_of(JUNK, with_junk(json.loads(index.read_text()), depth=6))
        index.write_text(json.dumps(data.draw(changed)))
    reader = build_reader("csd", whole / "data")
    try:
        prepared = prepare(reader, cache, progress=False)
    except ValueError as error:
        assert_one_sentence(error, str(cache), str(whole / "data"))
        return
    check_prepared(prepared)
    if kind == "index":  # one that was changed into another well-formed one is believed
        return
    expected = PreparedSet.open(next((whole / "cache").iterdir()))
    for song in expected.songs:
        again = prepared.song(song.name)
        for key in song.keys:
            assert np.array_equal(again.audio(key), song.audio(key))
        pair = (("soprano", "1"), ("bass", "1"))
        assert np.array_equal(again.f0(pair, "cached"), song.f0(pair, "cached"))


globals().update(few_and_many(check_half_deleted_caches))


def test_a_file_that_goes_while_it_is_used_is_named(whole: Path, tmp_path: Path) -> None:
    shutil.copytree(whole / "cache", tmp_path / "cache")
    prepared = prepare(build_reader("csd", whole / "data"), tmp_path / "cache", progress=False)
    song = prepared.songs[0]
    for change in (lambda path: path.write_bytes(b"x"), Path.unlink):
        path = song.folder / "audio_bass_1.npy"
        change(path)
        with pytest.raises(ValueError, match="missing or damaged") as caught:
            song.audio(("bass", "1"))
        assert_one_sentence(caught.value, str(path))


@pytest.mark.parametrize("name", sorted(LAYOUTS))
@pytest.mark.parametrize("kind", ["none", "empty", "file", "link", "loop"])
def test_a_root_that_holds_no_data(name: str, kind: str, tmp_path: Path) -> None:
    root = tmp_path / "data"
    made: dict[str, Callable[[], Any]] = {
        "none": lambda: None,
        "empty": root.mkdir,
        "file": root.touch,
        "link": lambda: root.symlink_to("nothing"),
        "loop": lambda: root.symlink_to("data"),
    }
    made[kind]()
    with pytest.raises((ValueError, OSError)) as caught:
        build_reader(name, root)
    assert_one_sentence(caught.value, str(tmp_path))
