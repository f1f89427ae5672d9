"""The estimator around model and assigner: grid, names, doubts, and input that is no singing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from src.audio import AudioError
from src.f0.contours import F0Contours
from src.f0.doubts import find_audible_frames, find_doubts, measure_agreement
from src.f0.estimate import F0Estimator, estimate_file
from src.f0.salience import Assigner, Salience, SalienceModel
from tests.f0.fakes import FREQUENCIES, LoudestPeaks, PriorTracks, ToneSalience, salience_of

ESTIMATOR = F0Estimator(ToneSalience(), LoudestPeaks(), retune=False)


def tones(seconds: float, *frequencies: float, rate: int = 16_000) -> np.ndarray:
    t = np.arange(round(seconds * rate)) / rate
    total = sum((0.2 * np.sin(2 * np.pi * f * t) for f in frequencies), np.zeros(len(t)))
    return np.asarray(total, dtype=np.float32)


class CoarseTimes(SalienceModel):
    """A model with a time grid of its own, 23 ms, with one pitch that rises by a bin per frame."""

    def __call__(self, audio: np.ndarray) -> Salience:
        times = np.arange(int(len(audio) / 16_000 / 0.023)) * 0.023
        values = np.zeros((len(FREQUENCIES), len(times)), np.float32)
        values[60 + np.arange(len(times)), np.arange(len(times))] = 1
        return Salience(values, FREQUENCIES, times)


def test_tracks_lie_on_the_grid_from_high_to_low() -> None:
    audio = tones(1.0, 220, 440)
    estimate = ESTIMATOR(audio, 2)
    assert estimate.contours.f0.shape == (63, 2)
    np.testing.assert_allclose(estimate.contours.times, np.arange(63) * 0.016)
    middle = estimate.contours.f0[5:-5]
    np.testing.assert_allclose(middle, np.broadcast_to([440, 220], middle.shape), rtol=0.01)
    assert estimate.contours.names == ("singer1", "singer2")
    assert estimate.warnings == []
    assert estimate.salience.values.shape[1] == 63


def test_a_models_own_times_are_converted() -> None:
    estimate = F0Estimator(CoarseTimes(), LoudestPeaks(), retune=False)(tones(1.0, 200), 1)
    expected = 110 * 2 ** (np.arange(60) * 0.016 / 0.023 / 60)
    np.testing.assert_allclose(estimate.contours.f0[:60, 0], expected, rtol=1e-3)


def test_names_are_given_or_counted() -> None:
    audio = tones(1.0, 440, 220)
    assert ESTIMATOR(audio, 2, ["high", "low"]).contours.names == ("high", "low")
    for names, message in (
        (["one"], "list of 2 names"),
        ("ab", "list of 2 names"),
        (["a", "a"], "must differ"),
        (["a", ""], "must differ"),
    ):
        with pytest.raises(ValueError, match=message):
            ESTIMATOR(audio, 2, names)


@pytest.mark.parametrize("n_singers", [0, 17, -1, 2.0, True, "4", None])
def test_number_of_singers_must_be_in_range(n_singers: object) -> None:
    with pytest.raises(ValueError, match=r"n_singers=.*1 to 16"):
        ESTIMATOR(tones(1.0, 440), n_singers)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("audio", "message"),
    [
        (np.zeros(0), "not empty"),
        (np.zeros((2, 100)), "mono"),
        (np.array([0.0, np.nan]), "NaN"),
        (np.array([0.0, -np.inf]), "NaN"),
    ],
)
def test_unusable_audio_is_refused(audio: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ESTIMATOR(audio, 2)


@pytest.mark.parametrize("level", [0.0, 1e-4])
@pytest.mark.parametrize("offset", [0.0, 0.3])
def test_silence_gives_silent_tracks_and_a_warning(level: float, offset: float) -> None:
    estimate = ESTIMATOR(level * tones(1.0, 440) + np.float32(offset), 3)
    assert estimate.contours.f0.shape == (63, 3)
    assert not estimate.contours.voiced.any()
    assert len(estimate.warnings) == 1
    assert "silent" in estimate.warnings[0]


@pytest.mark.parametrize("samples", [1, 255, 256, 257, 3000])
def test_very_short_recordings(samples: int) -> None:
    estimate = ESTIMATOR(tones(1.0, 440)[1 : 1 + samples], 2)
    assert estimate.contours.f0.shape == (-(-samples // 256), 2)
    assert np.isfinite(estimate.contours.f0).all()
    assert any("lasts" in w or "silent" in w for w in estimate.warnings)


def test_missing_voices_are_named_and_counted() -> None:
    estimate = ESTIMATOR(tones(1.0, 440, 220), 3, ["a", "b", "c"])
    (warning,) = estimate.warnings
    assert "for c (" in warning
    assert "n_singers=2" in warning


def contours(*tracks: float, n: int = 200) -> F0Contours:
    f0 = np.repeat([tracks], n, axis=0).astype(np.float32)
    return F0Contours.on_grid(f0, tuple(f"v{j}" for j in range(len(tracks))))


LOUD = np.random.default_rng(0).normal(size=200 * 256).astype(np.float32)


def test_good_tracks_raise_no_doubt() -> None:
    truth = contours(440, 330, 220)
    assert find_doubts(truth, salience_of(truth, noise=0.1), LOUD) == []


def test_doubts() -> None:
    truth = contours(440, 330, 220)
    seen = salience_of(truth)
    (more,) = find_doubts(contours(440), seen, LOUD)
    assert "more than n_singers=1" in more
    (other,) = find_doubts(contours(440, 330, 220 * 1.06), seen, LOUD)
    assert "33 % of the pitches" in other
    (weak,) = find_doubts(contours(500), salience_of(contours(100)), LOUD)[:1]
    assert "uncertain" in weak
    short = F0Contours.on_grid(truth.f0 * (np.arange(200) < 40)[:, None], truth.names)
    (speech,) = find_doubts(short, salience_of(short), LOUD)
    assert "20 % of the audible time" in speech
    quiet_rest = LOUD * np.repeat(np.arange(200) < 40, 256)
    assert find_doubts(short, salience_of(short), quiet_rest) == []
    nobody = F0Contours.on_grid(np.zeros((200, 2), np.float32), ("a", "b"))
    (nothing,) = find_doubts(nobody, seen, LOUD)
    assert "no singing was found" in nothing


def test_fewer_voices_than_asked_are_noticed_when_they_share_the_line() -> None:
    """A soloist whose line was handed from track to track."""
    turn = np.arange(200)[:, None] // 20 % 4 == np.arange(4)
    shared = F0Contours.on_grid(np.where(turn, 300, 0).astype(np.float32), ("a", "b", "c", "d"))
    (warning,) = find_doubts(shared, salience_of(contours(300)), LOUD)
    assert "more than 1 of the 4 singers" in warning
    assert "n_singers=1" in warning


def test_agreement_counts_peaks_and_salience_within_half_a_semitone() -> None:
    seen = salience_of(contours(440, 220))
    mean, missed = measure_agreement(contours(440 * 2 ** (40 / 1200)), seen)
    assert mean == pytest.approx(0.9, abs=0.03)
    assert missed == pytest.approx(0.5)
    mean, missed = measure_agreement(contours(440 * 2 ** (120 / 1200)), seen)
    assert mean < 0.1
    assert missed == 1
    # Tracks outside the salience's frequencies are neither an error nor wrapped around.
    assert measure_agreement(contours(30, 2000), seen) == (0.0, 1.0)


def test_audible_frames_are_relative_to_the_loudest() -> None:
    audio = np.concatenate([np.full(2560, 1.0), np.full(2560, 0.02), np.full(2560, 0.005)])
    audible = find_audible_frames(audio.astype(np.float32), np.arange(30) * 0.016)
    np.testing.assert_array_equal(audible, np.arange(30) < 20)


def test_files_of_any_rate_and_number_of_channels(tmp_path: Path) -> None:
    stereo = np.stack([tones(1.0, 440, rate=44_100), tones(1.0, 220, rate=44_100)], axis=1)
    sf.write(tmp_path / "a.wav", stereo, 44_100)
    estimate = estimate_file(tmp_path / "a.wav", ESTIMATOR, 2)
    assert estimate.contours.f0.shape == (63, 2)
    np.testing.assert_allclose(np.median(estimate.contours.f0, axis=0), [440, 220], rtol=0.01)
    with pytest.raises(AudioError, match="no such"):
        estimate_file(tmp_path / "b.wav", ESTIMATOR, 2)


def test_score_becomes_the_assigners_prior() -> None:
    score = contours(440, 220, n=63)
    tracker = F0Estimator(ToneSalience(), PriorTracks(), retune=False)
    estimate = tracker(tones(1.0, 440, 220), 2, score=score, alignment="none")
    np.testing.assert_allclose(estimate.contours.f0, score.f0, rtol=0.006)  # 10 cents
    assert estimate.contours.names == ("v0", "v1")
    with pytest.raises(ValueError, match="multif0=default"):
        ESTIMATOR(tones(1.0, 440, 220), 2, score=score)
    with pytest.raises(ValueError, match=r"2 parts \(v0, v1\).*n_singers=3"):
        tracker(tones(1.0, 440), 3, score=score)


def test_a_tracker_that_returns_nan_is_not_believed() -> None:
    class Broken(Assigner):
        def __call__(
            self,
            salience: Salience,
            n_singers: int,
            *,
            audio: np.ndarray | None = None,
            prior: np.ndarray | None = None,
        ) -> np.ndarray:
            return np.full((len(salience.times), n_singers), np.nan, np.float32)

    with pytest.raises(ValueError, match="singer1 at frame 0"):
        F0Estimator(ToneSalience(), Broken(), retune=False)(tones(1.0, 440), 1)
