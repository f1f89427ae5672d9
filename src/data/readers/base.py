"""The interface of data sets: songs of named parts, one stem per part and singer, optional F0."""

from __future__ import annotations

import itertools
import os
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ...audio import AudioError, load_audio, mix_for_listening, resample
from ...errors import UmssError
from ...f0.contours import F0Contours
from .listing import AUDIO_SUFFIXES as AUDIO_SUFFIXES
from .listing import list_audio_files as list_audio_files
from .listing import list_song_folders as list_song_folders
from .listing import stamp_files as stamp_files

RATE = 16_000
HOP = 256

StemKey = tuple[str, str]
"""(part, singer), e.g. ("soprano", "1")."""

# Highest to lowest. Barbershop (tenor, lead, baritone, bass) and SATB both agree with this order.
VOICE_ORDER = (
    "soprano",
    "mezzosoprano",
    "alto",
    "countertenor",
    "tenor",
    "lead",
    "baritone",
    "bass",
)


class DataError(UmssError):
    """Data that cannot be used; the message names the file or setting and the remedy."""


@dataclass(frozen=True)
class Stem:
    """One singer's recording of one part. `path` is None where there is no file (generated)."""

    part: str
    singer: str
    path: Path | None = None

    @property
    def key(self) -> StemKey:
        """(part, singer)."""
        return (self.part, self.singer)


@dataclass(frozen=True)
class Song:
    """A piece: its parts from the highest to the lowest, and its stems in that order.

    Without stems (`has_stems` false), `parts` name the singers of a recording, and the recording
    itself is the only entry of `stems`.
    """

    name: str
    parts: tuple[str, ...]
    stems: tuple[Stem, ...]
    has_stems: bool = True


@dataclass(frozen=True, eq=False)
class StemAudio:
    """A decoded stem.

    Attributes:
        audio: float32 [T], mono, 16 kHz.
        rate: sample rate of the file, Hz.
        clipped: number of clipped samples in the file, see `count_clipped`.
    """

    audio: NDArray[np.float32]
    rate: int
    clipped: int


class Reader(ABC):
    """A data set: lists songs and reads stems; knows nothing of mixtures or excerpts.

    Attributes:
        name: short name, as in conf/data.
        license: licence of the data, shown by `src.prepare`.
        f0_kinds: kinds of F0 that the data set has: "cached" (tracks of mixtures, stored with it),
            "exact" (known from synthesis), "stems" (estimated from the isolated stems). Without
            any, F0 can only be estimated from the mixtures.
        has_stems: whether every song has a stem for every singer.
        test_sets: published test sets by name, {song: singers}.
    """

    name: str
    license: str
    f0_kinds: tuple[str, ...] = ("stems",)
    has_stems: bool = True
    test_sets: ClassVar[Mapping[str, Mapping[str, Sequence[int]]]] = {}

    @classmethod
    def root_options(cls, root: str | Path | None) -> dict[str, Any]:
        """Options of the reader that come from `data.root`; empty if it reads no files."""
        return {}

    @abstractmethod
    def songs(self) -> list[Song]:
        """All songs, in a fixed order.

        Raises:
            DataError: the data set is missing, empty or malformed.
        """

    @abstractmethod
    def read_stem(self, song: Song, stem: Stem) -> StemAudio:
        """Decode one stem to 16 kHz mono.

        Raises:
            AudioError: the file cannot be read or is empty.
        """

    @abstractmethod
    def fingerprint(self, song: Song) -> dict[str, Any]:
        """JSON-able description of the song's sources that changes when they change."""

    def load_stem(self, song: Song, stem: Stem) -> NDArray[np.float32]:
        """Samples of one stem, float32 [T], 16 kHz mono."""
        return self.read_stem(song, stem).audio

    def options(self) -> dict[str, Any]:
        """JSON-able options that change what the reader yields."""
        return {}

    def location(self) -> str:
        """Place of the data, for messages and for the name of the prepared folder."""
        return self.name

    def song_seconds(self, song: Song, shortest: int) -> int | None:
        """Whole seconds of the song to use; None uses all of the shortest stem.

        Args:
            song: the song.
            shortest: length of its shortest stem, samples at 16 kHz.
        """
        return None

    def length_tolerance(self, song: Song, shortest: int) -> float:
        """Seconds by which the stems of a song may differ in length before it is an error."""
        return 2.0

    def cached_mixtures(self, song: Song) -> list[tuple[StemKey, ...]]:
        """Mixtures for which `cached_f0` has a track, keys from the highest part to the lowest."""
        return []

    def cached_f0(self, song: Song, keys: Sequence[StemKey]) -> NDArray[np.float32] | None:
        """F0 tracks that the data set stores for exactly this mixture.

        Returns:
            float32 [N, J] in Hz on the 16-ms grid, columns in the order of `keys` (highest part
            first), 0 = silent; None if there are none.
        """
        return None

    def exact_f0(self, song: Song, stem: Stem) -> NDArray[np.float32] | None:
        """Exact F0 of one stem, float32 [N] in Hz on the 16-ms grid, or None if unknown."""
        return None

    def recording_f0(self, song: Song) -> F0Contours | None:
        """F0 that lies beside a song without stems, one track per singer; None if there is none."""
        return None

    def score(self, song: Song) -> F0Contours | None:
        """Score that lies beside a song without stems; None if there is none."""
        return None


