"""Choral Singing Dataset: both layouts, cached F0, song lengths, messages."""

from __future__ import annotations

import itertools
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hydra.utils import instantiate

from src.data.datamodule import MixtureDataModule
from src.data.readers.base import DataError
from src.data.readers.csd import CsdReader
from src.evaluate import describe_protocol
from tests.data.songs import SATB, WriteStem
from tests.tiny_training import compose_config

FOUR = tuple((part, "4") for part in SATB)


def test_flat_folder_of_one_singer(csd_root: Path) -> None:
    reader = CsdReader(csd_root)
    [song] = reader.songs()
    assert song.name == "some_singers"
    assert [stem.key for stem in song.stems] == list(FOUR)
    assert reader.f0_kinds == ("cached", "stems")
    assert len(reader.cached_mixtures(song)) == 7
    assert FOUR in reader.cached_mixtures(song)
    f0 = reader.cached_f0(song, FOUR)
    assert f0 is not None
    np.testing.assert_array_equal(f0[0], [400, 300, 200, 100])
    pair = reader.cached_f0(song, (("soprano", "4"), ("alto", "4")))
    assert pair is not None
    np.testing.assert_array_equal(pair[0], [400, 300])
    assert reader.cached_f0(song, FOUR[:3]) is None


def test_length_is_whole_seconds_within_stems_and_f0(csd_root: Path) -> None:
    reader = CsdReader(csd_root)
    [song] = reader.songs()
    assert reader.song_seconds(song, int(103.4 * 16_000)) == 103
    assert reader.song_seconds(song, 110 * 16_000) == 103  # the cached F0 ends there
    assert reader.song_seconds(song, int(99.9 * 16_000)) == 99


@pytest.mark.parametrize(
    ("folder", "song", "stem", "seconds"),
    [
        ("Niño Dios", "nino_dios", 104, 103),
        ("csd_nino_dios", "nino_dios", 104, 103),
        ("csd_nino_dios", "nino_dios", 102, 102),
        ("El Rossinyol", "el_rossinyol", 140, 134),
        ("LocusIste", "locus_iste", 189, 189),
        ("Locus-Iste", "locus_iste", 199, 190),
    ],
)
def test_known_titles_have_the_lengths_of_the_paper(
    tmp_path: Path, write_stem: WriteStem, folder: str, song: str, stem: int, seconds: int
) -> None:
    for part in SATB:
        write_stem(tmp_path / folder / f"{part}_2.wav", 0.1)
    reader = CsdReader(tmp_path / folder)
    assert [s.name for s in reader.songs()] == [song]
    assert reader.song_seconds(reader.songs()[0], stem * 16_000) == seconds
    assert reader.f0_kinds == ("stems",)


def test_zenodo_layout_anywhere_below_the_root(tmp_path: Path, write_stem: WriteStem) -> None:
    for code, folder in (("ER", "El Rossinyol/audio"), ("ND", ".")):
        for part in ("Soprano", "ContraAlt", "tenor", "Bajos"):
            for singer in "12":
                write_stem(tmp_path / folder / f"CSD_{code}_{part}_{singer}.wav", 0.1)
    songs = CsdReader(tmp_path).songs()
    assert [song.name for song in songs] == ["el_rossinyol", "nino_dios"]
    assert all(song.parts == SATB and len(song.stems) == 8 for song in songs)


def test_several_flat_songs_keep_their_own_f0(
    tmp_path: Path, csd_root: Path, write_stem: WriteStem
) -> None:
    shutil.copytree(csd_root, tmp_path / "both" / "one")
    for part in SATB:
        write_stem(tmp_path / "both" / "two" / f"{part}_4.wav", 0.1)
    reader = CsdReader(tmp_path / "both")
    one, two = reader.songs()
    assert len(reader.cached_mixtures(one)) == 7
    assert reader.cached_mixtures(two) == []


def test_missing_part(csd_root: Path) -> None:
    (csd_root / "audio" / "bass_4.flac").unlink()
    with pytest.raises(DataError, match="has no bass; add bass_4"):
        CsdReader(csd_root)


