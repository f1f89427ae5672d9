"""Converts the beats of a score to the times at which one singer sings."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .lyrics import Syllable, make_up_syllable, spell
from .score import Note
from .singers import Singer

LEAD_IN = 0.7  # seconds before the first note, room for a breath
GAP = 0.50  # seconds between the end of a phrase and the next note
HOLD = 0.75  # a fermata lengthens its last beat by this share
LAST_HOLD = 1.6
STEP = 0.25  # quarter notes between tempo values


@dataclass(frozen=True)
class SungNote:
    """A note in seconds.

    `syllable` is None where the syllable before goes on. `first`, `last`: the note opens or
    closes a phrase. `place` is the position 0..1 of its start in the phrase.
    """

    start: float
    end: float
    midi: int
    syllable: Syllable | None
    first: bool
    last: bool
    place: float


@dataclass(frozen=True)
class Conductor:
    """Tempo map common to all singers: seconds as a function of quarter notes."""

    beats: np.ndarray
    seconds: np.ndarray

    def __call__(self, beat: float | np.ndarray) -> np.ndarray:
        return np.interp(beat, self.beats, self.seconds)

    @property
    def end(self) -> float:
        """End of the piece, seconds."""
        return float(self.seconds[-1])


def conduct(
    length: float, tempo: float, held: tuple[tuple[float, float], ...], rng: np.random.Generator
) -> Conductor:
    """Draw a tempo map with slow rubato, a slight ritardando before fermatas, and held fermatas.

    Parameters
    ----------
    length : quarter notes of the piece
    tempo : quarter notes per minute
    held : (start, end) of the notes under a fermata, in quarter notes
    """
    beats = np.arange(0.0, length + STEP, STEP)
    middle = beats[:-1] + STEP / 2
    periods, phases = rng.uniform(7, 17, 2), rng.uniform(0, 2 * np.pi, 2)
    rubato = 0.018 * np.sin(2 * np.pi * middle[:, None] / periods + phases).sum(axis=1)
    pace = 60.0 / tempo * (1 + rubato)
    for start, end in held:
        share = LAST_HOLD if end >= length else HOLD
        pace[(middle > start - 2) & (middle < start)] *= 1.06
        pace[(middle > max(start, end - 1)) & (middle < end)] *= 1 + share
    seconds = LEAD_IN + np.concatenate([[0.0], np.cumsum(pace * STEP)])
    return Conductor(beats, seconds)


def _split_phrases(
    notes: tuple[Note, ...], held: tuple[tuple[float, float], ...]
) -> list[list[Note]]:
    """Split notes into phrases sung on one breath, at rests and after fermatas."""
    ends = {end for _, end in held}
    groups: list[list[Note]] = [[]]
    for index, note in enumerate(notes):
        groups[-1].append(note)
        if index + 1 == len(notes):
            break
        rest = notes[index + 1].start > note.end + 1e-6
        if rest or note.end in ends:
            groups.append([])
    return groups


def sing(
    notes: tuple[Note, ...],
    held: tuple[tuple[float, float], ...],
    conductor: Conductor,
    singer: Singer,
    rng: np.random.Generator,
) -> list[list[SungNote]]:
    """Time the phrases of one singer, with gaps for breaths between them."""
    phrases = []
    for group in _split_phrases(notes, held):
        jitter = rng.normal(0, singer.looseness, len(group))
        jitter[0] = 1.4 * jitter[0]
        starts = conductor(np.array([note.start for note in group])) + singer.early
        starts = starts + np.clip(jitter, -0.05, 0.05)
        stop = float(conductor(group[-1].end))
        gap = GAP + rng.normal(0, 0.04)
        is_final = group[-1].end >= notes[-1].end
        shortest = float(starts[-1]) + 0.45 * (stop - float(starts[-1]))
        stop = stop + rng.normal(0, 0.04) if is_final else max(stop - gap, shortest)
        ends = np.append(starts[1:], stop)
        sung = []
        for i, note in enumerate(group):
            if note.syllable is not None:
                syllable: Syllable | None = spell(note.syllable, stressed=note.stressed)
            elif i == 0:
                syllable = make_up_syllable(rng)
            else:
                syllable = None
            place = (starts[i] - starts[0]) / max(stop - starts[0], 0.1)
            sung.append(
                SungNote(
                    float(starts[i]), float(ends[i]), note.midi, syllable,
                    i == 0, i + 1 == len(group), float(place),
                )
            )  # fmt: skip
        phrases.append(sung)
    return phrases
