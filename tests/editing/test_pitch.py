"""Notes, tuning, vibrato and scales of a voice's pitch."""

from __future__ import annotations

import numpy as np
import pytest

from src.editing.pitch import (
    FRAMES,
    build_scale,
    find_middle,
    find_notes,
    hertz_to_pitch,
    move_degrees,
    pitch_to_hertz,
    read_key,
    scale_vibrato,
    tune,
)
from src.errors import UmssError


def sing(*notes: float | None, seconds: float = 0.6, vibrato: float = 0.4) -> np.ndarray:
    """Notes in semitones (None = a rest), with vibrato, short glides and a slow drift."""
    n = round(seconds * FRAMES)
    steps = np.repeat([np.nan if note is None else note for note in notes], n)
    smooth = np.convolve(np.pad(steps, 2, mode="edge"), np.ones(5) / 5, "valid")
    pitch = np.where(np.isnan(smooth), steps, smooth)
    t = np.arange(len(pitch)) / FRAMES
    return pitch + vibrato * np.sin(2 * np.pi * 5.7 * t) + 0.05 * np.sin(2 * np.pi * 0.3 * t)


def test_hertz_and_semitones() -> None:
    f0 = np.array([440.0, 0.0, 220.0])
    pitch = hertz_to_pitch(f0)
    np.testing.assert_allclose(pitch, [69.0, np.nan, 57.0])
    np.testing.assert_allclose(pitch_to_hertz(pitch), f0)


@pytest.mark.parametrize("vibrato", [0.0, 0.3, 0.6])
def test_notes_are_found_whatever_the_vibrato(vibrato: float) -> None:
    pitch = sing(60.0, 62.0, None, 64.0, 65.0, 65.0, vibrato=vibrato)
    notes = find_notes(pitch)
    found = [find_middle(pitch, note) for note in notes]
    np.testing.assert_allclose(found, [60.0, 62.0, 64.0, 65.0], atol=0.12)
    covered = np.concatenate([np.arange(note.start, note.stop) for note in notes])
    np.testing.assert_array_equal(covered, np.flatnonzero(~np.isnan(pitch)))
    starts = [note.start / FRAMES for note in notes]
    np.testing.assert_allclose(starts, [0.0, 0.6, 1.8, 2.4], atol=0.1)


@pytest.mark.parametrize("strength", [0.0, 0.5, 1.0])
def test_notes_are_pulled_to_equal_temperament(strength: float) -> None:
    off = np.array([60.3, 61.8, 64.2])
    pitch = sing(*off[:2], None, off[2])
    tuned = tune(pitch, build_scale("equal"), strength)
    own, middles = ([find_middle(x, n) for n in find_notes(pitch)] for x in (pitch, tuned))
    expected = own + strength * (np.round(off) - own)
    np.testing.assert_allclose(middles, expected, atol=0.03)
    # The vibrato stays: only the middle of a note moves.
    note = find_notes(pitch)[2]
    inside = slice(note.start + 5, note.stop - 5)
    assert np.ptp(np.diff(tuned[inside]) - np.diff(pitch[inside])) < 1e-9


def test_pure_intervals_and_another_concert_pitch() -> None:
    d_major_third = sing(66.2)  # F#, 14 cents lower above D in pure tuning
    pure = tune(d_major_third, build_scale("just", "D"), 1.0)
    tonic = 62.0
    third = 12 * np.log2(5 / 4)
    assert find_middle(pure, find_notes(pure)[0]) == pytest.approx(tonic + third, abs=0.02)
    high = tune(sing(69.1), build_scale("equal", a4=443.0), 1.0)
    goal = 69.0 + 12 * np.log2(443 / 440)
    assert find_middle(high, find_notes(high)[0]) == pytest.approx(goal, abs=0.02)


def test_a_scale_and_a_score_say_where_notes_go() -> None:
    sung = sing(61.4)  # between C# and D; D minor has no C#, but C and D
    tuned = tune(sung, build_scale("D minor"), 1.0)
    assert find_middle(tuned, find_notes(tuned)[0]) == pytest.approx(62.0, abs=0.02)
    goals = np.full_like(sung, np.nan)
    goals[10:] = 59.0
    led = tune(sung, goals, 1.0)
    assert find_middle(led, find_notes(led)[0]) == pytest.approx(59.0, abs=0.02)
    silent = tune(sung, np.full_like(sung, np.nan), 1.0)
    np.testing.assert_array_equal(silent, sung)


@pytest.mark.parametrize("factor", [0.0, 0.5, 1.0, 2.0])
def test_vibrato_is_scaled_about_the_note(factor: float) -> None:
    pitch = sing(60.0, 64.0, seconds=1.5)
    scaled = scale_vibrato(pitch, factor)
    middle = slice(30, 70)
    extent = np.ptp(pitch[middle] - pitch[middle].mean())
    assert np.ptp(scaled[middle]) == pytest.approx(factor * extent, abs=0.12 + 0.1 * factor)
    for note in find_notes(pitch):
        assert find_middle(scaled, note) == pytest.approx(find_middle(pitch, note), abs=0.1)


def test_a_third_above_is_the_scale_s() -> None:
    pitch = sing(60.1, 62.1, 64.1)  # C D E, a little sharp
    above = move_degrees(pitch, build_scale("C major"), 2)
    own, moved = ([find_middle(x, n) for n in find_notes(pitch)] for x in (pitch, above))
    np.testing.assert_allclose(np.subtract(moved, own), [4.0, 3.0, 3.0], atol=0.03)


@pytest.mark.parametrize(
    ("text", "tonic", "kind"),
    [
        ("C", 0, "major"), ("f# minor", 6, "minor"), ("Bb major", 10, "major"),
        ("A♭ dorian", 8, "dorian"), ("b", 11, "major"), ("Cb", 11, "major"),
    ],
)  # fmt: skip
def test_keys(text: str, tonic: int, kind: str) -> None:
    assert read_key(text) == (tonic, kind)


@pytest.mark.parametrize("text", ["H", "C moll", "", "D major minor", "##"])
def test_other_texts_are_no_keys(text: str) -> None:
    with pytest.raises(UmssError, match="is no key"):
        read_key(text)


@pytest.mark.parametrize("n", [1, 2, 3, 5])
def test_short_voices(n: int) -> None:
    pitch = np.full(n + 4, np.nan)
    pitch[2 : 2 + n] = 60.2
    tuned = tune(scale_vibrato(pitch, 0.0), build_scale("equal"), 1.0)
    np.testing.assert_allclose(tuned[2 : 2 + n], 60.0, atol=1e-6)
    assert np.isnan(tuned).sum() == 4


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("n", range(12, 40))
def test_a_glide_at_the_end_of_a_phrase(n: int) -> None:
    pitch = np.full(n, 60.0)
    pitch[-8:] = np.linspace(60.0, 64.0, 8)
    notes = find_notes(pitch)
    assert notes[0].start == 0 and notes[-1].stop == n
    assert np.isfinite(tune(pitch, build_scale("equal"), 1.0)).all()
