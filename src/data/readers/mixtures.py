"""Recordings without stems: a folder of them, with sub-folders or without, or one file.

Songs are named by their paths below the folder without ending. Beside a recording `NAME.wav` may
lie its F0 (`NAME.csv` or `NAME_f0.csv`, one column per singer), or a score (`NAME.mid`,
`NAME.musicxml`, ...) that leads the estimation of F0. How many singers a recording has says the
table `singers.csv` (see `src.data.readers.singers_table`) or, for all that it does not name, the
option `n_singers`. What `umss separate` wrote beside a recording is no recording of its own.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ...audio import examine_audio, load_mono
from ...f0.contour_files import read_contours
from ...f0.contours import MAX_SINGERS, F0Contours
from ...f0.names import name_singers
from ...f0.score.reading import SCORE_SUFFIXES, ScoreError, read_score
from ...outputs import find_all_outputs
from .base import RATE, DataError, FileReader, Song, Stem, StemAudio
from .listing import AUDIO_SUFFIXES, list_audio_files, list_folders_below, stamp_files
from .singers_table import name_recording, read_singers

TABLE = "singers.csv"

log = logging.getLogger(__name__)


class MixturesReader(FileReader):
    """Reader of recordings that have no stems (layout: see the module).

    Args:
        root: a folder of recordings, or one recording.
        n_singers: singers of every recording that the table does not name.
        table: CSV file with numbers of singers; by default `singers.csv` in the folder, if there
            is one.

    Raises:
        DataError: nothing there, no recordings, an unusable table, a number of singers out of
            range, or two files of one kind for one song.
    """

    name = "mixtures"
    license = "the user's own"
    layout = "recordings in it or in folders below, e.g. evening_song.wav"
    f0_kinds = ()
    has_stems = False

    def __init__(
        self, root: str | Path, n_singers: int = 4, table: str | Path | None = None
    ) -> None:
        place = Path(root).expanduser()
        if place.suffix.lower() in AUDIO_SUFFIXES and not place.exists():
            raise DataError(
                f"{place.absolute()}: no such recording; set data.root to a recording or to a "
                "folder of recordings"
            )
        alone = place.is_file()
        if not alone:
            super().__init__(root)
        whole = isinstance(n_singers, int) and not isinstance(n_singers, bool)
        if not whole or not 1 <= n_singers <= MAX_SINGERS:
            raise DataError(f"n_singers={n_singers}: give a whole number from 1 to {MAX_SINGERS}")
        # The name of a link counts, not that of the file to which it leads.
        self.root = place.parent.resolve() / place.name if alone else place.resolve()
        self.folder = self.root.parent if alone else self.root
        self.n_singers = n_singers
        self.table = _find_table(table, None if alone else self.folder)
        found = [self.root] if alone else _find_recordings(self.folder)
        if not found:
            raise DataError(f"{self.root}: no recordings in it (expected {self.layout})")
        self._recordings = _name_recordings(found, self.folder)
        self._singers = (
            read_singers(self.table, self._recordings, self.folder) if self.table else {}
        )
        self._neighbours = self._find_neighbours()

    def songs(self) -> list[Song]:
        """One song per recording, by name."""
        songs = []
        for name, path in self._recordings.items():
            count = self._singers.get(name, self.n_singers)
            parts = name_singers(count)
            songs.append(Song(name, parts, (Stem("mixture", "1", path),), has_stems=False))
        return songs

    def options(self) -> dict[str, Any]:
        """The number of singers; that of the table is part of every song's fingerprint."""
        return {"n_singers": self.n_singers}

    def fingerprint(self, song: Song) -> dict[str, Any]:
        """Number of singers, and stamps of the recording and of the files beside it."""
        files = [self._recordings[song.name], *self._neighbours[song.name]]
        return {"n_singers": len(song.parts), "files": stamp_files(files, self.folder)}

    def read_stem(self, song: Song, stem: Stem) -> StemAudio:
        """Decode the recording, mix its channels and resample it.

        Only one channel is kept in memory: recordings of whole concerts are long.
        """
        path = self._recordings[song.name]
        found = examine_audio(path)
        return StemAudio(load_mono(path, RATE, mix=found.mix), found.rate, 0)

    def recording_f0(self, song: Song) -> F0Contours | None:
        """The tracks of `NAME.csv` or `NAME_f0.csv`.

        Raises:
            ContourError: the file is malformed, or without any F0.
            DataError: it holds another number of singers than the song has.
        """
        path = self._find_beside(song, (".csv",))
        if path is None:
            return None
        contours = read_contours(path)
        self._check_singers(song, path, contours.n_singers)
        return contours

    def score(self, song: Song) -> F0Contours | None:
        """The score, one track per singer, where no F0 lies beside the recording.

        Raises:
            ScoreError: the file is malformed.
            DataError: it holds another number of voices than the song has singers.
        """
        path = self._find_beside(song, SCORE_SUFFIXES)
        if path is None or self._find_beside(song, (".csv",)) is not None:
            return None
        written = read_score(path)
        if written.n_singers != len(song.parts):
            try:
                return read_score(path, len(song.parts))  # chords and divided sections
            except ScoreError:
                self._check_singers(song, path, written.n_singers)
        return written

    def _find_beside(self, song: Song, suffixes: tuple[str, ...]) -> Path | None:
        files = self._neighbours[song.name]
        return next((path for path in files if path.suffix.lower() in suffixes), None)

    def _find_neighbours(self) -> dict[str, list[Path]]:
        """Find F0 file and score of every song."""
        owners = {(path.parent, path.stem): name for name, path in self._recordings.items()}
        found: dict[str, list[Path]] = {name: [] for name in self._recordings}
        for folder in {path.parent for path in self._recordings.values()}:
            for path in sorted(folder.iterdir()):
                is_f0 = path.suffix.lower() == ".csv" and path != self.table
                if not (is_f0 or path.suffix.lower() in SCORE_SUFFIXES) or path.name[0] == ".":
                    continue
                owner = owners.get((folder, path.stem))
                if owner is None and is_f0:
                    owner = owners.get((folder, path.stem.removesuffix("_f0")))
                if owner is not None:
                    found[owner].append(path)
                elif self.root.is_dir():
                    _report_unused(path)
        for files in found.values():
            for first, second in zip(files, files[1:], strict=False):
                if (first.suffix.lower() == ".csv") == (second.suffix.lower() == ".csv"):
                    kind = "F0 file" if first.suffix.lower() == ".csv" else "score"
                    raise DataError(f"{second}: a second {kind} beside {first.name}; keep one")
        return found

    def _check_singers(self, song: Song, path: Path, count: int) -> None:
        wanted = len(song.parts)
        if count == wanted:
            return
        held = f"{path}: holds {count} singer{'s' * (count > 1)}"
        if song.name in self._singers:
            raise DataError(f"{held}, but {self.table} says {wanted}; correct one of the two files")
        remedy = f"set n_singers={count}"
        if self.root.is_dir():
            line = f"{self._recordings[song.name].relative_to(self.folder)},{count}"
            remedy += f", or write {TABLE} with the line {line} if the songs differ"
        raise DataError(f"{held}, but n_singers={wanted}; {remedy}")


