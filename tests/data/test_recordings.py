"""Recordings without stems in the data module: excerpts, F0, batches of one size, bad input."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import mido
import numpy as np
import pytest
import pytorch_lightning as pl
import soundfile as sf
import torch
from torch.utils.data import DataLoader

from src.data.datamodule import MixtureDataModule
from src.data.estimated import EstimatorRecipe
from src.data.f0_augmentation import F0Augmentation
from src.data.mixing import Mixing
from src.data.prepared import prepare
from src.data.readers.base import DataError
from src.data.readers.mixtures import MixturesReader
from src.data.sampler import EpochSampler, EqualSizeBatches
from src.errors import UmssError
from src.f0.contour_files import write_f0
from src.f0.contours import F0Contours
from src.prepare import tabulate_songs
from src.training.accumulation import EvenAccumulation
from tests import fake_f0

FAKE = {"_target_": "tests.fake_f0.Chord"}


@pytest.fixture(autouse=True)
def calls() -> list[dict[str, Any]]:
    fake_f0.CALLS.clear()
    return fake_f0.CALLS


def noise(path: Path, seconds: float = 6.0, seed: int = 0) -> np.ndarray:
    """Write a recording of noise; returns its samples."""
    path.parent.mkdir(parents=True, exist_ok=True)
    audio = 0.1 * np.random.default_rng(seed).standard_normal(round(seconds * 16_000))
    sf.write(path, audio.astype(np.float32), 16_000, subtype="FLOAT")
    return audio.astype(np.float32)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Three recordings of 2, 3 and 2 singers, 6 s each."""
    folder = tmp_path / "choirs"
    for k, name in enumerate(("a", "b", "sub/c")):
        noise(folder / f"{name}.wav", seed=k)
    (folder / "singers.csv").write_text("b.wav,3\n")
    return folder


def module(root: Path, n_singers: int = 2, **options: Any) -> MixtureDataModule:
    config = options.pop("config", FAKE)
    options = {
        "progress": False, "f0": "estimated", "excerpt_seconds": 1.0, "batch_size": 3,
        "estimator": EstimatorRecipe(config), **options,
    }  # fmt: skip
    reader = {"name": "mixtures", "options": {"n_singers": n_singers}}
    cache = options.pop("cache_dir", root.parent / "cache")
    return MixtureDataModule(reader, n_singers, cache, root=root, **options)


def ready(root: Path, **options: Any) -> MixtureDataModule:
    data = module(root, **options)
    data.prepare("fit")
    data.setup("fit")
    return data


def test_items_are_cut_out_of_the_recording(root: Path, calls: list[dict[str, Any]]) -> None:
    whole, _ = sf.read(root / "b.wav", dtype="float32")
    data = ready(root)
    assert data.train_set is not None and data.val_set is not None
    assert [(c["n_singers"], c["score"]) for c in calls] == [(2, None), (3, None), (2, None)]
    np.testing.assert_array_equal(calls[1]["audio"], whole / np.abs(whole).max())
    item = next(i for i in map(data.train_set.__getitem__, range(12)) if i["song"] == "b")
    cut = whole[item["start"] : item["start"] + 16_000]
    np.testing.assert_array_equal(item["mixture"].numpy(), cut / np.abs(cut).max())
    assert "sources" not in item and item["full_mix_peak"] == 1
    assert item["parts"] == ("singer1", "singer2", "singer3")
    assert item["f0"][:, 0].tolist() == pytest.approx([400, 200, 400 / 3])
    # Validation is the end of every recording.
    val = [data.val_set[i] for i in range(len(data.val_set))]
    assert [(i["song"], i["start"]) for i in val] == [(s, 76_800) for s in ("a", "b", "sub/c")]
    ready(root)
    assert len(calls) == 3  # kept


def test_validation_by_song(root: Path, calls: list[dict[str, Any]]) -> None:
    data = ready(root, split={"full": {"train": ["sub/*"], "val": ["a"]}})
    assert {call["n_singers"] for call in calls} == {2} and len(calls) == 2
    assert {item["song"] for item in map(data.train_set.__getitem__, range(4))} == {"sub/c"}  # type: ignore[union-attr]
    assert len(data.val_set) == 6  # type: ignore[arg-type]


