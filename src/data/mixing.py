"""Dynamic mixing: new training mixtures of any voices, with different numbers of singers.

The songs' own mixtures (`src.data.excerpts.TrainExcerpts`) are few, all have the same J, and their
voices have a fixed key, tempo and balance. Here every item is a new mixture: voices of one song at
one time, or of independent songs and times; optionally transposed, with random gains and in a room.
J is drawn for a whole batch by
`src.data.sampler.EnsembleSampler`, so that one model learns all ensembles from duet to sextet.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from torch.utils.data import Dataset

from .excerpts import (
    Regions,
    draw_start,
    explain_too_short,
    find_usable_region,
    split_parts,
)
from .items import Item
from .mixtures import Singers, check_singers, choose_singers
from .readers.base import HOP, RATE, DataError, StemKey
from .room import Room, reverberate
from .store import PreparedSong
from .voices import (
    NORMAL_SPEED,
    Voice,
    build_mixed_item,
    count_samples,
    find_speed,
    read_audio,
    read_f0,
)

log = logging.getLogger(__name__)

MAX_GAIN_DB = 60.0
MAX_SEMITONES = 12.0


@dataclass(frozen=True)
class Mixing:
    """Settings of dynamic mixing (`data.mixing`).

    Args:
        n_singers: the J to train on, one per batch; None = no dynamic mixing. A number given twice
            is drawn twice as often.
        same_song: share of the mixtures whose voices are sung in one song at one time: one singer
            per part as far as there are parts, then further singers of these parts (unison), then,
            where the song has no more, stems of other songs. The voices of all other mixtures come
            from independent stems and times.
        pitch_semitones: stems are transposed by playing them faster or slower, uniform within +-
            this, in semitones; voices of one song at one time by the same interval. F0 and
            formants move together.
        room: rooms around the voices; None = none.
        gain_db: every voice gets a gain, uniform within +- this, in dB.

    Raises:
        DataError: values out of range.
    """

    n_singers: Sequence[int] | None = None
    same_song: float = 0.7
    gain_db: float = 6.0
    pitch_semitones: float = 0.0
    room: Room | None = None

    def __post_init__(self) -> None:
        if self.n_singers is not None:
            sizes = self.n_singers
            if isinstance(sizes, (int, str)) or not sizes:
                raise DataError(
                    f"data.mixing.n_singers={sizes}: expected a list, e.g. [2, 3, 4], or null"
                )
            if not all(isinstance(j, int) and not isinstance(j, bool) and j >= 1 for j in sizes):
                raise DataError(f"data.mixing.n_singers={list(sizes)}: whole numbers from 1 on")
            object.__setattr__(self, "n_singers", tuple(sizes))
        if not 0 <= self.same_song <= 1:
            raise DataError(f"data.mixing.same_song={self.same_song}: must lie between 0 and 1")
        if not 0 <= self.gain_db <= MAX_GAIN_DB:
            raise DataError(
                f"data.mixing.gain_db={self.gain_db}: must lie between 0 and {MAX_GAIN_DB:g} dB"
            )
        if not 0 <= self.pitch_semitones <= MAX_SEMITONES:
            raise DataError(
                f"data.mixing.pitch_semitones={self.pitch_semitones}: must lie between 0 and "
                f"{MAX_SEMITONES:g}"
            )

    def check(self, *, f0: str, cross_singers: bool) -> None:
        """Refuse settings of the data set that contradict mixing.

        Raises:
            DataError: F0 that belongs to mixtures, or singers that must not be combined.
        """
        if not self.n_singers:
            return
        if f0 == "estimated":
            raise DataError(
                "data.mixing.n_singers needs F0 of single voices, which data.f0=estimated has "
                "not; set data.f0=stems, or data.mixing.n_singers=null"
            )
        if not cross_singers:
            raise DataError(
                "data.mixing.n_singers combines any singers, data.cross_singers=false forbids it; "
                "set one of them to null or true"
            )


class MixedExcerpts(Dataset[Item]):
    """Training excerpts by dynamic mixing: k per 10-s part of every song and epoch.

    An item is addressed by (epoch, index, J) and drawn from a generator seeded with (seed, epoch,
    index), as in `TrainExcerpts`. Its sources are ordered by mean F0, the highest first (silent
    ones last): parts of different songs have no order of their own. `song`, `mixture_name`,
    `parts` and `singers` name what was drawn, `start` and `excerpt` the place of the first voice
    drawn, and `full_mix_peak` is the peak of the mixture, which has no other parts.

    Args:
        songs: prepared songs.
        kind: kind of F0, see `PreparedSong.f0`; only stems that have it on their own are used.
        mixing: how to mix; its `n_singers` is needed.
        seed: seed of all draws.
        per_part: k.
        singers: singers to use, see `src.data.mixtures.Singers`.
        regions: stretches of the songs to use.
        excerpt_samples: T.

    Raises:
        DataError: no stem with this F0, fewer stems than the largest J, or no song long enough.
    """

    def __init__(
        self,
        songs: Sequence[PreparedSong],
        kind: str,
        mixing: Mixing,
        *,
        seed: int = 0,
        per_part: int = 4,
        singers: Singers = None,
        regions: Regions | None = None,
        excerpt_samples: int = 4 * RATE,
    ) -> None:
        self.kind = kind
        self.mixing = mixing
        self.seed = seed
        self.per_part = per_part
        self.excerpt_samples = excerpt_samples
        check_singers(songs, singers)
        self._parts: list[tuple[PreparedSong, int, int]] = []
        self._regions: dict[str, tuple[int, int]] = {}
        self._keys: dict[str, list[StemKey]] = {}
        self._stems: list[tuple[PreparedSong, StemKey]] = []
        long_enough = False
        for song in songs:
            begin, end = find_usable_region(song, regions, excerpt_samples)
            long_enough |= end > begin
            keys = _find_usable_keys(song, kind, singers)
            if end > begin and keys:
                self._regions[song.name] = (begin, end)
                self._keys[song.name] = keys
                self._stems += [(song, key) for key in keys]
                self._parts += [(song, *part) for part in split_parts(begin, end)]
        if not long_enough:
            raise DataError(explain_too_short(songs, excerpt_samples))
        most = max(mixing.n_singers or (1,))
        if len(self._stems) < most:
            names = ", ".join(song.name for song in songs)
            raise DataError(
                f"data.mixing.n_singers asks for {most} voices, but only {len(self._stems)} stems "
                f"of {names} have {kind} F0 of their own; "
                + ("set data.f0=stems" if kind == "cached" else "train on more songs or singers")
                + ", or ask for fewer"
            )
        lengths = [self._regions[song.name] for song, _ in self._stems]
        self._weights = np.array([end - begin for begin, end in lengths], dtype=np.float64)

    def __len__(self) -> int:
        return len(self._parts) * self.per_part

    def __getitem__(self, address: tuple[int, int, int]) -> Item:
        epoch, index, n_singers = address
        if not 0 <= index < len(self):
            raise IndexError(f"item {index} of {len(self)}")
        rng = np.random.default_rng([self.seed, epoch, index])
        seed = int(rng.integers(2**63 - 1))
        song, first, last = self._parts[index // self.per_part]
        if rng.random() < self.mixing.same_song:
            voices = self._draw_together(rng, song, (first, last), n_singers)
        else:
            voices = self._draw_apart(rng, n_singers)
        gains = 10 ** (rng.uniform(-1, 1, n_singers) * self.mixing.gain_db / 20)
        room = self.mixing.room
        responses = None if room is None else room.draw(n_singers, rng)
        lead = 0 if responses is None else responses.shape[1] - 1
        sources = np.stack([read_audio(voice, self.excerpt_samples, lead) for voice in voices])
        if responses is not None:
            sources = reverberate(sources, responses)
        sources *= gains[:, None].astype(np.float32)
        n_frames = -(-self.excerpt_samples // HOP)
        f0 = np.stack([read_f0(voice, self.kind, n_frames) for voice in voices])
        return build_mixed_item(voices, sources, f0, seed)

    def _draw_place(self, rng: np.random.Generator, first: int, last: int) -> tuple[int, int]:
        """Draw a start within a stretch, and the speed of playback from there."""
        speed = NORMAL_SPEED
        if self.mixing.pitch_semitones > 0:
            speed = find_speed(rng.uniform(-1, 1) * self.mixing.pitch_semitones)
            # A short stretch must not be played so fast that it ends before the excerpt.
            speed = min(speed, (last - first) * NORMAL_SPEED // self.excerpt_samples)
        return draw_start(rng, first, last, count_samples(self.excerpt_samples, speed)), speed

    def _draw_together(
        self,
        rng: np.random.Generator,
        song: PreparedSong,
        part: tuple[int, int],
        n_singers: int,
    ) -> list[Voice]:
        """Draw voices of one song at one time; if it has too few, also voices of other songs."""
        start, speed = self._draw_place(rng, *part)
        keys = [self._keys[song.name][i] for i in rng.permutation(len(self._keys[song.name]))]
        # The first key of every part, in random order of parts and singers; then the unisons.
        leaders = list({part: (part, singer) for part, singer in reversed(keys)}.values())
        leaders = [leaders[i] for i in rng.permutation(len(leaders))]
        others = [key for key in keys if key not in leaders]
        region = self._regions[song.name]
        voices = [Voice(song, key, start, region, speed) for key in (leaders + others)[:n_singers]]
        return voices + self._draw_apart(rng, n_singers - len(voices), without=song)

    def _draw_apart(
        self, rng: np.random.Generator, n_voices: int, *, without: PreparedSong | None = None
    ) -> list[Voice]:
        """Draw different stems at independent times; longer stems are drawn more often."""
        if n_voices == 0:
            return []
        weights = self._weights.copy()
        if without is not None:
            weights[[song.name == without.name for song, _ in self._stems]] = 0
        chosen = rng.choice(
            len(self._stems), size=n_voices, replace=False, p=weights / weights.sum()
        )
        voices = []
        for song, key in (self._stems[i] for i in chosen):
            region = self._regions[song.name]
            start, speed = self._draw_place(rng, *region)
            voices.append(Voice(song, key, start, region, speed))
        return voices


def _find_usable_keys(song: PreparedSong, kind: str, singers: Singers) -> list[StemKey]:
    """Find stems of the chosen singers that have F0 of their own, not only in mixtures."""
    wanted = choose_singers(song, singers)
    allowed = None if wanted is None else {str(singer) for singer in wanted}
    keys = [key for key in song.keys if allowed is None or key[1] in allowed]
    usable = [key for key in keys if song.has_f0((key,), kind)]
    if len(usable) < len(keys):
        log.warning(
            "%s: %d of %d stems have no %s F0 of their own and are left out",
            song.name, len(keys) - len(usable), len(keys), kind,
        )  # fmt: skip
    return usable
