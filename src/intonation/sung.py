"""The notes that are measured."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..editing.pitch import FRAMES, Pitch, find_middle, hertz_to_pitch, pitch_to_hertz, smooth
from ..f0.contours import F0Contours
from ..formats.notes import find_sung_notes
from .cleaning import mend_pitch

SHORTEST = 0.2  # seconds of a note whose tuning is measured: about one cycle of vibrato
_SHORTEST = round(SHORTEST * FRAMES)


@dataclass(frozen=True, eq=False)
class SungNote:
    """A note as it was sung.

    Attributes:
        singer: number of the singer, from 0.
        frames: of the 16-ms grid.
        pitch: [n] semitones, one per frame.
        slow: [n] the same without vibrato.
        middle: semitones, of the slow course.
    """

    singer: int
    frames: slice
    pitch: Pitch
    slow: Pitch
    middle: float

    @property
    def start(self) -> float:
        """Seconds."""
        return self.frames.start / FRAMES

    @property
    def end(self) -> float:
        """Seconds."""
        return self.frames.stop / FRAMES

    @property
    def centre(self) -> float:
        """The middle in time, seconds."""
        return 0.5 * (self.start + self.end)

    @property
    def tuned(self) -> bool:
        """Whether it is long enough for its tuning to be measured."""
        return self.frames.stop - self.frames.start >= _SHORTEST

    def find_middle_within(self, frames: slice) -> float:
        """The middle of the slow course within some of the note's frames, semitones."""
        first = self.frames.start
        return find_middle(self.slow, slice(frames.start - first, frames.stop - first))


def find_all_notes(contours: F0Contours, min_confidence: float) -> tuple[list[SungNote], int]:
    """Find the notes of all singers (`src.formats.notes.find_sung_notes`) in mended tracks.

    Args:
        contours: F0 tracks.
        min_confidence: notes that are less surely the singer's, on average, are left out.

    Returns:
        The notes by singer and time, and how many were left out.
    """
    n_frames = int(contours.duration * FRAMES + 1e-6) + 1
    frames = contours.resample(np.arange(n_frames) / FRAMES)
    pitch = np.stack([mend_pitch(hertz_to_pitch(track)) for track in frames.f0.T], axis=1)
    mended = F0Contours.on_grid(pitch_to_hertz(pitch).astype(np.float32), contours.names)
    notes, unsure = [], 0
    for j, found in enumerate(find_sung_notes(mended)):
        for note in found:
            place = slice(round(note.start * FRAMES), round(note.end * FRAMES))
            if frames.confidence is not None:
                sure = frames.confidence[place, j][frames.f0[place, j] > 0]
                if len(sure) and sure.mean() < min_confidence:
                    unsure += 1
                    continue
            course = pitch[place, j]
            slow = smooth(smooth(course))
            middle = find_middle(slow, slice(0, len(slow)))
            notes.append(SungNote(j, place, course, slow, middle))
    return notes, unsure
