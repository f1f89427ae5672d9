"""Recordings without stems: what needs stems says so, and what lies beside them is stored."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ..f0.contours import F0Contours
from .checks import Note
from .excerpts import Regions, explain_too_short
from .readers.base import HOP, RATE, DataError, Reader, Song, StemKey
from .store import SCORE, PreparedSong

# Longer differences between F0 and recording are told.
BRIEF = 1.0  # seconds

NEEDS_STEMS = {
    "f0": "data.f0={} is the F0 of single voices or of other data: leave it at data.f0=estimated, "
    "which also takes F0 files beside the recordings",
    "mixing": "data.mixing.n_singers mixes single voices anew: leave it at null, or use data with "
    "stems (data=folder)",
    "model": "this model learns from single voices: use experiment=us_small or us_full, which "
    "learn from mixtures, or data with stems (data=folder)",
    "evaluate": "an evaluation compares with single voices: use data with stems (data=folder), or "
    "listen to what umss separate makes of a recording",
    "evaluate-f0": "an evaluation compares with the F0 of single voices: use data with stems "
    "(data=folder), or look at the tracks that umss f0 finds in a recording",
}
"""What cannot be done without stems, and what can be done instead."""


def refuse_without_stems(purpose: str, place: str, value: object = None) -> DataError:
    """Build the error for what needs stems.

    Args:
        purpose: a key of `NEEDS_STEMS`.
        place: where the recordings lie.
        value: of the setting in question.
    """
    return DataError(f"{place}: recordings without stems; {NEEDS_STEMS[purpose].format(value)}")


def require_length(songs: list[PreparedSong], regions: Regions | None, samples: int) -> None:
    """Check that excerpts fit into at least one song, before F0 is estimated, which is slow.

    Raises:
        DataError: there is no stretch of this many samples.
    """
    stretches = [(regions or {}).get(song.name, (0, song.n_samples)) for song in songs]
    if not any(end - begin >= samples for begin, end in stretches):
        raise DataError(explain_too_short(songs, samples, in_time=regions is not None))


def store_neighbours(
    reader: Reader, song: Song, folder: Path, n_samples: int
) -> tuple[dict[str, list[tuple[StemKey, ...]]], list[Note]]:
    """Store F0 or score of a song without stems, as found by its reader.

    Returns:
        The index of the F0 as that of cached mixtures, {J: [keys]}, and notes for the user.

    Raises:
        UmssError: unusable files.
    """
    contours = reader.recording_f0(song)
    if contours is not None:
        notes = _compare_lengths(song, contours, n_samples / RATE)
        tracks = contours.to_frames(-(-n_samples // HOP))
        if not tracks.any():
            raise DataError(
                f"{song.stems[0].path}: the F0 beside it is silent throughout its "
                f"{n_samples / RATE:.1f} s; give the F0 of this recording, or remove that file"
            )
        np.save(folder / f"f0_cached_{len(song.parts)}.npy", tracks[None])
        return {str(len(song.parts)): [name_keys(song)]}, notes
    score = reader.score(song)
    if score is not None:
        np.save(folder / SCORE, score.f0)
    return {}, []


def name_keys(song: Song) -> tuple[StemKey, ...]:
    """Name the stems of a song; without stems, its singers in the same way."""
    if song.has_stems:
        return tuple(stem.key for stem in song.stems)
    return tuple((part, "1") for part in song.parts)


def describe_recording(song: Song) -> dict[str, Any]:
    """The part of a song's index entry that says that it has no stems, and where it came from."""
    return {} if song.has_stems else {"recording": str(song.stems[0].path)}


def _compare_lengths(song: Song, contours: F0Contours, seconds: float) -> list[Note]:
    path, first, last = song.stems[0].path, contours.times[0], contours.duration
    if abs(last - seconds) <= BRIEF and first <= BRIEF:
        return []
    return [
        (
            "warning",
            f"{path}: the F0 beside it is from {first:.1f} to {last:.1f} s, the recording lasts "
            f"{seconds:.1f} s; does it belong to it?",
        )
    ]
