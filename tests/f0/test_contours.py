"""F0 contours: CSV format, its errors, and resampling without glides."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from src.f0.contour_files import read_f0, write_f0
from src.f0.contours import ContourError, F0Contours


def contours(*tracks: list[float], step: float = 0.01) -> F0Contours:
    f0 = np.array(tracks, dtype=np.float32).T
    times = np.linspace(0, step * (len(f0) - 1), len(f0))
    return F0Contours(times, f0, tuple(f"voice{j}" for j in range(len(tracks))))


def test_csv_round_trip_is_exact(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    f0 = rng.uniform(80, 900, (50, 3)).astype(np.float32)
    f0[rng.random(f0.shape) < 0.3] = 0
    original = F0Contours.on_grid(f0, ("soprano", "alto", "bass"))
    write_f0(tmp_path / "f0.csv", original)
    again = read_f0(tmp_path / "f0.csv")
    assert again.names == original.names
    np.testing.assert_array_equal(again.f0, original.f0)
    np.testing.assert_allclose(again.times, original.times, atol=1e-9)
    with pytest.raises(FileExistsError, match="overwrite"):
        write_f0(tmp_path / "f0.csv", original)
    write_f0(tmp_path / "f0.csv", original, overwrite=True)
    assert [p.name for p in tmp_path.iterdir()] == ["f0.csv"]


def test_csv_header_is_optional_and_empty_means_silent(tmp_path: Path) -> None:
    path = tmp_path / "f0.csv"
    path.write_text("0,440,\n0.016, 441 ,220\n\n0.032,0,221\n")
    read = read_f0(path)
    assert read.names == ("singer1", "singer2")
    np.testing.assert_array_equal(read.f0, [[440, 0], [441, 220], [0, 221]])
    assert read.n_singers == 2
    assert read.duration == pytest.approx(0.032)
    np.testing.assert_array_equal(read.voiced, [[1, 0], [1, 1], [0, 1]])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "empty"),
        ("time,a,b\n", "no rows"),
        ("time,a\n0,440\n0.1,x\n", "line 3, column a: 'x' is not a number"),
        ("time,a\n-1,440\n", "line 2, column time: -1 is negative"),
        ("time,a\n0,inf\n", "line 2, column a: 'inf' is not finite"),
        ("time,a\n0,9000\n", "above 8000 Hz"),
        ("time,a\n0,440\n0.1,440,3\n", "line 3: 3 columns, expected 2"),
        ("time,a\n0.1,440\n0.1,440\n", "line 3, column time: 0.1 s does not come after"),
        ("time,a\n,440\n", "column time"),
        ("time,a\n0,12\n", "no column holds F0 in Hz: column a has no value above 12"),
        ("0.1\n0.2\n", "at least one F0 column"),
        ("time\n0.2\n", "at least one F0 column"),
    ],
)
def test_malformed_csv_names_the_place(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "f0.csv"
    path.write_text(text)
    with pytest.raises(ContourError, match=message) as error:
        read_f0(path)
    assert str(path) in str(error.value)


def test_missing_and_binary_files(tmp_path: Path) -> None:
    with pytest.raises(ContourError, match="no such F0 file"):
        read_f0(tmp_path / "nothing.csv")
    (tmp_path / "binary.csv").write_bytes(b"\xff\xfe\x00\x80" * 10)
    with pytest.raises(ContourError, match="binary.csv"):
        read_f0(tmp_path / "binary.csv")


def test_arrays_are_checked() -> None:
    with pytest.raises(ContourError, match="frame 1"):
        contours([100.0, np.nan])
    with pytest.raises(ContourError, match="names"):
        F0Contours(np.arange(2.0), np.ones((2, 2), np.float32), ("a",))
    with pytest.raises(ContourError, match=r"times \[N\]"):
        F0Contours(np.arange(3.0), np.ones((2, 1), np.float32), ("a",))
    with pytest.raises(ContourError, match="increasing"):
        F0Contours(np.array([0.0, 0.0]), np.ones((2, 1), np.float32), ("a",))


def test_resample_interpolates_inside_voiced_runs_only() -> None:
    track = contours([0.0, 100.0, 200.0, 0.0])
    times = np.array([0.004, 0.006, 0.01, 0.015, 0.02, 0.024, 0.026])
    resampled = track.resample(times).f0[:, 0]
    np.testing.assert_allclose(resampled, [0, 100, 100, 150, 200, 200, 0], atol=1e-4)


def test_resample_is_silent_outside_and_identical_on_its_own_times() -> None:
    track = contours([100.0, 0.0, 200.0], [300.0, 310.0, 0.0])
    np.testing.assert_array_equal(track.resample(track.times).f0, track.f0)
    outside = track.resample(np.array([-0.01, 0.03]))
    assert not outside.voiced.any()


@settings(max_examples=50, deadline=None)
@given(st.lists(st.one_of(st.just(0.0), st.floats(60, 1000)), min_size=2, max_size=30))
def test_resample_never_leaves_the_range_of_the_voiced_values(values: list[float]) -> None:
    track = contours(values)
    fine = track.resample(np.linspace(0, track.duration, 177)).f0
    voiced = track.f0[track.voiced]
    if voiced.size == 0:
        assert not fine.any()
    elif fine.any():
        assert fine[fine > 0].min() >= voiced.min() * (1 - 1e-6)
        assert fine.max() <= voiced.max() * (1 + 1e-6)


def test_to_frames_uses_the_grid() -> None:
    f0 = np.arange(100, 110, dtype=np.float32)[:, None]
    np.testing.assert_array_equal(F0Contours.on_grid(f0, ("a",)).to_frames(10), f0)
    shifted = F0Contours(np.linspace(0.008, 0.152, 10), f0, ("a",)).to_frames(10)
    np.testing.assert_allclose(shifted[1:, 0], f0[1:, 0] - 0.5, atol=1e-3)


def test_sorted_high_to_low() -> None:
    ordered = contours([0.0, 100.0], [0.0, 0.0], [300.0, 0.0]).sorted_high_to_low()
    assert ordered.names == ("voice2", "voice0", "voice1")
    np.testing.assert_array_equal(ordered.f0[:, 0], [300, 0])


def test_confidence_goes_with_the_tracks() -> None:
    f0 = np.float32([[200, 400], [200, 400], [200, 400]])
    confidence = np.float32([[1, 0.5], [0.8, 0.5], [0.6, 0.5]])
    tracks = F0Contours.on_grid(f0, ("low", "high"), confidence=confidence)
    middle = tracks.resample(np.array([0.008, 0.024])).sorted_high_to_low()
    np.testing.assert_allclose(middle.confidence, [[0.5, 0.9], [0.5, 0.7]], rtol=1e-6)
    with pytest.raises(ContourError, match=r"confidence must be \[3, 2\] like f0, got \[2, 2\]"):
        F0Contours.on_grid(f0, ("low", "high"), confidence=confidence[:2])


def test_accompaniment_goes_with_the_tracks_and_through_files(tmp_path: Path) -> None:
    f0 = np.float32([[200, 400], [210, 410], [220, 0]])
    notes = np.float32([[100, 0, 300], [100, 150, 300], [0, 150, 300]])
    tracks = F0Contours.on_grid(f0, ("low", "high"))
    tracks = dataclasses.replace(tracks, accompaniment=notes)
    middle = tracks.resample(np.array([0.008, 0.024])).sorted_high_to_low()
    assert middle.names == ("high", "low") and middle.accompaniment is not None
    np.testing.assert_allclose(middle.accompaniment[0], [100, 0, 300])
    write_f0(tmp_path / "f0.csv", tracks)
    assert (
        (tmp_path / "f0.csv")
        .read_text()
        .startswith("time,low,high,accompaniment1,accompaniment2,accompaniment3\n")
    )
    again = read_f0(tmp_path / "f0.csv")
    assert again.names == ("low", "high")
    np.testing.assert_array_equal(again.f0, f0)
    np.testing.assert_array_equal(again.accompaniment, notes)
    with pytest.raises(ContourError, match="accompaniment2 at frame 0"):
        dataclasses.replace(tracks, accompaniment=notes - np.float32([0, 1, 0]))


def test_a_file_of_accompaniment_alone_holds_singers(tmp_path: Path) -> None:
    (tmp_path / "f0.csv").write_text("time,accompaniment\n0,200\n1,200\n", encoding="utf-8")
    tracks = read_f0(tmp_path / "f0.csv")
    assert tracks.names == ("accompaniment",) and tracks.accompaniment is None
