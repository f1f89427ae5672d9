"""Data sets joined: names, what is asked of the parts, prepared folders, and training on both."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hydra.utils import instantiate

from src.data.datamodule import MixtureDataModule
from src.data.prepared import locate_prepared, prepare
from src.data.readers import build_reader
from src.data.readers.base import DataError, Reader
from src.data.readers.csd import CsdReader
from src.data.readers.generated import GeneratedReader
from src.data.sampler import EpochSampler
from tests.data.songs import SATB, WriteStem
from tests.tiny_training import compose_config

CHORALES = ("bwv253_ach_bleib_bei_uns", "bwv434_wer_nur_den_lieben_gott")
GENERATED = {"name": "generated", "options": {"max_seconds": 4.0}}
STEMS = [f"{part}_{singer}" for part in SATB for singer in "12"]
FIELD = "data.reader.options.readers"


@pytest.fixture
def root(tmp_path: Path, write_stem: WriteStem) -> Path:
    """One song in the layout of the Choral Singing Dataset, two singers, 6 s, F0 of one duet."""
    folder = tmp_path / "choir" / "evening"
    for part in SATB:
        for singer in "12":
            write_stem(folder / f"{part}_{singer}.wav", 6.0)
    (folder / "f0_mixtures").mkdir()
    track = np.stack([np.full(376, 200), np.full(376, 100)], axis=1).astype(np.float32)
    np.savez(folder / "f0_mixtures" / "a_2_singers.npz", **{"soprano_1+bass_1": track})
    return folder.parent


def choices(root: Path) -> dict[str, Any]:
    return {"csd": {"name": "csd", "root": root}, "generated": GENERATED}


def join(readers: Mapping[str, Any]) -> Reader:
    return build_reader("several", None, readers=readers)


def test_songs_keep_the_order_of_the_labels(root: Path) -> None:
    reader = join(choices(root))
    names = [song.name for song in reader.songs()]
    chorales = [song.name for song in GeneratedReader().songs()]
    assert names == ["csd.evening", *(f"generated.{name}" for name in chorales)]
    turned = join(dict(reversed(choices(root).items())))
    assert [song.name for song in turned.songs()] == [*names[1:], names[0]]
    twice = join({"one": GENERATED, "two": GENERATED})
    assert len({song.name for song in twice.songs()}) == 2 * len(chorales)


def test_a_song_is_that_of_its_own_reader(root: Path) -> None:
    reader, csd = join(choices(root)), CsdReader(root)
    (own,), song = csd.songs(), reader.songs()[0]
    assert (song.parts, song.stems) == (own.parts, own.stems)
    assert reader.read_stem(song, song.stems[3]).audio.size == 6 * 16_000
    assert reader.fingerprint(song) == csd.fingerprint(own)
    assert reader.song_seconds(song, 100_000) == 6
    assert reader.length_tolerance(song, 100_000) == 2.0
    (keys,) = reader.cached_mixtures(song)
    assert keys == (("soprano", "1"), ("bass", "1"))
    track = reader.cached_f0(song, keys)
    assert track is not None and track[0].tolist() == [200, 100]
    assert reader.exact_f0(song, song.stems[0]) is None

    choir = GeneratedReader(max_seconds=4.0)
    chorale = next(s for s in reader.songs() if s.name == f"generated.{CHORALES[0]}")
    (sung,) = (s for s in choir.songs() if s.name == CHORALES[0])
    stem = chorale.stems[1]
    assert np.array_equal(reader.load_stem(chorale, stem), choir.load_stem(sung, stem))
    exact = reader.exact_f0(chorale, stem)
    assert exact is not None and np.array_equal(exact, choir.exact_f0(sung, stem))
    assert reader.song_seconds(chorale, 100_000) is None
    assert reader.cached_mixtures(chorale) == []


def test_licence_and_kinds_of_f0(root: Path) -> None:
    reader = join(choices(root))
    assert reader.license == f"csd: {CsdReader.license}; generated: {GeneratedReader.license}"
    assert reader.f0_kinds == ("cached", "stems")  # exact for one, so not for all
    assert join({"a": GENERATED, "b": GENERATED}).f0_kinds == ("cached", "exact", "stems")
    (root / "evening" / "f0_mixtures" / "a_2_singers.npz").unlink()
    assert join(choices(root)).f0_kinds == ("stems",)


def test_cached_f0_is_exact_where_it_is_known(root: Path, tmp_path: Path) -> None:
    names = ["csd.evening", f"generated.{CHORALES[0]}"]
    prepared = prepare(join(choices(root)), tmp_path / "cache", songs=names, progress=False)
    assert [song.name for song in prepared.songs] == names
    real, chorale = prepared.songs
    assert real.folder.parent == chorale.folder.parent == prepared.folder
    assert real.f0_kinds == ("cached",)
    assert chorale.f0_kinds == ("exact",)
    assert real.f0((("bass", "1"), ("soprano", "1")), "cached", 0, 1).tolist() == [[100, 200]]
    assert chorale.f0((("alto", "1"),), "cached").max() > 100


def test_only_what_changed_is_prepared_again(
    root: Path, tmp_path: Path, write_stem: WriteStem
) -> None:
    names = ["csd.evening", f"generated.{CHORALES[0]}"]

    def folders() -> list[Path]:
        reader = join(choices(root))
        done = prepare(reader, tmp_path / "cache", songs=names, progress=False)
        return [song.folder for song in done.songs]

    before = folders()
    written = [(folder / "audio_bass_1.npy").stat().st_mtime_ns for folder in before]
    assert folders() == before
    assert [(f / "audio_bass_1.npy").stat().st_mtime_ns for f in before] == written
    write_stem(root / "evening" / "bass_1.wav", 6.5)
    after = folders()
    assert after[0] != before[0]
    assert after[1] == before[1]


def test_joins_share_a_prepared_folder_only_if_they_are_the_same(
    root: Path, tmp_path: Path
) -> None:
    shutil.copytree(root, tmp_path / "other")
    same = choices(root)
    different = [
        same,
        {**same, "csd": {"name": "csd", "root": tmp_path / "other"}},
        {**same, "generated": {"name": "generated", "options": {"seed": 1}}},
        {**same, "again": GENERATED},
        dict(reversed(same.items())),
        {"real": same["csd"], "generated": GENERATED},
        {"csd": {"name": "folder", "root": root, "options": {"parts": STEMS}}},
        {"csd": same["csd"]},
    ]
    found = {locate_prepared(join(readers), tmp_path) for readers in different}
    assert len(found) == len(different)
    assert locate_prepared(join(choices(root)), tmp_path) in found


@pytest.mark.parametrize(
    ("readers", "message"),
    [
        (None, f"^{FIELD}=None: no data sets to join"),
        ({}, "no data sets to join"),
        (["csd"], "no data sets to join"),
        ({"a.b": GENERATED}, r"label 'a.b' is not a plain name"),
        ({"a/b": GENERATED}, r"label 'a/b' is not a plain name"),
        ({"": GENERATED}, "label '' is not a plain name"),
        ({"x": "generated"}, f"^{FIELD}.x=generated: expected a reader's name"),
        ({"x": {"root": "y"}}, "expected a reader's name"),
        ({"x": {"name": "generated", "seed": 1}}, "expected a reader's name"),
        ({"x": {"name": "cantoria"}}, f"^{FIELD}.x: data reader 'cantoria': unknown; there are"),
        ({"x": {"name": "csd"}}, f"^{FIELD}.x: data=csd needs {FIELD}.x.root=FOLDER"),
        ({"x": {"name": "csd", "root": "nowhere"}}, f"no such folder; set {FIELD}.x.root to"),
        ({"x": {"name": "generated", "options": {"tempo": 3}}}, f"^{FIELD}.x: .*tempo"),
        ({"x": {"name": "csd", "options": {"root": "y"}}}, f"^{FIELD}.x: .*root"),
    ],
)
def test_messages(readers: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        join(readers)


def test_a_root_belongs_to_one_data_set(root: Path) -> None:
    with pytest.raises(DataError, match=f"leave it out and set {FIELD}.LABEL.root"):
        build_reader("several", root, readers=choices(root))
    unknown = {"name": "folder", "root": root, "options": {"parts": ["voice"]}}
    with pytest.raises(DataError, match=f"is not in {FIELD}.own.options.parts="):
        join({"own": unknown, "generated": GENERATED})


def config(root: Path, tmp_path: Path, *changes: str) -> MixtureDataModule:
    """conf/data/several.yaml on the small choir and the beginnings of the chorales."""
    cfg = compose_config(
        "train",
        [
            "data=several", "data.progress=false", f"paths.cache_dir={tmp_path / 'cache'}",
            f"{FIELD}.csd.root={root}", f"{FIELD}.generated.options.max_seconds=4.0",
            "data.excerpt_seconds=0.5", *changes,
        ],
    )  # fmt: skip
    module = instantiate(cfg.data)
    assert isinstance(module, MixtureDataModule)
    return module


def test_shipped_split(root: Path, tmp_path: Path) -> None:
    alone = instantiate(compose_config("train", ["data=generated"]).data)
    reserved = alone.choose_split(alone.build_reader())
    module = config(root, tmp_path)
    split = module.choose_split(module.build_reader())
    assert split.train == ("csd.evening", *(f"generated.{name}" for name in reserved.train))
    assert (split.val, split.in_time) == (split.train, True)
    assert split.test == tuple(f"generated.{name}" for name in reserved.test)
    small = config(root, tmp_path, "data.size=small")
    names = ("csd.evening", f"generated.{CHORALES[0]}")
    assert small.choose_split(small.build_reader()).train == names


def items(module: MixtureDataModule) -> list[dict[str, Any]]:
    """All items of three epochs of training, out of their batches."""
    loader, found = module.train_dataloader(), []
    assert isinstance(loader.sampler, EpochSampler)
    for epoch in range(3):
        loader.sampler.set_epoch(epoch)
        for batch in loader:
            assert batch["sources"].shape[1:] == (len(batch["parts"][0]), 8000)
            found += [{k: v[i] for k, v in batch.items()} for i in range(len(batch["song"]))]
    return found


def test_training_on_both(root: Path, tmp_path: Path) -> None:
    songs = {"csd.evening", f"generated.{CHORALES[0]}"}
    changes = (
        "data.size=small", "data.singers={csd.evening:[1]}", "data.mixing.n_singers=[2,4]",
        "data.batch_size=4",
    )  # fmt: skip
    module = config(root, tmp_path, *changes, "data.mixing.same_song=1")
    module.prepare("fit")
    module.setup("fit")
    # Validation is the end of every song: one quartet each, of the singer asked for.
    val = next(iter(module.val_dataloader()))
    places = list(zip(val["song"], val["start"].tolist(), strict=True))
    first = {song: min(start for name, start in places if name == song) for song in songs}
    assert first == {"csd.evening": 76_800, f"generated.{CHORALES[0]}": 51_200}
    assert set(val["singers"]) == {("1",) * 4}
    heard = items(module)
    assert {item["song"] for item in heard} == songs
    for item in heard:
        assert item["start"] + 8000 <= first[item["song"]]
        assert len(set(item["parts"])) == len(item["parts"])  # as in songs of one data set
        assert set(item["singers"]) == {"1"}
    assert {item["song"] for item in heard if item["f0"].amax() > 80} == songs

    apart = config(root, tmp_path, *changes, "data.mixing.same_song=0")
    apart.setup("fit")
    assert songs in [set(item["song"].split("+")) for item in items(apart)]
