"""Scores laid over recordings whose tempo, tuning and notes are known."""

from __future__ import annotations

import numpy as np
import pytest

from src.data.choir.pieces import find_piece
from src.f0.contours import F0Contours
from src.f0.score.alignment import (
    fill_unisons,
    find_concert_pitch,
    find_tuning_offset,
    measure_fit,
    place_score,
)
from src.f0.score.reading import ScoreError, read_score
from tests.f0.fakes import salience_of

PIECES = ("bwv434_wer_nur_den_lieben_gott", "bwv386_nun_danket_alle_gott")


@pytest.fixture(scope="module")
def chorales(tmp_path_factory: pytest.TempPathFactory) -> list[F0Contours]:
    """Two chorales of the corpus, as they come out of a MIDI file."""
    from music21 import corpus

    folder = tmp_path_factory.mktemp("scores")
    scores = []
    for name in PIECES:
        corpus.parse(find_piece(name).source).write("midi", folder / f"{name}.mid")
        scores.append(read_score(folder / f"{name}.mid", 4))
    return scores


def performed(
    score: F0Contours, *, tempo: float = 1.0, rubato: float = 0.0, cents: float = 0.0
) -> F0Contours:
    """The score in another tempo, slower and faster by turns, in another tuning, after 0.5 s."""
    seconds = score.duration * tempo
    times = np.arange(int(seconds / 0.016)) * 0.016
    progress = times / seconds
    wave = rubato * np.sin(2 * np.pi * 3 * progress) / (2 * np.pi * 3)
    at = np.clip((progress + wave) * (len(score.times) - 1), 0, len(score.times) - 1)
    f0 = score.f0[np.rint(at).astype(int)] * np.float32(2 ** (cents / 1200))
    silence = np.zeros((31, score.n_singers), np.float32)
    return F0Contours.on_grid(np.concatenate([silence, f0, silence]), score.names)


def agreement(prior: np.ndarray, truth: np.ndarray) -> float:
    """Share of voiced frames of the truth with the right note in the prior."""
    both = (prior > 0) & (truth > 0)
    cents = 1200 * np.log2(np.where(both, prior, 1) / np.where(both, truth, 1))
    return float((both & (np.abs(cents) < 30)).sum() / (truth > 0).sum())


@pytest.mark.parametrize(
    ("tempo", "rubato", "cents"),
    [(1.0, 0.0, 0.0), (1.4, 0.4, -30.0), (0.7, 0.3, 60.0), (1.2, 0.2, -90.0)],
)
def test_dtw_follows_tempo_and_tuning(
    chorales: list[F0Contours], tempo: float, rubato: float, cents: float
) -> None:
    truth = performed(chorales[0], tempo=tempo, rubato=rubato, cents=cents)
    seen = salience_of(truth, noise=0.15, found=0.9)
    placed = place_score(chorales[0], seen, truth.duration, "dtw")
    assert placed.prior.shape == truth.f0.shape
    assert placed.prior.dtype == np.float32
    assert placed.offset == pytest.approx(cents, abs=10)
    assert placed.fit > 0.8
    assert placed.warnings == []
    assert agreement(placed.prior, truth.f0) > 0.93


def test_stretching_and_times_as_they_are(chorales: list[F0Contours]) -> None:
    score = chorales[0]
    truth = performed(score, tempo=1.3)
    seen = salience_of(truth)
    assert agreement(place_score(score, seen, truth.duration, "stretch").prior, truth.f0) > 0.97
    with pytest.raises(ScoreError, match="score_alignment=dtw"):
        place_score(score, seen, truth.duration, "none")
    exact = place_score(score, salience_of(score), score.duration, "none")
    np.testing.assert_array_equal(exact.prior, score.f0)
    assert exact.fit == 1
    (longer,) = place_score(score, salience_of(score), score.duration + 20, "none").warnings
    assert "score_alignment=dtw" in longer
    with pytest.raises(ScoreError, match="whole piece"):
        place_score(score, salience_of(performed(score, tempo=2.5)), 70.0, "stretch")
    with pytest.raises(ValueError, match="score_alignment=best"):
        place_score(score, seen, truth.duration, "best")  # type: ignore[arg-type]


def test_another_piece_or_key_does_not_fit(chorales: list[F0Contours]) -> None:
    seen = salience_of(performed(chorales[0]))
    for alignment in ("dtw", "stretch"):
        with pytest.raises(ScoreError, match="does not fit.*Give the score of this recording"):
            place_score(chorales[1], seen, 28.0, alignment)  # type: ignore[arg-type]
    higher = salience_of(performed(chorales[0], cents=200))
    with pytest.raises(ScoreError, match="2 semitones higher: transpose"):
        place_score(chorales[0], higher, 28.0, "dtw")


def test_a_recording_in_which_half_is_missing_is_doubtful(chorales: list[F0Contours]) -> None:
    truth = performed(chorales[0])
    placed = place_score(chorales[0], salience_of(truth, found=0.57), truth.duration, "dtw")
    assert any("poorly" in warning for warning in placed.warnings)


def test_silence_fits_nothing(chorales: list[F0Contours]) -> None:
    nothing = salience_of(F0Contours.on_grid(np.zeros((500, 1), np.float32), ("a",)))
    for alignment in ("dtw", "stretch", "none"):
        with pytest.raises(ScoreError):
            place_score(chorales[0], nothing, 8.0, alignment)  # type: ignore[arg-type]
    empty = F0Contours.on_grid(np.zeros((100, 2), np.float32), ("a", "b"))
    with pytest.raises(ScoreError, match="no notes"):
        place_score(empty, nothing, 8.0)
    assert measure_fit(empty.f0, nothing) == 0


def test_fit_is_the_share_of_notes_that_sound(chorales: list[F0Contours]) -> None:
    truth = chorales[0]
    assert measure_fit(truth.f0, salience_of(truth)) == 1
    assert measure_fit(truth.f0, salience_of(truth, found=0.7)) == pytest.approx(0.7, abs=0.04)
    sharp = F0Contours(truth.times, truth.f0 * np.float32(2 ** (70 / 1200)), truth.names)
    assert measure_fit(truth.f0, salience_of(sharp)) > 0.99
    assert find_tuning_offset(truth.f0, salience_of(sharp)) == pytest.approx(70, abs=10)
    assert find_concert_pitch(salience_of(sharp)) == pytest.approx(-30, abs=5)


def test_unisons_of_the_score_are_filled() -> None:
    prior = np.array([[262, 262], [262, 262], [262, 196], [262, 0], [262, 262]], np.float32)
    found = np.array([[260, 0], [0, 261], [262, 0], [262, 0], [0, 0]], np.float32)
    expected = [[260, 260], [261, 261], [262, 0], [262, 0], [0, 0]]
    np.testing.assert_array_equal(fill_unisons(found, prior), expected)


@pytest.mark.slow
def test_a_sung_chorale_is_followed(chorales: list[F0Contours]) -> None:
    """Fermatas, rubato, vibrato, portamento, consonants and breaths."""
    from src.data.choir import generate_song

    for name, score in zip(PIECES, chorales, strict=True):
        truth = F0Contours.on_grid(np.ascontiguousarray(generate_song(name).f0.T), score.names)
        placed = place_score(score, salience_of(truth, noise=0.15), truth.duration, "dtw")
        both = (placed.prior > 0) & (truth.f0 > 0)
        ratio = np.where(both, placed.prior, 1) / np.where(both, truth.f0, 1)
        right = both & (np.abs(1200 * np.log2(ratio)) < 70)
        assert right.sum() / (truth.f0 > 0).sum() > 0.85
