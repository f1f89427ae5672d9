"""F0 tracks into the files that other programs read, whichever are wanted.

| format | files | holds |
|---|---|---|
| csv | NAME_f0.csv | time, one column per singer |
| tony | NAME_tony/SINGER.csv | time, F0: Sonic Visualiser, Tony |
| crepe | NAME_crepe/SINGER.csv | time, F0, confidence: CREPE, pYIN |
| multipitch | NAME_multipitch.txt | time, every pitch that sounds: mir_eval |
| midi | NAME_notes.mid, NAME_midi/SINGER.mid | notes of all, and of each |
| musicxml | NAME_notes.musicxml | notes as a sketch of a score |
| jams | NAME_f0.jams | F0 tracks and notes |
"""

from __future__ import annotations

import glob
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from ..dsp.tracks import HOP, RATE
from ..editing.pitch import hertz_to_pitch
from ..errors import UmssError
from ..f0.contour_files import write_f0
from ..f0.contours import ContourError, F0Contours
from ..filenames import FILENAME, name_file
from ..files import check_existing, name_failed_file
from ..outputs import make_slug
from ..staging import stage
from .jams import write_jams
from .midi import Bend, SungPart, check_bend, write_midi
from .musicxml import write_musicxml
from .names import FORMATS as FORMATS
from .notes import find_beats, find_sung_notes
from .tracks import write_crepe, write_multipitch, write_tony

# What files are called in the place of a voice, and their endings.
_OF_ALL = {
    "csv": ("f0", "csv"), "multipitch": ("multipitch", "txt"), "midi": ("notes", "mid"),
    "musicxml": ("notes", "musicxml"), "jams": ("f0", "jams"),
}  # fmt: skip
_OF_EACH = {"tony": "csv", "crepe": "csv", "midi": "mid"}


def check_formats(formats: Sequence[str]) -> None:
    """Refuse formats that there are not.

    Raises:
        UmssError: names the formats.
    """
    for name in formats:
        if name not in FORMATS:
            raise UmssError(f"F0 format {name!r}: choose from {', '.join(FORMATS)}")


def name_f0_files(
    folder: Path,
    stem: str,
    names: Sequence[str],
    formats: Sequence[str],
    filename: str = FILENAME,
) -> dict[tuple[str, str], Path]:
    """Files by format and singer, "" for those of all.

    Raises:
        UmssError: no such format.
        ContourError: two singers whose names lead to the same file name.
    """
    check_formats(formats)
    slugs = [make_slug(name) for name in names]
    if set(formats) & set(_OF_EACH) and len(set(slugs)) < len(slugs):
        raise ContourError(
            f"the singers' names ({', '.join(names)}) do not give different file names; give names="
        )
    paths: dict[tuple[str, str], Path] = {}
    for kind in dict.fromkeys(formats):
        if kind in _OF_ALL:
            paths[kind, ""] = name_file(folder, stem, *_OF_ALL[kind], filename)
        if kind in _OF_EACH:
            for name, slug in zip(names, slugs, strict=True):
                voice = f"{kind}/{slug}"
                paths[kind, name] = name_file(folder, stem, voice, _OF_EACH[kind], filename)
    return paths


def label_f0_files(paths: dict[tuple[str, str], Path]) -> dict[str, Path]:
    """The same files by FORMAT, or by FORMAT/SINGER."""
    return {f"{kind}/{name}" if name else kind: path for (kind, name), path in paths.items()}


def find_f0_files(folder: Path, stem: str, filename: str = FILENAME) -> set[Path]:
    """Find the files of earlier F0 of a recording, in every format but the CSV file of all."""
    found = [
        name_file(folder, stem, *names, filename)
        for kind, names in _OF_ALL.items()
        if kind != "csv"
    ]
    track, pattern = glob.escape(stem), glob.escape(filename)
    for kind, ending in _OF_EACH.items():
        wanted = name_file(Path(), track, f"{kind}/*", ending, pattern)
        found += folder.glob(str(wanted))
    return {path for path in found if path.is_file()}


