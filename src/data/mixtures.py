"""Mixtures of J singers from prepared songs.

Rule of the paper (section V): for J below the number of parts every combination of J parts, one
singer each.
"""

from __future__ import annotations

import itertools
import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .readers.base import DataError, StemKey
from .store import PreparedSong, name_mixture

log = logging.getLogger(__name__)

Singers = Collection[int | str] | Mapping[str, Collection[int | str]] | None
"""Singers to use: None = all, a list for all songs, or {song: list}."""


@dataclass(frozen=True)
class Mixture:
    """J stems of one song, highest part first."""

    song: str
    keys: tuple[StemKey, ...]

    @property
    def name(self) -> str:
        """E.g. "soprano_1+alto_2"."""
        return name_mixture(self.keys)


def list_mixtures(
    song: PreparedSong,
    n_singers: int,
    *,
    singers: Collection[int | str] | None = None,
    cross_singers: bool = False,
) -> list[Mixture]:
    """List all mixtures of J singers of a song, one singer per part, parts from highest to lowest.

    A recording without stems is one mixture, of as many singers as it has.

    Args:
        song: the song.
        n_singers: J.
        singers: singers that may take part; None = all.
        cross_singers: combine any singer of one part with any of another; otherwise all parts of
            a mixture are sung by the same singer number (where a part has one singer only, by it).
    """
    if not song.has_stems:
        return [Mixture(song.name, song.keys)]
    allowed = None if singers is None else {str(singer) for singer in singers}
    by_part = {
        part: [
            singer
            for p, singer in song.keys
            if p == part and (allowed is None or singer in allowed)
        ]
        for part in song.parts
    }
    soloists = all(len(choices) <= 1 for choices in by_part.values())
    found = []
    for parts in itertools.combinations(song.parts, n_singers):
        for choice in itertools.product(*(by_part[part] for part in parts)):
            if cross_singers or soloists or len(set(choice)) == 1:
                found.append(Mixture(song.name, tuple(zip(parts, choice, strict=True))))
    return found


def find_full_mix_keys(song: PreparedSong, mixture: Mixture) -> tuple[StemKey, ...]:
    """Find the stems of the full mix: the mixture's, and the other parts by its first singer."""
    own = {part: singer for part, singer in mixture.keys}
    keys = []
    for part in song.parts:
        available = [singer for p, singer in song.keys if p == part]
        leader = mixture.keys[0][1]
        keys.append((part, own.get(part) or (leader if leader in available else available[0])))
    return tuple(keys)


def mix(song: PreparedSong, mixture: Mixture) -> NDArray[np.float32]:
    """Mix the whole song from the stems of these singers, float32 [T], scaled to peak 1.

    Of a song without stems, the recording.
    """
    if song.has_stems:
        audio = np.stack([song.audio(key) for key in mixture.keys]).sum(axis=0)
    else:
        audio = song.recording()
    scaled: NDArray[np.float32] = audio / np.float32(np.abs(audio).max(initial=0.0) or 1.0)
    return scaled


def find_mixtures(
    songs: Sequence[PreparedSong],
    n_singers: int,
    singers: Singers = None,
    cross_singers: bool = False,
) -> list[tuple[PreparedSong, list[Mixture]]]:
    """Find the mixtures of every song, with or without F0; a song may have none.

    Raises:
        DataError: singers that no song has, or songs with fewer than J parts only.
    """
    check_singers(songs, singers)
    with_stems = [song for song in songs if song.has_stems]
    most = max((len(song.parts) for song in with_stems), default=0)
    if (with_stems or not songs) and not 1 <= n_singers <= most:
        raise DataError(
            f"n_singers={n_singers}: the songs have at most {most} parts; choose 1 to {most}"
        )
    return [
        (
            song,
            list_mixtures(
                song, n_singers, singers=choose_singers(song, singers), cross_singers=cross_singers
            ),
        )
        for song in songs
    ]


def choose_mixtures(
    songs: Sequence[PreparedSong],
    n_singers: int,
    kind: str,
    singers: Singers = None,
    cross_singers: bool = False,
) -> list[tuple[PreparedSong, list[Mixture]]]:
    """Choose the mixtures that have the wanted kind of F0; songs without any are left out.

    Raises:
        DataError: singers that no song has, songs with fewer than J parts only, or no F0 at all.
    """
    chosen, n_found = [], 0
    for song, found in find_mixtures(songs, n_singers, singers, cross_singers):
        usable = [mixture for mixture in found if song.has_f0(mixture.keys, kind)]
        n_found += len(found)
        if not found:
            log.warning("%s: no mixture of %d singers; the song is left out", song.name, n_singers)
        elif 0 < len(usable) < len(found):
            log.warning(
                "%s: %d of %d mixtures of %d singers have no %s F0 and are left out",
                song.name, len(found) - len(usable), len(found), n_singers, kind,
            )  # fmt: skip
        if usable:
            chosen.append((song, usable))
    if not chosen:
        names = ", ".join(song.name for song in songs)
        if n_found == 0:
            raise DataError(
                f"{names}: no singer sings all the parts of a mixture of {n_singers}; set "
                "data.cross_singers=true (training) or choose other data.singers"
            )
        sizes = sorted({size for song in songs for size in song.cached_sizes})
        raise DataError(
            f"{names}: none of the {n_found} mixtures of {n_singers} singers has {kind} F0"
            + (f" (there is some for n_singers={sizes})" if kind == "cached" and sizes else "")
            + ("; set data.f0=stems" if kind == "cached" else f"; prepare with data.f0={kind}")
        )
    return chosen


def choose_singers(song: PreparedSong, singers: Singers) -> Collection[int | str] | None:
    """Choose the singers of one song; None = all."""
    return singers.get(song.name) if isinstance(singers, Mapping) else singers


def choose_training_singers(
    songs: Sequence[PreparedSong], singers: Singers, held_out: Collection[int | str] | None
) -> Singers:
    """Choose the singers for training: the configured ones without those held out for validation.

    Raises:
        DataError: no singer is left.
    """
    if not held_out:
        return singers
    absent = {str(singer) for singer in held_out}
    if isinstance(singers, Mapping):
        return {
            name: [singer for singer in chosen if str(singer) not in absent]
            for name, chosen in singers.items()
        }
    everyone = singers or sorted({singer for song in songs for _, singer in song.keys})
    left = [singer for singer in everyone if str(singer) not in absent]
    if not left:
        raise DataError(
            f"data.val_singers={sorted(absent)} leaves no singer for training of {everyone}"
        )
    return left


def check_singers(songs: Sequence[PreparedSong], singers: Singers) -> None:
    """Check a choice of singers.

    Raises:
        DataError: malformed choice, or singers or songs that do not exist.
    """
    if isinstance(singers, (str, int)):
        raise DataError(f"data.singers={singers}: expected a list, e.g. data.singers=[{singers}]")
    if isinstance(singers, Mapping):
        unknown = set(singers) - {song.name for song in songs}
        if unknown:
            names = ", ".join(song.name for song in songs)
            raise DataError(
                f"data.singers names unknown songs {sorted(unknown)}; there are {names}"
            )
        for song in songs:
            check_singers([song], singers.get(song.name))
        return
    if singers is not None:
        wanted = {str(singer) for singer in singers}
        available = {singer for song in songs for _, singer in song.keys}
        if missing := sorted(wanted - available):
            names = ", ".join(song.name for song in songs)
            raise DataError(
                f"data.singers: no singer {', '.join(missing)} in {names}; available: "
                f"{', '.join(sorted(available))}"
            )