class FileReader(Reader):
    """A reader whose stems are files below a folder.

    Args:
        root: the data set's folder.

    Raises:
        DataError: the folder is missing, not a folder, or empty.
    """

    layout: str
    """The expected layout, quoted in messages."""

    def __init__(self, root: str | Path) -> None:
        # Not Path.resolve, which fails on links that lead to themselves.
        self.root = Path(os.path.realpath(Path(root).expanduser()))
        if not self.root.exists():
            raise DataError(
                f"{self.root}: no such folder; set data.root to the {self.name} data "
                f"(expected {self.layout})"
            )
        if not self.root.is_dir():
            raise DataError(f"{self.root}: not a folder; set data.root to the folder of the data")
        if not any(self.root.iterdir()):
            raise DataError(f"{self.root}: the folder is empty (expected {self.layout})")

    @classmethod
    def root_options(cls, root: str | Path | None) -> dict[str, Any]:
        """The root itself.

        Raises:
            DataError: no root is given.
        """
        if root is None:
            raise DataError(f"data={cls.name} needs data.root=FOLDER")
        return {"root": root}

    def location(self) -> str:
        """The root folder."""
        return str(self.root)

    def read_stem(self, song: Song, stem: Stem) -> StemAudio:
        """Decode one file, mix its channels and resample it."""
        if stem.path is None:
            raise DataError(f"{self.name}: {song.name} {stem.part} has no file")
        channels, rate = load_audio(stem.path)
        clipped = count_clipped(channels)
        mono = resample(mix_for_listening(channels, rate, stem.path).apply(channels), rate, RATE)
        if mono.size == 0:
            raise AudioError(f"{stem.path}: the audio is too short to resample to {RATE} Hz")
        return StemAudio(mono, rate, clipped)

    def extra_files(self, song: Song) -> list[Path]:
        """Files besides the stems whose change must trigger a new preparation."""
        return []

    def fingerprint(self, song: Song) -> dict[str, Any]:
        """Path below the root, size and modification time of every source file."""
        paths = [stem.path for stem in song.stems if stem.path is not None]
        return stamp_files([*paths, *self.extra_files(song)], self.root)


def count_clipped(channels: NDArray[np.float32]) -> int:
    """Count samples of [channels, T] in runs of three or more equal values at full scale."""
    peak = np.abs(channels).max(initial=0.0)
    if peak < 0.99:
        return 0
    total = 0
    for channel in channels:
        # Steps of 16-bit audio are 3e-5; a flat top is flat to within one of them.
        at_top = np.abs(channel) >= peak - 3.1e-5
        edges = np.flatnonzero(np.diff(np.concatenate(([0], at_top.astype(np.int8), [0]))))
        runs = edges[1::2] - edges[::2]
        total += int(runs[runs >= 3].sum())
    return total


def index_parts(files: Iterable[Path]) -> dict[str, Path]:
    """Index files by part name: {lower-case file name without ending: path}.

    Raises:
        DataError: two files hold the same voice (soprano.wav and soprano.flac).
    """
    found: dict[str, Path] = {}
    for path in files:
        part = path.stem.lower()
        if part in found:
            raise DataError(f"{path}: a second file for {part} beside {found[part].name}; keep one")
        found[part] = path
    return found


def check_song_names(songs: Sequence[Song], where: str) -> list[Song]:
    """Return the songs if there are any and their names differ.

    Raises:
        DataError: no songs, or two of the same name.
    """
    if not songs:
        raise DataError(f"{where}: no songs found")
    for first, second in itertools.combinations(songs, 2):
        if first.name == second.name:
            raise DataError(f"{where}: two songs are called {first.name!r}; rename one folder")
    return list(songs)