def test_two_files_of_one_stem(csd_root: Path, write_stem: WriteStem) -> None:
    write_stem(csd_root / "audio" / "bass_4.wav", 0.1)
    with pytest.raises(DataError, match="a second file for some_singers bass 4"):
        CsdReader(csd_root)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"soprano_4+alto_4": np.zeros((9, 3))}, r"expected \[N, 2\]"),
        ({"soprano_4+alto_4": np.full((9, 2), np.nan)}, "NaN"),
        ({"soprano_4+alto_4": np.full((9, 2), -1.0)}, "negative"),
        ({"soprano and alto": np.zeros((9, 2))}, "not of the form"),
        ({}, "holds no mixtures"),
    ],
)
def test_malformed_f0(csd_root: Path, content: dict[str, np.ndarray], message: str) -> None:
    path = csd_root / "f0_mixtures" / "cuesta_assigned_2_singers.npz"
    np.savez(path, allow_pickle=False, **content)
    with pytest.raises(DataError, match=message) as error:
        CsdReader(csd_root)
    assert str(path) in str(error.value)


def test_unreadable_f0(csd_root: Path) -> None:
    (csd_root / "f0_mixtures" / "cuesta_assigned_2_singers.npz").write_bytes(b"garbage")
    with pytest.raises(DataError, match="not a readable .npz"):
        CsdReader(csd_root)


def test_shared_singers(shared_dir: Path) -> None:
    root = shared_dir / "data" / "csd_nino_dios"
    if not root.is_dir():
        pytest.skip(f"no {root}")
    reader = CsdReader(root)
    [song] = reader.songs()
    assert song.name == "nino_dios"
    sizes = [len(keys) for keys in reader.cached_mixtures(song)]
    assert (sizes.count(2), sizes.count(3), sizes.count(4)) == (54, 0, 81)
    for keys in reader.cached_mixtures(song)[::10]:
        f0 = reader.cached_f0(song, keys)
        assert f0 is not None
        medians = [np.median(track[track > 0]) for track in f0.T]
        assert medians == sorted(medians, reverse=True)


def write_paper_songs(root: Path, write_stem: WriteStem) -> Path:
    """All singers of the paper's test set, a fifth soprano, and F0 of their mixtures."""
    for song, singer, seconds in (("El Rossinyol", 2, 134), ("Locus Iste", 3, 190),
                                  ("Niño Dios", 4, 103)):  # fmt: skip
        for part in SATB:
            write_stem(root / song / f"{part}_{singer}.wav", seconds + 0.1)
        write_stem(root / song / "soprano_1.wav", seconds + 0.1)
        (root / song / "f0_mixtures").mkdir()
        for j in (2, 4):
            mixtures = itertools.combinations(SATB, j)
            names = ["+".join(f"{part}_{singer}" for part in parts) for parts in mixtures]
            track = np.full((seconds * 16_000 // 256 + 1, j), 200.0, np.float32)
            path = root / song / "f0_mixtures" / f"cuesta_assigned_{j}_singers.npz"
            np.savez(path, allow_pickle=False, **dict.fromkeys(names, track))
    return root


def test_the_test_set_of_the_paper(tmp_path: Path, write_stem: WriteStem) -> None:
    root = write_paper_songs(tmp_path / "csd", write_stem)
    changes = ["data=csd", f"data.root={root}", f"paths.cache_dir={tmp_path / 'cache'}"]
    changes += ["data.progress=false", "data.test_set=paper", "data.singers=[1]"]
    for n_singers, n_excerpts in ((4, 102), (2, 612)):
        cfg = compose_config("evaluate", [*changes, f"n_singers={n_singers}"])
        data = instantiate(cfg.data, _convert_="all")
        data.prepare("test")
        data.setup("test")
        assert len(data.test_set) == n_excerpts
        last = data.test_set[n_excerpts - 1]
        assert (last["song"], last["excerpt"], last["start"]) == (
            "nino_dios",
            24,
            24 * 64_000 - 256,
        )
        assert set(last["singers"]) == {"4"}
        protocol = describe_protocol(data)
        singers = {"el_rossinyol": [2], "locus_iste": [3], "nino_dios": [4]}
        assert protocol["singers"] == singers and protocol["songs"] == sorted(singers)


def test_test_sets_that_are_not_there(csd_root: Path, tmp_path: Path) -> None:
    def refuse(message: str, **options: Any) -> None:
        data = MixtureDataModule(n_singers=4, cache_dir=tmp_path, **options)
        with pytest.raises(DataError, match=message):
            data.choose_split(data.build_reader())

    refuse("data.test_set=papers: no such test set; there are paper", reader="csd",
           root=csd_root, test_set="papers")  # fmt: skip
    refuse("data.test_set=paper: no such test set; data=generated names none", reader="generated",
           test_set="paper")  # fmt: skip
    refuse("data.test_set=paper needs el_rossinyol, singer 2; locus_iste, singer 3; nino_dios",
           reader="csd", root=csd_root, test_set="paper")  # fmt: skip
