"""What else is heard beside singers, made up: an organ, a piano, speech, applause."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d
from scipy.signal import butter, fftconvolve, sosfilt

from src.data.choir.generate import sing_part
from src.data.choir.score import Note
from src.data.choir.singers import draw_singer
from src.data.choir.timing import conduct
from src.dsp.tracks import HOP, RATE
from src.editing.edits import Edit
from src.editing.pitch import FRAMES, find_middle, find_notes, hertz_to_pitch, pitch_to_hertz
from src.editing.stems import edit_stem

Signal = NDArray[np.float64]
Generator = np.random.Generator

_SHORTEST = 0.12  # s; shorter notes are not played


@dataclass(frozen=True)
class Key:
    """A key that is held down: from and to in s, and its F0 in Hz."""

    start: float
    end: float
    hertz: float


def read_keys(f0: NDArray[np.floating]) -> list[Key]:
    """The notes of singers, in equal temperament at their own tuning.

    Args:
        f0: [J, N] Hz on the 16-ms grid, 0 = silent.
    """
    found = []
    for track in f0:
        pitch = hertz_to_pitch(track)
        for note in find_notes(pitch):
            if note.stop - note.start >= _SHORTEST * FRAMES:
                found.append((note.start / FRAMES, note.stop / FRAMES, find_middle(pitch, note)))
    off = [middle - round(middle) for *_, middle in found]
    tuning = float(np.median(off)) if off else 0.0
    return [
        Key(start, end, float(440.0 * 2.0 ** ((round(middle - tuning) + tuning - 69) / 12)))
        for start, end, middle in found
    ]


def play_organ(keys: list[Key], n_samples: int, rng: Generator) -> Signal:
    """An organ [T]: ranks of pipes an octave apart, and the twelfth, each a little out of tune."""
    ranks = {1.0: 1.0, 2.0: 0.6, 3.0: 0.25, 4.0: 0.35}
    sound = np.zeros(n_samples)
    for key in keys:
        for multiple, level in ranks.items():
            tuned = multiple * key.hertz * 2.0 ** (rng.normal(0.0, 2.0) / 1200.0)
            order = np.arange(1, 13)
            _add_tone(
                sound, key, order * tuned, np.asarray(level * order**-1.3), rng,
                lambda t: np.minimum(1.0, t / 0.03), release=0.1,
            )  # fmt: skip
    return sound


def play_piano(keys: list[Key], n_samples: int, rng: Generator) -> Signal:
    """A piano [T]: stiff strings, two a key, whose partials die away, the higher the sooner."""
    sound = np.zeros(n_samples)
    for key in keys:
        order = np.arange(1, 21)
        stretched = order * np.sqrt(1.0 + 4e-4 * order**2)
        for detune in rng.normal(0.0, 0.8, 2):
            tuned = key.hertz * 2.0 ** (detune / 1200.0)
            for k, hertz in zip(order, stretched * tuned, strict=True):
                decay = 0.8 + 0.25 * k + key.hertz / 400.0

                def strike(t: Signal, decay: float = decay) -> Signal:
                    return np.asarray(np.minimum(1.0, t / 0.004) * np.exp(-decay * t))

                level = np.array([1.0 / k])
                _add_tone(sound, key, np.array([hertz]), level, rng, strike, release=0.15)
    return sound


def _add_tone(
    sound: Signal,
    key: Key,
    hertz: Signal,
    level: Signal,
    rng: Generator,
    shape: Callable[[Signal], Signal],
    *,
    release: float,
) -> None:
    """Add sines [K] at their levels [K], shaped in time, to [T]."""
    first, last = round(key.start * RATE), round((key.end + release) * RATE)
    time = np.arange(min(last, len(sound)) - first) / RATE
    below = hertz < 0.48 * RATE
    phases = rng.uniform(0.0, 2 * np.pi, len(hertz))
    turns = 2 * np.pi * hertz[below, None] * time + phases[below, None]
    fade = np.clip((key.end + release - key.start - time) / release, 0.0, 1.0)
    sound[first : first + len(time)] += level[below] @ np.sin(turns) * shape(time) * fade


_SPOKEN = (
    "Mei ne Da men und Her ren wir freu en uns sehr",
    "dass Sie heu te ge kom men sind",
    "nun hö ren Sie ein Lied aus dem Nor den von der Lie be",
    "es singt der Chor un se rer Stadt",
)
_SYLLABLE = 0.19  # s


def speak(seconds: float, rng: Generator) -> Signal:
    """A speaker [T]: syllables of the generated choir, whose F0 falls along every sentence."""
    notes: list[Note] = []
    beat = 0.0
    base = int(rng.integers(43, 55))
    sentences = [_SPOKEN[i] for i in rng.permutation(len(_SPOKEN))]
    while (beat + 2) * _SYLLABLE < seconds + 1.0:
        syllables = sentences[len(notes) % len(sentences)].split()
        for k, syllable in enumerate(syllables):
            midi = round(base + 7 - 8 * k / len(syllables) + rng.normal(0.0, 1.0))
            notes.append(Note(beat, beat + 1.0, midi, syllable, bool(rng.random() < 0.5)))
            beat += 1.0
        beat += 2.0
    held = ((notes[-1].start, notes[-1].end),)
    conductor = conduct(beat, 60.0 / _SYLLABLE, held, rng)
    singer = draw_singer("tenor" if base > 48 else "bass", rng)
    made = sing_part(tuple(notes), held, conductor, singer, seconds + 1.0, RATE, (rng, rng, rng))
    spoken, f0 = made[0][None], made[1].astype(np.float64)
    voiced = f0 > 0
    pitch = np.interp(np.arange(len(f0)), np.flatnonzero(voiced), hertz_to_pitch(f0[voiced]))
    # Speech glides: no syllable stays on a pitch.
    glide = np.where(voiced, pitch_to_hertz(gaussian_filter1d(pitch, 0.15 * FRAMES)), 0.0)
    moved = edit_stem(spoken, f0, glide, Edit(), RATE)[0]
    start = round(0.6 * RATE) // HOP * HOP  # the conductor's lead-in is silent
    return moved[start : start + round(seconds * RATE)].astype(np.float64)


def applaud(seconds: float, rng: Generator, *, n_people: int = 60) -> Signal:
    """Applause [T]: people who clap four times a second or so, each with hands of their own."""
    n = round(seconds * RATE)
    sound = np.zeros(n)
    time = np.arange(round(0.06 * RATE)) / RATE
    for _ in range(n_people):
        centre = np.exp(rng.uniform(np.log(600.0), np.log(2600.0)))
        band = butter(2, (0.6 * centre, 1.6 * centre), "bandpass", fs=RATE, output="sos")
        clap = sosfilt(band, rng.standard_normal(len(time)) * np.exp(-time / 0.008))
        gaps = rng.uniform(1 / 5.0, 1 / 3.2) * (1 + rng.normal(0.0, 0.06, round(6 * seconds)))
        when = np.cumsum(np.append(rng.uniform(0.0, 0.6), gaps))
        when = (when[when < seconds] * RATE).astype(int)
        hits = np.bincount(when, np.exp(rng.normal(0.0, 0.3, len(when))), n)[:n]
        sound += np.exp(rng.normal(0.0, 0.5)) * fftconvolve(hits, clap)[:n]
    swell = np.minimum(1.0, np.arange(n) / (0.8 * RATE))
    return np.asarray(sound * swell)
