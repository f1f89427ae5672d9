"""Dynamic mixing: which voices, in which order, from where, how loud, and always the same."""

from __future__ import annotations

import pickle
from collections import Counter
from typing import Any

import numpy as np
import pytest
import torch

from src.data.items import Item
from src.data.mixing import MixedExcerpts, Mixing
from src.data.readers.base import DataError
from src.data.room import Room
from tests.data.codes import CodedSong
from tests.data.songs import SATB, FakeSong


def coded(n_songs: int = 2, singers: str = "1", seconds: float = 30) -> list[CodedSong]:
    return [CodedSong(number, seconds, singers) for number in range(n_songs)]


def excerpts(songs: list[CodedSong], *, regions: Any = None, **mixing: Any) -> MixedExcerpts:
    mixing = {"n_singers": [2], "gain_db": 0.0, **mixing}
    return MixedExcerpts(
        songs, "cached", Mixing(**mixing), regions=regions, excerpt_samples=16_000
    )  # fmt: skip


def draw(data: MixedExcerpts, n_singers: int, epochs: int = 1) -> list[Item]:
    return [data[(e, i, n_singers)] for e in range(epochs) for i in range(len(data))]


def origins(item: Item) -> list[tuple[int, str, str, int]]:
    """(song, part, singer, start) of every source, read from its F0."""
    found = []
    for first in item["f0"][:, 0].double().numpy():
        number, code = divmod(first / 10, 10)
        part = int(code)
        # Codes of singers 1, 2 and 3 begin at 0, 0.1 and 0.2; no song is as long as 0.1.
        singer = int((code - part) * 10 + 1e-4)
        start = round(((code - part) - 0.1 * singer) * 1e7 / 256) * 256
        found.append((int(number), SATB[len(SATB) - part], str(singer + 1), start))
    return found


@pytest.mark.parametrize("n_singers", [1, 2, 3, 4, 5, 6])
@pytest.mark.parametrize("same_song", [0.0, 0.7, 1.0])
def test_sources_mixture_and_f0_belong_together(n_singers: int, same_song: float) -> None:
    for item in draw(excerpts(coded(), same_song=same_song, n_singers=[6]), n_singers):
        assert item["mixture"].shape == (16_000,)
        assert item["sources"].shape == (n_singers, 16_000)
        assert item["f0"].shape == (n_singers, 63)
        assert {item[k].dtype for k in ("mixture", "sources", "f0")} == {torch.float32}  # type: ignore[literal-required]
        assert item["mixture"].abs().max() == pytest.approx(1)
        torch.testing.assert_close(item["sources"].sum(0), item["mixture"], atol=2e-6, rtol=0)
        # Sample 256 n and frame n hold the same number, but for the scale of the mixture.
        scale = item["f0"] / item["sources"][:, ::256]
        torch.testing.assert_close(scale, scale[:1, :1].expand_as(scale), rtol=1e-5, atol=0)
        means = item["f0"].mean(1)
        assert (means[:-1] >= means[1:]).all()
        assert item["full_mix_peak"] == 1
        places = origins(item)
        assert item["parts"] == tuple(part for _, part, _, _ in places)
        assert item["singers"] == tuple(singer for _, _, singer, _ in places)
        assert set(item["song"].split("+")) == {f"song{number}" for number, *_ in places}
        assert item["start"] in {start for *_, start in places}
        assert len({place[:3] for place in places}) == n_singers


def test_one_song_at_one_time() -> None:
    names = Counter()
    for item in draw(excerpts(coded(singers="12"), same_song=1.0), 3, epochs=12):
        places = origins(item)
        assert len({(song, start) for song, _, _, start in places}) == 1
        assert len({part for _, part, _, _ in places}) == 3
        names[item["mixture_name"]] += 1
    # 4 choices of three parts, 2 singers each; every one of them about as often.
    assert len(names) == 4 * 8
    assert max(names.values()) < 3 * sum(names.values()) / 32


def test_further_singers_are_unisons_and_then_come_from_other_songs() -> None:
    for item in draw(excerpts(coded(singers="12"), same_song=1.0, n_singers=[6]), 6):
        places = origins(item)
        assert len({(song, start) for song, _, _, start in places}) == 1
        assert set(Counter(item["parts"]).values()) == {1, 2}
    for item in draw(excerpts(coded(3), same_song=1.0, n_singers=[6]), 6, epochs=3):
        songs = Counter(song for song, *_ in origins(item))
        assert max(songs.values()) == 4
        assert sum(songs.values()) == 6


def test_independent_voices() -> None:
    items = draw(excerpts(coded(3), same_song=0.0), 3, epochs=10)
    starts = [len({start for *_, start in origins(item)}) for item in items]
    assert np.mean(starts) > 2.8
    stems = Counter(place[:3] for item in items for place in origins(item))
    assert len(stems) == 12
    assert max(stems.values()) < 2 * min(stems.values())


def test_share_of_mixtures_out_of_one_song() -> None:
    items = draw(excerpts(coded(3)), 2, epochs=15)
    together = np.mean([len({start for *_, start in origins(item)}) == 1 for item in items])
    assert abs(together - 0.7) < 3 * np.sqrt(0.7 * 0.3 / len(items)) + 0.01