def remove_empty_folders(folder: Path, stem: str, filename: str = FILENAME) -> None:
    """Remove the folders of formats from which all files have gone."""
    for kind, ending in _OF_EACH.items():
        with suppress(OSError):  # not there, or not empty
            name_file(folder, stem, f"{kind}/x", ending, filename).parent.rmdir()


def write_formats(
    paths: dict[tuple[str, str], Path],
    contours: F0Contours,
    title: str,
    *,
    tempo: float | None = None,
    bend: Bend = "note",
    place: Callable[[Path], Path] = Path,
) -> None:
    """Write the files that `name_f0_files` named.

    Args:
        paths: by format and singer.
        contours: the F0 tracks.
        title: of the recording.
        tempo: beats per minute, for MIDI and MusicXML; None: found by where notes begin for
            MusicXML, 120 for MIDI.
        bend: how MIDI has cents, see `src.formats.midi.write_midi`.
        place: where a file is written before it moves to its place.
    """
    check_bend(bend)
    parts = _find_parts(contours) if {kind for kind, _ in paths} & _WITH_NOTES else []
    tracks = dict(zip(contours.names, contours.f0.T, strict=True))
    for (kind, name), path in paths.items():
        target = place(path)
        sung = [part for part in parts if name in ("", part.name)]
        if kind == "csv":
            write_f0(target, contours, overwrite=True)
        elif kind == "multipitch":
            write_multipitch(target, contours)
        elif kind == "tony":
            write_tony(target, contours.times, tracks[name])
        elif kind == "crepe":
            write_crepe(target, contours.times, tracks[name])
        elif kind == "midi":
            write_midi(target, sung, tempo=tempo or 120.0, bend=bend)
        elif kind == "musicxml":
            write_musicxml(target, sung, find_beats([p.notes for p in sung], tempo), title)
        else:
            write_jams(target, contours, sung, title)


_WITH_NOTES = {"midi", "musicxml", "jams"}


def _find_parts(contours: F0Contours) -> list[SungPart]:
    n_frames = int(contours.duration * RATE / HOP + 1e-6) + 1
    grid = contours.to_frames(n_frames)
    return [
        SungPart(name, notes, hertz_to_pitch(track))
        for name, notes, track in zip(
            contours.names, find_sung_notes(contours), grid.T, strict=True
        )
    ]


def write_f0_files(
    folder: str | Path,
    contours: F0Contours,
    formats: Sequence[str] = FORMATS,
    *,
    name: str = "recording",
    tempo: float | None = None,
    midi_bend: Bend = "note",
    overwrite: bool = False,
) -> dict[tuple[str, str], Path]:
    """Write F0 tracks and their notes as files of other programs (`src.formats.write`).

    Args:
        folder: where the files go.
        contours: the tracks.
        formats: "csv", "tony", "crepe", "multipitch", "midi", "musicxml", "jams".
        name: of the recording; begins the names of the files.
        tempo: beats per minute in MIDI (by default 120) and MusicXML (by default found).
        midi_bend: cents in MIDI: "none", "note" (one bend per note) or "contour".
        overwrite: replace existing files.

    Returns:
        The files by format and singer, "" for those of all singers.

    Raises:
        UmssError: no such format, or names that do not give different file names.
        OutputExistsError: a file exists and `overwrite` is false.
        WriteError: the files cannot be written.
    """
    paths = name_f0_files(Path(folder), name, contours.names, formats)
    check_bend(midi_bend)
    check_existing(paths.values(), overwrite=overwrite)
    with stage(Path(folder), f"{name}_f0") as place, name_failed_file(Path(folder) / name):
        write_formats(paths, contours, name, tempo=tempo, bend=midi_bend, place=place.place)
        place.publish(paths.values())
    return paths
