"""Checks of a song's stems before they are stored; each problem gives one message."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .readers.base import RATE, DataError, Reader, Song, Stem, StemAudio
from .store import name_stem

SILENCE = 1e-4  # peak, -80 dB of full scale: below it a stem holds no singing

Note = tuple[str, str]
"""("info" or "warning", text): remarks of the preparation that are no errors."""


def locate_stem(song: Song, stem: Stem) -> str:
    """Name a stem in messages by its file, or by song and part if it has none."""
    return str(stem.path) if stem.path is not None else f"{song.name} {name_stem(stem.key)}"


def check_stem(song: Song, stem: Stem, loaded: StemAudio) -> list[Note]:
    """Check the samples of one stem; returns notes for the user.

    Raises:
        DataError: it holds NaN or infinite samples.
    """
    if not np.isfinite(loaded.audio).all():
        raise DataError(f"{locate_stem(song, stem)}: the audio holds NaN or infinite samples")
    if not loaded.clipped:
        return []
    return [
        (
            "warning",
            f"{locate_stem(song, stem)}: {loaded.clipped} clipped samples; "
            "export with more headroom",
        )
    ]


def is_silent(loaded: StemAudio) -> bool:
    """Whether the stem holds no sound at all."""
    return bool(np.abs(loaded.audio).max(initial=0.0) < SILENCE)


def check_silence(song: Song, silent: list[str], *, allow_silent: bool) -> list[Note]:
    """Check for silent stems of a song; returns notes for the user.

    Raises:
        DataError: there are silent stems and they are not allowed, or a whole recording is silent.
    """
    if not silent:
        return []
    if not song.has_stems:
        raise DataError(
            f"{silent[0]}: silent (peak below {SILENCE:g}); remove it, or export it again"
        )
    if not allow_silent:
        raise DataError(
            f"{', '.join(silent)}: silent (peak below {SILENCE:g}); remove the voice or set "
            "data.allow_silent=true"
        )
    return [("warning", f"{', '.join(silent)}: silent")]


def check_parts(song: Song) -> list[Note]:
    """Check for singer numbers that are missing in some parts; returns notes for the user."""
    sung: dict[str, set[str]] = {}
    for stem in song.stems:
        sung.setdefault(stem.singer, set()).add(stem.part)
    if not song.has_stems or len(song.stems) == len(song.parts):
        return []
    return [
        ("warning", f"{song.name}: singer {singer} has no {', '.join(missing)}")
        for singer, parts in sung.items()
        if (missing := [part for part in song.parts if part not in parts])
    ]


def check_rates(song: Song, rates: dict[Stem, int]) -> list[Note]:
    """Check for files that are resampled or differ in sample rate; returns notes for the user."""
    found = sorted(set(rates.values()))
    if found == [RATE]:
        return []
    text = ", ".join(map(str, found))
    return [("info", f"{song.name}: sample rate {text} Hz, resampled to {RATE} Hz")]


def find_common_length(
    reader: Reader, song: Song, lengths: dict[Stem, int]
) -> tuple[int, list[Note]]:
    """Find the length in samples to which all stems of a song are cut, and notes for the user.

    Raises:
        DataError: the stems differ by more than the reader tolerates, or are too short.
    """
    short, long = min(lengths, key=lengths.__getitem__), max(lengths, key=lengths.__getitem__)
    shortest, longest = lengths[short] / RATE, lengths[long] / RATE
    if longest - shortest > reader.length_tolerance(song, lengths[short]):
        raise DataError(
            f"{locate_stem(song, short)} lasts {shortest:.2f} s but {locate_stem(song, long)} "
            f"lasts {longest:.2f} s; the stems of a song must start together and have one length"
        )
    seconds = reader.song_seconds(song, lengths[short])
    n_samples = lengths[short] if seconds is None else seconds * RATE
    if n_samples < RATE:
        raise DataError(
            f"{locate_stem(song, short)}: {shortest:.2f} s is too short; a song needs at least 1 s"
        )
    if lengths[long] == n_samples:
        return n_samples, []
    text = f"{song.name}: stems of {shortest:.2f} to {longest:.2f} s cut to "
    return n_samples, [("info", f"{text}{n_samples / RATE:.2f} s")]


def fit_f0(track: NDArray[np.float32], n_frames: int, place: str) -> NDArray[np.float32]:
    """Cut an F0 track to the song's N frames; up to two missing frames are filled with silence.

    Raises:
        DataError: more frames are missing.
    """
    if len(track) < n_frames - 2:
        raise DataError(
            f"{place}: its F0 has {len(track)} frames, the song {n_frames}; the F0 belongs to "
            "another recording"
        )
    padding = [(0, max(0, n_frames - len(track))), *[(0, 0)] * (track.ndim - 1)]
    return np.pad(np.asarray(track, dtype=np.float32)[:n_frames], padding)
