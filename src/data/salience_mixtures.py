"""Training mixtures of the salience network: random mixtures of stems of prepared songs.

They vary in what differs between recordings of voices: number of singers, voices, sections, levels,
rooms, microphones and what else sounds (`Variation`). Many mixtures keep the chords of a song,
because coinciding partials make the task hard. The rest combine unrelated stems, so that the
network does not learn harmony. A mixture that has a room begins in the middle of the reverberation
of what was sung before.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from ..dsp.tracks import HOP, RATE
from .bystanders import applaud, play_accompaniment, speak
from .capture import (
    add_below,
    draw_noise,
    draw_noise_room,
    draw_shoebox_room,
    equalise,
    limit_band,
    overdrive,
    reverberate_one,
)
from .salience_variation import Variation
from .salience_voices import Voice, find_centres, move_formants, multiply, play_at_speed
from .store import PreparedSong

Audio = NDArray[np.float32]
Rng = np.random.Generator


@dataclass(frozen=True)
class Pool:
    """A set of songs from which mixtures are drawn.

    Attributes:
        songs: prepared songs.
        f0: kind of their F0: "cached" where that is exact, else "stems".
        singers: singers that may be drawn, None = all.
        share: relative frequency of this pool among all pools.
    """

    songs: tuple[PreparedSong, ...]
    f0: str = "cached"
    singers: tuple[str, ...] | None = None
    share: float = 1.0


class SalienceMixtures(Dataset[tuple[Tensor, Tensor]]):
    """Mixtures [T] and their F0 [J_max, N]; item (epoch, index) is always the same.

    Args:
        pools: songs to mix from.
        n_items: mixtures per epoch.
        seconds: length of a mixture.
        seed: seed of everything random.
        variation: how mixtures vary.
        fixed: serve the same mixtures in every epoch, for validation.
    """

    def __init__(
        self,
        pools: Sequence[Pool],
        *,
        n_items: int,
        seconds: float = 2.0,
        seed: int = 0,
        variation: Variation | None = None,
        fixed: bool = False,
    ) -> None:
        self.pools = list(pools)
        shares = np.array([pool.share for pool in pools])
        self.shares = shares / shares.sum()
        self.n_items = n_items
        self.n_frames = round(seconds * RATE / HOP)
        self.seed = seed
        self.fixed = fixed
        self.variation = variation or Variation()

    def __len__(self) -> int:
        return self.n_items

    def __getitem__(self, address: tuple[int, int]) -> tuple[Tensor, Tensor]:
        epoch, index = address
        rng = np.random.default_rng([self.seed, 0 if self.fixed else epoch, index])
        vary = self.variation
        in_room = rng.random() < vary.room
        before = round(vary.before * RATE / HOP) if in_room else 0
        n_frames = before + self.n_frames
        voices: list[Voice] = []
        if rng.random() >= vary.empty:
            weights = np.array(vary.n_singers, dtype=np.float64)
            n_singers = 1 + int(rng.choice(len(weights), p=weights / weights.sum()))
            voices = self._draw_voices(n_singers, n_frames, rng)
            voices = [self._vary_voice(voice, rng) for voice in voices]
        mix = self._mix(voices, n_frames, rng, in_room=in_room)
        f0 = np.zeros((self._most_voices, n_frames), dtype=np.float32)
        for j, voice in enumerate(voices):
            f0[j] = voice.f0
        mix = self._disturb(mix, f0, rng)[before * HOP :]
        return torch.from_numpy(mix), torch.from_numpy(f0[:, before:])

    @property
    def _most_voices(self) -> int:
        """Count the rows of F0: singers, second ones of their parts, and a parallel voice."""
        return 2 * len(self.variation.n_singers) + 1

    def _draw_voices(self, n_singers: int, n_frames: int, rng: Rng) -> list[Voice]:
        """Draw the singers of one mixture."""
        vary = self.variation
        speed = self._draw_speed(rng)
        voices: list[Voice] = []
        free = rng.random() < vary.free
        while len(voices) < n_singers:
            pool = self.pools[int(rng.choice(len(self.pools), p=self.shares))]
            song = pool.songs[int(rng.integers(len(pool.songs)))]
            length = math.ceil(n_frames * speed) + 1
            start = int(rng.integers(max(1, song.n_frames - length)))
            parts = [song.parts[p] for p in rng.permutation(len(song.parts))]
            for part in parts[: 1 if free else n_singers - len(voices)]:
                singers = [
                    singer
                    for p, singer in song.keys
                    if p == part and (pool.singers is None or singer in pool.singers)
                ]
                several = 2 if rng.random() < vary.double else 1
                chosen = [
                    play_at_speed(
                        _read(song, (part, str(singer)), pool.f0, start, length), speed, n_frames
                    )
                    for singer in rng.permutation(singers)[:several]
                ]
                if len(chosen) == 2:
                    tracks = find_centres(chosen[0].f0, chosen[1].f0)
                    chosen = [replace(v, f0=f0) for v, f0 in zip(chosen, tracks, strict=True)]
                voices += chosen
            if free:
                speed = self._draw_speed(rng)
        if rng.random() < vary.parallel:
            interval = int(rng.choice(vary.intervals))
            voices.append(play_at_speed(voices[0], 2 ** (interval / 12), n_frames))
        return voices

    def _draw_speed(self, rng: Rng) -> float:
        return float(2.0 ** rng.uniform(-self.variation.speed, self.variation.speed))

    def _vary_voice(self, voice: Voice, rng: Rng) -> Voice:
        """Change the timbre and the level of a voice."""
        vary = self.variation
        if rng.random() < vary.formant_share:
            voice = move_formants(voice, 2.0 ** rng.uniform(-vary.formants, vary.formants))
        audio = equalise(voice.audio, rng, vary.tilt)
        return Voice(_set_level(audio, voice.f0, rng.normal(0.0, vary.level)), voice.f0)

    def _mix(self, voices: list[Voice], n_frames: int, rng: Rng, *, in_room: bool) -> Audio:
        """Sum the voices, as sections or single singers, in a room or without."""
        vary = self.variation
        if rng.random() < vary.section:
            cents = _draw(vary.section_cents, rng)
            low, high = vary.section_size
            voices = [
                multiply(v, int(rng.integers(low, high + 1)), cents, vary.section_seconds, rng)
                for v in voices
            ]
        mix = np.zeros(n_frames * HOP, dtype=np.float32)
        if not in_room or not voices:
            return np.sum([mix, *(voice.audio for voice in voices)], axis=0, dtype=np.float32)
        decay = math.exp(_draw([math.log(seconds) for seconds in vary.decay], rng))
        draw_room = draw_shoebox_room if rng.random() < vary.image else draw_noise_room
        responses = draw_room(decay, _draw(vary.direct, rng), len(voices), rng)
        for voice, response in zip(voices, responses, strict=True):
            mix += reverberate_one(voice.audio, response)
        return mix

    def _disturb(self, mix: Audio, f0: NDArray[np.float32], rng: Rng) -> Audio:
        """Add what nobody sings to a mixture [T], and record it badly."""
        vary = self.variation
        sung = bool(f0.any())
        if not sung and rng.random() < 0.5:
            mix = mix + (speak if rng.random() < 0.5 else applaud)(len(mix), rng)
        if sung and rng.random() < vary.accompaniment:
            played = play_accompaniment(f0, rng)
            mix = add_below(mix, played, _draw(vary.accompaniment_db, rng))
        if rng.random() < vary.noise or not mix.any():
            mix = add_below(mix, draw_noise(len(mix), rng), _draw(vary.noise_db, rng))
        if rng.random() < vary.overdrive:
            mix = overdrive(mix, rng)
        return limit_band(mix, rng) if rng.random() < vary.band else mix


def _draw(bounds: Sequence[float], rng: Rng) -> float:
    """Draw evenly between two bounds."""
    return float(rng.uniform(bounds[0], bounds[1]))


def _read(song: PreparedSong, key: tuple[str, str], kind: str, start: int, length: int) -> Voice:
    """Read `length` frames of a stem, or what is left of it."""
    stop = min(start + length, song.n_frames)
    audio = np.array(song.audio(key)[start * HOP : stop * HOP])
    return Voice(audio, song.f0([key], kind, start, stop)[:, 0])


def _set_level(audio: Audio, f0: NDArray[np.float32], decibels: float) -> Audio:
    """Scale a singer to `decibels` above the standard level, measured in voiced frames."""
    singing = np.repeat(f0 > 0, HOP)
    power = float(np.mean(np.square(audio[singing]))) if singing.any() else 0.0
    if power < 1e-12:
        return np.zeros_like(audio)
    return audio * np.float32(0.1 * 10 ** (decibels / 20) / np.sqrt(power))
