from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from src.f0.published import heuristic
from src.f0.published.heuristic import PaperAssigner, assign, resample_like_published
from src.f0.salience import Salience


def peaks(*frames: list[float]) -> list[np.ndarray]:
    return [np.array(frame, dtype=np.float64) for frame in frames]


def test_full_frames_are_sorted() -> None:
    tracks = assign(peaks([200, 100], [190, 110], []), 2)
    np.testing.assert_array_equal(tracks, [[200, 100], [190, 110], [0, 0]])


def test_a_pitch_after_a_full_frame_goes_to_the_nearest_voice() -> None:
    tracks = assign(peaks([200, 100], [195], [105], []), 2)
    np.testing.assert_array_equal(tracks, [[200, 100], [195, 0], [0, 105], [0, 0]])


def test_before_a_full_frame_continuity_runs_backwards() -> None:
    tracks = assign(peaks([], [160], [190], [200, 100]), 2)
    # 160 Hz is nearer to 190 Hz, the voice that sounds next, than to 100 Hz.
    np.testing.assert_array_equal(tracks, [[0, 0], [160, 0], [190, 0], [200, 100]])


def test_a_silent_voice_is_compared_by_its_last_pitch() -> None:
    # The low voice pauses for two frames; its pitch before the pause is what counts.
    tracks = assign(peaks([300, 100], [310], [320], [110], []), 2)
    np.testing.assert_array_equal(tracks[:, 1], [100, 0, 0, 110, 0])


def test_too_many_pitches_leave_out_the_farthest() -> None:
    tracks = assign(peaks([300, 100], [305, 220, 102], [300, 100]), 2)
    np.testing.assert_array_equal(tracks[1], [305, 102])


def test_between_full_frames_the_cheaper_direction_wins() -> None:
    # Forwards, 150 Hz belongs to the lower voice (100 -> 150 -> 120: 50 + 30); backwards to the
    # upper one (155 -> 150, and then to 300: 5 + 150).
    tracks = assign(peaks([300, 100], [150], [155, 120]), 2)
    np.testing.assert_array_equal(tracks[1], [0, 150])
    # With both far ends near the upper voice the other way round.
    tracks = assign(peaks([180, 100], [150], [155, 50]), 2)
    np.testing.assert_array_equal(tracks[1], [150, 0])


def test_between_silences_the_nearest_full_frames_decide() -> None:
    frames = peaks([300, 100], [], [290], [], [110], [], [295, 105])
    tracks = assign(frames, 2)
    np.testing.assert_array_equal(tracks[2], [290, 0])
    np.testing.assert_array_equal(tracks[4], [0, 110])
    np.testing.assert_array_equal(tracks[[1, 3, 5]], 0)


@pytest.mark.parametrize("n_singers", range(1, 9))
def test_silence_stays_silent(n_singers: int) -> None:
    tracks = assign(peaks(*[[]] * 5), n_singers)
    assert tracks.shape == (5, n_singers) and not tracks.any()


@settings(max_examples=40, deadline=None)
@given(
    st.integers(1, 5),
    st.lists(
        st.lists(st.sampled_from(np.geomspace(80, 900, 30).tolist()), max_size=6, unique=True),
        min_size=1,
        max_size=25,
    ),
)
def test_every_frame_holds_its_own_pitches_once(n_singers: int, frames: list[list[float]]) -> None:
    tracks = assign(peaks(*frames), n_singers)
    for track, frame in zip(tracks, frames, strict=True):
        sounding = track[track > 0].tolist()
        assert len(sounding) == min(len(frame), n_singers)
        assert len(set(sounding)) == len(sounding) and set(sounding) <= set(frame)
        if len(frame) == n_singers:
            assert sounding == sorted(frame, reverse=True)


@pytest.mark.parametrize(("n_pitches", "n_singers"), [(3, 4), (4, 4), (7, 4), (6, 5), (2, 6)])
def test_many_pitches_are_assigned_as_well_as_few(
    monkeypatch: pytest.MonkeyPatch, n_pitches: int, n_singers: int
) -> None:
    rng = np.random.default_rng(n_pitches)
    for _ in range(20):
        pitches = heuristic._pad(rng.uniform(80, 900, n_pitches), n_singers)
        reference = np.sort(rng.uniform(80, 900, n_singers))
        compared, distance = heuristic._find_closest(pitches, reference)
        least = min(
            sum(abs(p - r) for p, r in zip(order, reference, strict=True) if p > 0)
            for order in itertools.permutations(pitches, n_singers)
        )
        assert distance == pytest.approx(least)
        monkeypatch.setattr(heuristic, "MOST_COMPARED", 0)
        solved, solved_distance = heuristic._find_closest(pitches, reference)
        monkeypatch.undo()
        assert solved_distance == pytest.approx(least)
        assert sorted(solved) == pytest.approx(sorted(compared)) or n_pitches > n_singers
        sounding = solved[solved > 0]
        assert (np.diff(sounding) > 0).all()  # of equally good assignments the one without crossing


def test_eight_singers_and_many_pitches_take_no_long_time() -> None:
    rng = np.random.default_rng(0)
    frames = [rng.uniform(80, 900, rng.integers(0, 14)) for _ in range(300)]
    assert assign(frames, 8).shape == (300, 8)


def test_assigner_reads_the_salience() -> None:
    values = np.zeros((20, 3), np.float32)
    values[5], values[12] = 0.6, 0.9
    values[12, 2] = 0.3
    frequencies = 100 * 2 ** (np.arange(20) / 12)
    salience = Salience(values, frequencies, np.arange(3) * 0.01)
    tracks = PaperAssigner()(salience, 2)
    assert tracks.dtype == np.float32
    np.testing.assert_allclose(tracks[0], frequencies[[12, 5]], rtol=1e-6)
    assert tracks[2].tolist() == pytest.approx([0, frequencies[5]], rel=1e-6)
    assert not PaperAssigner(threshold=0.95)(salience, 2).any()
    with pytest.raises(ValueError, match="score"):
        PaperAssigner()(salience, 2, prior=np.zeros((3, 2), np.float32))
    with pytest.raises(ValueError, match="n_singers"):
        PaperAssigner()(salience, 0)


def test_published_resampling_is_that_of_torch() -> None:
    tracks = np.random.default_rng(0).uniform(0, 500, (87, 3))
    expected = torch.nn.functional.interpolate(
        torch.from_numpy(tracks.T)[None], size=63, mode="linear", align_corners=False
    )[0].T
    np.testing.assert_allclose(resample_like_published(tracks, 63), expected, rtol=1e-5)
