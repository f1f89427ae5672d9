"""Planted deviations are found again, and what cannot be told is said."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from src.errors import UmssError
from src.f0.contours import F0Contours
from src.f0.score.alignment import Alignment
from src.f0.score.parts import Note
from src.formats.midi import SungPart, write_midi
from src.intonation.cleaning import mend_pitch
from src.intonation.measures import measure_intonation
from src.intonation.ratios import tune_chord
from src.intonation.vibrato import measure_vibrato
from tests.intonation.singing import BEAT, CHORDS, NAMES, sing


@pytest.mark.parametrize(
    ("who", "sharp", "drift", "late"),
    [(1, 23, 0, 0), (0, 0, -40, 0), (3, 0, 0, 60), (2, 23, -40, 60)],
)
def test_planted_deviations_are_found(who: int, sharp: int, drift: int, late: int) -> None:
    contours = sing(who=who, sharp=sharp, drift=drift, late=late)
    found = measure_intonation(contours)
    planted = np.arange(4) == who
    assert found.drift.value == pytest.approx(drift, abs=3)
    assert found.drift.low < drift < found.drift.high
    np.testing.assert_allclose(found.singers["equal"], sharp * planted, atol=3)
    np.testing.assert_allclose(found.singers["entry_ms"], late * planted, atol=20)
    # The singers are in equal temperament, in which thirds are 14 cents from pure.
    assert abs(found.singers["just"][who] - sharp) < 10
    np.testing.assert_allclose(found.singers["vibrato_hz"], 5.0 + 0.3 * np.arange(4), atol=0.1)
    np.testing.assert_allclose(found.singers["vibrato_cents"], 20 + 10 * np.arange(4), atol=2)
    assert (found.singers["vibrato_share"] > 0.9).all()
    for column in ("equal", "just", "entry_ms"):
        assert (found.singers[f"{column}_low"] < found.singers[column]).all()
        assert (found.singers[f"{column}_high"] > found.singers[column]).all()


def test_pure_chords_are_pure_wherever_they_lie() -> None:
    pure = tuple(
        tuple(np.array(chord) + tune_chord(chord).cents / 100 + 0.17 * (k % 3))
        for k, chord in enumerate(CHORDS)
    )
    found = measure_intonation(sing(chords=pure, scatter=0.0, sharp=23, drift=-40, seconds=30))
    np.testing.assert_allclose(found.singers["just"], [0, 23, 0, 0], atol=3)
    assert found.unison.value == pytest.approx(23, abs=4)  # soprano and alto
    assert {"C major", "D minor", "G dominant seventh"} <= set(
        found.chords["root"] + " " + found.chords["kind"]
    )


def test_a_drift_of_more_than_a_semitone_is_followed() -> None:
    found = measure_intonation(sing(drift=-120, seconds=80, sharp=30))
    assert found.drift.value == pytest.approx(-120, abs=3)
    np.testing.assert_allclose(found.singers["equal"], [0, 30, 0, 0], atol=3)
    assert found.tuning["cents"].iloc[-1] < -130


@pytest.mark.parametrize("alignment", ["dtw", "none"])
def test_entries_by_a_score(alignment: Alignment, tmp_path: Path) -> None:
    beats = range(int(29 / BEAT))
    parts = [
        SungPart(
            name,
            [
                Note(0.5 + k * BEAT, 0.5 + (k + (0.7 if k % 4 == 3 else 1)) * BEAT, chord[j])
                for k in beats
                for chord in [CHORDS[k % len(CHORDS)]]
            ],
            np.zeros(0),
        )
        for j, name in enumerate(NAMES)
    ]
    write_midi(tmp_path / "score.mid", parts, tempo=100.0)
    contours = sing(late=60, sharp=60, seconds=30)
    found = measure_intonation(contours, score=tmp_path / "score.mid", score_alignment=alignment)
    late = [0, 60, 0, 0] if alignment == "dtw" else [20, 80, 20, 20]  # half of a glide
    np.testing.assert_allclose(found.singers["entry_ms"], late, atol=20)
    # More than half a semitone off what is written, not the next semitone.
    np.testing.assert_allclose(found.singers["equal"], [0, 60, 0, 0], atol=3)
    assert not any("Without a score" in remark for remark in found.remarks)
    if alignment == "dtw":
        return
    other = F0Contours(contours.times, contours.f0[::-1] * 1.3, NAMES)
    with pytest.raises(UmssError, match="does not fit"):
        measure_intonation(other, score=tmp_path / "score.mid", score_alignment="none")


def test_few_singers() -> None:
    both = measure_intonation(sing(names=("high", "low"), sharp=20, late=60, who=1, drift=-40))
    assert both.singers["equal"].diff()[1] == pytest.approx(20, abs=3)
    assert both.singers["equal"].sum() == pytest.approx(0, abs=3)
    assert both.singers["entry_ms"].diff()[1] == pytest.approx(60, abs=20)
    assert any("not which of them" in remark for remark in both.remarks)
    alone = measure_intonation(sing(names=("solo",), drift=-40))
    assert alone.drift.value == pytest.approx(-40, abs=3)
    assert np.isnan(alone.singers["just"][0]) and np.isnan(alone.singers["entry_ms"][0])
    assert any("With one singer" in remark for remark in alone.remarks)


def test_shared_and_unsure_notes_are_left_out() -> None:
    contours = sing(seconds=20)
    f0 = contours.f0.copy()
    f0[:, 1] = f0[:, 0]
    confidence = np.ones_like(f0)
    confidence[:, 3] = 0.3
    found = measure_intonation(F0Contours(contours.times, f0, NAMES, confidence))
    assert found.unison.count == 0 and found.singers["notes"][3] == 0
    assert any("one and the same F0" in remark for remark in found.remarks)
    assert any("min_confidence" in remark for remark in found.remarks)
    assert any("Nothing can be said of bass" in remark for remark in found.remarks)


def test_nothing_to_measure() -> None:
    times = np.arange(100) * 0.016
    silent = F0Contours(times, np.zeros((100, 2), np.float32), ("a", "b"))
    with pytest.raises(UmssError, match="no singer has a pitch"):
        measure_intonation(silent)
    short = F0Contours(times[:20], np.full((20, 2), 220, np.float32), ("a", "b"))
    with pytest.raises(UmssError, match="of the 3 notes .* 2 were found in .* longer"):
        measure_intonation(short)
    with pytest.raises(UmssError, match="min_confidence"):
        measure_intonation(short, min_confidence=2.0)


def test_octave_errors_and_gaps_are_mended_but_leaps_are_kept() -> None:
    pitch = np.concatenate([np.full(40, 60.0), np.full(40, 72.0), np.full(40, 67.0)])
    wrong = pitch.copy()
    wrong[10:20] -= 12
    wrong[60:62] += 24
    wrong[62:65] -= 12
    wrong[14] = wrong[65] = np.nan  # within an error, and at the end of one
    wrong[90:93] = np.nan
    np.testing.assert_allclose(mend_pitch(wrong), pitch)
    wrong[90:95] = np.nan
    assert np.isnan(mend_pitch(wrong)[90:95]).all()


def test_roots_and_ratios_of_chords() -> None:
    first_inversion = tune_chord([64, 67, 72])
    assert first_inversion.kind == "major" and first_inversion.root == 0
    assert first_inversion.ratios == (Fraction(5, 4), Fraction(3, 2), Fraction(1))
    np.testing.assert_allclose(first_inversion.cents, [-13.69, 1.96, 0], atol=0.01)
    assert tune_chord([55, 59, 65]).kind == "dominant seventh"
    seventh = tune_chord([55, 59, 62, 65], harmonic_seventh=True)
    assert seventh.ratios[-1] == Fraction(7, 4)
    assert tune_chord([48, 60]).kind == "unison"
    assert tune_chord([60, 61, 62]).kind == "above the bass"


def test_a_straight_tone_and_a_bend_are_no_vibrato() -> None:
    t = np.arange(80) / 62.5
    assert measure_vibrato(60 + 0.3 * t) == (0.0, 0.0)
    assert measure_vibrato(60 + 0.4 * t**2) == (0.0, 0.0)
    assert np.isnan(measure_vibrato(60 + 0 * t[:20])[0])
