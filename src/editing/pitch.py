"""The pitch of one voice: its notes, and how they are tuned, bent and moved.

Pitches are in semitones, MIDI numbers with decimals: 69 is A4; NaN where the voice is silent.
Frames follow each other every 16 ms (`src.dsp.tracks`).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from ..dsp.tracks import HOP, RATE
from ..errors import UmssError

Pitch = NDArray[np.float64]

FRAMES = RATE / HOP  # per second
_VIBRATO = (
    round(0.19 * FRAMES) | 1
)  # frames, about one cycle of a vibrato, over which it averages out
_NEW_NOTE = 0.6  # semitones from the middle of a note from where on another note may begin
_LEAST = round(0.1 * FRAMES)  # frames of the shortest note
_BLEND = round(0.06 * FRAMES)  # frames in which the shifts of neighbouring notes go over

NOTES = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
SCALES = {
    "major": (0, 2, 4, 5, 7, 9, 11),
    "minor": (0, 2, 3, 5, 7, 8, 10),
    "harmonic minor": (0, 2, 3, 5, 7, 8, 11),
    "melodic minor": (0, 2, 3, 5, 7, 9, 11),
    "dorian": (0, 2, 3, 5, 7, 9, 10),
    "phrygian": (0, 1, 3, 5, 7, 8, 10),
    "lydian": (0, 2, 4, 6, 7, 9, 11),
    "mixolydian": (0, 2, 4, 5, 7, 9, 10),
    "pentatonic": (0, 2, 4, 7, 9),
}
# Five-limit ratios above the tonic; the usual choice of each of the twelve steps.
JUST = (1, 16 / 15, 9 / 8, 6 / 5, 5 / 4, 4 / 3, 45 / 32, 3 / 2, 8 / 5, 5 / 3, 9 / 5, 15 / 8)
_KEY = re.compile(r"\s*([A-Ga-g])\s*([#b♯♭]?)\s*(.*?)\s*")


@dataclass(frozen=True)
class Scale:
    """Pitches that may be sung, in every octave.

    Attributes:
        tonic: semitones above C, of A4 = 440 Hz.
        steps: semitones above the tonic, increasing from 0, below 12.
    """

    tonic: float
    steps: tuple[float, ...]

    def list_pitches(self) -> Pitch:
        """List all pitches of the scale from far below to far above what is sung."""
        octaves = 12.0 * np.arange(-1, 12)[:, None]
        return (self.tonic + octaves + np.array(self.steps)).ravel()

    def find_nearest(self, pitch: float, degrees: int = 0) -> float:
        """Find the pitch that is nearest, or so many degrees of the scale above it."""
        pitches = self.list_pitches()
        place = int(np.argmin(np.abs(pitches - pitch))) + degrees
        return float(pitches[np.clip(place, 0, len(pitches) - 1)])


def hertz_to_pitch(f0: NDArray[np.floating]) -> Pitch:
    """F0 in Hz (0 where silent) as semitones (NaN where silent)."""
    f0 = np.asarray(f0, np.float64)
    return np.where(f0 > 0, 69.0 + 12.0 * np.log2(np.where(f0 > 0, f0, 1.0) / 440.0), np.nan)


def pitch_to_hertz(pitch: Pitch) -> NDArray[np.float64]:
    """Semitones (NaN where silent) as F0 in Hz (0 where silent)."""
    hertz: NDArray[np.float64] = np.nan_to_num(440.0 * 2.0 ** ((pitch - 69.0) / 12.0), nan=0.0)
    return hertz


def read_key(text: str) -> tuple[int, str]:
    """Read a key, e.g. "D", "F# minor", "Bb major": the tonic (semitones above C) and the scale.

    Raises:
        UmssError: no such key.
    """
    match = _KEY.fullmatch(text)
    kind = "major" if match is None or not match[3] else match[3].lower()
    if match is None or kind not in SCALES:
        raise UmssError(
            f"{text!r} is no key; give a note and a scale, e.g. 'D major' or 'F# minor' (scales: "
            f"{', '.join(SCALES)})"
        )
    accidental = {"": 0, "#": 1, "♯": 1, "b": -1, "♭": -1}[match[2]]
    return (NOTES[match[1].upper()] + accidental) % 12, kind


def build_scale(temperament: str, key: str | None = None, a4: float = 440.0) -> Scale:
    """Build the pitches of a temperament or scale.

    Args:
        temperament: "equal" (all twelve steps), "just" (twelve pure ratios above the tonic of
            `key`), or a key ("D major": its seven steps, tempered equally).
        key: the tonic of "just", e.g. "D".
        a4: Hz of A4, to which the tonic is tuned in equal temperament.

    Raises:
        UmssError: no such temperament or key, or "just" without key.
    """
    offset = 12.0 * np.log2(a4 / 440.0)
    if temperament == "equal":
        return Scale(offset, tuple(float(k) for k in range(12)))
    if temperament == "just":
        if key is None:
            raise UmssError("pure intervals need a tonic; give key, e.g. key=D")
        steps = tuple(float(12.0 * np.log2(ratio)) for ratio in JUST)
        return Scale(read_key(key)[0] + offset, steps)
    tonic, kind = read_key(temperament)
    return Scale(tonic + offset, tuple(float(k) for k in SCALES[kind]))


def find_notes(pitch: Pitch) -> list[slice]:
    """Find the notes of a voice: stretches of one pitch, apart from vibrato and glides.

    A note ends in silence, or where the pitch, averaged over a cycle of vibrato, leaves its middle
    for good. Every frame with a pitch belongs to a note.

    Args:
        pitch: [N] semitones, NaN where silent.
    """
    return [note for run in find_runs(~np.isnan(pitch)) for note in _split_run(pitch, run)]


def find_runs(where: NDArray[np.bool_]) -> list[slice]:
    """Find the stretches [N] in which something is true."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], where, [False]])))
    return [slice(int(a), int(b)) for a, b in edges.reshape(-1, 2)]


