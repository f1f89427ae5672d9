"""Prepared songs on disk: memory-mapped stems and F0 tracks (written by `src.data.prepared`)."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import shorten_reason
from .index import as_keys, read_index
from .readers.base import HOP, DataError, StemKey

F0_KINDS = ("cached", "stems", "estimated")
RECORDING: StemKey = ("mixture", "1")
SCORE = "score.npy"


def name_stem(key: StemKey) -> str:
    """Name a stem: ("soprano", "1") gives "soprano_1"."""
    return f"{key[0]}_{key[1]}"


def name_mixture(keys: Iterable[StemKey]) -> str:
    """Name a mixture by its stems, e.g. "soprano_1+alto_2"."""
    return "+".join(map(name_stem, keys))


def check_kind(kind: str) -> None:
    """Check the name of a kind of F0.

    Raises:
        DataError: unknown kind.
    """
    if kind not in F0_KINDS:
        raise DataError(
            f"data.f0={kind}: unknown kind of F0; use {', '.join(F0_KINDS[:-1])} or {F0_KINDS[-1]}"
        )


class PreparedSong:
    """A song on disk. Memory maps are opened at first use and never pickled to workers.

    Args:
        folder: the song's folder.
        entry: its entry of the index.
        estimator: fingerprint of the estimator whose tracks are the "estimated" F0.

    Attributes:
        name: song name.
        parts: parts, highest to lowest.
        keys: all stems as (part, singer); of a song without stems, its singers.
        has_stems: whether the singers have stems; otherwise there is only `recording`.
        n_samples: common length of the stems, samples at 16 kHz.
    """

    def __init__(
        self, folder: Path, entry: dict[str, Any], *, estimator: str | None = None
    ) -> None:
        self.folder = folder
        self.entry = entry
        self.estimator = estimator
        self.name: str = entry["name"]
        self.parts: tuple[str, ...] = tuple(entry["parts"])
        self.keys: tuple[StemKey, ...] = as_keys(entry["keys"])
        self.has_stems: bool = "recording" not in entry
        self.n_samples: int = entry["n_samples"]
        self.notes: list[tuple[str, str]] = [(level, text) for level, text in entry["notes"]]
        self._mixtures = {
            frozenset(keys): (keys, row)
            for group in entry["cached"].values()
            for row, keys in enumerate(map(as_keys, group))
        }

    @property
    def n_frames(self) -> int:
        """Number of 16-ms frames N = ceil(n_samples / 256)."""
        return -(-self.n_samples // HOP)

    @property
    def f0_kinds(self) -> tuple[str, ...]:
        """Kinds of F0 that are stored: "cached" (mixture tracks), "exact", "stems", "estimated"."""
        there = {
            "cached": self._mixtures,
            "exact": self.entry["exact"],
            "stems": self.entry["stems"],
            "estimated": any(self.folder.glob(f"f0_estimated_{self.estimator}_*.npy")),
        }
        return tuple(kind for kind, present in there.items() if present)

    @property
    def cached_sizes(self) -> dict[int, int]:
        """{J: number of mixtures of J singers with tracks of their own}."""
        return {int(size): len(group) for size, group in self.entry["cached"].items()}

    def audio(self, key: StemKey) -> NDArray[np.float32]:
        """One stem, read-only memory map float32 [n_samples].

        Raises:
            DataError: there is no such stem.
        """
        if not self.has_stems:
            raise DataError(f"{self.name}: a recording without stems; use data with stems")
        if key not in self.keys:
            there = ", ".join(map(name_stem, self.keys))
            raise DataError(f"{self.name}: no stem {name_stem(key)}; there are {there}")
        return self._open_map(f"audio_{name_stem(key)}")[: self.n_samples]

    def recording(self) -> NDArray[np.float32]:
        """The mixture of a song without stems, read-only memory map float32 [n_samples]."""
        return self._open_map(f"audio_{name_stem(RECORDING)}")[: self.n_samples]

    def score(self) -> NDArray[np.float32] | None:
        """Score of a song without stems, [N, J] in Hz, 16-ms steps of its own time; or None."""
        path = self.folder / SCORE
        return np.load(path) if path.is_file() else None

    def _choose_kind(self, kind: str) -> str:
        """F0 that lies beside a recording takes the place of what would be estimated from it."""
        given = kind == "estimated" and not self.has_stems and bool(self._mixtures)
        return "cached" if given else kind

    def has_f0(self, keys: Sequence[StemKey], kind: str) -> bool:
        """Whether `f0(keys, kind)` would succeed."""
        kind = self._choose_kind(kind)
        if kind == "cached":
            return frozenset(keys) in self._mixtures or bool(self.entry["exact"])
        if kind == "estimated":
            shape = (self.n_frames, len(keys))
            return self.estimator is not None and has_array(self.estimated_path(keys), shape)
        return kind == "stems" and bool(self.entry["stems"])

    def estimated_path(self, keys: Sequence[StemKey]) -> Path:
        """File of the tracks that the estimator found in a mixture: float32 [N, J]."""
        name = name_mixture(self.sort_high_to_low(keys))
        return self.folder / f"f0_estimated_{self.estimator}_{name}.npy"

    def sort_high_to_low(self, keys: Sequence[StemKey]) -> list[StemKey]:
        """Sort stems by their parts, the order in which estimated tracks are stored."""
        return sorted(keys, key=lambda key: self.parts.index(key[0]))

    def f0(
        self, keys: Sequence[StemKey], kind: str, start: int = 0, stop: int | None = None
    ) -> NDArray[np.float32]:
        """F0 tracks of a mixture.

        Args:
            keys: the mixture's stems.
            kind: "cached": the tracks that the data set stores for this mixture, else (where the
                F0 is known from synthesis) the exact tracks of its stems; "stems": estimated
                from the isolated stems; "estimated": by a multi-F0 method from the mixture alone,
                each track for the part that it resembles as a whole, unless the song is a
                recording beside which F0 lies.
            start, stop: frames to return, all by default.

        Returns:
            float32 [stop - start, J] in Hz, columns in the order of `keys`, 0 = silent.

        Raises:
            DataError: there are no such tracks.
        """
        check_kind(kind)
        kind = self._choose_kind(kind)
        stop = self.n_frames if stop is None else stop
        if kind == "cached" and frozenset(keys) in self._mixtures:
            stored, row = self._mixtures[frozenset(keys)]
            tracks = self._open_map(f"f0_cached_{len(stored)}")[row, start:stop]
            return np.array(tracks[:, [stored.index(key) for key in keys]])
        if not self.has_f0(keys, kind):
            remedy = (
                "set data.f0=stems (F0 of the isolated stems)"
                if kind == "cached"
                else f"prepare the data with data.f0={kind}"
            )
            raise DataError(
                f"{self.name}: no {kind} F0 for the mixture {name_mixture(keys)}; {remedy}"
            )
        if kind == "estimated":
            tracks = self._open_map(self.estimated_path(keys).stem)[start:stop]
            stored_keys = self.sort_high_to_low(keys)
            return np.array(tracks[:, [stored_keys.index(key) for key in keys]])
        prefix = "f0_exact" if kind == "cached" else "f0_stems"
        return np.stack(
            [self._open_map(f"{prefix}_{name_stem(k)}")[start:stop] for k in keys], axis=1
        )

    def find_damage(self) -> list[str]:
        """What must be prepared again because files are gone or cut off: "audio", "stems"."""
        # A recording without stems is one sound, whoever sings in it.
        singles = [name_stem(key) for key in (self.keys if self.has_stems else [RECORDING])]
        n_frames = self.n_frames
        arrays = {f"audio_{name}": (self.n_samples,) for name in singles}
        if self.entry["exact"]:
            arrays |= {f"f0_exact_{name}": (n_frames,) for name in singles}
        sizes = self.cached_sizes
        whole = all(
            has_array(self.folder / f"{name}.npy", shape) for name, shape in arrays.items()
        ) and all(
            has_array(self.folder / f"f0_cached_{size}.npy", (n, n_frames, size))
            for size, n in sizes.items()
        )
        if not whole:
            return ["audio", "stems"]
        stems = [self.folder / f"f0_stems_{name}.npy" for name in singles]
        lost = self.entry["stems"] and not all(has_array(path, (n_frames,)) for path in stems)
        return ["stems"] if lost else []

    def _open_map(self, name: str) -> NDArray[np.float32]:
        path = self.folder / f"{name}.npy"
        try:
            return _map_file(path, path.stat().st_mtime_ns)
        except (OSError, ValueError, EOFError) as error:
            raise DataError(
                f"{path}: this file of the prepared data is missing or damaged "
                f"({shorten_reason(error)}); run umss prepare again with the same data"
            ) from error


@functools.lru_cache(maxsize=256)
def _map_file(path: Path, changed: int) -> NDArray[np.float32]:
    """Map an array into memory. Each map holds a file open, so only the latest are kept."""
    # Not np.load, which also opens archives and, told to, pickles.
    array: NDArray[np.float32] = np.lib.format.open_memmap(path, mode="r")
    return array


def has_array(path: Path, shape: tuple[int, ...]) -> bool:
    """Whether a file holds a whole array of 32-bit floats of this shape, or more along axis 0."""
    try:
        stat = path.stat()
        return _measure_array(path, stat.st_mtime_ns, stat.st_size, shape)
    except (OSError, ValueError, EOFError):
        return False


@functools.lru_cache(maxsize=100_000)
def _measure_array(path: Path, changed: int, size: int, shape: tuple[int, ...]) -> bool:
    array = np.lib.format.open_memmap(path, mode="r")
    return (
        array.dtype == np.float32
        and len(array.shape) == len(shape)
        and len(array) >= shape[0]
        and array.shape[1:] == shape[1:]
    )


class PreparedSet:
    """The prepared songs of a data set.

    Args:
        folder: folder of the data set.
        index: its index.
        estimator: see `PreparedSong`.

    Attributes:
        name: reader's name.
        license: licence of the data.
        songs: prepared songs, in the reader's order.
    """

    def __init__(
        self, folder: Path, index: dict[str, Any], *, estimator: str | None = None
    ) -> None:
        self.folder = folder
        self.name: str = index["reader"]
        self.license: str = index["license"]
        entries = sorted(index["songs"].values(), key=lambda entry: entry["position"])
        self.songs = [
            PreparedSong(folder / entry["folder"], entry, estimator=estimator) for entry in entries
        ]

    @classmethod
    def open(cls, folder: str | Path, *, estimator: str | None = None) -> PreparedSet:
        """Open a folder written by `prepare`.

        Raises:
            DataError: there is no complete preparation.
        """
        index = read_index(Path(folder))
        if index is None:
            raise DataError(f"{folder}: not prepared; run umss prepare first")
        return cls(Path(folder), index, estimator=estimator)

    def song(self, name: str) -> PreparedSong:
        """The song of that name.

        Raises:
            DataError: it is not prepared.
        """
        for song in self.songs:
            if song.name == name:
                return song
        raise DataError(f"{self.name}: song {name!r} is not prepared in {self.folder}")
