"""Scores of F0 tracks: multipitch and melody metrics of mir_eval, on a common grid of frames.

The reference of a voice is the F0 of its isolated stem (exact where it comes from synthesis). All
frames count, also at the ends, in rests and where voices meet. Definitions are those
of `mir_eval.multipitch` (Bay, Ehmann, Downie, ISMIR 2009) and `mir_eval.melody` (Poliner et al.,
IEEE TASLP 2007), with one difference: undefined scores are NaN, to be left out of means, where
mir_eval returns 0 or 1.
"""

from __future__ import annotations

import numpy as np
from mir_eval import melody, multipitch, util
from numpy.typing import NDArray

from ..errors import UmssError

TOLERANCE = 50.0
"""Cents within which a pitch is right."""
FINE_TOLERANCE = 20.0
"""Cents of the stricter pitch accuracy."""

MULTIPITCH_SCORES = ("precision", "recall", "f_measure")
VOICE_SCORES = (
    "raw_pitch_accuracy",
    "raw_chroma_accuracy",
    "overall_accuracy",
    "voicing_recall",
    "voicing_false_alarm",
    "raw_pitch_accuracy_20",
    "median_deviation_cents",
)


def score_multipitch(
    reference: NDArray[np.float32], estimate: NDArray[np.float32]
) -> dict[str, float]:
    """Score whether the right pitches were found, whichever voice they were assigned to.

    In every frame, reference and estimated pitches at most 50 cents apart are matched one to one
    (`mir_eval.multipitch.compute_num_true_positives`); the counts are summed over frames
    (`mir_eval.multipitch.metrics`).

    Args:
        reference: [N, J] Hz, 0 = silent.
        estimate: [N, K] Hz, 0 = silent.

    Returns:
        precision: matched pitches as a share of the estimated ones; 0 if there are none.
        recall: matched pitches as a share of the reference's; NaN if it has none.
        f_measure: their harmonic mean.

    Raises:
        UmssError: different numbers of frames.
    """
    _check(reference, estimate, 2)
    wanted, found = _list_pitches(reference), _list_pitches(estimate)
    n_wanted = multipitch.compute_num_freqs(wanted)
    n_found = multipitch.compute_num_freqs(found)
    if n_wanted.sum() == 0:
        return dict.fromkeys(MULTIPITCH_SCORES, float("nan"))
    if n_found.sum() == 0:  # mir_eval would warn
        return dict.fromkeys(MULTIPITCH_SCORES, 0.0)
    hits = multipitch.compute_num_true_positives(
        multipitch.frequencies_to_midi(wanted),
        multipitch.frequencies_to_midi(found),
        window=TOLERANCE / 100,
    )
    precision, recall, _ = multipitch.compute_accuracy(hits, n_wanted, n_found)
    return {
        "precision": float(precision),
        "recall": float(recall),
        "f_measure": float(util.f_measure(precision, recall)),
    }


def score_voice(reference: NDArray[np.float32], estimate: NDArray[np.float32]) -> dict[str, float]:
    """Score the track of one voice.

    A track has no pitch where it is silent, so a missed frame is also a wrong pitch: raw pitch
    accuracy is at most the voicing recall.

    Args:
        reference, estimate: [N] Hz, 0 = silent.

    Returns:
        raw_pitch_accuracy: share of the sung frames with an estimate less than 50 cents away
            (`mir_eval.melody.raw_pitch_accuracy`); NaN without sung frames.
        raw_chroma_accuracy: the same, octave errors forgiven (`raw_chroma_accuracy`).
        overall_accuracy: share of all frames that are right: silent in both, or less than 50 cents
            apart (`overall_accuracy`).
        voicing_recall: share of the sung frames with an estimate (`voicing_recall`).
        voicing_false_alarm: share of the silent frames with an estimate (`voicing_false_alarm`);
            NaN without silent frames.
        raw_pitch_accuracy_20: raw pitch accuracy within 20 cents.
        median_deviation_cents: median distance of the frames less than 50 cents apart; NaN without
            such frames.

    Raises:
        UmssError: different numbers of frames.
    """
    _check(reference, estimate, 1)
    sung, voiced = (reference > 0).astype(float), (estimate > 0).astype(float)
    wanted, found = _to_cents(reference), _to_cents(estimate)
    scores = dict.fromkeys(VOICE_SCORES, float("nan"))
    right = (sung > 0) & (voiced > 0) & (np.abs(wanted - found) < TOLERANCE)
    if right.any():
        deviations = np.abs(wanted - found)[right]
        scores["median_deviation_cents"] = float(np.median(deviations))
    if not sung.all():
        scores["voicing_false_alarm"] = float(melody.voicing_false_alarm(sung, voiced))
    if not sung.any() or not voiced.any():
        # mir_eval warns in these cases, although the result is well defined.
        scores["overall_accuracy"] = float(np.mean(sung == voiced))
        if sung.any():
            for name in ("raw_pitch_accuracy", "raw_chroma_accuracy", "raw_pitch_accuracy_20"):
                scores[name] = 0.0
            scores["voicing_recall"] = 0.0
        return scores
    tracks = (sung, wanted, voiced, found)
    scores["raw_pitch_accuracy"] = float(melody.raw_pitch_accuracy(*tracks, TOLERANCE))
    scores["raw_chroma_accuracy"] = float(melody.raw_chroma_accuracy(*tracks, TOLERANCE))
    scores["overall_accuracy"] = float(melody.overall_accuracy(*tracks, TOLERANCE))
    scores["voicing_recall"] = float(melody.voicing_recall(sung, voiced))
    scores["raw_pitch_accuracy_20"] = float(melody.raw_pitch_accuracy(*tracks, FINE_TOLERANCE))
    return scores


def _check(reference: NDArray[np.float32], estimate: NDArray[np.float32], n_dims: int) -> None:
    if reference.ndim != n_dims or estimate.ndim != n_dims or len(reference) != len(estimate):
        expected = "[N, J] and [N, K]" if n_dims == 2 else "[N] and [N]"
        raise UmssError(
            f"reference and estimate must be {expected} with the same N; got "
            f"{list(reference.shape)} and {list(estimate.shape)}"
        )


def _list_pitches(tracks: NDArray[np.float32]) -> list[NDArray[np.float64]]:
    """List the pitches of every frame; those that mir_eval would refuse are moved to its limits.

    Interpolation into silence leaves values near 0 Hz in some published tracks. They must count as
    wrong pitches, so they are neither dropped nor an error.
    """
    limits = multipitch.MIN_FREQ, multipitch.MAX_FREQ
    return [np.clip(row[row > 0].astype(np.float64), *limits) for row in tracks]


def _to_cents(track: NDArray[np.float32]) -> NDArray[np.float64]:
    cents: NDArray[np.float64] = melody.hz2cents(track.astype(np.float64))
    return cents
