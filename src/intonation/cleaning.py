"""F0 tracks without what is no singing: octave errors, and frames that are missing."""

from __future__ import annotations

import numpy as np

from ..editing.pitch import FRAMES, Pitch, find_runs

_GAP = 3  # frames without pitch, 48 ms, that are taken for missing ones within a note
_SAME = 1.0  # semitones within which both sides of such a gap are one note, with its vibrato
_JUMP = 4.0  # semitones from frame to frame that no voice glides
_NEAR = 1.0  # semitones from an exact octave
# Seconds of an error with the right pitch on both sides, and on one side only.
_LONGEST, _LONGEST_EDGE = round(0.3 * FRAMES), round(0.12 * FRAMES)


def mend_pitch(pitch: Pitch) -> Pitch:
    """Put short octave errors back, and bridge frames that are missing within a note.

    An octave that is sung for longer than 0.3 s stays: it may be meant.

    Args:
        pitch: [N] semitones, NaN where silent.
    """
    return _bridge_gaps(_fold_octaves(pitch))


def _fold_octaves(pitch: Pitch) -> Pitch:
    mended = pitch.copy()
    pieces = _find_pieces(pitch)
    for k, piece in enumerate(pieces):
        length = piece.stop - piece.start
        if length > _LONGEST:
            continue
        before = pieces[k - 1] if k else None
        after = pieces[k + 1] if k + 1 < len(pieces) else None
        sides = []
        if before is not None and piece.start - before.stop <= _GAP:
            sides.append(mended[before][-_GAP:])
        if after is not None and after.start - piece.stop <= _GAP:
            sides.append(pitch[after][:_GAP])
        if not sides or (len(sides) == 1 and length > _LONGEST_EDGE):
            continue
        own = float(np.median(pitch[piece]))
        octaves = {_count_octaves(own - float(np.median(side))) for side in sides}
        if len(octaves) == 1 and (found := octaves.pop()):
            mended[piece] -= 12.0 * found
    return mended


def _find_pieces(pitch: Pitch) -> list[slice]:
    """Find the stretches without silence and without jumps."""
    pieces = []
    for run in find_runs(~np.isnan(pitch)):
        jumps = run.start + 1 + np.flatnonzero(np.abs(np.diff(pitch[run])) > _JUMP)
        bounds = [run.start, *map(int, jumps), run.stop]
        pieces += [slice(a, b) for a, b in zip(bounds, bounds[1:], strict=False)]
    return pieces


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
