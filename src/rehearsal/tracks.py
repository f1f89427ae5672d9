"""Practice tracks of a separation: levelled, counted in, written, listed, packed."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import numpy as np

from ..audio import open_audio
from ..errors import UmssError
from ..files import check_existing, check_space, name_failed_file
from ..formats.notes import Beats, find_beats, find_sung_notes
from ..outputs import make_slug
from ..staging import Stage, stage
from ..wav_writing import WavWriter
from .introduction import build_introduction
from .listing import Entry, pack, write_list
from .mixing import TRACKS, Reader, Signal
from .rendering import Renderer
from .settings import Settings, Stems
from .stretching import stretch

log = logging.getLogger(__name__)


def write_practice(
    stems: Stems, folder: Path, settings: Settings, *, overwrite: bool = False
) -> dict[str, Path]:
    """Write the practice tracks of a separation.

    All tracks get the same loudness by a gain alone: if the peaks of one would then exceed -1 dBTP,
    all are softer. Nothing is compressed, so a track is the sum of the stems at constant gains.

    Returns:
        The files by VOICE/TRACK, "list" and, if wanted, "zip".

    Raises:
        UmssError: settings that cannot be met.
        OutputExistsError: an output exists and `overwrite` is false.
        WriteError: the files cannot be written.
    """
    settings.check(stems)
    chosen = [stems.voices.index(voice) for voice in settings.voices or stems.voices]
    inside = folder / f"{stems.name}_practice"
    files = {
        (voice, track): inside / f"{make_slug(stems.voices[voice])}_{track}.{settings.form.ending}"
        for voice in chosen
        for track in settings.tracks
    }
    if len(set(files.values())) < len(files):
        raise UmssError(
            f"the singers' names ({', '.join(stems.voices)}) do not give different file names"
        )
    listing, archive = inside / "tracks.txt", folder / f"{stems.name}_practice.zip"
    outputs = [*files.values(), listing, *([archive] if settings.zip else [])]
    check_existing(outputs, overwrite=overwrite)
    speed = settings.speed / 100
    stretched = speed != 1.0 or settings.transpose != 0.0
    needed = len(files) * (2 if settings.zip else 1) + stretched * (len(stems.voices) + 1)
    check_space(folder, int(needed * 4 * stems.channels * stems.n_samples / speed))
    with (
        stage(folder, f"{stems.name}_practice") as place,
        name_failed_file(folder / stems.name),
    ):
        if stretched:
            log.info("changing speed or key of %d stems", len(stems.voices) + 1)
        ready = _stretch_stems(stems, place, settings) if stretched else stems
        beats, introductions = _introduce(stems, settings)
        targets = {key: place.place(path) for key, path in files.items()}
        work = Renderer(ready, settings, introductions, targets)
        log.info("mixing %d tracks", len(files))
        gains, peak = work.write()
        entries = [
            Entry(path, stems.voices[voice], settings.mixing.describe(track), gains[voice, track])
            for (voice, track), path in files.items()
        ]
        seconds = (work.begin + ready.n_samples) / ready.rate
        notes = [
            f"speed {settings.speed:g} %, transposed by {settings.transpose:g} semitones",
            f"loudness {work.target:.1f} LUFS, true peak {peak:.1f} dBTP at most",
            f"length {int(seconds // 60)}:{int(seconds % 60):02d}",
        ]
        if settings.count_in:
            notes.append(f"count-in at {beats.tempo * speed:.0f} beats per minute, {beats.origin}")
        write_list(place.place(listing), stems.tags.title or stems.name, entries, notes)
        if settings.zip:
            packed = {path: place.place(path) for path in (*files.values(), listing)}
            pack(place.place(archive), packed)
        former = _find_former(inside) if overwrite else set()
        place.publish(outputs, remove=sorted(former - set(outputs)))
    for note in notes:
        log.info("%s", note)
    paths = {f"{stems.voices[voice]}/{track}": path for (voice, track), path in files.items()}
    return paths | {"list": listing} | ({"zip": archive} if settings.zip else {})


def _find_former(inside: Path) -> set[Path]:
    """Tracks of an earlier run."""
    ends = tuple(f"_{track}.{ending}" for track in TRACKS for ending in ("wav", "flac", "mp3"))
    return {path for path in inside.glob("*") if path.name.endswith(ends)}


def _stretch_stems(stems: Stems, place: Stage, settings: Settings) -> Stems:
    """Write the stems at another speed or in another key among the temporary files."""
    speed = settings.speed / 100
    paths: list[Path] = []
    n_samples = round(stems.n_samples / speed)
    with ExitStack() as stack:
        for number, reader in enumerate(stems.open(stack)):
            paths.append(place.folder / f"stem{number}.wav")
            writer = WavWriter(paths[-1], stems.rate, stems.channels, n_samples)
            left = n_samples
            try:
                for block in stretch(reader.read, stems.rate, speed, settings.transpose):
                    writer.write(block[:, :left])
                    left -= min(left, block.shape[1])
                writer.write(np.zeros((stems.channels, left), np.float32))
                writer.close()
            finally:
                writer.abandon()

    def open_stretched(stack: ExitStack) -> list[Reader]:
        return [stack.enter_context(open_audio(path)) for path in paths]

    return replace(stems, n_samples=n_samples, open=open_stretched)


def _introduce(stems: Stems, settings: Settings) -> tuple[Beats, Mapping[int, tuple[Signal, int]]]:
    """Build what sounds before the music, by voice, and the sample at which the music begins."""
    notes = find_sung_notes(stems.contours)
    beats = find_beats(notes, settings.tempo)
    speed = settings.speed / 100
    first = min((note.start for part in notes for note in part), default=0.0) / speed
    built = {}
    for voice, part in enumerate(notes):
        pitch = None
        if part and settings.start_pitch:
            pitch = 440.0 * 2.0 ** ((part[0].pitch + settings.transpose - 69.0) / 12)
        built[voice] = build_introduction(
            stems.rate, first, 60.0 / (beats.tempo * speed), pitch, count_in=settings.count_in
        )
    # All voices begin together, so that their tracks can be played together.
    begin = max(start for _, start in built.values())
    return beats, {
        voice: (np.pad(sound, (begin - start, 0)), begin) for voice, (sound, start) in built.items()
    }
