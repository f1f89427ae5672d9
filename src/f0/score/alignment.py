"""Lays a score over a recording, so that it can lead the F0 tracks."""

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
PRESENT = 0.3  # salience of a note that is sung
POOR_FIT, DOUBTFUL_FIT = 0.5, 0.65  # shares of note frames that are found in the recording
LENGTH_TOLERANCE = 0.05
LENGTH_TOLERANCE_SECONDS = 2.0
STRETCH_LIMIT = 2.0
TUNINGS = np.arange(-100.0, 101.0, 10.0)  # cents
DTW_STEP = 0.08  # seconds
DTW_STEPS = 4000  # more would take too much memory; longer recordings get longer steps
COARSE_STEPS = 800
SILENCE = 0.3  # weight of "nobody sings" against a note
DETOUR = 0.05  # cost of every step in which one of the two stands still


@dataclass(frozen=True, eq=False)
class PlacedScore:
    """A score on the times of a recording.

    Attributes:
        prior: float32 [N, J], Hz at the salience's times, 0 = rest, in the recording's tuning.
        fit: share of the note frames that are found in the recording, see `score_fit`.
        offset: tuning of the recording against A4 = 440 Hz, cents.
        warnings: doubts about the fit.
    """

    prior: NDArray[np.float32]
    fit: float
    offset: float
    warnings: list[str]


def place_score(
    score: F0Contours, salience: Salience, seconds: float, alignment: Alignment = "dtw"
) -> PlacedScore:
    """Lay a score over a recording and take over the recording's tuning (up to 100 cents off).

    Args:
        score: from `src.f0.score.reading.read_score`.
        salience: of the recording.
        seconds: length of the recording.
        alignment: "dtw" follows the recording's tempo, "stretch" fits the score from its first to
            its last note to what sounds, "none" takes the score's own times.

    Raises:
        ScoreError: the score does not fit the recording.
        ValueError: unknown alignment.
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
        times = score if alignment == "none" else _stretched(score, salience)
        prior = times.resample(salience.times).f0
        offset = tuning_offset(prior, salience)
        difference = score.duration - seconds
        if alignment == "none" and abs(difference) > max(
            LENGTH_TOLERANCE_SECONDS, LENGTH_TOLERANCE * seconds
        ):
            warnings.append(
                f"the score lasts {score.duration:.1f} s, the recording {seconds:.1f} s; if the "
                "tempo differs, set score_alignment=dtw"
            )
    fit = _fit(prior, salience, offset)
    if fit < POOR_FIT:
        raise ScoreError(
            f"the score does not fit the recording: {100 * fit:.0f} % of its notes are found there "
            f"({100 * POOR_FIT:.0f} % are needed). " + _advice(score, salience, alignment)
        )
    if fit < DOUBTFUL_FIT:
        warnings.append(
            f"the score fits the recording poorly ({100 * fit:.0f} % of its notes are found "
            "there); check that it is the same edition, with the same repeats"
        )
    tuned = (prior * 2.0 ** (offset / 1200)).astype(np.float32)
    return PlacedScore(tuned, fit, offset, warnings)


def fill_unisons(f0: NDArray[np.float32], prior: NDArray[np.float32]) -> NDArray[np.float32]:
    """Give singers who were not found the F0 of those who sing the same note in the score.

    Singers in unison are one peak of salience, which goes to one of them.

    Args:
        f0: [N, J] Hz, 0 = silent.
        prior: [N, J] Hz, 0 = rest, that led these tracks.
    """
    filled = f0.copy()
    for j in range(f0.shape[1]):
        for other in range(f0.shape[1]):
            same = (prior[:, j] > 0) & (prior[:, j] == prior[:, other])
            missing = same & (filled[:, j] == 0) & (f0[:, other] > 0)
            filled[missing, j] = f0[missing, other]
    return filled


def score_fit(prior: NDArray[np.float32], salience: Salience) -> float:
    """Share of the note frames at whose pitch somebody sings, in the best tuning within 100 cents.

    Args:
        prior: [N, J] Hz on the salience's times, 0 = rest.
        salience: of the recording.
    """
    return _fit(prior, salience, tuning_offset(prior, salience))


def tuning_offset(prior: NDArray[np.float32], salience: Salience) -> float:
    """Tuning of the recording against the score, -100 to 100 cents: where salience is largest."""
    found = np.array([float(_near(prior, salience, cents, 0.0).mean()) for cents in TUNINGS])
    # Within one bin all tunings are equal: the middle of them.
    return float(np.mean(TUNINGS[found >= found.max() - 1e-6]))


def _fit(prior: NDArray[np.float32], salience: Salience, offset: float) -> float:
    return float((_near(prior, salience, offset, NEAR_CENTS) >= PRESENT).mean())


def _near(
    prior: NDArray[np.float32], salience: Salience, offset: float, reach: float
) -> NDArray[np.float32]:
    """Largest salience within `reach` cents of every note frame, transposed by `offset` cents."""
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


def _stretched(score: F0Contours, salience: Salience) -> F0Contours:
    """The score, stretched so that its first and last note lie where singing begins and ends."""
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
    """Prior on the salience's times and tuning offset, by dynamic time warping."""
    best = _best_tuning(score, salience, [-100.0, 0.0, 100.0])
    span = max(score.duration, float(salience.times[-1]))
    prior = _warp(score, salience, best, max(DTW_STEP, span / DTW_STEPS))
    return prior, tuning_offset(prior, salience)


