"""Aligns a score with a recording, so that it can guide the F0 tracks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import librosa
import numpy as np
from numpy.typing import NDArray

from ...dsp.tracks import HOP, RATE
from ...errors import UmssError
from ..contours import F0Contours
from ..salience import Salience
from .reading import ScoreError

Alignment = Literal["dtw", "stretch", "none"]

LOWEST_MIDI, HIGHEST_MIDI = 36, 88
NEAR_CENTS = 50.0
PRESENT = 0.3  # smallest salience of a note that counts as sung
POOR_FIT, DOUBTFUL_FIT = 0.5, 0.65  # shares of note frames that are found in the recording
LENGTH_TOLERANCE = 0.05
LENGTH_TOLERANCE_SECONDS = 2.0
STRETCH_LIMIT = 2.0
TUNINGS = np.arange(-100.0, 101.0, 10.0)  # cents
DTW_STEP = 0.08  # seconds
DTW_STEPS = 4000  # more would take too much memory; longer recordings get longer steps
COARSE_STEPS = 800
SILENCE = 0.3  # weight of "nobody sings" against a note
DETOUR = 0.05  # cost of every step in which either score or recording stops


@dataclass(frozen=True, eq=False)
class PlacedScore:
    """A score on the times of a recording.

    Attributes:
        prior: float32 [N, J], Hz at the times of the salience, 0 = rest, in the recording's tuning.
        fit: share of the note frames that are found in the recording, see `measure_fit`.
        offset: tuning of the recording relative to A4 = 440 Hz, cents.
        warnings: doubts about the fit.
    """

    prior: NDArray[np.float32]
    fit: float
    offset: float
    warnings: list[str]


def place_score(
    score: F0Contours, salience: Salience, seconds: float, alignment: Alignment = "dtw"
) -> PlacedScore:
    """Align a score with a recording, in time and in tuning (up to 100 cents from A4 = 440 Hz).

    Args:
        score: from `src.f0.score.reading.read_score`.
        salience: of the recording.
        seconds: length of the recording in seconds.
        alignment: "dtw" follows the recording's tempo, "stretch" scales the score linearly so that
            its first and last note fit the singing, "none" keeps the score's own times.

    Raises:
        ScoreError: the score does not fit the recording.
        UmssError: unknown alignment.
    """
    if alignment not in get_args(Alignment):
        raise UmssError(
            f"score_alignment={alignment}: choose one of {', '.join(get_args(Alignment))}"
        )
    if not score.voiced.any():
        raise ScoreError("the score holds no notes")
    warnings = []
    if alignment == "dtw":
        prior, offset = _align(score, salience)
    else:
        times = score if alignment == "none" else _stretch(score, salience)
        prior = times.resample(salience.times).f0
        offset = find_tuning_offset(prior, salience)
        difference = score.duration - seconds
        if alignment == "none" and abs(difference) > max(
            LENGTH_TOLERANCE_SECONDS, LENGTH_TOLERANCE * seconds
        ):
            warnings.append(
                f"the score lasts {score.duration:.1f} s, the recording {seconds:.1f} s; if the "
                "tempo differs, set score_alignment=dtw"
            )
    fit = _measure_fit_at(prior, salience, offset)
    if fit < POOR_FIT:
        raise ScoreError(
            f"the score does not fit the recording: {100 * fit:.0f} % of its notes are found there "
            f"({100 * POOR_FIT:.0f} % are needed). " + _advise(score, salience, alignment)
        )
    if fit < DOUBTFUL_FIT:
        warnings.append(
            f"the score fits the recording poorly ({100 * fit:.0f} % of its notes are found "
            "there); check that it is the same edition, with the same repeats"
        )
    tuned = (prior * 2.0 ** (offset / 1200)).astype(np.float32)
    return PlacedScore(tuned, fit, offset, warnings)


def fill_unisons(f0: NDArray[np.float32], prior: NDArray[np.float32]) -> NDArray[np.float32]:
    """Give silent singers the F0 of singers who have the same note in the score.

    Singers in unison share one peak of salience, which was assigned to only one of them.

    Args:
        f0: [N, J] Hz, 0 = silent.
        prior: [N, J] Hz, 0 = rest: the score that guided these tracks.

    Returns:
        float32 [N, J] Hz.
    """
    filled = f0.copy()
    for j in range(f0.shape[1]):
        for other in range(f0.shape[1]):
            same = (prior[:, j] > 0) & (prior[:, j] == prior[:, other])
            missing = same & (filled[:, j] == 0) & (f0[:, other] > 0)
            filled[missing, j] = f0[missing, other]
    return filled


def measure_fit(prior: NDArray[np.float32], salience: Salience) -> float:
    """Measure the share of note frames that are sung, in the best tuning within 100 cents.

    Args:
        prior: [N, J] Hz at the times of the salience, 0 = rest.
        salience: of the recording.
    """
    return _measure_fit_at(prior, salience, find_tuning_offset(prior, salience))


def find_tuning_offset(prior: NDArray[np.float32], salience: Salience) -> float:
    """Find the tuning of the recording relative to the score, -100 to 100 cents."""
    found = np.array([float(_find_near(prior, salience, cents, 0.0).mean()) for cents in TUNINGS])
    # All tunings within one bin are equally good: take the middle one.
    return float(np.mean(TUNINGS[found >= found.max() - 1e-6]))


def _measure_fit_at(prior: NDArray[np.float32], salience: Salience, offset: float) -> float:
    return float((_find_near(prior, salience, offset, NEAR_CENTS) >= PRESENT).mean())


def _find_near(
    prior: NDArray[np.float32], salience: Salience, offset: float, reach: float
) -> NDArray[np.float32]:
    """Find the largest salience within `reach` cents of every note, transposed by `offset`."""
    frame, singer = np.nonzero(prior)
    if not len(frame):
        return np.zeros(1, dtype=np.float32)
    octaves = np.log2(prior[frame, singer].astype(np.float64) / salience.frequencies[0])
    centre = np.rint((1200 * octaves + offset) / salience.cents_per_bin).astype(np.int64)
    width = round(reach / salience.cents_per_bin)
    largest = np.zeros(len(frame), dtype=np.float32)
    for row in (centre + shift for shift in range(-width, width + 1)):
        inside = (row >= 0) & (row < len(salience.frequencies))
        values = salience.values[row[inside], frame[inside]]
        largest[inside] = np.maximum(largest[inside], values)
    return largest


def _stretch(score: F0Contours, salience: Salience) -> F0Contours:
    """Stretch the score, so that it begins and ends with the singing."""
    notes = score.times[score.voiced.any(axis=1)]
    sung = salience.times[salience.values.max(axis=0) >= 0.5]
    if len(sung) < 2:
        raise ScoreError("no singing was found in the recording, so the score cannot be laid on it")
    factor = (sung[-1] - sung[0]) / max(notes[-1] - notes[0], HOP / RATE)
    if not 1 / STRETCH_LIMIT <= factor <= STRETCH_LIMIT:
        raise ScoreError(
            f"the score sounds for {notes[-1] - notes[0]:.1f} s, the recording for "
            f"{sung[-1] - sung[0]:.1f} s; does it hold the whole piece? (score_alignment=dtw "
            "follows larger differences of tempo)"
        )
    return F0Contours(sung[0] + factor * (score.times - notes[0]), score.f0, score.names)


def _align(score: F0Contours, salience: Salience) -> tuple[NDArray[np.float32], float]:
    """Align by dynamic time warping: prior [N, J] (Hz) and tuning offset (cents)."""
    best = _find_best_tuning(score, salience, [-100.0, 0.0, 100.0])
    span = max(score.duration, float(salience.times[-1]))
    prior = _warp(score, salience, best, max(DTW_STEP, span / DTW_STEPS))
    return prior, find_tuning_offset(prior, salience)


def _find_best_tuning(score: F0Contours, salience: Salience, shifts: list[float]) -> float:
    """Find the candidate tuning (cents) in which a coarse alignment finds most notes."""
    base = find_concert_pitch(salience)
    candidates = [base + shift for shift in shifts]
    candidates = [c for c in candidates if len(shifts) > 3 or abs(c) <= 100] or [base]
    span = max(score.duration, float(salience.times[-1]))
    step = max(DTW_STEP, span / COARSE_STEPS)
    fits = [_measure_fit_at(_warp(score, salience, c, step), salience, c) for c in candidates]
    return candidates[int(np.argmax(fits))]


def find_concert_pitch(salience: Salience) -> float:
    """Find how far the singing is from equal temperament at A4 = 440 Hz, -50 to 50 cents."""
    weight = np.where(salience.values >= PRESENT, salience.values, 0.0).sum(axis=1)
    cents = 1200 * np.log2(salience.frequencies / 440.0)
    circle = np.sum(weight * np.exp(2j * np.pi * cents / 100))
    return float(np.angle(circle) * 100 / (2 * np.pi)) if abs(circle) > 0 else 0.0


def _warp(score: F0Contours, salience: Salience, offset: float, step: float) -> NDArray[np.float32]:
    """Warp the score to the times of the salience, [N, J], in steps of `step` seconds."""
    written = _spread_score(score, step)
    sung = _spread_salience(salience, offset, step)
    cost = 1.0 - _normalise(written).T @ _normalise(sung)
    moves = np.array([[1, 1], [1, 0], [0, 1]])
    _, path = librosa.sequence.dtw(
        C=cost, step_sizes_sigma=moves, weights_add=np.array([0.0, DETOUR, DETOUR])
    )
    path = path[::-1]
    # Where several steps of the score fall on one of the recording, their mean.
    count = np.bincount(path[:, 1], minlength=cost.shape[1])
    position = np.bincount(path[:, 1], weights=path[:, 0], minlength=cost.shape[1]) / count
    middle = (np.arange(cost.shape[1]) + 0.5) * step
    at = np.interp(salience.times, middle, (position + 0.5) * step)
    frame = np.clip(np.rint(at * RATE / HOP).astype(np.int64), 0, len(score.times) - 1)
    return score.f0[frame]


def _spread_score(score: F0Contours, step: float) -> NDArray[np.float64]:
    """Spread a score over semitones and steps: [P + 1, steps]; the last row is silence."""
    frame, singer = np.nonzero(score.f0)
    midi = np.rint(69 + 12 * np.log2(score.f0[frame, singer] / 440.0)).astype(np.int64)
    block = (score.times[frame] / step).astype(np.int64)
    rows = np.clip(midi, LOWEST_MIDI, HIGHEST_MIDI) - LOWEST_MIDI
    notes = np.zeros((HIGHEST_MIDI - LOWEST_MIDI + 1, int(score.duration / step) + 1))
    np.add.at(notes, (rows, block), 1.0)
    return _add_silence(np.minimum(notes * HOP / RATE / step, 1.0))


def _spread_salience(salience: Salience, offset: float, step: float) -> NDArray[np.float64]:
    """Spread salience over semitones and steps: [P + 1, steps]; the last row is silence."""
    midi = 69 + 12 * np.log2(salience.frequencies / 440.0) - offset / 100
    row = np.rint(midi).astype(np.int64) - LOWEST_MIDI
    block = (salience.times / step).astype(np.int64)
    starts = np.flatnonzero(np.diff(block, prepend=-1))
    lengths = np.diff(starts, append=len(block))
    notes = np.zeros((HIGHEST_MIDI - LOWEST_MIDI + 1, int(block[-1]) + 1))
    for pitch in range(len(notes)):
        bins = np.flatnonzero(row == pitch)
        if len(bins):
            loudest = salience.values[bins].max(axis=0)
            notes[pitch, block[starts]] = np.add.reduceat(loudest, starts) / lengths
    return _add_silence(notes)


def _add_silence(notes: NDArray[np.float64]) -> NDArray[np.float64]:
    silence = SILENCE * np.maximum(0.0, 1.0 - notes.max(axis=0))
    return np.vstack([notes, silence])


def _normalise(columns: NDArray[np.float64]) -> NDArray[np.float64]:
    return columns / np.maximum(np.linalg.norm(columns, axis=0), 1e-9)


def _advise(score: F0Contours, salience: Salience, alignment: Alignment) -> str:
    """Advise the user what to do about a score that does not fit."""
    shifts = [100.0 * semitones for semitones in range(-6, 7)]
    cents = _find_best_tuning(score, salience, shifts)
    semitones = round(cents / 100)
    span = max(score.duration, float(salience.times[-1]))
    step = max(DTW_STEP, span / COARSE_STEPS)
    if _measure_fit_at(_warp(score, salience, cents, step), salience, cents) < DOUBTFUL_FIT:
        return "Give the score of this recording, or leave it out and let the F0 be estimated."
    if semitones:
        direction = "higher" if semitones > 0 else "lower"
        interval = f"{abs(semitones)} semitone{'s' if abs(semitones) > 1 else ''} {direction}"
        return f"The choir seems to sing {interval}: transpose the score."
    return (
        "Set score_alignment=dtw to follow the tempo of the recording."
        if alignment != "dtw"
        else "Check that it is the same edition, with the same repeats."
    )
