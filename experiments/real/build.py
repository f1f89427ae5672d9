"""From a row of rows.yaml to its mixture and the stems that are wanted back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.signal import fftconvolve

from experiments.real.plan import Beside, Room, Row, Singer
from experiments.real.rooms import (
    SIZES,
    compute_images,
    draw_noise_room,
    pan,
    place_microphones,
    place_singers,
    spread_angles,
)
from experiments.real.sounds import applaud, play_organ, play_piano, read_keys, speak
from src.audio import resample
from src.data.choir.generate import generate_song
from src.data.readers.base import Reader, Song
from src.data.readers.choralsynth import ChoralSynthReader
from src.data.readers.csd import CsdReader
from src.dsp.tracks import HOP, RATE
from src.editing.edits import Edit
from src.editing.stems import edit_stem
from src.errors import UmssError
from src.f0.stems import StemF0

Signal = NDArray[np.float32]
Track = NDArray[np.float32]

PEAK = 0.7  # of the mixture


@dataclass(frozen=True)
class Mixture:
    """A built row. All of it at 16 kHz.

    Attributes:
        audio: [C, T], the recording.
        stems: [J, C, T], wet, highest part first; a section is one stem.
        f0: [J, N] Hz on the 16-ms grid, of the dry stems, 0 where silent; of a section, the median
            of its singers.
        beside: [C, T], instruments, speech, applause; audio = sum of stems + beside.
        names: J names of the parts, from their first singers.
    """

    audio: Signal
    stems: Signal
    f0: Track
    beside: Signal
    names: tuple[str, ...]


class Voices:
    """Reads singers from the data sets, each file once.

    Args:
        roots: folders by data set (csd, choralsynth).
    """

    def __init__(self, roots: Mapping[str, str | None]) -> None:
        self._roots = roots
        self._readers: dict[str, Reader] = {}
        self._read: dict[str, Signal] = {}

    @cached_property
    def _estimate(self) -> StemF0:
        return StemF0()

    def read(self, voice: str) -> Signal:
        """The whole recording [T] of a singer.

        Raises:
            UmssError: there is no such singer, or no folder was given.
        """
        if voice not in self._read:
            self._read[voice] = self._load(voice)
        return self._read[voice]

    def sing(self, singer: Singer, start: float, seconds: float) -> tuple[Signal, Track]:
        """An excerpt of a singer, changed as the row says.

        Returns:
            float32 [T] and its F0 [N] in Hz on the 16-ms grid.
        """
        whole = self.read(singer.voice)
        factor = 2.0 ** (singer.speed / 12.0)
        first = round((start if singer.start is None else singer.start) * RATE)
        n = round(seconds * RATE)
        cut = whole[first : first + round(n * factor) + RATE]
        if len(cut) < n * factor:
            raise UmssError(
                f"{singer.voice} ends {(first + n * factor - len(whole)) / RATE:.1f} s too early; "
                "choose an earlier start"
            )
        if singer.speed:
            cut = resample(cut, round(RATE * factor), RATE)
        dry = np.pad(cut[:n], (round(singer.late * RATE), 0))[:n]
        f0 = self._estimate(dry)
        target = turn(f0, singer)
        edit = Edit(formants=singer.formants, gain=singer.gain)
        sung = edit_stem(dry[None], f0.astype(np.float64), target, edit, RATE)[0]
        return sung.astype(np.float32), target.astype(np.float32)

    def _load(self, voice: str) -> Signal:
        kind, *names = voice.split("/")
        if kind == "choir" and len(names) == 3:
            song = generate_song(names[0], seed=int(names[1]))
            return np.asarray(song.audio[song.parts.index(names[2])])
        if kind == "csd" and len(names) == 1:
            piece, key = None, tuple(names[0].split("_"))
        elif kind == "choralsynth" and len(names) == 2:
            piece, key = names[0], (names[1], "1")
        else:
            raise UmssError(
                f"{voice!r} is no voice; write csd/PART_NUMBER, choralsynth/PIECE/PART or "
                "choir/SONG/SEED/PART"
            )
        reader = self._open(kind)
        for song_ in reader.songs():
            for stem in song_.stems:
                if stem.key == key and piece in (None, song_.name) and _is_nino_dios(kind, song_):
                    return reader.load_stem(song_, stem)
        raise UmssError(f"{self._roots[kind]}: there is no {voice}")

    def _open(self, kind: str) -> Reader:
        if kind not in self._readers:
            root = self._roots.get(kind)
            if root is None:
                raise UmssError(f"--{kind} DIR is needed; give it, or choose other --rows")
            self._readers[kind] = CsdReader(root) if kind == "csd" else ChoralSynthReader(root)
        return self._readers[kind]


def _is_nino_dios(kind: str, song: Song) -> bool:
    return kind != "csd" or "nino_dios" in song.name


def turn(f0: Track, singer: Singer) -> NDArray[np.float64]:
    """The F0 [N] that a singer is to have: transposed, or mirrored around the median."""
    target = f0.astype(np.float64)
    voiced = target > 0
    if singer.mirror and voiced.any():
        target[voiced] = np.median(target[voiced]) ** 2 / target[voiced]
    return np.asarray(target * 2.0 ** (singer.transpose / 12.0))


def take_median(tracks: Track) -> Track:
    """The F0 of a section: the median of those who sing, where at least half do.

    Shape:
        - tracks: [S, N] Hz, 0 = silent
        - output: [N] Hz
    """
    voiced = tracks > 0
    pitch = np.where(voiced, np.log(np.where(voiced, tracks, 1.0)), np.nan)
    sung = 2 * voiced.sum(axis=0) >= len(tracks)
    result = np.zeros(tracks.shape[1], np.float32)
    result[sung] = np.exp(np.nanmedian(pitch[:, sung], axis=0))
    return result


def build_responses(row: Row, rng: np.random.Generator) -> NDArray[np.float64]:
    """Impulse responses [singers, C, R] from every singer to every channel."""
    n = len(row.singers)
    angles = spread_angles(n)
    room = row.room
    if room is not None and room.kind == "noise" and row.stereo in (None, "panned"):
        channels = 1 if row.stereo is None else 2
        found = draw_noise_room(n, channels, room.decay, room.direct, rng)
        found[:, :, 0] *= pan(angles) if channels == 2 else 1.0
        return found
    pair = row.stereo if row.stereo in ("spaced", "coincident") else None
    if pair is None and room is None:
        gains = {"panned": pan(angles), "mono": np.ones((n, 2))}
        return gains.get(row.stereo or "", np.ones((n, 1)))[:, :, None]
    return _hear_in_room(room, pair, angles, rng)


def _hear_in_room(
    room: Room | None, pair: str | None, angles: NDArray[np.float64], rng: np.random.Generator
) -> NDArray[np.float64]:
    size = None if room is None else SIZES[min(SIZES, key=lambda x: abs(x - room.decay))]
    places, middle = place_singers(angles, size or SIZES[1.8], rng)
    microphones, looks = place_microphones(middle, pair)
    if room is None:
        return compute_images(places, microphones, looks, rng)
    return compute_images(
        places, microphones, looks, rng, size=size, decay=room.decay, direct_db=room.direct
    )


def build_row(row: Row, voices: Voices) -> Mixture:
    """Build a row; the same every time.

    Raises:
        UmssError: a voice is missing or too short.
    """
    rng = np.random.default_rng([row.seed, *row.name.encode()])
    responses = build_responses(row, rng)
    stems, tracks = [], []
    heard = iter(responses)
    for part in row.parts:
        sung = [voices.sing(singer, row.start, row.seconds) for singer in part]
        wet = [fftconvolve(x[None], next(heard), axes=-1)[:, : len(x)] for x, _ in sung]
        stems.append(np.sum(wet, axis=0))
        tracks.append(take_median(np.stack([f0 for _, f0 in sung])))
    heights = [float(np.median(f0[f0 > 0])) if (f0 > 0).any() else 0.0 for f0 in tracks]
    order = np.argsort(-np.array(heights))
    wanted, f0 = np.stack(stems)[order], np.stack(tracks)[order]
    beside = np.zeros(wanted.shape[1:])
    level = np.sqrt(np.mean(wanted.sum(axis=0) ** 2))
    if row.beside is not None:
        play = play_organ if row.beside.kind == "organ" else play_piano
        others = [voices.sing(Singer(v), row.start, row.seconds)[1] for v in row.beside.lines]
        keys = read_keys(np.stack(others) if others else f0)
        beside += _at_level(play(keys, wanted.shape[-1], rng), level, row.beside)
    for noise, before in ((row.before, True), (row.after, False)):
        if noise is not None:
            wanted, f0, beside = _put_around(wanted, f0, beside, noise, level, rng, before=before)
    gain = PEAK / np.abs(wanted.sum(axis=0) + beside).max()
    audio = (gain * wanted).astype(np.float32), (gain * beside).astype(np.float32)
    names = tuple(row.parts[j][0].voice.split("/", 1)[1] for j in order)
    return Mixture(audio[0].sum(axis=0) + audio[1], audio[0], f0, audio[1], names)


def _at_level(sound: NDArray[np.float64], level: float, beside: Beside) -> NDArray[np.float64]:
    rms = float(np.sqrt(np.mean(sound**2)))
    return sound * (level * 10.0 ** (beside.level / 20.0) / max(rms, 1e-12))


def _put_around(
    wanted: NDArray[Any],
    f0: Track,
    beside: NDArray[np.float64],
    noise: Beside,
    level: float,
    rng: np.random.Generator,
    *,
    before: bool,
) -> tuple[NDArray[Any], Track, NDArray[np.float64]]:
    """Put noise before or after the music."""
    n_frames = round(noise.seconds * RATE) // HOP
    n = n_frames * HOP
    made = speak(n / RATE, rng) if noise.kind == "speech" else applaud(n / RATE, rng)
    sound = np.broadcast_to(_at_level(made, level, noise), (len(beside), n))
    if before:
        widths = ((n, 0), (n_frames, 0))
        around = np.concatenate([sound, beside], axis=1)
    else:
        widths = ((0, n), (0, n_frames))
        around = np.concatenate([beside, sound], axis=1)
    stems = np.pad(wanted, ((0, 0), (0, 0), widths[0]))
    n_all = -(-stems.shape[-1] // HOP)
    tracks = np.pad(f0, ((0, 0), widths[1]))[:, :n_all]
    tracks = np.pad(tracks, ((0, 0), (0, n_all - tracks.shape[1])))
    return stems, tracks, around
