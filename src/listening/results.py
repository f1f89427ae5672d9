"""Pages of separated recordings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..dsp.tracks import HOP, RATE
from ..f0.contours import F0Contours
from .content import Page, Recording, Scores, Track
from .doubts import read_warnings

MIXTURE, RESIDUAL = "Recording", "Residual"


def describe_recording(
    title: str,
    rate: int,
    mixture: Any,
    stems: Mapping[str, Any],
    residual: Any | None,
    f0: F0Contours,
    *,
    seconds: float,
    references: Mapping[str, Any] | None = None,
    warnings: Sequence[str] = (),
    scores: Scores | None = None,
    factor: float = 1.0,
) -> Recording:
    """Describe a separated recording for a page to listen to.

    Args:
        title: its name.
        rate: of all signals, Hz.
        mixture, residual: [T] or [C, T], or the paths of audio files; no residual = None.
        stems: the same by singer.
        f0: the tracks that were used.
        seconds: length of the recording.
        references: true stems by singer, where they are known.
        warnings: about F0, one sentence each.
        scores: of this recording.
        factor: by which stems and residual were lowered in their files; the mixture and the true
            stems are then heard lowered alike.
    """
    frames = f0.to_frames(int(seconds * RATE / HOP) + 1)
    pitches = dict(zip(f0.names, frames.T, strict=True))
    tracks = [Track(MIXTURE, mixture, "mixture", factor=factor)]
    tracks += [Track(name, audio, "stem", pitches.get(name)) for name, audio in stems.items()]
    if residual is not None:
        tracks.append(Track(RESIDUAL, residual, "residual"))
    tracks += [
        Track(name, audio, "reference", factor=factor) for name, audio in (references or {}).items()
    ]
    return Recording(title, rate, tracks, read_warnings(warnings), scores)


def make_page(recording: Recording) -> Page:
    """A page of one recording."""
    return Page(recording.title, [recording])
