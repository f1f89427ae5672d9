"""The notes of F0 tracks, and the beats that they fall on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d
from scipy.signal import correlate

from ..editing.pitch import FRAMES, Pitch, find_middle, find_notes, hertz_to_pitch
from ..f0.contours import F0Contours
from ..f0.score.parts import DEFAULT_TEMPO, Note

SHORTEST = 3  # frames, 48 ms; shorter stretches are errors of the F0, not notes
_SHIFT = 8  # frames by which the beginning of a note after another is looked for
_FEWEST = 8  # onsets from which a tempo can be heard
_BLUR = 2.0  # frames by which singers come in together
# Seconds from beat to beat: the least, what is most likely, and the most.
_FASTEST, _USUAL, _SLOWEST = 0.3, 0.6, 1.5
_TIGHTNESS = 100.0  # Ellis's weight of steady beats against beats on onsets


def find_sung_notes(contours: F0Contours) -> list[list[Note]]:
    """Find the notes of every singer (`src.editing.pitch.find_notes`).

    A note that is sung again without a break on the same pitch cannot be told from one that is
    held. Stretches below 48 ms are left out.

    Returns:
        J lists. Times are those of 16-ms frames; pitches are MIDI numbers with decimals, the middle
        of what is sung.
    """
    n_frames = int(contours.duration * FRAMES + 1e-6) + 1
    found = []
    for track in contours.to_frames(n_frames).T:
        pitch = hertz_to_pitch(track)
        found.append(
            [
                Note(note.start / FRAMES, note.stop / FRAMES, find_middle(pitch, note))
                for note in _place_bounds(pitch, find_notes(pitch))
                if note.stop - note.start >= SHORTEST
            ]
        )
    return found


def _place_bounds(pitch: Pitch, notes: Sequence[slice]) -> list[slice]:
    """Let notes that touch meet where the pitch is nearest to first one, then the other."""
    placed = list(notes)
    for k, (left, right) in enumerate(zip(placed, placed[1:], strict=False)):
        if left.stop != right.start:
            continue
        begin = max(placed[k].start + 1, right.start - _SHIFT)
        end = min(right.stop - 1, right.start + _SHIFT)
        near = pitch[begin:end]
        later = np.abs(near - find_middle(pitch, right)) < np.abs(near - find_middle(pitch, left))
        faults = np.cumsum([0, *later]) + np.cumsum([0, *~later[::-1]])[::-1]
        bound = begin + int(np.argmin(faults))
        placed[k] = slice(placed[k].start, bound)
        placed[k + 1] = slice(bound, right.stop)
    return placed


@dataclass(frozen=True)
class Beats:
    """The beats of a recording.

    Attributes:
        tempo: beats per minute, the mean where they vary.
        times: [B] seconds, increasing, B >= 1; before the first and after the last one the tempo
            goes on.
        origin: how they were found, in words.
    """

    tempo: float
    times: NDArray[np.float64]
    origin: str

    def count(self, seconds: float) -> float:
        """How many beats there are from the first one to a time; negative before it."""
        step = 60.0 / self.tempo
        if seconds < self.times[0]:
            return float((seconds - self.times[0]) / step)
        if seconds > self.times[-1]:
            return float(len(self.times) - 1 + (seconds - self.times[-1]) / step)
        return float(np.interp(seconds, self.times, np.arange(len(self.times))))


def find_beats(parts: Sequence[Sequence[Note]], tempo: float | None = None) -> Beats:
    """Find the beats by where notes begin, in all voices together (Ellis 2007).

    librosa has this method, too, but compiles its own for half a minute when it is first called.

    Args:
        parts: the notes of every singer.
        tempo: beats per minute, if known: all beats are this far apart, from the first note on.

    Returns:
        With fewer than 8 onsets, or if no pulse is found, beats at 120 per minute from the first
        note on. The tempo that is found may be half or twice what a conductor beats.
    """
    onsets = np.array(sorted({note.start for part in parts for note in part}))
    first = float(onsets[0]) if len(onsets) else 0.0
    if tempo is not None:
        return Beats(tempo, np.array([first]), "as given")
    if len(onsets) >= _FEWEST:
        envelope = np.zeros(round(onsets[-1] * FRAMES) + round(FRAMES))
        for note in (note for part in parts for note in part):
            envelope[round(note.start * FRAMES)] += 1.0
        times = _track_beats(gaussian_filter1d(envelope, _BLUR)) / FRAMES
        if len(times) >= 2:
            found = 60.0 * (len(times) - 1) / (times[-1] - times[0])
            return Beats(float(found), times, "found by where notes begin")
    return Beats(DEFAULT_TEMPO, np.array([first]), "as too few notes tell another")


def _track_beats(envelope: NDArray[np.float64]) -> NDArray[np.int64]:
    """Track beats, in frames, by dynamic programming on the strength of onsets [N]."""
    lags = np.arange(round(_FASTEST * FRAMES), round(_SLOWEST * FRAMES) + 1)
    alike = correlate(envelope, envelope, method="fft")[len(envelope) - 1 :]
    alike = np.pad(alike, (0, lags[-1] + 1))[lags]
    period = lags[np.argmax(alike * np.exp(-0.5 * np.log2(lags / (_USUAL * FRAMES)) ** 2))]
    steps = np.arange(period // 2, 2 * period + 1)
    cost = _TIGHTNESS * np.log(steps / period) ** 2
    local = envelope / envelope.std()
    score = np.zeros(len(local))
    before = np.full(len(local), -1)
    for n in range(len(local)):
        reach = np.searchsorted(steps, n, side="right")  # steps that do not lead before the start
        score[n] = local[n]
        if reach:
            through = score[n - steps[:reach]] - cost[:reach]
            best = int(np.argmax(through))
            if through[best] > 0:
                score[n] += through[best]
                before[n] = n - steps[best]
    path = [int(np.argmax(score))]
    while before[path[-1]] >= 0:
        path.append(int(before[path[-1]]))
    return np.array(path[::-1])