def _find_table(table: str | Path | None, folder: Path | None) -> Path | None:
    if table is not None:
        path = Path(table).expanduser().absolute()
        if not path.is_file():
            raise DataError(
                f"data.reader.options.table={table}: no such file; give a CSV file with the "
                "columns file and n_singers"
            )
        return path
    return folder / TABLE if folder is not None and (folder / TABLE).is_file() else None


def _find_recordings(folder: Path) -> list[Path]:
    """Find all recordings below a folder, without stems that `umss separate` wrote."""
    return [
        path
        for place in list_folders_below(folder)
        for separated in [_find_separated(place)]
        for path in list_audio_files(place)
        if path not in separated
    ]


def _find_separated(folder: Path) -> set[Path]:
    return {path for file in folder.glob("*parameters*.npz") for path in find_all_outputs(file)}


def _name_recordings(paths: Iterable[Path], folder: Path) -> dict[str, Path]:
    named: dict[str, Path] = {}
    for path in paths:
        name = name_recording(path, folder)
        if name in named:
            raise DataError(f"{path}: a second recording beside {named[name].name}; keep one")
        named[name] = path
    return dict(sorted(named.items()))


@functools.cache
def _report_unused(path: Path) -> None:
    """Once per file: readers are built several times."""
    log.warning("warning: %s: belongs to no recording of this name, so it is not used", path)
