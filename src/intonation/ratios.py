"""Just intonation of a chord: the ratios of its notes above its root."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from ..editing.pitch import JUST
from .estimates import Values


def _read(text: str) -> dict[int, Fraction]:
    pairs = (entry.split(":") for entry in text.split())
    return {0: Fraction(1), **{int(step): Fraction(ratio) for step, ratio in pairs}}


# Semitones above the root and their ratios; the first of those that fit equally well is taken.
CHORDS = {
    "major": _read("4:5/4 7:3/2"),
    "minor": _read("3:6/5 7:3/2"),
    "dominant seventh": _read("4:5/4 7:3/2 10:16/9"),
    "minor seventh": _read("3:6/5 7:3/2 10:9/5"),
    "major seventh": _read("4:5/4 7:3/2 11:15/8"),
    "half-diminished seventh": _read("3:6/5 6:36/25 10:9/5"),
    "diminished": _read("3:6/5 6:64/45"),
    "augmented": _read("4:5/4 8:25/16"),
    "suspended fourth": _read("5:4/3 7:3/2"),
    "suspended second": _read("2:9/8 7:3/2"),
}
HARMONIC_SEVENTH = Fraction(7, 4)  # of the dominant seventh, as barbershop quartets sing it
ABOVE_BASS = "above the bass"
# Any other chord: five-limit ratios above its bass.
_ABOVE_BASS = tuple(Fraction(ratio).limit_denominator(64) for ratio in JUST)


@dataclass(frozen=True)
class JustChord:
    """How a chord is tuned purely.

    Attributes:
        kind: a key of `CHORDS`, "unison" for one note in any octaves, or "above the bass".
        root: semitones above C.
        ratios: of every note to the root, within an octave.
        cents: [n] by which every note is higher than in equal temperament, if the root is not.
    """

    kind: str
    root: int
    ratios: tuple[Fraction, ...]
    cents: Values


def tune_chord(notes: Sequence[int], *, harmonic_seventh: bool = False) -> JustChord:
    """Choose the pure intervals of a chord.

    The chord of the table that has all of its notes, and the fewest others, tells the root; of
    several, the one whose root is the bass, then the first. Without any, the bass counts as root.

    Args:
        notes: MIDI numbers.
        harmonic_seventh: a dominant seventh has 7/4, not 16/9.
    """
    bass = min(notes) % 12
    classes = {note % 12 for note in notes}
    found: tuple[int, bool, int, int, str] | None = None
    for rank, (kind, table) in enumerate(CHORDS.items()):
        for root in classes:
            if {(c - root) % 12 for c in classes} <= table.keys():
                missing = len(table) - len(classes)
                fit = (missing, root != bass, rank, root, kind)
                found = fit if found is None else min(found, fit)
    if len(classes) == 1:
        kind, root = "unison", bass
    elif found is not None:
        root, kind = found[-2], found[-1]
    else:
        kind, root = ABOVE_BASS, bass
    ratios = []
    for note in notes:
        step = (note - root) % 12
        ratio = CHORDS.get(kind, dict(enumerate(_ABOVE_BASS)))[step]
        if harmonic_seventh and kind == "dominant seventh" and step == 10:
            ratio = HARMONIC_SEVENTH
        ratios.append(ratio)
    steps = np.array([(note - root) % 12 for note in notes])
    cents = 1200.0 * np.log2([float(ratio) for ratio in ratios]) - 100.0 * steps
    return JustChord(kind, root, tuple(ratios), cents)
