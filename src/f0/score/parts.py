"""What scores consist of, whatever their format."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ...errors import UmssError

DEFAULT_TEMPO = 120.0  # quarter notes per minute
_INSTRUMENTS = re.compile(
    r"click|metronom|count.?in|piano|pno\b|klavier|keyboard|clavier|organ\b|organo\b|orgel|orgue|"
    r"accomp|begleit|reduction|rehearsal|harpsi|cembalo|continuo|celesta|guitar|gitarre|harp\b|harfe|"
    r"drum|percuss|schlag|timpani|pauke|cymbal|snare|synth|string|streicher|violin|viola\b|bratsche|"
    r"cello|contrabass|double bass|kontrabass|flute|fl\u00f6te|oboe|clarinet|klarinette|bassoon|"
    r"fagott|horn\b|trumpet|trompete|trombone|posaune|tuba\b|sax\b|saxophone?",
    re.IGNORECASE,
)


class ScoreError(UmssError):
    """A score that cannot be used; the message names the file and the remedy."""


@dataclass(frozen=True)
class Note:
    """A note: start and end in seconds, MIDI pitch, and its voice in the part (None = all)."""

    start: float
    end: float
    pitch: float
    voice: str | None = None


@dataclass(frozen=True)
class Part:
    """One staff or MIDI track; percussion has no pitch and is no singer."""

    name: str
    notes: tuple[Note, ...]
    percussion: bool = False


def names_instrument(name: str) -> bool:
    """Whether a part has the name of an instrument, an accompaniment or a click."""
    return _INSTRUMENTS.search(name) is not None


def build_clock(marks: Sequence[tuple[float, float]]) -> Callable[[float], float]:
    """Build the map from quarter notes to seconds, given (position, quarter notes per minute)."""
    ordered = sorted({0.0: DEFAULT_TEMPO, **dict(marks)}.items())
    starts = [position for position, _ in ordered]
    begins = [0.0]
    for (position, tempo), (following, _) in zip(ordered, ordered[1:], strict=False):
        begins.append(begins[-1] + (following - position) * 60 / tempo)

    def to_seconds(position: float) -> float:
        index = max(bisect_right(starts, position) - 1, 0)
        return begins[index] + (position - starts[index]) * 60 / ordered[index][1]

    return to_seconds