def test_f0_beside_a_recording_is_used(root: Path, calls: list[dict[str, Any]]) -> None:
    ready(root)
    tracks = (100 + np.arange(376 * 3).reshape(376, 3) / 7).astype(np.float32)
    contours = F0Contours.on_grid(tracks, ("x", "y", "z"))
    write_f0(root / "b_f0.csv", contours)
    calls.clear()
    data = ready(root)
    assert not calls
    items = [data.train_set[i] for i in range(12)]  # type: ignore[index]
    for item in (i for i in items if i["song"] == "b"):
        first = item["start"] // 256
        np.testing.assert_array_equal(item["f0"].numpy(), tracks[first : first + 63].T)
    table = tabulate_songs(data.prepare("fit"))
    assert [str(c.header) for c in table.columns] == [
        "song",
        "singers",
        "minutes",
        "F0",
        "warnings",
    ]
    cells = [list(column.cells) for column in table.columns]
    assert cells[1][:3] == ["2", "3", "2"]
    assert cells[3][:3] == ["estimated", "from a file", "estimated"]


def test_f0_of_another_length_is_doubted(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    short = F0Contours.on_grid(np.full((100, 2), 200, np.float32), ("x", "y"))
    write_f0(root / "a.csv", short)
    data = ready(root)
    (note,) = (n for s in data.prepare("fit").songs for n in s.notes if n[0] == "warning")
    assert "a.wav: the F0 beside it is from 0.0 to 1.6 s, the recording lasts 6.0 s" in note[1]


def test_a_score_leads_the_estimation(root: Path, calls: list[dict[str, Any]]) -> None:
    score = mido.MidiFile()
    for pitch in (60, 72):
        track = mido.MidiTrack()
        track += [
            mido.Message("note_on", note=pitch),
            mido.Message("note_off", note=pitch, time=960),
        ]
        score.tracks.append(track)
    score.save(root / "a.mid")
    prepared = ready(root).prepare("fit")
    led = [call["score"] for call in calls]
    assert led[1:] == [None, None] and led[0].n_singers == 2
    assert led[0].f0[10].tolist() == pytest.approx([523.25, 261.63], abs=0.01)
    cells = [list(column.cells) for column in tabulate_songs(prepared).columns]
    assert cells[3][:2] == ["estimated, led by a score", "estimated"]
    score.save(root / "b.mid")
    with pytest.raises(DataError, match=r"b\.mid: holds 2 singers, but .*singers\.csv says 3"):
        ready(root)


def test_a_score_of_another_piece_names_the_recording(tmp_path: Path) -> None:
    noise(tmp_path / "m" / "a.wav", 2.0)
    score = mido.MidiFile()
    track = mido.MidiTrack()
    track += [mido.Message("note_on", note=40), mido.Message("note_off", note=40, time=960)]
    score.tracks.append(track)
    score.save(tmp_path / "m" / "a.mid")
    default = {
        "_target_": "umss.f0.estimate.F0Estimator",
        "model": {"_target_": "umss.f0.network.VoiceSalience"},
        "assigner": {"_target_": "umss.f0.tracker.VoiceTracker"},
    }
    data = module(tmp_path / "m", 1, config=default, excerpt_seconds=0.3)
    with pytest.raises(DataError, match=r"a\.wav: the score does not fit the recording"):
        data.prepare("fit")


def epochs(loader: DataLoader[Any], n: int = 2) -> list[list[dict[str, Any]]]:
    found = []
    for epoch in range(n):
        loader.sampler.set_epoch(epoch) if isinstance(loader.sampler, EpochSampler) else (
            loader.batch_sampler.sampler.set_epoch(epoch)  # type: ignore[union-attr]
        )
        found.append(list(loader))
    return found


def test_every_batch_has_one_number_of_singers(root: Path) -> None:
    data = ready(root, size="small")
    loader = data.train_dataloader()
    assert isinstance(loader.batch_sampler, EqualSizeBatches)
    first, second = epochs(loader)
    for batches in (first, second):
        assert len(batches) == len(loader) == 12
        shapes = [tuple(batch["f0"].shape) for batch in batches]
        assert set(shapes) == {(3, 2, 63), (3, 3, 63)}
        assert shapes != sorted(shapes)  # in random order
        songs = [song for batch in batches for song in batch["song"]]
        assert {song: songs.count(song) for song in songs} == {"a": 12, "b": 12, "sub/c": 12}
    assert not torch.equal(first[0]["seed"], second[0]["seed"])
    assert torch.equal(first[3]["mixture"], epochs(loader)[0][3]["mixture"])
    (batches,) = epochs(data.val_dataloader(), 1)
    assert [tuple(batch["f0"].shape) for batch in batches] == [(2, 2, 63), (1, 3, 63)]


def test_recordings_of_one_number_are_batched_as_other_data(root: Path) -> None:
    (root / "singers.csv").unlink()
    loader = ready(root).train_dataloader()
    assert loader.batch_size == 3 and isinstance(loader.sampler, EpochSampler)


@pytest.mark.parametrize("world", [1, 2, 3])
@pytest.mark.parametrize("sizes", [[2] * 11, [2, 3] * 6, [2] * 7 + [3] + [4] * 3])
def test_ranks_share_the_batches(world: int, sizes: list[int]) -> None:
    def batches(rank: int, *, pad: bool = True) -> list[list[tuple[int, ...]]]:
        sampler = EpochSampler(len(sizes), rank=rank, world=world, pad=pad)
        sampler.set_epoch(1)
        own = EqualSizeBatches(sampler, sizes, 2)
        assert own.list_lengths() == [len(batch) for batch in own] and len(own) == len(list(own))
        return list(own)

    ranks = [batches(rank) for rank in range(world)]
    for together in zip(*ranks, strict=True):
        assert len({len(batch) for batch in together}) == 1
        assert len({sizes[index] for batch in together for _, index in batch}) == 1
    heard = [index for rank in ranks for batch in rank for _, index in batch]
    assert set(heard) == set(range(len(sizes)))
    unpadded = [index for rank in range(world) for b in batches(rank, pad=False) for _, index in b]
    assert sorted(unpadded) == list(range(len(sizes)))
    if len(set(sizes)) == world == 1:  # as a loader makes them
        plain = EpochSampler(len(sizes))
        plain.set_epoch(1)
        assert [item for batch in ranks[0] for item in batch] == list(plain)


def test_excerpts_of_an_accumulated_step_count_the_same(root: Path) -> None:
    loader = ready(root, batch_size=5).train_dataloader()
    lengths = loader.batch_sampler.list_lengths()  # type: ignore[union-attr]
    assert lengths == [5, 3, 4]
    trainer = pl.Trainer(accumulate_grad_batches=2, logger=False, accelerator="cpu")
    trainer.fit_loop.max_batches = 3
    trainer.fit_loop._combined_loader = type("Loaders", (), {"iterables": loader})()
    weights = []
    for batch in range(3):
        callback = EvenAccumulation()
        callback.on_train_batch_start(trainer, pl.LightningModule(), None, batch)
        weights.append(callback._weight)
    # Lightning divides by 2; a mean over 5 of 8 excerpts counts 5/8.
    assert weights == pytest.approx([2 * 5 / 8, 2 * 3 / 8, 2 * 1.0])


def test_errors_in_f0_are_no_reason_to_mix_sizes(root: Path) -> None:
    data = ready(root, f0_augmentation=F0Augmentation(probability=1.0))
    assert isinstance(data.train_dataloader().batch_sampler, EqualSizeBatches)


def test_joined_with_stems_batches_have_no_sources(root: Path, tmp_path: Path) -> None:
    for part in ("soprano", "alto"):
        noise(tmp_path / "songs" / "duet" / f"{part}.wav")
    readers = {
        "own": {"name": "mixtures", "root": root, "options": {"n_singers": 2}},
        "songs": {"name": "folder", "root": tmp_path / "songs"},
    }
    data = MixtureDataModule(
        {"name": "several", "options": {"readers": readers}}, 2, tmp_path / "cache",
        f0="estimated", excerpt_seconds=1.0, progress=False, estimator=EstimatorRecipe(FAKE),
    )  # fmt: skip
    data.prepare("fit")
    data.setup("fit")
    batches = list(data.train_dataloader())
    assert {song for batch in batches for song in batch["song"]} == {
        "own.a", "own.b", "own.sub/c", "songs.duet",
    }  # fmt: skip
    assert all("mixture" in batch and "f0" in batch for batch in batches)
    with pytest.raises(DataError, match="recordings without stems; this model learns from single"):
        data.require_stems("model")


def test_too_short_is_said_before_f0_is_estimated(
    root: Path, calls: list[dict[str, Any]], caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(DataError) as caught:
        module(root, excerpt_seconds=4.0).prepare("fit")
    assert not calls
    assert str(caught.value) == (
        "a, b, sub/c: no stretch is as long as the 4 s that are needed (data.val_fraction divides "
        "every song for training and validation); set data.excerpt_seconds lower, or use longer "
        "recordings"
    )
    # One of them may be too short.
    noise(root / "b.wav", 2.0)
    with caplog.at_level(logging.WARNING):
        data = ready(root)
    assert "b: shorter than one excerpt; left out" in caplog.text
    assert {data.train_set[i]["song"] for i in range(12)} == {"a", "b", "sub/c"}  # type: ignore[index]
    noise(root / "b.wav", 0.5)
    with pytest.raises(DataError, match=r"b\.wav: 0\.50 s is too short; a song needs at least 1 s"):
        ready(root)


def test_recordings_without_f0_are_named(root: Path, calls: list[dict[str, Any]]) -> None:
    for name in ("a", "sub/c"):
        audio = noise(root / f"{name}.wav")
        audio[100] = 100.0
        sf.write(root / f"{name}.wav", audio, 16_000, subtype="FLOAT")
    data = module(root, config={**FAKE, "least": 0.1})
    with pytest.raises(DataError) as caught:
        data.prepare("fit")
    assert str(caught.value) == (
        f"{root}/a.wav, {root}/sub/c.wav: no F0 was found (no singing?); remove what is no "
        "singing, or lay a CSV file of the same name with the F0 beside it"
    )
    assert len(calls) == 3
    with pytest.raises(DataError, match="no F0 was found"):
        data.prepare("fit")
    assert len(calls) == 5  # what was found is kept
    tracks = np.full((376, 2), 200, np.float32)
    write_f0(root / "a.csv", F0Contours.on_grid(tracks, ("x", "y")))
    (root / "sub" / "c.wav").unlink()
    ready(root, config={**FAKE, "least": 0.1})


def test_silence(root: Path) -> None:
    sf.write(root / "a.wav", np.zeros(96_000), 16_000)
    for allowed in (False, True):
        with pytest.raises(DataError, match=r"a\.wav: silent \(peak below 0\.0001\); remove it"):
            module(root, allow_silent=allowed).prepare("fit")
    noise(root / "a.wav")
    late = F0Contours(np.arange(10) + 50.0, np.full((10, 2), 200, np.float32), ("x", "y"))
    write_f0(root / "a.csv", late)
    with pytest.raises(
        DataError, match=r"a\.wav: the F0 beside it is silent throughout its 6\.0 s"
    ):
        module(root).prepare("fit")
    (root / "a.csv").write_text("this is no F0")
    with pytest.raises(UmssError, match=r"a\.csv"):
        module(root).prepare("fit")


def test_what_needs_stems_says_so(root: Path) -> None:
    for kind in ("stems", "cached"):
        with pytest.raises(DataError, match=f"without stems; data.f0={kind} .* data.f0=estimated"):
            module(root, f0=kind).prepare("fit")
        with pytest.raises(DataError, match="without stems"):
            prepare(MixturesReader(root), root.parent / "cache", kind)  # type: ignore[arg-type]
    with pytest.raises(DataError, match="data.mixing.n_singers mixes single voices anew"):
        module(root, mixing=Mixing(n_singers=[2, 3]))
    song = module(root).prepare("fit").songs[0]
    with pytest.raises(DataError, match="a: a recording without stems"):
        song.audio(song.keys[0])
    with pytest.raises(DataError, match="no singer 3 in"):
        module(root, singers=[3]).prepare("fit")


def test_another_number_of_singers_keeps_the_first_ones(
    root: Path, calls: list[dict[str, Any]]
) -> None:
    ready(root)
    ready(root, n_singers=4)
    assert [call["n_singers"] for call in calls] == [2, 3, 2, 4, 3, 4]
    ready(root)
    assert len(calls) == 6
    (root / "singers.csv").write_text("b.wav,5\n")
    ready(root)
    assert [call["n_singers"] for call in calls[6:]] == [5]
