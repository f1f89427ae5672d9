"""Excerpts of mixtures: what training, validation and test iterate over.

Rules of the paper (section V) and its reference implementation: training draws random 4-s
excerpts within 10-s parts of the songs, starting on the 16-ms grid; validation and test use
consecutive 4-s excerpts. Mixture and sources are divided by the mixture's peak.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence

import numpy as np
from torch.utils.data import Dataset

from ..errors import UmssError
from .items import Item, load_item
from .mixtures import Mixture, Singers, choose_mixtures
from .readers.base import HOP, RATE, DataError
from .store import PreparedSong

log = logging.getLogger(__name__)

Regions = Mapping[str, tuple[int, int]]
"""{song: (first sample, end)}; songs not named are used as a whole."""
PART_SAMPLES = 10 * RATE


def list_excerpt_starts(
    begin: int, end: int, length: int, first_excerpt: int = 0, start_offset: int = 0
) -> list[tuple[int, int]]:
    """List (number i, first sample i * length + offset) of consecutive excerpts of a stretch.

    Args:
        begin, end: first sample of the stretch and its end.
        length: of an excerpt, samples.
        first_excerpt: first i.
        start_offset: offset in samples; excerpts that would pass the end are left out.
    """
    starts = [
        (i, begin + i * length + start_offset)
        for i in range(first_excerpt, (end - begin) // length)
    ]
    return [(i, start) for i, start in starts if start + length <= end]


class TrainExcerpts(Dataset[Item]):
    """Random excerpts: k per 10-s part of every song and epoch, each of a random mixture.

    An item is addressed by (epoch, index) and drawn from a generator seeded with (seed, epoch,
    index). There is no state, so resuming is exact and ranks need no communication.

    Args:
        songs: prepared songs.
        n_singers: J.
        kind: kind of F0, see `PreparedSong.f0`; only mixtures that have it are drawn.
        seed: seed of all draws.
        per_part: k, excerpts per part and epoch (paper: 4 for the full set, 12 for the small).
        singers, cross_singers: see `list_mixtures`.
        regions: stretches of the songs to use.
        excerpt_samples: T.

    Raises:
        DataError: no mixture with this F0, or no song long enough.
    """

    def __init__(
        self,
        songs: Sequence[PreparedSong],
        n_singers: int,
        kind: str,
        *,
        seed: int = 0,
        per_part: int = 4,
        singers: Singers = None,
        cross_singers: bool = True,
        regions: Regions | None = None,
        excerpt_samples: int = 4 * RATE,
    ) -> None:
        self.kind = kind
        self.seed = seed
        self.per_part = per_part
        self.excerpt_samples = excerpt_samples
        self._parts: list[tuple[PreparedSong, list[Mixture], int, int]] = []
        for song, mixtures in choose_mixtures(songs, n_singers, kind, singers, cross_singers):
            for first, last in split_parts(*find_usable_region(song, regions, excerpt_samples)):
                self._parts.append((song, mixtures, first, last))
        if not self._parts:
            raise DataError(explain_too_short(songs, excerpt_samples, in_time=regions is not None))

    def __len__(self) -> int:
        return len(self._parts) * self.per_part

    @property
    def sizes(self) -> list[int]:
        """J of every item; songs without stems may differ."""
        counts = [len(mixtures[0].keys) for _, mixtures, _, _ in self._parts]
        return [count for count in counts for _ in range(self.per_part)]

    def __getitem__(self, address: int | tuple[int, int]) -> Item:
        epoch, index = (0, address) if isinstance(address, int) else address
        if not 0 <= index < len(self):
            raise IndexError(f"item {index} of {len(self)}")
        song, mixtures, first, last = self._parts[index // self.per_part]
        rng = np.random.default_rng([self.seed, epoch, index])
        seed = int(rng.integers(2**63 - 1))
        mixture = mixtures[int(rng.integers(len(mixtures)))]
        start = draw_start(rng, first, last, self.excerpt_samples)
        return load_item(
            song,
            mixture,
            start,
            self.excerpt_samples,
            kind=self.kind,
            seed=seed,
            excerpt=start // HOP,
        )


class FixedExcerpts(Dataset[Item]):
    """Validation and test: consecutive excerpts of every mixture, the same in every epoch.

    Excerpt i covers samples T i + start_offset onwards of the song (or of its region).

    Args:
        songs, n_singers, kind, singers, regions, excerpt_samples, seed: see `TrainExcerpts`.
        cross_singers: see `list_mixtures`.
        first_excerpt: first i; the reference test protocol skips excerpt 0.
        start_offset: samples, a multiple of 256; -256 reproduces the reference test protocol,
            whose excerpts start one frame early.

    Raises:
        DataError: no mixture with this F0, or no song long enough.
        UmssError: an offset off the grid, or before the start of the song.
    """

    def __init__(
        self,
        songs: Sequence[PreparedSong],
        n_singers: int,
        kind: str,
        *,
        seed: int = 0,
        singers: Singers = None,
        cross_singers: bool = False,
        regions: Regions | None = None,
        excerpt_samples: int = 4 * RATE,
        first_excerpt: int = 0,
        start_offset: int = 0,
    ) -> None:
        if start_offset % HOP:
            raise UmssError(f"start_offset={start_offset} must be a multiple of {HOP} samples")
        if first_excerpt * excerpt_samples + start_offset < 0:
            raise UmssError(
                f"start_offset={start_offset} begins before the song; set first_excerpt >= 1"
            )
        self.kind = kind
        self.seed = seed
        self.excerpt_samples = excerpt_samples
        self._items: list[tuple[PreparedSong, Mixture, int, int]] = []
        for song, mixtures in choose_mixtures(songs, n_singers, kind, singers, cross_singers):
            begin, end = find_usable_region(song, regions, excerpt_samples)
            starts = list_excerpt_starts(begin, end, excerpt_samples, first_excerpt, start_offset)
            for mixture in mixtures:
                self._items += [(song, mixture, excerpt, start) for excerpt, start in starts]
        if not self._items:
            samples = (first_excerpt + 1) * excerpt_samples
            raise DataError(explain_too_short(songs, samples, in_time=regions is not None))

    def __len__(self) -> int:
        return len(self._items)

    @property
    def sizes(self) -> list[int]:
        """J of every item; songs without stems may differ."""
        return [len(mixture.keys) for _, mixture, _, _ in self._items]

    def __getitem__(self, address: int | tuple[int, int]) -> Item:
        index = address if isinstance(address, int) else address[1]
        song, mixture, excerpt, start = self._items[index]
        seed = int(np.random.default_rng([self.seed, 0, index]).integers(2**63 - 1))
        return load_item(
            song,
            mixture,
            start,
            self.excerpt_samples,
            kind=self.kind,
            seed=seed,
            excerpt=excerpt,
        )


def split_parts(begin: int, end: int) -> list[tuple[int, int]]:
    """Split a stretch into 10-s parts (first sample, end); an empty one has none."""
    n_parts = max(1, (end - begin) // PART_SAMPLES) if end > begin else 0
    firsts = [begin + part * PART_SAMPLES for part in range(n_parts)]
    # The last part also covers the remainder of the stretch.
    return list(zip(firsts, [*firsts[1:], end], strict=True)) if firsts else []


def draw_start(rng: np.random.Generator, first: int, last: int, length: int) -> int:
    """Draw a start on the 16-ms grid from `first` on, so that `length` samples end by `last`."""
    return first + HOP * int(rng.integers((last - length - first) // HOP + 1))


def find_usable_region(
    song: PreparedSong, regions: Regions | None, excerpt: int
) -> tuple[int, int]:
    """Find first sample (on the 16-ms grid) and end of the usable stretch; empty if too short."""
    begin, end = (regions or {}).get(song.name, (0, song.n_samples))
    if end - begin < excerpt:
        log.warning("%s: shorter than one excerpt; left out", song.name)
        return begin, begin
    return begin, end


def explain_too_short(songs: Sequence[PreparedSong], samples: int, *, in_time: bool = False) -> str:
    """Explain that no song has a stretch of this many samples.

    Args:
        songs: all songs.
        samples: length of the stretch that is needed.
        in_time: the songs are divided into training and validation, `data.val_fraction`.
    """
    names = ", ".join(song.name for song in songs[:5]) + ", ..." * (len(songs) > 5)
    divided = " (data.val_fraction divides every song for training and validation)"
    return (
        f"{names}: no stretch is as long as the {samples / RATE:g} s that are needed"
        f"{divided * in_time}; set data.excerpt_seconds lower, or use longer recordings"
    )
