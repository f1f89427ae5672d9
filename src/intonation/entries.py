"""Entries: who begins early or late, against the others or a score."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..editing.pitch import FRAMES
from .estimates import Values, split_levels
from .sung import SungNote

_ODD = 25.0  # milliseconds by which a singer is late, beyond which the others are right
_PIECE = round(0.1 * FRAMES)  # frames
_SAME = 0.5  # semitones
_APART = 0.15  # seconds without an entry, after which another chord begins


def group_entries(notes: Sequence[SungNote], n_singers: int) -> NDArray[np.int64]:
    """Group the notes that begin together.

    Entries (`find_entries`) less than 0.15 s after the one before belong together; no singer enters
    twice in a group: it is divided where its entries lie furthest apart.

    Returns:
        [G, J] numbers of the notes, -1 for those who do not enter.
    """
    order = sorted(find_entries(notes), key=lambda k: notes[k].start)
    starts = np.array([notes[k].start for k in order])
    cuts = 1 + np.flatnonzero(np.diff(starts) > _APART)
    groups = []
    waiting = [list(part) for part in np.split(np.array(order, np.int64), cuts)]
    while waiting:
        group = [int(k) for k in waiting.pop()]
        if len({notes[k].singer for k in group}) < len(group):
            gaps = np.diff([notes[k].start for k in group])
            cut = 1 + int(gaps.argmax())
            waiting += [group[:cut], group[cut:]]
        elif len(group) > 1:
            groups.append(group)
    groups.sort(key=lambda group: notes[group[0]].start)
    table = np.full((len(groups), n_singers), -1)
    for g, group in enumerate(groups):
        for k in group:
            table[g, notes[k].singer] = k
    return table


def find_entries(notes: Sequence[SungNote]) -> list[int]:
    """Find the notes that begin something, numbers of `notes` (by singer and time).

    Not the pieces into which errors of the F0 break a note: those below 0.1 s, and what goes on at
    the same pitch after less than 0.1 s.
    """
    chosen = []
    before: SungNote | None = None
    for k, note in enumerate(notes):
        if note.frames.stop - note.frames.start < _PIECE:
            continue
        goes_on = (
            before is not None
            and before.singer == note.singer
            and note.frames.start - before.frames.stop <= _PIECE
            and abs(note.middle - before.middle) < _SAME
        )
        before = note
        if not goes_on:
            chosen.append(k)
    return chosen


def measure_entries(notes: Sequence[SungNote], groups: NDArray[np.int64]) -> tuple[Values, Values]:
    """Measure how late the notes of groups begin, against the others.

    Args:
        notes: of all singers.
        groups: [G, J] numbers of notes, -1 = none.

    Returns:
        Milliseconds by note, NaN where it is in no group; positive is late. And [J] how late every
        singer is by and large.
    """
    starts = np.array([1000.0 * note.start for note in notes])
    table = np.where(groups >= 0, starts[groups.clip(min=0)], np.nan)
    levels, own = split_levels(table, _ODD)
    late = np.full(len(notes), np.nan)
    rows, columns = np.nonzero(np.isfinite(table) & np.isfinite(levels)[:, None])
    late[groups[rows, columns]] = (table - levels[:, None])[rows, columns]
    return late, own
