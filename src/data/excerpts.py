"""Excerpts of mixtures: what training, validation and test iterate over.

Rules of the paper (section V) and its reference implementation: training draws random 4-s
excerpts within 10-s parts of the songs, starting on the 16-ms grid; validation and test use
consecutive 4-s excerpts. Mixture and sources are divided by the mixture's peak.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any, TypedDict

import numpy as np
import torch
from torch.utils.data import Dataset

from ..errors import UmssError
from .mixtures import Mixture, Singers, choose_mixtures, find_full_mix_keys
from .readers.base import HOP, RATE, DataError
from .store import PreparedSong

log = logging.getLogger(__name__)

Regions = Mapping[str, tuple[int, int]]
"""{song: (first sample, end)}; songs not named are used as a whole."""
PART_SAMPLES = 10 * RATE


class Item(TypedDict):
    """One excerpt of one mixture; T samples, J sources, N frames.

    mixture [T] and sources [J, T] (highest first) are divided by max |mixture|, f0 is [J, N] in
    Hz (0 = silent). `full_mix_peak` is the peak of all parts sung together, at the same scale.
    """

    mixture: torch.Tensor
    sources: torch.Tensor
    f0: torch.Tensor
    seed: torch.Tensor
    song: str
    mixture_name: str
    excerpt: int
    start: int
    parts: tuple[str, ...]
    singers: tuple[str, ...]
    full_mix_peak: float


def load_item(
    song: PreparedSong,
    mixture: Mixture,
    start: int,
    length: int,
    kind: str,
    seed: int,
    excerpt: int,
) -> Item:
    """Cut one excerpt out of the memory maps.

    Args:
        song, mixture: the song and the singers.
        start: first sample, a multiple of 256.
        length: T, samples.
        kind: kind of F0, see `PreparedSong.f0`.
        seed: seed of random numbers for this item.
        excerpt: the excerpt's number.
    """
    stop = start + length
    sources = np.stack([song.audio(key)[start:stop] for key in mixture.keys])
    mix = sources.sum(axis=0)
    everybody = mix + sum(
        song.audio(key)[start:stop]
        for key in find_full_mix_keys(song, mixture)
        if key not in mixture.keys
    )
    scale = float(np.abs(mix).max()) or 1.0
    first = start // HOP
    f0 = song.f0(mixture.keys, kind, first, first - (-length // HOP))
    return Item(
        mixture=torch.from_numpy(mix / np.float32(scale)),
        sources=torch.from_numpy(sources / np.float32(scale)),
        f0=torch.from_numpy(np.ascontiguousarray(f0.T)),
        seed=torch.tensor(seed, dtype=torch.int64),
        song=song.name,
        mixture_name=mixture.name,
        excerpt=excerpt,
        start=start,
        parts=tuple(part for part, _ in mixture.keys),
        singers=tuple(singer for _, singer in mixture.keys),
        full_mix_peak=float(np.abs(everybody).max()) / scale,
    )


def collate(items: Sequence[Item]) -> dict[str, Any]:
    """Stack items to a batch: tensors and numbers become tensors [B, ...], text becomes lists."""
    batch: dict[str, Any] = {}
    for key in items[0]:
        values: list[Any] = [item[key] for item in items]  # type: ignore[literal-required]
        if isinstance(values[0], torch.Tensor):
            batch[key] = torch.stack(values)
        elif isinstance(values[0], (int, float)):
            batch[key] = torch.tensor(values)
        else:
            batch[key] = values
    return batch


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
            raise DataError(explain_too_short(songs, excerpt_samples))

    def __len__(self) -> int:
        return len(self._parts) * self.per_part

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
            raise DataError(explain_too_short(songs, (first_excerpt + 1) * excerpt_samples))

    def __len__(self) -> int:
        return len(self._items)

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


def explain_too_short(songs: Sequence[PreparedSong], samples: int) -> str:
    """Explain that no song has a stretch of this many samples."""
    names = ", ".join(song.name for song in songs)
    return f"{names}: no stretch is as long as the {samples / RATE:g} s that are needed"
