"""Which songs, and which stretches of them, are for training, validation and test."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, Literal

from .readers.base import HOP, DataError, Reader
from .store import PreparedSet, PreparedSong

SongNames = Sequence[str | int] | None

Use = Literal["train", "val", "test"]
STAGES: dict[str | None, tuple[Use, ...]] = {
    "fit": ("train", "val"),
    "validate": ("val",),
    "test": ("test",),
    "predict": ("test",),
    None: ("train", "val", "test"),
}
"""Uses of the data that a stage of Lightning needs."""


@dataclass(frozen=True)
class Split:
    """What the songs are for.

    Attributes:
        train, val, test: names of songs.
        in_time: validation is the end of every training song.
        test_singers: the singers of every test song, where a test set names them; None = those of
            `data.singers`.
    """

    train: tuple[str, ...]
    val: tuple[str, ...]
    test: tuple[str, ...]
    in_time: bool
    test_singers: Mapping[str, Sequence[int]] | None = None


def split_songs(names: Sequence[str], lists: Mapping[str, Any], *, held_out: bool) -> Split:
    """Assign songs to training, validation and test.

    Args:
        names: all songs, in the reader's order.
        lists: "train", "val" and "test", each a list of song names, patterns (`BC_*`) or
            positions in `names`, or None. None for train: all songs that are in no other list; for
            val: the training songs themselves, split in time (or by singer); for test: all songs,
            for data sets that are only used for evaluation.
        held_out: validation holds singers out, so its songs are not split in time.

    Raises:
        DataError: unknown songs or keys, no training song left, or a song in two lists.
    """
    unknown = set(lists) - {"train", "val", "test"}
    if unknown:
        raise DataError(f"data.split: unknown entries {sorted(unknown)}; use train, val and test")
    val = select_songs(names, lists.get("val"), "val")
    test = select_songs(names, lists.get("test"), "test")
    train = select_songs(names, lists.get("train"), "train")
    if train is None:
        taken = {*(val or ()), *(test or ())}
        train = tuple(name for name in names if name not in taken)
        if not train:
            raise DataError(
                f"data.split: no song is left for training of {', '.join(names)}; shorten the "
                "lists val and test"
            )
    for label, other in (("val", val), ("test", test)):
        if both := sorted(set(train) & set(other or ())):
            raise DataError(f"data.split: {', '.join(both)} both in train and in {label}")
    return Split(
        train=train,
        val=train if val is None else val,
        test=tuple(names) if test is None else test,
        in_time=val is None and not held_out,
    )


def choose_test_set(reader: Reader, name: str) -> Mapping[str, Sequence[int]]:
    """Choose a test set that a reader knows by name: {song: singers}.

    Raises:
        DataError: there is none of this name, or the data lack a song or singer of it.
    """
    known = reader.test_sets
    if name not in known:
        names = f"there are {', '.join(known)}" if known else f"data={reader.name} names none"
        raise DataError(f"data.test_set={name}: no such test set; {names}, null takes all songs")
    there = {(song.name, stem.singer) for song in reader.songs() for stem in song.stems}
    missing = [
        f"{song}, singer {singer}"
        for song, singers in known[name].items()
        for singer in singers
        if (song, str(singer)) not in there
    ]
    if missing:
        raise DataError(
            f"data.test_set={name} needs {'; '.join(missing)}, which {reader.location()} does not "
            "have; add the recordings, or choose others with data.singers and data.test_set=null"
        )
    return known[name]


def split_in_time(
    songs: Sequence[PreparedSong], val_fraction: float
) -> tuple[dict[str, tuple[int, int]], dict[str, tuple[int, int]]]:
    """Split songs into training and validation stretches {song: (first sample, end)}.

    The last `val_fraction` of every song is for validation; the boundary lies on the 16-ms grid.
    """
    if not 0 < val_fraction < 1:
        raise DataError(f"data.val_fraction={val_fraction}: must lie between 0 and 1")
    train, val = {}, {}
    for song in songs:
        boundary = round((1 - val_fraction) * song.n_samples / HOP) * HOP
        train[song.name] = (0, boundary)
        val[song.name] = (boundary, song.n_samples)
    return train, val


def divide_songs(
    prepared: PreparedSet, split: Split, val_fraction: float, use: Use
) -> dict[str, tuple[int, int]] | None:
    """Divide the songs of a use in time where no songs are kept for validation; None: no division.

    Args:
        prepared: the songs.
        split: what they are used for.
        val_fraction: see `split_in_time`.
        use: whose stretches {song: (first sample, end)} are wanted.
    """
    if not split.in_time or use == "test":
        return None
    songs = [prepared.song(name) for name in split.val]
    return split_in_time(songs, val_fraction)[use == "val"]


def select_songs(names: Sequence[str], wanted: SongNames, label: str) -> tuple[str, ...] | None:
    """Select names by a list of names, patterns and positions, in the order of `names`."""
    if wanted is None:
        return None
    if isinstance(wanted, str):
        wanted = [wanted]
    picked: set[str] = set()
    for entry in wanted:
        if isinstance(entry, int):
            found = [names[entry]] if -len(names) <= entry < len(names) else []
        else:
            found = [name for name in names if fnmatchcase(name, entry)]
        if not found:
            raise DataError(
                f"data.split: {label} asks for song {entry!r}, which is not there; the songs are "
                f"{', '.join(names)}"
            )
        picked.update(found)
    if not picked:
        raise DataError(f"data.split: the list {label} is empty; use null for the default")
    return tuple(name for name in names if name in picked)