def _split_run(pitch: Pitch, run: slice) -> list[slice]:
    slow = smooth(pitch[run])
    glide = _VIBRATO // 2  # frames over which the average goes from one note to the next
    bounds = [0]
    n = glide + _LEAST
    if n + _LEAST > len(slow):
        return [run]
    ahead = sliding_window_view(slow, _LEAST)
    lowest, highest = ahead.min(axis=1), ahead.max(axis=1)
    while n + _LEAST <= len(slow):
        past = slow[bounds[-1] + glide * (bounds[-1] > 0) : n]
        # The median is slow, and few frames are above the lowest or below the highest by so much.
        if lowest[n] > past.min() + _NEW_NOTE or highest[n] < past.max() - _NEW_NOTE:
            middle = float(np.median(past))
            if lowest[n] - middle > _NEW_NOTE or highest[n] - middle < -_NEW_NOTE:
                new = float(np.median(slow[min(n + glide, len(slow) - 1) :][:_LEAST]))
                nearer = np.abs(slow[n:] - new) < np.abs(slow[n:] - middle)
                bounds.append(n + int(np.argmax(nearer)))
                n = bounds[-1] + glide + _LEAST
                continue
        n += 1
    ends = [*bounds[1:], len(slow)]
    return [slice(run.start + a, run.start + b) for a, b in zip(bounds, ends, strict=True)]


def smooth(values: Pitch) -> Pitch:
    """Average values [N] without gaps over a cycle of vibrato; they are mirrored at both ends."""
    size = min(_VIBRATO, 2 * ((len(values) - 1) // 2) + 1)
    if size < 3:
        return values.copy()
    window = np.hanning(size + 2)[1:-1]
    around = np.pad(values, size // 2, mode="reflect", reflect_type="odd")
    averaged: Pitch = np.convolve(around, window / window.sum(), "valid")
    return averaged


def find_middle(pitch: Pitch, note: slice) -> float:
    """Find the pitch of a note: the median, without its first and last tenth of glides."""
    inside = pitch[note]
    cut = len(inside) // 10
    return float(np.median(inside[cut : len(inside) - cut]))


def scale_vibrato(pitch: Pitch, factor: float) -> Pitch:
    """Scale what moves around the slow course of each note: 0 = straight, 1 = as it is."""
    result = pitch.copy()
    for note in find_notes(pitch):
        slow = smooth(smooth(pitch[note]))
        result[note] = slow + factor * (pitch[note] - slow)
    return result


def shift_notes(pitch: Pitch, notes: Sequence[slice], shifts: Sequence[float]) -> Pitch:
    """Shift every note by its own semitones, with smooth transitions where notes touch."""
    steps = np.zeros_like(pitch)
    for note, shift in zip(notes, shifts, strict=True):
        steps[note] = shift
    result = pitch + steps
    kernel = np.hanning(2 * (_BLEND // 2) + 3)[1:-1]
    kernel /= kernel.sum()
    for run in find_runs(~np.isnan(pitch)):
        around = np.pad(steps[run], len(kernel) // 2, mode="edge")
        result[run] = pitch[run] + np.convolve(around, kernel, "valid")
    return result


def tune(pitch: Pitch, goals: Scale | Pitch, strength: float) -> Pitch:
    """Pull every note towards the pitch it should have.

    Args:
        pitch: [N] semitones, NaN where silent.
        goals: a scale, whose nearest pitch counts; or pitches [N], NaN where there is none.
        strength: 0 = as sung, 1 = the middle of every note is what it should be.
    """
    notes = find_notes(pitch)
    shifts = []
    for note in notes:
        middle = find_middle(pitch, note)
        if isinstance(goals, Scale):
            goal = goals.find_nearest(middle)
        else:
            inside = goals[note][~np.isnan(goals[note])]
            goal = float(np.median(inside)) if len(inside) else middle
        shifts.append(strength * (goal - middle))
    return shift_notes(pitch, notes, shifts)


def move_degrees(pitch: Pitch, scale: Scale, degrees: int) -> Pitch:
    """Move every note by degrees of a scale, 2 = a third above; it stays as much out of tune."""
    notes = find_notes(pitch)
    shifts = []
    for note in notes:
        middle = find_middle(pitch, note)
        shifts.append(scale.find_nearest(middle, degrees) - scale.find_nearest(middle))
    return shift_notes(pitch, notes, shifts)
