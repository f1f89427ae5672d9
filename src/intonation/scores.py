"""A score beside what was sung: which notes were meant, and when they should begin."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from ..editing.pitch import FRAMES, Pitch, hertz_to_pitch, pitch_to_hertz
from ..editing.targets import build_salience
from ..errors import UmssError
from ..f0.contours import F0Contours
from ..f0.score.alignment import Alignment, place_score
from .entries import measure_entries
from .estimates import Values
from .sung import SungNote
from .tuning import Tuning

_LEAST = 0.3  # share of a singer's notes that must be in the part
_MEANT = 0.75  # semitones from a note of the score within which it was meant
_REACH = 0.4  # seconds from a note of the score within which it was sung
_SAME = 0.6  # semitones of a frame that sings the part
_OFF = (-1, 0, 1)  # semitones by which a singer may be off throughout
_DOUBT = 0.2  # share of the frames by which that must be better

log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Written:
    """A score laid over what was sung.

    Attributes:
        midi: [N, J] what every singer should sing at each frame, NaN in rests; and in all frames
            of a singer whose part is not in the score.
        shift: semitones by which the ensemble is higher than its tuning alone said.
        own: [J] semitones by which a singer is higher still: one who is more than half a semitone
            off seems to be in tune with the next one.
        alignment: how it was laid there.
        missing: numbers of the singers without a part.
    """

    midi: Pitch
    shift: int
    own: Values
    alignment: Alignment
    missing: tuple[int, ...]


def lay_score(
    score: F0Contours,
    notes: Sequence[SungNote],
    tuning: Tuning,
    names: Sequence[str],
    alignment: Alignment,
) -> Written:
    """Lay a score over what was sung, the ensemble's tuning taken away, and find everyone's part.

    Singers of one part may be several.

    Raises:
        UmssError: the score does not fit.
    """
    n_frames = max(note.frames.stop for note in notes)
    sung = np.full((n_frames, len(names)), np.nan)
    for note in notes:
        sung[note.frames, note.singer] = note.pitch
    times = np.arange(n_frames) / FRAMES
    level = (sung - (tuning.read(times)[:, None] + tuning.own) / 100.0).astype(np.float64)
    salience = build_salience(pitch_to_hertz(level), times)
    placed = place_score(score, salience, n_frames / FRAMES, alignment)
    for warning in placed.warnings:
        log.warning("warning: %s", warning)
    parts = np.rint(hertz_to_pitch(placed.prior) - placed.offset / 100.0)
    shift = round(placed.offset / 100.0)
    columns, own = _find_parts(level - shift, parts)
    midi = np.full((n_frames, len(names)), np.nan)
    missing = []
    for j, column in enumerate(columns):
        if column < 0:
            missing.append(j)
        else:
            midi[:, j] = parts[:, column]
    if len(missing) == len(names):
        raise UmssError(
            "the score does not fit: no singer sings any of its parts; give the score of this "
            "recording, or leave it out"
        )
    return Written(midi, shift, own, alignment, tuple(missing))


def _find_parts(level: Pitch, parts: Pitch) -> tuple[list[int], Values]:
    """Find the part of every singer, -1 = none, and by how many semitones the singer is off."""
    sung = np.maximum((~np.isnan(level)).sum(axis=0), 1)
    agree = np.zeros((len(_OFF), level.shape[1], parts.shape[1]))
    for k, off in enumerate(_OFF):
        for p, part in enumerate(parts.T):
            near = np.abs(level - off - part[:, None]) < _SAME
            agree[k, :, p] = near.sum(axis=0) / sung - _DOUBT * abs(off)
    most = agree.max(axis=0)
    best = most.argmax(axis=1)
    if most.shape[0] == most.shape[1]:
        best[:] = linear_sum_assignment(-most)[1]
    singers = np.arange(len(best))
    own = np.array(_OFF, np.float64)[agree[:, singers, best].argmax(axis=0)]
    found = most[singers, best] >= _LEAST
    return [int(p) if ok else -1 for p, ok in zip(best, found, strict=True)], own * found


def choose_midi(notes: Sequence[SungNote], tuning: Tuning, written: Written | None) -> NDArray:
    """Choose what each note was meant to be: what is written, else the nearest semitone.

    Returns:
        MIDI numbers, int64, one per note.
    """
    centre = np.array([note.centre for note in notes])
    own = tuning.own[[note.singer for note in notes]]
    level = np.array([note.middle for note in notes]) - (tuning.read(centre) + own) / 100.0
    chosen = np.rint(level).astype(np.int64)
    if written is None:
        return chosen
    for k, note in enumerate(notes):
        meant = written.midi[note.frames, note.singer]
        meant = meant[~np.isnan(meant)]
        if len(meant) and abs(np.median(meant) - level[k]) < _MEANT:
            chosen[k] = round(float(np.median(meant)))
    return chosen


def measure_written_entries(
    notes: Sequence[SungNote], midi: NDArray[np.int64], written: Written
) -> Values:
    """Measure how late notes begin, by a score: milliseconds, NaN where the score has no such note.

    A score that follows the singers' tempo says who should begin together, and they are measured
    against each other; one in its own times says when.
    """
    found: dict[tuple[int, int], int] = {}
    onsets = [_find_onsets(column) for column in written.midi.T]
    for k, note in enumerate(notes):
        frames, pitches = onsets[note.singer]
        same = np.flatnonzero(pitches == midi[k])
        if not len(same):
            continue
        nearest = same[np.abs(frames[same] - note.frames.start).argmin()]
        place = (int(frames[nearest]), note.singer)
        distance = abs(place[0] - note.frames.start)
        other = found.get(place)
        if distance <= _REACH * FRAMES and (
            other is None or distance < abs(place[0] - notes[other].frames.start)
        ):
            found[place] = k
    if written.alignment != "dtw":
        late = np.full(len(notes), np.nan)
        for (frame, _), k in found.items():
            late[k] = 1000.0 * (notes[k].start - frame / FRAMES)
        return late
    rows = {frame: g for g, frame in enumerate(sorted({frame for frame, _ in found}))}
    groups = np.full((len(rows), written.midi.shape[1]), -1)
    for (frame, j), k in found.items():
        groups[rows[frame], j] = k
    return measure_entries(notes, groups)[0]


def _find_onsets(midi: Pitch) -> tuple[NDArray[np.int64], Pitch]:
    """Find where the notes of a part begin: frames, and their pitches."""
    before = np.concatenate([[np.nan], midi[:-1]])
    frames = np.flatnonzero(~np.isnan(midi) & (midi != before))
    return frames, midi[frames]
