"""F0 tracks without what is no singing: octave errors, and frames that are missing."""

from __future__ import annotations

import numpy as np

from ..editing.pitch import FRAMES, Pitch, find_runs

_GAP = 3  # frames without pitch, 48 ms, that are taken for missing ones within a note
_SAME = 1.0  # semitones within which both sides of such a gap are one note, with its vibrato
_JUMP = 4.0  # semitones from frame to frame that no voice glides
_NEAR = 1.5  # semitones from an exact octave
_LONGEST = round(0.3 * FRAMES)  # frames of an error between frames that are right
_EDGE = round(0.16 * FRAMES)  # frames of an error that is right on one side only


def mend_pitch(pitch: Pitch) -> Pitch:
    """Put short octave errors back, and bridge frames that are missing within a note.

    An octave that is sung for longer than 0.3 s stays: it may be meant.

    Args:
        pitch: [N] semitones, NaN where silent.
    """
    return _bridge_gaps(_fold_octaves(_bridge_gaps(pitch)))


def _fold_octaves(pitch: Pitch) -> Pitch:
    mended = pitch.copy()
    for pieces in _find_pieces(pitch):
        k = 0
        while k < len(pieces):
            k = _fold_between(mended, pieces, k)
        for left, right in zip(pieces, pieces[1:], strict=False):
            for piece, own, other in (
                (left, mended[left.stop - 1], mended[right.start]),
                (right, mended[right.start], mended[left.stop - 1]),
            ):
                octaves = _count_octaves(own - other)
                if octaves and piece.stop - piece.start <= _EDGE:
                    mended[piece] -= 12.0 * octaves
                    break
    return mended


def _fold_between(mended: Pitch, pieces: list[slice], k: int) -> int:
    """Fold what lies between a piece and the next one that goes on at its pitch.

    Returns:
        The number of that next piece, or of the one after `k` where there is none.
    """
    end = mended[pieces[k].stop - 1]
    length = 0
    for j in range(k + 1, len(pieces)):
        start = mended[pieces[j].start]
        if abs(start - end) < _JUMP:
            for piece in pieces[k + 1 : j]:
                # The note may change with the error.
                apart = (np.median(mended[piece]) - side for side in (end, start))
                octaves = next((n for n in map(_count_octaves, apart) if n), 0)
                mended[piece] -= 12.0 * octaves
            return j
        length += pieces[j].stop - pieces[j].start
        if length > _LONGEST:
            break
    return k + 1


def _find_pieces(pitch: Pitch) -> list[list[slice]]:
    """Find stretches without jumps, together where no silence is between them."""
    together: list[list[slice]] = []
    for run in find_runs(~np.isnan(pitch)):
        jumps = run.start + 1 + np.flatnonzero(np.abs(np.diff(pitch[run])) > _JUMP)
        bounds = [run.start, *map(int, jumps), run.stop]
        pieces = [slice(a, b) for a, b in zip(bounds, bounds[1:], strict=False)]
        if together and run.start - together[-1][-1].stop <= _GAP:
            together[-1] += pieces
        else:
            together.append(pieces)
    return together


def _count_octaves(semitones: float) -> int:
    """How many octaves an interval is; 0 where it is none."""
    octaves = round(semitones / 12.0)
    return octaves if abs(semitones - 12.0 * octaves) < _NEAR else 0


def _bridge_gaps(pitch: Pitch) -> Pitch:
    mended = pitch.copy()
    runs = find_runs(~np.isnan(pitch))
    for left, right in zip(runs, runs[1:], strict=False):
        ends = pitch[left.stop - 1], pitch[right.start]
        if right.start - left.stop <= _GAP and abs(ends[1] - ends[0]) < _SAME:
            gap = np.arange(left.stop, right.start)
            mended[gap] = np.interp(gap, [left.stop - 1, right.start], ends)
    return mended
