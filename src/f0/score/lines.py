"""Single lines of a part: its highest notes, or its voices and the notes of its chords."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ...dsp.tracks import HOP, RATE
from .parts import Note

LEGATO = 0.1  # seconds by which notes played on a keyboard may overlap the next one


def find_top_line(notes: Sequence[Note], n_frames: int) -> NDArray[np.float64]:
    """Find the highest sounding MIDI pitch per frame, [N], NaN in rests."""
    line = np.full(n_frames, np.nan)
    for note in sorted(_detach(notes), key=lambda note: note.pitch):
        line[_find_frames(note)] = note.pitch
    return line


def split_part(notes: Sequence[Note], n_frames: int) -> list[NDArray[np.float64]]:
    """Split a part into single lines [N]: by voice, and chords from top to bottom."""
    written = sorted({note.voice for note in notes if note.voice is not None})
    if len(written) < 2:
        return _split_chords(notes, n_frames)
    voices = [[n for n in notes if n.voice in (voice, None)] for voice in written]
    return [line for voice in voices for line in _split_chords(voice, n_frames)]


def _split_chords(notes: Sequence[Note], n_frames: int) -> list[NDArray[np.float64]]:
    notes = _detach(notes)
    pitches = sorted({note.pitch for note in notes}, reverse=True)
    sounds = np.zeros((len(pitches), n_frames), dtype=np.bool_)
    for note in notes:
        sounds[pitches.index(note.pitch), _find_frames(note)] = True
    depth = int(sounds.sum(axis=0).max())
    lines = [np.full(n_frames, np.nan) for _ in range(depth)]
    rank = np.zeros(n_frames, dtype=np.intp)
    for pitch, sounding in zip(pitches, sounds, strict=True):  # from high to low
        for k, line in enumerate(lines):
            line[sounding & (rank == k)] = pitch
        rank += sounding
    for above, line in zip(lines, lines[1:], strict=False):
        np.copyto(line, above, where=np.isnan(line))
    return lines


def _detach(notes: Sequence[Note]) -> list[Note]:
    """Shorten notes that overlap the next one a little, as played on a keyboard."""
    starts = sorted({note.start for note in notes})
    detached = []
    for note in notes:
        index = bisect_right(starts, max(note.start, note.end - LEGATO))
        end = starts[index] if index < len(starts) and starts[index] < note.end else note.end
        detached.append(Note(note.start, end, note.pitch, note.voice))
    return detached


def _find_frames(note: Note) -> slice:
    return slice(round(note.start * RATE / HOP), round(note.end * RATE / HOP))