def _best_tuning(score: F0Contours, salience: Salience, shifts: list[float]) -> float:
    """The candidate tuning (cents) in which a coarse alignment finds most notes."""
    base = concert_pitch(salience)
    candidates = [base + shift for shift in shifts]
    candidates = [c for c in candidates if len(shifts) > 3 or abs(c) <= 100] or [base]
    span = max(score.duration, float(salience.times[-1]))
    step = max(DTW_STEP, span / COARSE_STEPS)
    fits = [_fit(_warp(score, salience, c, step), salience, c) for c in candidates]
    return candidates[int(np.argmax(fits))]


def concert_pitch(salience: Salience) -> float:
    """How far what is sung lies from the semitones of A4 = 440 Hz, -50 to 50 cents."""
    weight = np.where(salience.values >= PRESENT, salience.values, 0.0).sum(axis=1)
    cents = 1200 * np.log2(salience.frequencies / 440.0)
    circle = np.sum(weight * np.exp(2j * np.pi * cents / 100))
    return float(np.angle(circle) * 100 / (2 * np.pi)) if abs(circle) > 0 else 0.0


def _warp(score: F0Contours, salience: Salience, offset: float, step: float) -> NDArray[np.float32]:
    """The score [N, J] on the salience's times, aligned in steps of `step` seconds."""
    written = _score_activation(score, step)
    sung = _sung_activation(salience, offset, step)
    cost = 1.0 - _normalised(written).T @ _normalised(sung)
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


def _score_activation(score: F0Contours, step: float) -> NDArray[np.float64]:
    """Notes of a score [P + 1, steps], the last row is silence."""
    frame, singer = np.nonzero(score.f0)
    midi = np.rint(69 + 12 * np.log2(score.f0[frame, singer] / 440.0)).astype(np.int64)
    block = (score.times[frame] / step).astype(np.int64)
    rows = np.clip(midi, LOWEST_MIDI, HIGHEST_MIDI) - LOWEST_MIDI
    notes = np.zeros((HIGHEST_MIDI - LOWEST_MIDI + 1, int(score.duration / step) + 1))
    np.add.at(notes, (rows, block), 1.0)
    return _with_silence(np.minimum(notes * HOP / RATE / step, 1.0))


def _sung_activation(salience: Salience, offset: float, step: float) -> NDArray[np.float64]:
    """Salience per semitone [P + 1, steps], the last row is silence."""
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
    return _with_silence(notes)


def _with_silence(notes: NDArray[np.float64]) -> NDArray[np.float64]:
    silence = SILENCE * np.maximum(0.0, 1.0 - notes.max(axis=0))
    return np.vstack([notes, silence])


def _normalised(columns: NDArray[np.float64]) -> NDArray[np.float64]:
    return columns / np.maximum(np.linalg.norm(columns, axis=0), 1e-9)


def _advice(score: F0Contours, salience: Salience, alignment: Alignment) -> str:
    """What to do about a score that does not fit."""
    shifts = [100.0 * semitones for semitones in range(-6, 7)]
    cents = _best_tuning(score, salience, shifts)
    semitones = round(cents / 100)
    span = max(score.duration, float(salience.times[-1]))
    step = max(DTW_STEP, span / COARSE_STEPS)
    if _fit(_warp(score, salience, cents, step), salience, cents) < DOUBTFUL_FIT:
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
