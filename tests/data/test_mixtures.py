"""Combination rules and the counts of the paper."""

from __future__ import annotations

import pytest

from src.data.excerpts import FixedExcerpts
from src.data.mixtures import choose_mixtures, find_full_mix_keys, list_mixtures
from src.data.readers.base import DataError
from tests.data.songs import FakeSong

PAPER_SINGERS = {"el_rossinyol": [2], "locus_iste": [3], "nino_dios": [4]}


@pytest.mark.parametrize(("n_singers", "count"), [(1, 4), (2, 6), (3, 4), (4, 1)])
def test_every_combination_of_the_parts(n_singers: int, count: int) -> None:
    song = FakeSong("song", 10, "123")
    assert len(list_mixtures(song, n_singers, singers=[2])) == count
    assert len(list_mixtures(song, n_singers)) == 3 * count
    assert len(list_mixtures(song, n_singers, cross_singers=True)) == count * 3**n_singers


def test_parts_run_from_high_to_low_and_names_say_who_sings() -> None:
    song = FakeSong("song", 10, "12")
    names = [mixture.name for mixture in list_mixtures(song, 2, singers=["2"])]
    assert names == [
        "soprano_2+alto_2", "soprano_2+tenor_2", "soprano_2+bass_2",
        "alto_2+tenor_2", "alto_2+bass_2", "tenor_2+bass_2",
    ]  # fmt: skip


def test_soloists_mix_whatever_their_names() -> None:
    song = FakeSong("song", 10, "1")
    song.keys = (("soprano", "7"), ("alto", "2"), ("tenor", "5"), ("bass", "9"))
    assert [m.name for m in list_mixtures(song, 4)] == ["soprano_7+alto_2+tenor_5+bass_9"]


def test_pieces_of_eight_voices_give_all_quartets() -> None:
    song = FakeSong("song", 10, "1", parts=[f"voice{i}" for i in range(8)])
    assert len(list_mixtures(song, 4)) == 70


@pytest.mark.parametrize(("n_singers", "count"), [(4, 102), (2, 612), (3, 408)])
def test_excerpt_counts_of_the_paper(
    paper_songs: list[FakeSong], n_singers: int, count: int
) -> None:
    excerpts = FixedExcerpts(
        paper_songs, n_singers, "stems", singers=PAPER_SINGERS, first_excerpt=1, start_offset=-256
    )
    assert len(excerpts) == count


def test_excerpt_numbers_of_the_paper(paper_songs: list[FakeSong]) -> None:
    excerpts = FixedExcerpts(
        paper_songs, 4, "stems", singers=PAPER_SINGERS, first_excerpt=1, start_offset=-256
    )
    numbers: dict[str, list[int]] = {}
    for i in range(len(excerpts)):
        item = excerpts[i]
        numbers.setdefault(item["song"], []).append(item["excerpt"])
        assert item["start"] == 64_000 * item["excerpt"] - 256
        assert len(set(item["singers"])) == 1
    assert numbers == {
        "el_rossinyol": list(range(1, 33)),
        "locus_iste": list(range(1, 47)),
        "nino_dios": list(range(1, 25)),
    }


def test_full_mix_adds_the_missing_parts_of_the_same_singer() -> None:
    song = FakeSong("song", 10, "123")
    mixture = list_mixtures(song, 2, singers=[3])[4]
    assert mixture.name == "alto_3+bass_3"
    assert find_full_mix_keys(song, mixture) == (
        ("soprano", "3"), ("alto", "3"), ("tenor", "3"), ("bass", "3"),
    )  # fmt: skip


def test_unknown_singers_are_named_with_those_there_are() -> None:
    songs = [FakeSong("song", 10, "13")]
    with pytest.raises(DataError, match="no singer 2, 9 in song; available: 1, 3"):
        choose_mixtures(songs, 4, "stems", singers=[1, "2", 9])
    with pytest.raises(DataError, match="no singer 2 in song"):
        choose_mixtures(songs, 4, "stems", singers={"song": [2]})
    with pytest.raises(DataError, match="unknown songs"):
        choose_mixtures(songs, 4, "stems", singers={"other": [1]})
    with pytest.raises(DataError, match="expected a list"):
        choose_mixtures(songs, 4, "stems", singers=4)  # type: ignore[arg-type]


def test_impossible_mixtures_say_what_to_change() -> None:
    songs = [FakeSong("song", 10, "1")]
    with pytest.raises(DataError, match="n_singers=5: the songs have at most 4 parts"):
        choose_mixtures(songs, 5, "stems")
    with pytest.raises(DataError, match="set data.f0=stems"):
        choose_mixtures(songs, 4, "cached")
    torn = FakeSong("torn", 10, "12")
    torn.keys = (
        ("soprano", "1"), ("soprano", "2"), ("alto", "1"), ("tenor", "2"), ("bass", "2"),
    )  # fmt: skip
    with pytest.raises(DataError, match="cross_singers"):
        choose_mixtures([torn], 4, "stems")
    assert len(choose_mixtures([torn], 4, "stems", cross_singers=True)[0][1]) == 2


def test_songs_with_too_few_parts_are_left_out(caplog: pytest.LogCaptureFixture) -> None:
    songs = [FakeSong("quartet", 10, "1"), FakeSong("duet", 10, "1", parts=("soprano", "alto"))]
    assert [song.name for song, _ in choose_mixtures(songs, 3, "stems")] == ["quartet"]
    assert "duet" in caplog.text
