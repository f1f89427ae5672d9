"""Notes as MIDI files: one track per singer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import mido
import numpy as np
from numpy.typing import NDArray

from ..editing.pitch import FRAMES
from ..errors import UmssError
from ..f0.score.parts import Note
from ..files import replace_when_complete

Bend = Literal["none", "note", "contour"]

TICKS = 960  # per quarter note: half a millisecond at 120 per minute
BEND_RANGE = 2.0  # semitones, what synthesisers take without being told
_CHANNELS = [*range(9), *range(10, 16)]  # channel 10, counted from 1, is percussion
_CHOIR = 52  # "Choir Aahs" of General MIDI, counted from 0
_VELOCITY = 80
# Events of one time in the order in which they must come.
_END, _BEND, _BEGIN = range(3)


@dataclass(frozen=True)
class SungPart:
    """What one singer sings.

    Attributes:
        name: the singer's.
        notes: times in seconds, pitches as MIDI numbers with decimals.
        pitch: [N] semitones on the 16-ms grid, NaN where silent; needed for bends by contour.
    """

    name: str
    notes: Sequence[Note]
    pitch: NDArray[np.float64] | None = None


def check_bend(bend: str) -> None:
    """Refuse what is no way to write cents.

    Raises:
        UmssError: names the choices.
    """
    if bend not in get_args(Bend):
        raise UmssError(f"midi_bend={bend}: choose one of {', '.join(get_args(Bend))}")


def write_midi(
    path: Path, parts: Sequence[SungPart], *, tempo: float = 120.0, bend: Bend = "note"
) -> None:
    """Write a MIDI file (format 1) with one track per singer, times to half a millisecond.

    Args:
        path: the file; it is replaced.
        parts: the singers. More than 15 share channels, as MIDI has no more, and have no bends.
        tempo: quarter notes per minute that the file states; times in seconds do not change.
        bend: "none": every note at the nearest semitone; "note": each is bent to its middle;
            "contour": bends follow what is sung, up to two semitones.
    """
    file = mido.MidiFile(type=1, ticks_per_beat=TICKS, charset="utf-8")
    micros = round(6e7 / tempo)
    file.tracks.append(mido.MidiTrack([mido.MetaMessage("set_tempo", tempo=micros)]))
    bends = bend if len(parts) <= len(_CHANNELS) else "none"
    for number, part in enumerate(parts):
        file.tracks.append(_build_track(part, _CHANNELS[number % 15], TICKS * 1e6 / micros, bends))
    with replace_when_complete(path) as temporary:
        file.save(temporary)


def _build_track(part: SungPart, channel: int, ticks: float, bend: str) -> mido.MidiTrack:
    """Build the track of a singer; ticks are per second."""
    events: list[tuple[int, int, mido.Message]] = []
    for note in part.notes:
        key = int(np.clip(round(note.pitch), 0, 127))
        begin = round(note.start * ticks)
        end = max(begin + 1, round(note.end * ticks))
        on = mido.Message("note_on", channel=channel, note=key, velocity=_VELOCITY)
        off = mido.Message("note_off", channel=channel, note=key, velocity=0)
        events += [(begin, _BEGIN, on), (end, _END, off)]
        if bend == "note" or part.pitch is None:
            bends = [(begin, note.pitch - key)]
        else:
            bends = _follow(part.pitch, note, key, ticks)
        if bend != "none":
            events += [
                (tick, _BEND, mido.Message("pitchwheel", channel=channel, pitch=_turn(semitones)))
                for tick, semitones in bends
            ]
    track = mido.MidiTrack([mido.MetaMessage("track_name", name=part.name)])
    track.append(mido.Message("program_change", channel=channel, program=_CHOIR))
    now = 0
    for tick, _, message in sorted(events, key=lambda event: event[:2]):
        track.append(message.copy(time=tick - now))
        now = tick
    return track


def _follow(
    pitch: NDArray[np.float64], note: Note, key: int, ticks: float
) -> list[tuple[int, float]]:
    """Bends, by tick, that follow the pitch in a note."""
    first, last = round(note.start * FRAMES), round(note.end * FRAMES)
    return [
        (round(n / FRAMES * ticks), float(pitch[n] - key))
        for n in range(first, min(last, len(pitch)))
        if not np.isnan(pitch[n])
    ]


def _turn(semitones: float) -> int:
    return int(np.clip(round(8192 * semitones / BEND_RANGE), -8192, 8191))
