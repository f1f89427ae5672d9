"""F0 metrics: known errors have known scores, and mir_eval's own evaluation agrees."""

from __future__ import annotations

import warnings

import mir_eval
import numpy as np
import pytest

from src.metrics.f0 import MULTIPITCH_SCORES, VOICE_SCORES, score_multipitch, score_voice

SATB = np.array([520.0, 390.0, 260.0, 130.0])


@pytest.fixture(autouse=True)
def _no_warnings() -> None:
    """Nothing here deserves a warning, whatever mir_eval thinks of silence."""
    warnings.simplefilter("error")


def choir(n_frames: int = 1000, seed: int = 0) -> np.ndarray:
    """Wandering voices with rests in a fifth of the frames, float32 [N, 4]."""
    rng = np.random.default_rng(seed)
    f0 = SATB * 2 ** (rng.uniform(-3, 3, (n_frames, 4)) / 12)
    f0[rng.random(f0.shape) < 0.2] = 0
    return f0.astype(np.float32)


def shifted(f0: np.ndarray, cents: float) -> np.ndarray:
    return (f0 * 2 ** (cents / 1200)).astype(np.float32)


def test_exact_tracks() -> None:
    f0 = choir()
    assert score_multipitch(f0, f0) == {"precision": 1.0, "recall": 1.0, "f_measure": 1.0}
    scores = score_voice(f0[:, 2], f0[:, 2])
    assert tuple(scores) == VOICE_SCORES
    for name in VOICE_SCORES:
        bad = name in ("voicing_false_alarm", "median_deviation_cents")
        assert scores[name] == (0.0 if bad else 1.0), name


def test_octave_errors() -> None:
    f0 = choir()[:, 0]
    scores = score_voice(f0, 2 * f0)
    assert scores["raw_pitch_accuracy"] == 0
    assert scores["raw_chroma_accuracy"] == 1
    assert scores["voicing_recall"] == 1
    assert scores["overall_accuracy"] == pytest.approx(np.mean(f0 == 0))
    assert np.isnan(scores["median_deviation_cents"])


def test_swapped_voices_in_half_of_the_frames() -> None:
    f0 = np.tile(SATB, (1000, 1)).astype(np.float32)
    swapped = f0.copy()
    swapped[:500, :2] = f0[:500, 1::-1]
    assert score_multipitch(f0, swapped)["f_measure"] == 1
    for j, accuracy in enumerate((0.5, 0.5, 1.0, 1.0)):
        scores = score_voice(f0[:, j], swapped[:, j])
        assert scores["raw_pitch_accuracy"] == accuracy
        assert scores["overall_accuracy"] == accuracy
        assert np.isnan(scores["voicing_false_alarm"])


@pytest.mark.parametrize(
    ("cents", "coarse", "fine"), [(10, 1, 1), (-30, 1, 0), (49, 1, 0), (51, 0, 0)]
)
def test_tolerances(cents: float, coarse: int, fine: int) -> None:
    f0 = choir()
    estimate = shifted(f0, cents)
    assert score_multipitch(f0, estimate)["f_measure"] == pytest.approx(coarse, abs=0.1)
    scores = score_voice(f0[:, 1], estimate[:, 1])
    assert (scores["raw_pitch_accuracy"], scores["raw_pitch_accuracy_20"]) == (coarse, fine)
    if coarse:
        assert scores["median_deviation_cents"] == pytest.approx(abs(cents), abs=1e-2)


def test_voicing_errors() -> None:
    f0 = np.repeat(np.float32([200, 0]), 500)
    estimate = f0.copy()
    estimate[:100] = 0
    estimate[-200:] = 300
    scores = score_voice(f0, estimate)
    assert scores["voicing_recall"] == 0.8
    assert scores["raw_pitch_accuracy"] == 0.8
    assert scores["voicing_false_alarm"] == 0.4
    assert scores["overall_accuracy"] == 0.7
    found = score_multipitch(f0[:, None], estimate[:, None])
    assert (found["precision"], found["recall"]) == (pytest.approx(400 / 600), 0.8)


def test_silence() -> None:
    f0, nothing = choir()[:, 0], np.zeros(1000, np.float32)
    missed = score_voice(f0, nothing)
    assert missed["raw_pitch_accuracy"] == missed["voicing_recall"] == 0
    assert missed["overall_accuracy"] == pytest.approx(np.mean(f0 == 0))
    invented = score_voice(nothing, f0)
    assert np.isnan(invented["raw_pitch_accuracy"])
    assert invented["voicing_false_alarm"] == pytest.approx(np.mean(f0 > 0))
    assert invented["overall_accuracy"] == pytest.approx(np.mean(f0 == 0))
    agreed = score_voice(nothing, nothing)
    assert agreed["overall_accuracy"] == 1
    assert agreed["voicing_false_alarm"] == 0
    assert set(score_multipitch(f0[:, None], nothing[:, None]).values()) == {0.0}
    undefined = score_multipitch(nothing[:, None], f0[:, None])
    assert all(np.isnan(undefined[name]) for name in MULTIPITCH_SCORES)


def test_agreement_with_mir_evals_own_evaluation() -> None:
    rng = np.random.default_rng(3)
    f0 = choir(seed=1)
    estimate = shifted(f0, 0) * 2 ** (rng.normal(0, 40, f0.shape) / 1200)
    estimate[rng.random(f0.shape) < 0.1] *= 2
    estimate[rng.random(f0.shape) < 0.1] = 0
    estimate[(rng.random(f0.shape) < 0.1) & (f0 == 0)] = 222
    estimate = estimate.astype(np.float32)
    times = np.arange(len(f0)) * 0.016
    ragged = [[row[row > 0] for row in tracks.astype(float)] for tracks in (f0, estimate)]
    whole = mir_eval.multipitch.evaluate(times, ragged[0], times, ragged[1])
    mine = score_multipitch(f0, estimate)
    assert mine["precision"] == pytest.approx(whole["Precision"])
    assert mine["recall"] == pytest.approx(whole["Recall"])
    assert 0.3 < mine["precision"] < 0.95
    for j in range(4):
        one = mir_eval.melody.evaluate(
            times, f0[:, j].astype(float), times, estimate[:, j].astype(float)
        )
        mine = score_voice(f0[:, j], estimate[:, j])
        for name, theirs in (
            ("raw_pitch_accuracy", "Raw Pitch Accuracy"),
            ("raw_chroma_accuracy", "Raw Chroma Accuracy"),
            ("overall_accuracy", "Overall Accuracy"),
            ("voicing_recall", "Voicing Recall"),
            ("voicing_false_alarm", "Voicing False Alarm"),
        ):
            assert mine[name] == pytest.approx(one[theirs]), name


def test_pitches_that_mir_eval_refuses_count_as_wrong() -> None:
    f0 = np.full((100, 1), 200, np.float32)
    estimate = np.where(np.arange(100) < 30, 7.5, 200).astype(np.float32)[:, None]
    estimate[99] = 7000
    scores = score_multipitch(f0, estimate)
    assert scores["precision"] == scores["recall"] == 0.69
    assert score_voice(f0[:, 0], estimate[:, 0])["raw_pitch_accuracy"] == 0.69


def test_shapes_must_agree() -> None:
    with pytest.raises(ValueError, match=r"same N; got \[10, 4\] and \[9, 4\]"):
        score_multipitch(np.zeros((10, 4), np.float32), np.zeros((9, 4), np.float32))
    with pytest.raises(ValueError, match="same N"):
        score_voice(np.zeros((10, 4), np.float32), np.zeros((10, 4), np.float32))
