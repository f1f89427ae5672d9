"""Pictures: the right axes, gaps where silent, complete files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from src.f0.contours import F0Contours
from src.f0.salience import Salience
from src.plots import (
    compute_decibels,
    draw_contours,
    draw_salience,
    draw_spectrogram,
    save_figure,
)

RATE = 16_000
TONE = 0.5 * np.sin(2 * np.pi * 440 * np.arange(RATE) / RATE).astype(np.float32)
NAMES = ("soprano", "bass")


def tracks() -> np.ndarray:
    f0 = np.tile([[440.0], [110.0]], (1, 63))
    f0[0, 20:30] = 0.0
    return f0


def test_axes_and_legend() -> None:
    figure = draw_spectrogram(TONE, RATE, tracks(), names=NAMES, title="duet")
    axes = figure.axes[0]
    assert axes.get_title() == "duet"
    assert axes.get_xlabel() == "Time (s)"
    assert axes.get_ylabel() == "Frequency (Hz)"
    assert axes.get_xlim() == (0.0, 1.0)
    assert axes.get_ylim() == (60.0, 4000.0)
    assert [t.get_text() for t in figure.legends[0].get_texts()] == ["F0 soprano", "F0 bass"]


def test_tracks_lie_on_the_time_grid_with_gaps_where_silent() -> None:
    line, _ = draw_spectrogram(TONE, RATE, tracks(), names=NAMES).axes[0].get_lines()
    times, values = line.get_data()
    assert np.asarray(times)[:3] == pytest.approx([0.0, 0.016, 0.032])
    assert np.isnan(np.asarray(values)[20:30]).all()
    assert np.nanmin(values) == 440.0


def test_one_track_no_track_and_default_names() -> None:
    single = draw_spectrogram(TONE, RATE, tracks()[0])
    assert [t.get_text() for t in single.legends[0].get_texts()] == ["F0 singer1"]
    assert not draw_spectrogram(TONE, RATE, names=NAMES).legends


def test_levels_are_relative_to_the_maximum() -> None:
    levels, hop = compute_decibels(TONE, RATE)
    assert hop == 128
    assert levels.max() == pytest.approx(0.0, abs=1e-4)
    assert levels.min() >= -70.0
    peak = levels[:, levels.shape[1] // 2].argmax() * RATE / 2048
    assert peak == pytest.approx(440, abs=8)
    assert (compute_decibels(np.zeros(4000, np.float32), RATE)[0] == -70.0).all()


def test_long_recordings_keep_the_picture_small_and_in_place() -> None:
    audio = np.zeros(RATE * 600, np.float32)
    audio[RATE * 300 : RATE * 310] = np.tile(TONE, 10)
    levels, hop = compute_decibels(audio, RATE)
    assert levels.shape[1] <= 2001
    loud = np.flatnonzero(levels.max(axis=0) > -20) * hop / RATE
    assert loud.min() == pytest.approx(300, abs=0.5)
    assert loud.max() == pytest.approx(310, abs=0.5)
    assert draw_spectrogram(audio, RATE).axes[0].get_xlabel() == "Time (min:s)"


@pytest.mark.parametrize(
    ("audio", "f0", "names", "message"),
    [
        (np.zeros(0), None, (), "not empty"),
        (np.zeros((2, 10)), None, (), r"\[T\]"),
        (np.array([0.0, np.nan]), None, (), "NaN"),
        (TONE, np.zeros((1, 2, 3)), (), r"\[J, N\]"),
        (TONE, tracks(), ("soprano",), "as many names"),
    ],
)
def test_errors(audio: np.ndarray, f0: np.ndarray, names: tuple[str, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        draw_spectrogram(audio, RATE, f0, names=names)


def salience(n_frames: int) -> Salience:
    """Something sounds in bin 100 at the last frame only."""
    values = np.zeros((240, n_frames), np.float32)
    values[100, -1] = 1
    return Salience(values, 55.0 * 2.0 ** (np.arange(240) / 60), np.arange(n_frames) * 0.016)


def test_salience_and_tracks_share_their_axes() -> None:
    contours = F0Contours.on_grid(tracks().T.astype(np.float32), NAMES)
    figure = draw_salience(salience(63), contours, "duet")
    axes = figure.axes[0]
    assert axes.get_title() == "duet"
    assert axes.get_xlabel() == "Time (s)"
    assert axes.get_yscale() == "log"
    low, high = axes.get_ylim()
    assert low < 110 < 440 < high
    labels = [t.get_text() for t in axes.get_yticklabels()]
    assert labels[labels.index("A3  220") + 1] == "E4  330"
    assert [t.get_text() for t in figure.legends[0].get_texts()] == list(NAMES)
    high_voice = axes.get_lines()[0]
    assert np.isnan(np.asarray(high_voice.get_ydata())[20:30]).all()
    np.testing.assert_allclose(high_voice.get_xdata(), np.arange(63) * 0.016)
    # The bin's cell holds its frequency and its time.
    mesh = axes.collections[0]
    corners = mesh.get_coordinates()
    left, right = corners[0, 62, 0], corners[0, 63, 0]
    bottom, top = corners[100, 0, 1], corners[101, 0, 1]
    assert left < 62 * 0.016 < right
    assert bottom < 55 * 2 ** (100 / 60) < top
    assert np.asarray(mesh.get_array()).reshape(240, 63)[100, 62] == 1


def test_long_salience_is_drawn_coarsely_and_keeps_short_sounds() -> None:
    n_frames = 112_500  # half an hour
    f0 = np.full((n_frames, 1), 200.0, np.float32)
    axes = draw_salience(salience(n_frames), F0Contours.on_grid(f0, ("a",))).axes[0]
    drawn = np.asarray(axes.collections[0].get_array())
    assert drawn.size <= 240 * 2000
    assert drawn.max() == 1
    assert len(axes.get_lines()[0].get_xdata()) <= 9000
    assert axes.get_xlim()[1] == pytest.approx(1800, abs=0.1)


def test_pictures_of_silence_single_frames_and_tracks_alone() -> None:
    silent = F0Contours.on_grid(np.zeros((63, 2), np.float32), NAMES)
    low, high = draw_salience(salience(63), silent).axes[0].get_ylim()
    assert (low, high) == pytest.approx((55, 55 * 2 ** (239 / 60)))
    one = F0Contours.on_grid(np.full((1, 1), 220.0, np.float32), ("a",))
    assert draw_salience(salience(1), one).axes[0].get_xlim()[1] > 0
    assert len(draw_contours(silent, "nothing").axes) == 1
    named = F0Contours.on_grid(tracks().T.astype(np.float32), NAMES)
    assert not draw_contours(named).axes[0].collections


def test_files_are_complete_and_not_replaced_unasked(tmp_path: Path) -> None:
    figure = draw_spectrogram(TONE, RATE, tracks(), names=NAMES)
    path = tmp_path / "new" / "duet.png"
    save_figure(path, figure)
    assert path.read_bytes().startswith(b"\x89PNG")
    with pytest.raises(FileExistsError, match="overwrite=true"):
        save_figure(path, figure)
    save_figure(path, figure, overwrite=True)
    with pytest.raises(ValueError, match="wave"):
        save_figure(tmp_path / "new" / "duet.wave", figure)
    assert [file.name for file in path.parent.iterdir()] == ["duet.png"]