def test_gains_are_uniform_in_db() -> None:
    gains = []
    for item in draw(excerpts(coded(), same_song=1.0, gain_db=6.0), 2, epochs=30):
        level = item["sources"][:, 0].double() / item["f0"][:, 0]
        gains.append(float(20 * torch.log10(level[0] / level[1])))
    # Difference of two uniform numbers: triangular, standard deviation 12 / sqrt(6).
    assert max(map(abs, gains)) < 12
    assert np.std(gains) == pytest.approx(12 / np.sqrt(6), rel=0.1)
    assert np.mean(gains) == pytest.approx(0, abs=0.8)


@pytest.mark.parametrize("pitch", [0.0, 4.0])
@pytest.mark.parametrize("same_song", [0.0, 1.0])
def test_regions_are_respected(same_song: float, pitch: float) -> None:
    songs = coded()
    regions = {"song0": (256 * 100, 256 * 100 + 33_000), "song1": (0, 16_000)}
    data = excerpts(songs, regions=regions, same_song=same_song, pitch_semitones=pitch)
    for item in draw(data, 2, epochs=10):
        # A sample of another place, or none, would change the ratio to the F0.
        ratio = item["f0"] / item["sources"][:, ::256]
        assert (ratio[:, 6:-6] / ratio[:, 20:21] - 1).abs().max() < 2e-3
        if pitch == 0:
            for number, *_, start in origins(item):
                begin, end = regions[f"song{number}"]
                assert begin <= start <= end - 16_000
    with pytest.raises(DataError, match="no stretch is as long"):
        excerpts(songs, regions={"song0": (0, 5000), "song1": (0, 5000)})


def test_singers_are_respected() -> None:
    data = MixedExcerpts(coded(singers="123"), "cached", Mixing([4]), singers=[1, "3"])
    assert {s for item in draw(data, 4) for s in item["singers"]} == {"1", "3"}
    chosen = {"song0": [2], "song1": [3]}
    data = MixedExcerpts(coded(singers="123"), "cached", Mixing([2]), singers=chosen)
    assert {(i["song"], s) for i in draw(data, 1) for s in i["singers"]} == {
        ("song0", "2"),
        ("song1", "3"),
    }
    with pytest.raises(DataError, match="no singer 9"):
        MixedExcerpts(coded(), "cached", Mixing([2]), singers=[9])


@pytest.mark.parametrize(
    "options",
    [{}, {"pitch_semitones": 3.0}, {"room": Room(share=0.5)}, {"gain_db": 3.0, "same_song": 0.0}],
)
def test_items_depend_on_seed_epoch_and_index_only(options: dict[str, Any]) -> None:
    one, two = (excerpts(coded(), **options) for _ in range(2))
    _ = draw(two, 3)
    np.random.seed(2)  # noqa: NPY002 - shows that the global state is not used
    torch.manual_seed(1)
    two = pickle.loads(pickle.dumps(two))
    for index in range(len(one)):
        a, b = one[(3, index, 4)], two[(3, index, 4)]
        for x, y in zip(a.values(), b.values(), strict=True):
            assert torch.equal(x, y) if isinstance(x, torch.Tensor) else x == y
    assert int(one[(3, 0, 4)]["seed"]) != int(one[(4, 0, 4)]["seed"])
    with pytest.raises(IndexError):
        one[(0, len(one), 2)]


def test_silence() -> None:
    item = MixedExcerpts([FakeSong("a", 20, "1")], "stems", Mixing([3], 1.0))[(0, 0, 3)]
    assert not item["mixture"].any()
    assert not item["f0"].any()
    assert item["full_mix_peak"] == 0


def test_length_is_that_of_the_songs_own_mixtures() -> None:
    songs = [CodedSong(0, 103), CodedSong(1, 9), CodedSong(2, 3)]
    data = MixedExcerpts(songs, "cached", Mixing([2]), per_part=12)
    assert len(data) == 12 * (10 + 1)
    assert "song2" not in {item["song"] for item in draw(data, 1)}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_singers": 4}, r"data.mixing.n_singers=4: expected a list"),
        ({"n_singers": []}, r"expected a list, e.g. \[2, 3, 4\], or null"),
        ({"n_singers": [0, 2]}, r"n_singers=\[0, 2\]: whole numbers"),
        ({"n_singers": [2.5]}, "whole numbers"),
        ({"n_singers": [True]}, "whole numbers"),
        ({"same_song": 1.5}, "data.mixing.same_song=1.5"),
        ({"gain_db": -1}, "data.mixing.gain_db=-1"),
        ({"gain_db": float("nan")}, "data.mixing.gain_db=nan"),
        ({"pitch_semitones": 13}, "data.mixing.pitch_semitones=13"),
    ],
)
def test_bad_settings(options: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        Mixing(**options)


def test_songs_that_do_not_do() -> None:
    with pytest.raises(DataError, match="asks for 5 voices, but only 4 stems of song0"):
        excerpts(coded(1), n_singers=[2, 5])
    with pytest.raises(DataError, match="0 stems of song0 have cached .* set data.f0=stems"):
        excerpts([CodedSong(0, exact=False)])
    with pytest.raises(DataError, match="no stretch"):
        excerpts([CodedSong(0, 0.5)])
    with pytest.raises(DataError, match="data.f0=estimated has not"):
        Mixing([2]).check(f0="estimated", cross_singers=True)
    with pytest.raises(DataError, match="data.cross_singers=false"):
        Mixing([2]).check(f0="stems", cross_singers=False)
    Mixing().check(f0="estimated", cross_singers=False)
