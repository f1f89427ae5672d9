"""Several data sets as one, e.g. real and generated choirs in one training.

Every data set has a label, and its songs are called `label.song`, e.g. `csd.nino_dios`, also in
`data.split` (all songs of a label: `csd.*`), in `data.singers` and in results. Labels contain no
dot, so songs of different data sets never share a name.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...f0.contours import F0Contours
from .base import DataError, Reader, Song, Stem, StemAudio, StemKey

FIELD = "data.reader.options.readers"


class SeveralReader(Reader):
    """Joins data sets; questions about a song are passed to the reader of its data set.

    Args:
        readers: {label: {"name": ..., "root": ..., "options": {...}}} in the order of the songs:
            a reader of `src.data.readers.READERS`, the folder of its data (`generated` needs
            none) and its own options, if any.

    Raises:
        DataError: no readers, a label that is not a plain name, or data that cannot be used.
    """

    name = "several"

    def __init__(self, readers: Mapping[str, Mapping[str, Any]] | None = None) -> None:
        if not readers or not isinstance(readers, Mapping):
            raise DataError(
                f"{FIELD}={readers}: no data sets to join; give them labels, e.g. "
                "{csd: {name: csd, root: FOLDER}, generated: {name: generated}}"
            )
        self._readers = {str(label): _build(label, choice) for label, choice in readers.items()}
        self._origins = {
            f"{label}.{song.name}": (reader, song)
            for label, reader in self._readers.items()
            for song in reader.songs()
        }
        self.license = "; ".join(f"{label}: {r.license}" for label, r in self._readers.items())
        self.f0_kinds = _find_common_kinds(self._readers.values())
        self.has_stems = all(reader.has_stems for reader in self._readers.values())

    @classmethod
    def root_options(cls, root: str | Path | None) -> dict[str, Any]:
        """Empty, because every data set has its own folder.

        Raises:
            DataError: a root is given.
        """
        if root is not None:
            raise DataError(
                f"data.root={root}: data={cls.name} has no single folder; leave it out and set "
                f"{FIELD}.LABEL.root"
            )
        return {}

    def songs(self) -> list[Song]:
        """All songs of the first data set, of the second, ..."""
        return [replace(own, name=name) for name, (_, own) in self._origins.items()]

    def options(self) -> dict[str, Any]:
        """Label, reader and options of every data set, as a list, because their order matters."""
        return {"readers": [[label, r.name, r.options()] for label, r in self._readers.items()]}

    def location(self) -> str:
        """All locations, quoted, so that different lists never give the same text."""
        return ", ".join(f"{label}={r.location()!r}" for label, r in self._readers.items())

    def read_stem(self, song: Song, stem: Stem) -> StemAudio:
        """Decode one stem by the song's own reader."""
        reader, own = self._origins[song.name]
        return reader.read_stem(own, stem)

    def fingerprint(self, song: Song) -> dict[str, Any]:
        """That of the song's own reader: a song does not change with other data sets."""
        reader, own = self._origins[song.name]
        return reader.fingerprint(own)

    def song_seconds(self, song: Song, shortest: int) -> int | None:
        """Whole seconds to use, by the song's own reader."""
        reader, own = self._origins[song.name]
        return reader.song_seconds(own, shortest)

    def length_tolerance(self, song: Song, shortest: int) -> float:
        """Seconds by which stems may differ, by the song's own reader."""
        reader, own = self._origins[song.name]
        return reader.length_tolerance(own, shortest)

    def cached_mixtures(self, song: Song) -> list[tuple[StemKey, ...]]:
        """Mixtures with tracks in the song's own data set."""
        reader, own = self._origins[song.name]
        return reader.cached_mixtures(own)

    def cached_f0(self, song: Song, keys: Sequence[StemKey]) -> NDArray[np.float32] | None:
        """F0 tracks of a mixture in the song's own data set."""
        reader, own = self._origins[song.name]
        return reader.cached_f0(own, keys)

    def exact_f0(self, song: Song, stem: Stem) -> NDArray[np.float32] | None:
        """Exact F0 of one stem where the song's own data set has it."""
        reader, own = self._origins[song.name]
        return reader.exact_f0(own, stem)

    def recording_f0(self, song: Song) -> F0Contours | None:
        """F0 beside a song without stems."""
        reader, own = self._origins[song.name]
        return reader.recording_f0(own)

    def score(self, song: Song) -> F0Contours | None:
        """Score beside a song without stems."""
        reader, own = self._origins[song.name]
        return reader.score(own)


def _build(label: Any, choice: Any) -> Reader:
    from . import build_reader  # which knows this reader, too

    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]*", str(label)):
        raise DataError(
            f"{FIELD}: label {label!r} is not a plain name; use letters, digits, _ and -, e.g. csd"
        )
    place = f"{FIELD}.{label}"
    known = {"name", "root", "options"}
    if not isinstance(choice, Mapping) or "name" not in choice or not known.issuperset(choice):
        raise DataError(
            f"{place}={choice}: expected a reader's name, the root of its data and its options, "
            "e.g. {name: csd, root: FOLDER, options: {}}"
        )
    try:
        return build_reader(choice["name"], choice.get("root"), **(choice.get("options") or {}))
    except (DataError, TypeError) as error:
        # The reader names the fields that it has on its own.
        message = str(error).replace("data.root", f"{place}.root")
        raise DataError(
            f"{place}: {message.replace('data.parts', f'{place}.options.parts')}"
        ) from error


def _find_common_kinds(readers: Iterable[Reader]) -> tuple[str, ...]:
    """Find the kinds of F0 that all readers have; exact F0 also counts as cached F0."""
    served = [{*r.f0_kinds, *(["cached"] if "exact" in r.f0_kinds else [])} for r in readers]
    return tuple(kind for kind in ("cached", "exact", "stems") if all(kind in s for s in served))
