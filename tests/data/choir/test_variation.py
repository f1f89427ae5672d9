"""Performances that vary key, tempo and singers."""

from dataclasses import fields

import numpy as np

from src.data.choir import SONGS, generate_song
from src.data.choir.singers import SINGERS, draw_singer, draw_wide_singer
from src.f0.stems import estimate_stem_f0

SECONDS = 4.0


def median_pitch(song):
    return np.array([np.median(track[track > 0]) for track in song.f0])


def test_other_keys_and_singers_but_the_same_for_a_seed():
    usual = generate_song(SONGS[0], seed=1, max_seconds=SECONDS)
    performances = [generate_song(SONGS[0], seed=s, max_seconds=SECONDS, vary=True) for s in (1, 2)]
    again = generate_song(SONGS[0], seed=1, max_seconds=SECONDS, vary=True)
    np.testing.assert_array_equal(again.audio, performances[0].audio)
    np.testing.assert_array_equal(again.f0, performances[0].f0)
    assert set(performances[0].singer) == {"0"} and "0" not in usual.singer
    keys = [12 * np.log2(median_pitch(p) / median_pitch(usual)).mean() for p in performances]
    assert abs(keys[0] - keys[1]) > 0.5
    assert max(map(abs, keys)) < 7


def test_random_singers_stay_human():
    rng = np.random.default_rng(0)
    for part in ("soprano", "alto", "tenor", "bass"):
        singers = [draw_singer(part, rng) for _ in range(50)]
        tracts = [s.tract for s in SINGERS if s.part == part]
        assert all(min(tracts) - 0.06 < s.tract < max(tracts) + 0.06 for s in singers)
        assert len({s.tract for s in singers}) == 50
        for field in fields(singers[0])[2:]:
            assert all(np.isfinite(getattr(s, field.name)) for s in singers)


def test_wide_singers_reach_further_than_those_of_the_choir():
    rng = np.random.default_rng(1)
    narrow = [draw_singer("soprano", rng) for _ in range(200)]
    wide = [draw_wide_singer("soprano", rng) for _ in range(200)]
    for name in ("tract", "vibrato_hz", "vibrato_cents", "glide", "breath", "scoop"):
        usual, values = ([getattr(s, name) for s in drawn] for drawn in (narrow, wide))
        assert min(values) <= np.quantile(usual, 0.05)
        assert max(values) > 1.1 * max(usual)


def test_a_wide_performance_is_in_tune_with_its_own_pitch():
    song = generate_song(SONGS[0], seed=3, max_seconds=SECONDS, wide=True)
    again = generate_song(SONGS[0], seed=3, max_seconds=SECONDS, wide=True)
    np.testing.assert_array_equal(song.audio, again.audio)
    for stem, track in zip(song.audio, song.f0, strict=True):
        heard = estimate_stem_f0(stem)[: len(track)]
        both = (heard > 0) & (track > 0)
        assert both.sum() > 50
        assert np.median(np.abs(1200 * np.log2(heard[both] / track[both]))) < 25
