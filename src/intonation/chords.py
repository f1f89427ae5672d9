"""The chords that are held, and how far every singer is from tuning them purely."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from ..editing.pitch import FRAMES
from .estimates import Values, split_levels
from .ratios import JustChord, tune_chord
from .sung import SungNote
from .tuning import ODD

SHORTEST = 0.2  # seconds of a chord; what is shorter is a transition
_SHORTEST = round(SHORTEST * FRAMES)
_SHARED = 0.05  # cents; tracks that are no further apart are one track that two singers were given


@dataclass(frozen=True, eq=False)
class Chord:
    """A chord, held while nobody changes the note.

    Attributes:
        frames: of the 16-ms grid.
        singers: [n] numbers of those who sing.
        notes: [n] numbers of their notes among all notes.
        midi: [n] what they are meant to sing.
        middles: [n] semitones, what they sing within the chord.
        just: how it is tuned purely.
    """

    frames: slice
    singers: NDArray[np.int64]
    notes: NDArray[np.int64]
    midi: NDArray[np.int64]
    middles: Values
    just: JustChord

    @property
    def start(self) -> float:
        """Seconds."""
        return self.frames.start / FRAMES

    @property
    def end(self) -> float:
        """Seconds."""
        return self.frames.stop / FRAMES


@dataclass(frozen=True)
class Unison:
    """Two singers on one note, or octaves apart, in a chord.

    Attributes:
        chord: number of the chord.
        singers: numbers of the two.
        octaves: between them.
        cents: by which the first is higher than the second, octaves apart.
    """

    chord: int
    singers: tuple[int, int]
    octaves: int
    cents: float


def find_chords(
    notes: Sequence[SungNote],
    midi: NDArray[np.int64],
    n_singers: int,
    *,
    harmonic_seventh: bool = False,
) -> list[Chord]:
    """Find stretches of 0.2 s and more in which at least two singers hold their notes.

    Args:
        notes: of all singers.
        midi: what each is meant to be.
        n_singers: J.
        harmonic_seventh: see `tune_chord`.
    """
    if not notes:
        return []
    held = np.full((max(note.frames.stop for note in notes), n_singers), -1)
    for k, note in enumerate(notes):
        held[note.frames, note.singer] = k
    changes = 1 + np.flatnonzero((held[1:] != held[:-1]).any(axis=1))
    bounds = [0, *map(int, changes), len(held)]
    chords = []
    for first, last in zip(bounds, bounds[1:], strict=False):
        singers = np.flatnonzero(held[first] >= 0)
        if last - first < _SHORTEST or len(singers) < 2:
            continue
        frames, members = slice(first, last), held[first, singers]
        middles = np.array([notes[k].find_middle_within(frames) for k in members])
        just = tune_chord([int(midi[k]) for k in members], harmonic_seventh=harmonic_seventh)
        chords.append(Chord(frames, singers, members, midi[members], middles, just))
    return chords


def measure_just(chords: Sequence[Chord], n_singers: int) -> tuple[Values, Values]:
    """Measure how far every singer of every chord is from tuning it purely.

    A chord may lie as high as it likes: it is put where most of its singers are, singers who are
    always sharp or flat among the others set aside (`split_levels`). So no drift counts.

    Returns:
        [C, J] cents, NaN where a singer is silent; and [J] what each is off by and large.
    """
    off = np.full((len(chords), n_singers), np.nan)
    for c, chord in enumerate(chords):
        off[c, chord.singers] = 100.0 * (chord.middles - chord.midi) - chord.just.cents
    levels, own = split_levels(off, ODD)
    return off - levels[:, None], own


def find_unisons(chords: Sequence[Chord]) -> tuple[list[Unison], int]:
    """Find pairs of singers on one note or octaves apart.

    Returns:
        The pairs, and how many were left out because both singers have one and the same F0: where
        two singers share what was found, their distance is not known.
    """
    found, shared = [], 0
    for c, chord in enumerate(chords):
        for a, b in combinations(range(len(chord.singers)), 2):
            steps = int(chord.midi[a] - chord.midi[b])
            if steps % 12:
                continue
            cents = 100.0 * float(chord.middles[a] - chord.middles[b] - steps)
            if steps == 0 and abs(cents) < _SHARED:
                shared += 1
                continue
            pair = (int(chord.singers[a]), int(chord.singers[b]))
            found.append(Unison(c, pair, abs(steps) // 12, cents))
    return found, shared
