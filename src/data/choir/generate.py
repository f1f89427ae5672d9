"""Sings a chorale (`generate_song`), or one part (`sing_part`)."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, replace

import numpy as np
from scipy.signal import firwin, upfirdn

from ...errors import UmssError
from .articulation import Segment, articulate, inhale
from .pieces import PIECES, find_piece
from .room import place
from .score import PARTS, Note, find_phrase_ends, read_score
from .singers import Singer, draw_singer, draw_wide_singer, list_singers
from .timing import Conductor, conduct, sing
from .tracks import Tracks, build_tracks
from .voice import BLOCK, CONTROL_RATE, SYNTH_RATE, build_pulse_table, design_upper_lift, render

SONGS: tuple[str, ...] = tuple(piece.name for piece in PIECES)

RATES = (8000, 16000, 32000, SYNTH_RATE)  # Hz
HOP = 256
TAIL = 0.8  # seconds after the last note
PEAK = 0.7  # of the mixture
FLOOR_DB = -72.0  # microphone noise per stem, relative to full scale after scaling
BALANCE_DB = {"soprano": 1.0, "alto": 0.0, "tenor": 0.0, "bass": 0.0}


@dataclass(frozen=True)
class GeneratedSong:
    """A sung chorale.

    Attributes
    ----------
    name : one of `SONGS`
    parts : ("soprano", "alto", "tenor", "bass")
    singer : number of the singer of each part, unique within the part
    audio : float32 [4, T], stems; their sum peaks at 0.7
    f0 : float32 [4, N], Hz, N = ceil(T / 256): F0 at sample 256 n, 0 where nothing is voiced
    """

    name: str
    parts: tuple[str, ...]
    singer: tuple[str, ...]
    audio: np.ndarray
    f0: np.ndarray


def _make_rng(name: str, seed: int, *purpose: int) -> np.random.Generator:
    return np.random.default_rng([seed, zlib.crc32(name.encode()), *purpose])


def _decimate(samples: np.ndarray, rate: int) -> np.ndarray:
    """Decimate from SYNTH_RATE to `rate` Hz with a linear-phase low-pass; its delay is removed."""
    factor = SYNTH_RATE // rate
    half = 24 * factor
    taps = firwin(2 * half + 1, 0.94 / factor, window=("kaiser", 9.0)).astype(np.float32)
    padded = np.concatenate([samples, np.zeros(half, np.float32)])
    filtered = upfirdn(taps, padded, 1, factor)
    start = half // factor
    return filtered[start : start + samples.shape[0] // factor]


def _render(tracks: Tracks, singer: Singer, rng: np.random.Generator) -> np.ndarray:
    """float32 [C * BLOCK] at SYNTH_RATE."""
    n = tracks.coefs.shape[0] * BLOCK
    table, peaks = build_pulse_table()
    return render(
        tracks.f0, tracks.rd, tracks.voice, tracks.breath, tracks.hiss, tracks.coefs,
        tracks.zero, tracks.hiss_coefs,
        rng.standard_normal(n, np.float32), rng.standard_normal(n, np.float32),
        np.clip(rng.normal(0, singer.jitter, 8192), -0.02, 0.02),
        np.clip(rng.normal(0, singer.shimmer, 8192), -0.2, 0.2),
        table, peaks, design_upper_lift(singer.tract),
    )  # fmt: skip


def _sample_f0(tracks: Tracks, n_samples: int, rate: int) -> np.ndarray:
    time = np.arange(-(-n_samples // HOP)) * HOP / rate * CONTROL_RATE
    grid = np.arange(tracks.f0.shape[0])
    f0 = np.interp(time, grid, tracks.f0)
    return np.where(np.interp(time, grid, tracks.voice) > 0, f0, 0.0).astype(np.float32)


def sing_part(
    notes: tuple[Note, ...],
    held: tuple[tuple[float, float], ...],
    conductor: Conductor,
    singer: Singer,
    seconds: float,
    rate: int,
    rngs: tuple[np.random.Generator, np.random.Generator, np.random.Generator],
) -> tuple[np.ndarray, np.ndarray]:
    """Sing one part.

    Parameters
    ----------
    notes : with text
    held : (start, end) of the notes under a fermata, in quarter notes
    conductor : the tempo
    singer : who sings
    seconds : length of the result
    rate : 8000, 16000, 32000 or 64000 Hz
    rngs : of the performance, of the noise in the voice, of the room

    Returns
    -------
    float32 [T] at any level, and the F0, float32 [N] in Hz on the grid of `generate_song`
    """
    performance, noise, room = rngs
    phrases = sing(notes, held, conductor, singer, performance)
    segments: list[Segment] = []
    quiet_since = 0.0
    for phrase in phrases:
        sung = articulate(phrase)
        breath = inhale(quiet_since, sung[0].start, performance)
        segments += [*([breath] if breath else []), *sung]
        quiet_since = sung[-1].end
    tracks = build_tracks(phrases, segments, singer, seconds, performance)
    dry = _decimate(_render(tracks, singer, noise), rate)
    wet = place(dry, singer.seat, rate, room)
    return wet.astype(np.float32), _sample_f0(tracks, dry.shape[0], rate)


def _mix_levels(stems: np.ndarray, f0: np.ndarray) -> np.ndarray:
    """Scale the stems to the balance of the choir and the mixture to its peak; float32 [4, T]."""
    gains = []
    for part, stem, pitch in zip(PARTS, stems, f0, strict=True):
        active = np.repeat(pitch > 0, HOP)[: stem.shape[0]]
        power = float(np.mean(stem[active].astype(np.float64) ** 2)) if active.any() else 1.0
        gains.append(10 ** (BALANCE_DB[part] / 20) / np.sqrt(power))
    scaled = stems * np.array(gains, np.float32)[:, None]
    return scaled * np.float32(PEAK / np.abs(scaled.sum(axis=0)).max())


def _move(parts: tuple[tuple[Note, ...], ...], steps: int) -> tuple[tuple[Note, ...], ...]:
    """Transpose by semitones."""
    return tuple(tuple(replace(note, midi=note.midi + steps) for note in part) for part in parts)


def generate_song(
    name: str,
    *,
    seed: int = 0,
    rate: int = 16000,
    max_seconds: float | None = None,
    vary: bool = False,
    wide: bool = False,
) -> GeneratedSong:
    """Sing one chorale with four singers drawn by the seed.

    Deterministic: the same name, seed and rate give the same bits on one machine.

    Parameters
    ----------
    name : one of `SONGS`
    seed : draws singers, timing, intonation, noise and room
    rate : 8000, 16000, 32000 or 64000 Hz
    max_seconds : sing only the beginning (for tests); the singers and the notes stay the same,
        random details and the level may differ from those of the whole song
    vary : sing in another key (up to 5 semitones away), in another tempo (up to a quarter slower
        or faster), with singers that are not among the sixteen; their number is "0"
    wide : like `vary`, with singers of any style and age, keys from 5 semitones below to 8 above,
        tempi from 0.7 to 1.6 times

    Returns
    -------
    GeneratedSong, about 30 to 60 s long. F0 is the value that drove the glottal pulses, without
    their cycle-to-cycle jitter (standard deviation 0.3 to 0.6 %, zero mean), and 0 in rests,
    breaths, unvoiced consonants and the reverberation after a note.

    Raises
    ------
    KeyError
        unknown name; the message lists the names there are.
    UmssError
        unsupported rate.
    """
    piece = find_piece(name)
    if rate not in RATES:
        raise UmssError(f"rate must be one of {', '.join(map(str, RATES))} Hz, not {rate}")
    parts = read_score(piece.source)
    held = find_phrase_ends(parts)
    length = max(part[-1].end for part in parts)
    tempo = piece.tempo
    choice = _make_rng(name, seed, 1)
    if wide:
        singers = [draw_wide_singer(part, choice) for part in PARTS]
        tempo *= float(choice.uniform(0.7, 1.6))
        parts = _move(parts, int(choice.integers(-5, 9)))
    elif vary:
        singers = [draw_singer(part, choice) for part in PARTS]
        tempo *= float(choice.uniform(0.8, 1.25))
        parts = _move(parts, int(choice.integers(-5, 6)))
    else:
        singers = [pool[int(choice.integers(len(pool)))] for pool in map(list_singers, PARTS)]
    conductor = conduct(length, tempo, held, _make_rng(name, seed, 0))
    seconds = round(conductor.end + TAIL, 2)
    if max_seconds is not None:
        seconds = min(seconds, max_seconds)
    sung = [
        sing_part(
            notes, held, conductor, singer, seconds, rate,
            (_make_rng(name, seed, 2, i), _make_rng(name, seed, 3, i), _make_rng(name, seed, 4, i)),
        )
        for i, (notes, singer) in enumerate(zip(parts, singers, strict=True))
    ]  # fmt: skip
    f0 = np.stack([track for _, track in sung])
    audio = _mix_levels(np.stack([stem for stem, _ in sung]), f0)
    floor = _make_rng(name, seed, 5).standard_normal(audio.shape, np.float32)
    audio = audio + np.float32(10 ** (FLOOR_DB / 20)) * floor
    return GeneratedSong(name, PARTS, tuple(singer.number for singer in singers), audio, f0)
