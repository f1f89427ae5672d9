"""Training and fixed excerpts: grid, normalisation, addressing, F0 columns on real singers."""

from __future__ import annotations

import pickle
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from src.data.excerpts import FixedExcerpts, TrainExcerpts
from src.data.items import Item, collate
from src.data.prepared import PreparedSet, prepare
from src.data.readers.base import DataError
from src.data.readers.csd import CsdReader
from src.data.sampler import EpochSampler
from src.f0.stems import StemF0
from tests.data.songs import FakeSong


@pytest.fixture(scope="module")
def nino_dios(shared_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> PreparedSet:
    root = shared_dir / "data" / "csd_nino_dios"
    if not root.is_dir():
        pytest.skip(f"no {root}")
    return prepare(CsdReader(root), tmp_path_factory.mktemp("prepared"), progress=False)


def same(a: Item, b: Item) -> bool:
    return all(
        torch.equal(x, y) if isinstance(x, torch.Tensor) and isinstance(y, torch.Tensor) else x == y
        for x, y in zip(a.values(), b.values(), strict=True)  # type: ignore[arg-type]
    )


def test_number_and_place_of_training_excerpts() -> None:
    songs = [FakeSong("a", 103, "1"), FakeSong("b", 9, "1"), FakeSong("c", 3, "1")]
    excerpts = TrainExcerpts(songs, 4, "stems", per_part=12)
    assert len(excerpts) == 12 * (10 + 1)  # c is too short
    starts = [excerpts[(e, i)]["start"] for e in range(20) for i in range(12 * 9, 12 * 10)]
    assert all(start % 256 == 0 for start in starts)
    # The last part takes the remainder: 90 s to 103 s.
    assert min(starts) >= 90 * 16_000
    assert 96 * 16_000 < max(starts) <= 99 * 16_000
    first = [excerpts[(e, i)]["start"] for e in range(20) for i in range(12)]
    assert min(first) >= 0
    assert max(first) <= 6 * 16_000
    assert len(set(first)) > 100


def test_items_depend_on_seed_epoch_and_index_only() -> None:
    songs = [FakeSong("a", 40, "123")]
    one, two = (TrainExcerpts(songs, 2, "stems", seed=5) for _ in range(2))
    assert same(one[(7, 3)], two[(7, 3)])
    _ = [two[(0, i)] for i in range(5)]
    torch.manual_seed(1)
    np.random.seed(2)  # noqa: NPY002 - shows that the global state is not used
    assert same(one[(7, 3)], two[(7, 3)])
    assert int(one[(7, 3)]["seed"]) != int(one[(8, 3)]["seed"])
    other = TrainExcerpts(songs, 2, "stems", seed=6)
    assert int(one[(7, 3)]["seed"]) != int(other[(7, 3)]["seed"])
    with pytest.raises(IndexError):
        one[(0, len(one))]


def test_training_draws_every_mixture() -> None:
    excerpts = TrainExcerpts([FakeSong("a", 100, "12")], 2, "stems", per_part=12)
    names = Counter(excerpts[(e, i)]["mixture_name"] for e in range(10) for i in range(120))
    assert len(names) == 24
    assert max(names.values()) < 2 * 1200 / 24


def test_regions_are_respected() -> None:
    song = FakeSong("a", 103, "1")
    train = TrainExcerpts([song], 4, "stems", regions={"a": (0, 256 * 5000)})
    val = FixedExcerpts([song], 4, "stems", regions={"a": (256 * 5000, song.n_samples)})
    ends = [train[(e, i)]["start"] + 64_000 for e in range(20) for i in range(len(train))]
    assert max(ends) <= 256 * 5000
    assert [val[i]["start"] for i in range(len(val))] == [256 * 5000 + 64_000 * i for i in range(5)]


def test_fixed_excerpts_check_their_offset() -> None:
    song = FakeSong("a", 20, "1")
    with pytest.raises(ValueError, match="multiple of 256"):
        FixedExcerpts([song], 4, "stems", start_offset=-100, first_excerpt=1)
    with pytest.raises(ValueError, match="before the song"):
        FixedExcerpts([song], 4, "stems", start_offset=-256)
    with pytest.raises(DataError, match="no stretch"):
        FixedExcerpts([FakeSong("a", 3, "1")], 4, "stems")


def test_silence_is_not_divided_by_zero() -> None:
    item = TrainExcerpts([FakeSong("a", 20, "1")], 4, "stems")[(0, 0)]
    assert not item["mixture"].any()
    assert item["full_mix_peak"] == 0


def test_loaders_with_workers_give_the_same_batches() -> None:
    excerpts = TrainExcerpts([FakeSong("a", 20, "12")], 2, "stems")
    batches = []
    for workers in (0, 2):
        sampler = EpochSampler(len(excerpts), seed=1)
        sampler.set_epoch(3)
        loader = DataLoader(
            excerpts, batch_size=3, sampler=sampler, num_workers=workers, collate_fn=collate
        )
        batches.append(list(loader))
    for here, there in zip(*batches, strict=True):
        assert here.keys() == there.keys()
        assert torch.equal(here["seed"], there["seed"])
        assert here["parts"] == there["parts"]
    batch = batches[0][0]
    assert batch["mixture"].shape == (3, 64_000)
    assert batch["sources"].shape == (3, 2, 64_000)
    assert batch["f0"].shape == (3, 2, 250)
    assert batch["seed"].dtype == batch["excerpt"].dtype == torch.int64
    assert batch["full_mix_peak"].shape == (3,)
    assert isinstance(batch["song"], list)


@pytest.mark.parametrize("n_singers", [2, 4])
def test_mixture_is_the_sum_of_its_sources(nino_dios: PreparedSet, n_singers: int) -> None:
    excerpts = TrainExcerpts(nino_dios.songs, n_singers, "cached", per_part=1)
    song = nino_dios.songs[0]
    for index in range(5):
        item = excerpts[(1, index)]
        assert item["mixture"].abs().max() == pytest.approx(1)
        torch.testing.assert_close(item["sources"].sum(0), item["mixture"], atol=2e-6, rtol=0)
        span = slice(item["start"], item["start"] + 64_000)
        keys = zip(item["parts"], item["singers"], strict=True)
        raw = np.stack([song.audio(key)[span] for key in keys])
        scale = np.abs(raw.sum(0)).max()
        np.testing.assert_allclose(item["sources"].numpy(), raw / scale, atol=1e-6)
        if n_singers == 4:
            assert item["full_mix_peak"] == pytest.approx(1)


@pytest.mark.parametrize("n_singers", [2, 4])
def test_f0_columns_belong_to_their_stems(nino_dios: PreparedSet, n_singers: int) -> None:
    excerpts = TrainExcerpts(nino_dios.songs, n_singers, "cached", per_part=1)
    estimate = StemF0()
    for index in range(3):
        item = excerpts[(0, index)]
        stems = np.stack([estimate(source) for source in item["sources"].numpy()])
        for j, given in enumerate(item["f0"].numpy()):
            share = []
            for stem in stems:
                both = (given > 0) & (stem > 0)
                share.append(np.mean(np.abs(1200 * np.log2(given[both] / stem[both])) < 50))
            assert int(np.argmax(share)) == j, item["mixture_name"]
            assert share[j] > 0.6, (item["mixture_name"], j, share)


def test_cached_f0_lies_on_the_grid(nino_dios: PreparedSet) -> None:
    """Shifting the cached tracks against the stems' own F0 fits best without a shift."""
    song = nino_dios.songs[0]
    keys = tuple((part, "1") for part in song.parts)
    cached = song.f0(keys, "cached")
    stems = np.stack([StemF0()(np.array(song.audio(key))) for key in keys], axis=1)
    errors = []
    for shift in range(-3, 4):
        a, b = np.roll(cached, shift, axis=0), stems
        both = (a > 0) & (b > 0)
        errors.append(np.median(np.abs(1200 * np.log2(a[both] / b[both]))))
    assert abs(int(np.argmin(errors)) - 3) <= 1, errors


def test_reference_excerpts_of_real_singers(nino_dios: PreparedSet) -> None:
    song = nino_dios.songs[0]
    excerpts = FixedExcerpts(
        nino_dios.songs, 4, "cached", singers=[3], first_excerpt=1, start_offset=-256
    )
    assert len(excerpts) == 24
    item = excerpts[2]
    keys = tuple((part, "3") for part in song.parts)
    np.testing.assert_array_equal(
        item["f0"].numpy(), song.f0(keys, "cached")[250 * 3 - 1 : 250 * 4 - 1].T
    )
    pairs = FixedExcerpts(
        nino_dios.songs, 2, "cached", singers=["3"], first_excerpt=1, start_offset=-256
    )
    assert len(pairs) == 144
    assert pairs[0]["full_mix_peak"] != pytest.approx(1)


def test_an_epoch_touches_no_decoder(
    nino_dios: PreparedSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*arguments: object, **options: object) -> None:
        raise AssertionError("an audio file was opened")

    monkeypatch.setattr("soundfile.SoundFile", refuse)
    monkeypatch.setattr("src.audio.resample", refuse)
    excerpts = TrainExcerpts(nino_dios.songs, 4, "cached")
    assert all(excerpts[(0, index)]["mixture"].numel() for index in range(len(excerpts)))


def test_datasets_pickle_small(nino_dios: PreparedSet) -> None:
    excerpts = TrainExcerpts(nino_dios.songs, 4, "cached")
    before = excerpts[(0, 0)]
    data = pickle.dumps(excerpts)
    assert len(data) < 100_000
    assert same(pickle.loads(data)[(0, 0)], before)
