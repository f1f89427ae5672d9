"""Training mixtures of the salience network: random mixtures of stems of prepared songs.

They vary in what differs between recordings of choirs: number of singers, voices, levels, room and
microphone. Most mixtures keep the chords of a song, because coinciding partials make the task hard.
The rest combine unrelated stems, so that the network does not learn harmony.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import soxr
import torch
from numpy.typing import NDArray
from scipy.signal import oaconvolve
from torch import Tensor
from torch.utils.data import Dataset

from ..dsp.tracks import HOP, RATE
from ..f0.contours import F0Contours
from .store import PreparedSong

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


@dataclass(frozen=True)
class Variation:
    """How mixtures vary; probabilities, ranges and standard deviations.

    Attributes:
        n_singers: relative frequency of 1, 2, ... singers.
        free: probability of a mixture of unrelated stems.
        double: probability of a second singer in a part, where the song has one.
        speed: largest change of speed (pitch and formants move with it), octaves.
        level: standard deviation of a singer's level, dB.
        tilt: standard deviation of the random equalisation, dB.
        room: probability of a room around the mixture.
        noise: probability of background noise.
        empty: probability of noise without singers.
    """

    n_singers: tuple[float, ...] = (1, 3, 4, 8, 2, 1)
    free: float = 0.25
    double: float = 0.1
    speed: float = 0.25
    level: float = 3.5
    tilt: float = 3.0
    room: float = 0.5
    noise: float = 0.5
    empty: float = 0.02


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
        seconds: float = 3.0,
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
        weights = np.array(vary.n_singers, dtype=np.float64)
        n_singers = 1 + int(rng.choice(len(weights), p=weights / weights.sum()))
        # Doubled singers are added to those that were drawn.
        f0 = np.zeros((2 * len(weights), self.n_frames), dtype=np.float32)
        mix = np.zeros(self.n_frames * HOP, dtype=np.float32)
        if rng.random() >= vary.empty:
            for j, (voice, pitch) in enumerate(self._draw_voices(n_singers, rng)):
                mix += _set_level(voice, pitch, rng.normal(0.0, vary.level))
                f0[j] = pitch
        if rng.random() < vary.room:
            mix = _place(mix, rng)
        if rng.random() < vary.noise or not f0.any():
            mix = _add_noise(mix, rng)
        return torch.from_numpy(mix), torch.from_numpy(f0)

    def _draw_voices(
        self, n_singers: int, rng: Rng
    ) -> list[tuple[NDArray[np.float32], NDArray[np.float32]]]:
        """Draw stems [T] and F0 [N] (Hz) of the singers of one mixture."""
        speed = 2.0 ** rng.uniform(-self.variation.speed, self.variation.speed)
        voices: list[tuple[NDArray[np.float32], NDArray[np.float32]]] = []
        free = rng.random() < self.variation.free
        while len(voices) < n_singers:
            pool = self.pools[int(rng.choice(len(self.pools), p=self.shares))]
            song = pool.songs[int(rng.integers(len(pool.songs)))]
            length = int(np.ceil(self.n_frames * speed)) + 1
            start = int(rng.integers(max(1, song.n_frames - length)))
            parts = [song.parts[p] for p in rng.permutation(len(song.parts))]
            for part in parts[: 1 if free else n_singers - len(voices)]:
                singers = [
                    singer
                    for p, singer in song.keys
                    if p == part and (pool.singers is None or singer in pool.singers)
                ]
                several = 2 if rng.random() < self.variation.double else 1
                for singer in rng.permutation(singers)[:several]:
                    audio = song.audio((part, str(singer)))[start * HOP : (start + length) * HOP]
                    stop = min(start + length, song.n_frames)
                    pitch = song.f0([(part, str(singer))], pool.f0, start, stop)[:, 0]
                    voices.append(self._play_at_speed(audio, pitch, speed, rng))
            if free:
                speed = 2.0 ** rng.uniform(-self.variation.speed, self.variation.speed)
        return voices

    def _play_at_speed(
        self, audio: NDArray[np.float32], pitch: NDArray[np.float32], speed: float, rng: Rng
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Play a stem faster: [T] samples and [N] frames, F0 multiplied by `speed`."""
        n_samples = self.n_frames * HOP
        samples = soxr.resample(np.asarray(audio, dtype=np.float32), RATE * speed, RATE)
        samples = np.pad(samples[:n_samples], (0, max(0, n_samples - len(samples))))
        times = np.arange(self.n_frames) * HOP / RATE * speed
        track = F0Contours.on_grid(pitch[:, None], ("voice",)).resample(times).f0[:, 0] * speed
        return _equalise(samples, rng, self.variation.tilt), track


def _set_level(
    voice: NDArray[np.float32], pitch: NDArray[np.float32], decibels: float
) -> NDArray[np.float32]:
    """Scale a singer to `decibels` above the standard level, measured in voiced frames."""
    singing = np.repeat(pitch > 0, HOP)
    power = float(np.mean(np.square(voice[singing]))) if singing.any() else 0.0
    if power < 1e-12:
        return np.zeros_like(voice)
    return voice * np.float32(0.1 * 10 ** (decibels / 20) / np.sqrt(power))


def _equalise(audio: NDArray[np.float32], rng: Rng, spread: float) -> NDArray[np.float32]:
    """Apply a smooth random frequency response: five points, 60 Hz to 8 kHz, joined in log f."""
    spectrum = np.fft.rfft(audio)
    frequency = np.fft.rfftfreq(len(audio), 1 / RATE)
    points = np.geomspace(60.0, 8000.0, 5)
    gain = np.interp(np.log(frequency + 1.0), np.log(points), rng.normal(0.0, spread, 5))
    return np.fft.irfft(spectrum * 10 ** (gain / 20), len(audio)).astype(np.float32)


def _place(audio: NDArray[np.float32], rng: Rng) -> NDArray[np.float32]:
    """Add reverberation: exponentially decaying noise after the direct sound."""
    decay = rng.uniform(0.3, 1.8)
    time = np.arange(int(0.8 * decay * RATE)) / RATE
    tail = rng.standard_normal(len(time)) * 10 ** (-3 * time / decay)
    tail[: int(rng.uniform(0.002, 0.03) * RATE)] = 0.0
    tail *= 10 ** (rng.uniform(-18.0, -3.0) / 20) / np.linalg.norm(tail)
    tail[0] = 1.0
    return oaconvolve(audio, tail)[: len(audio)].astype(np.float32)


def _add_noise(audio: NDArray[np.float32], rng: Rng) -> NDArray[np.float32]:
    """Add white to brown noise, 15 to 55 dB below the signal."""
    spectrum = np.fft.rfft(rng.standard_normal(len(audio)))
    bins = np.arange(len(spectrum)) + 20.0
    noise = np.fft.irfft(spectrum * bins ** -rng.uniform(0.0, 1.0), len(audio))
    level = float(np.sqrt(np.mean(np.square(audio)))) or 0.1
    gain = level * 10 ** (-rng.uniform(15.0, 55.0) / 20) / np.sqrt(np.mean(noise**2))
    return audio + (gain * noise).astype(np.float32)
