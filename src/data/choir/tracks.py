"""Control tracks of one singer at 1 kHz: pitch, effort, amplitudes, formants."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter1d
from scipy.signal import lfilter

from .articulation import Segment
from .phonemes import BANDWIDTHS, N_FORMANTS, UPPER_FORMANTS
from .singers import Singer
from .timing import SungNote
from .voice import CONTROL_RATE, design_resonator

VOICED = 0.02  # below this share of full voice a frame counts as unvoiced
NASAL_POLE = 270.0  # Hz


@dataclass(frozen=True)
class Tracks:
    """What `voice.render` needs; C control values at CONTROL_RATE.

    f0 (Hz, also where nothing is voiced), rd, voice, breath, hiss: float64 [C + 1];
    coefs float64 [C, S, 3]; zero float64 [C, 3]; hiss_coefs float64 [C, 2, 3]
    """

    f0: np.ndarray
    rd: np.ndarray
    voice: np.ndarray
    breath: np.ndarray
    hiss: np.ndarray
    coefs: np.ndarray
    zero: np.ndarray
    hiss_coefs: np.ndarray


def _wander(n: int, seconds: float, rng: np.random.Generator) -> np.ndarray:
    """Smooth noise of unit variance and the given correlation time."""
    pole = np.exp(-1 / (seconds * CONTROL_RATE))
    start = rng.standard_normal() * pole
    noise = rng.standard_normal(n) * np.sqrt(1 - pole**2)
    return lfilter([1.0], [1.0, -pole], noise, zi=np.array([start]))[0]


def _to_index(seconds: float, n: int) -> int:
    return min(max(round(seconds * CONTROL_RATE), 0), n)


def draw_pitch(
    phrases: list[list[SungNote]], singer: Singer, n: int, rng: np.random.Generator
) -> np.ndarray:
    """Draw the F0 in Hz, float64 [n]: notes, portamento, vibrato, drift, intonation."""
    cents = np.zeros(n)
    extent = np.zeros(n)
    previous = 0
    for phrase in phrases:
        for note in phrase:
            start, end = _to_index(note.start, n), _to_index(note.end, n)
            target = 100.0 * (note.midi - 69) + rng.normal(singer.tuning, singer.mistune)
            scoop = rng.uniform(40, 130) if note.first else rng.uniform(0, 12)
            cents[previous:] = target  # the consonants before a note already have its pitch
            scoop *= singer.scoop
            cents[start:] -= scoop * np.exp(-np.arange(n - start) / (0.06 * CONTROL_RATE))
            if note.last:
                sag = np.clip((np.arange(n - start) - (end - start) + 120) / 120, 0, 2)
                cents[start:] -= rng.uniform(0, 25) * sag
            age = np.arange(end - start) / CONTROL_RATE
            strength = np.clip((age - singer.vibrato_delay) / 0.35, 0.0, 1.0)
            carry = 0.35 if not note.first else 0.0  # short notes keep a little of it
            extent[start:end] = rng.uniform(0.75, 1.25) * np.maximum(strength, carry)
            previous = end
    # a damped second-order step response: portamento with a slight overshoot
    omega = 1 / (singer.glide * CONTROL_RATE)
    zeta = 0.75
    r = np.exp(-zeta * omega)
    feedback = [1.0, -2 * r * np.cos(omega * np.sqrt(1 - zeta**2)), r * r]
    rest = cents[0]
    smooth = rest + lfilter([sum(feedback)], feedback, cents - rest)
    advance = round(1.2 * singer.glide * CONTROL_RATE)
    smooth = np.append(smooth[advance:], np.full(advance, smooth[-1]))[:n]
    rate = singer.vibrato_hz * (1 + 0.05 * _wander(n, 0.4, rng))
    angle = 2 * np.pi * np.cumsum(rate) / CONTROL_RATE + rng.uniform(0, 2 * np.pi)
    depth = gaussian_filter1d(extent, 40.0) * (1 + 0.18 * _wander(n, 0.3, rng))
    drift = singer.wander * _wander(n, 0.6, rng)
    flutter = gaussian_filter1d(3.0 * _wander(n, 0.03, rng), 6.0)
    total = smooth + singer.vibrato_cents * depth * np.sin(angle) + drift + flutter
    return 440.0 * 2 ** (total / 1200)


def draw_loudness(phrases: list[list[SungNote]], n: int, rng: np.random.Generator) -> np.ndarray:
    """Draw the dynamics in dB, float64 [n]: arches over phrases, swells on notes; high is loud."""
    level = np.full(n, -12.0)
    for phrase in phrases:
        arch = rng.uniform(-2.0, 1.0)
        middle = float(np.mean([note.midi for note in phrase]))
        for note in phrase:
            start, end = _to_index(note.start, n), _to_index(note.end, n)
            inside = np.linspace(0, 1, max(end - start, 1))[: end - start]
            base = arch - 6.0 * (note.place - 0.55) ** 2 * 4 + 0.35 * (note.midi - middle)
            level[start:end] = base + 1.5 * np.sin(np.pi * inside**0.7) + rng.normal(0, 0.7)
        opening = _to_index(phrase[0].start, n)
        level[max(opening - 200, 0) : opening] = level[min(opening, n - 1)]
        closing = _to_index(phrase[-1].end, n)
        level[closing : closing + 200] = level[max(closing - 1, 0)]
    return gaussian_filter1d(level, 45.0) + 0.8 * _wander(n, 0.25, rng)


def _fill(segments: list[Segment], singer: Singer, n: int) -> dict[str, np.ndarray]:
    tracks = {key: np.zeros(n) for key in ("voice", "breath", "hiss", "nasal")}
    formants = np.tile(np.array([500.0, 1500.0, 2500.0]), (n, 1))
    hz, bw = np.tile([3000.0, 5000.0], (n, 1)), np.tile([1500.0, 2000.0], (n, 1))
    for segment in segments:
        here = slice(_to_index(segment.start, n), _to_index(segment.end, n))
        sound = segment.sound
        tracks["voice"][here] = sound.voice
        tracks["breath"][here] = sound.breath
        tracks["hiss"][here] = sound.hiss
        tracks["nasal"][here] = sound.nasal
        vowel = np.array(segment.vowel)
        own = vowel if sound.formants is None else np.array(sound.formants)
        pull = 0.0 if sound.formants is None else sound.pull
        formants[here.start :] = (1 - pull) * vowel + pull * own
        hz[here], bw[here] = sound.hiss_hz, sound.hiss_bw
    tracks["formants"] = gaussian_filter1d(formants, 16.0, axis=0) * singer.tract
    tracks["hiss_hz"], tracks["hiss_bw"] = hz, bw
    return tracks


def _shape_tract(fill: dict[str, np.ndarray], f0: np.ndarray, singer: Singer) -> np.ndarray:
    """Cascade coefficients, float64 [C, N_FORMANTS + 1, 3]; the last section is the nasal pole."""
    n = f0.shape[0]
    hz = np.empty((n, N_FORMANTS))
    hz[:, :3] = fill["formants"]
    hz[:, 3:] = np.array(UPPER_FORMANTS) * singer.tract
    # high voices open the mouth so that the first formant is not below the fundamental
    hz[:, 0] = np.maximum(hz[:, 0], 1.04 * f0)
    hz[:, 1] = np.maximum(hz[:, 1], hz[:, 0] + 250)
    hz[:, 2] = np.maximum(hz[:, 2], hz[:, 1] + 350)
    centre = 2850 * singer.tract
    for i, target in ((2, centre - 330), (3, centre), (4, centre + 420)):
        hz[:, i] += 0.45 * singer.ring * (target - hz[:, i])
    bw = np.tile(np.array(BANDWIDTHS) * singer.bandwidth, (n, 1))
    bw[:, 2:5] *= 1 - 0.4 * singer.ring
    bw[:, 0] += 0.06 * np.maximum(hz[:, 0] - 400, 0)
    coefs = np.empty((n, N_FORMANTS + 1, 3))
    coefs[:, :N_FORMANTS] = np.stack(design_resonator(hz, bw), axis=-1)
    pole = np.stack(design_resonator(np.full(n, NASAL_POLE), np.full(n, 110.0)), axis=-1)
    coefs[:, N_FORMANTS] = pole
    return coefs


def _place_nasal_zero(nasal: np.ndarray) -> np.ndarray:
    """The antiresonator cancels the nasal pole for oral sounds and moves up for nasal ones."""
    hz = gaussian_filter1d(np.where(nasal > 0, nasal, NASAL_POLE), 8.0)
    width = 110.0 + 40.0 * (hz - NASAL_POLE) / 1000
    return np.stack(design_resonator(hz, width), axis=-1)


def _design_bandpasses(hz: np.ndarray, bw: np.ndarray) -> np.ndarray:
    _, b, c = design_resonator(hz, bw)
    gain = (1 + c) / 2  # 1 at the centre frequency
    gain[:, 1] *= 0.7
    return np.stack([gain, b, c], axis=-1)


def build_tracks(
    phrases: list[list[SungNote]],
    segments: list[Segment],
    singer: Singer,
    seconds: float,
    rng: np.random.Generator,
) -> Tracks:
    """Build all control tracks for `seconds` of one singer; random numbers come only from `rng`."""
    n = round(seconds * CONTROL_RATE) + 1
    f0 = draw_pitch(phrases, singer, n, rng)
    level = draw_loudness(phrases, n, rng)
    gain = 10 ** (level / 20)
    fill = _fill(segments, singer, n)
    voice = fill["voice"]
    for phrase in phrases:  # phrases end softly
        closing = _to_index(phrase[-1].end, n)
        fade = np.arange(closing - max(closing - 110, 0))
        voice[closing - fade.shape[0] : closing] *= np.cos(0.5 * np.pi * fade / 110) ** 0.7
    voice = gaussian_filter1d(voice, 7.0)
    effort = np.clip((level + 2.0) / 6.0, -1.0, 1.0)
    rd = singer.rd - 0.3 * effort + 0.25 * (1 - voice) * (voice > VOICED)
    aspiration = singer.breath * voice * 10 ** (-0.02 * (level + 2))
    breath = gaussian_filter1d(fill["breath"], 7.0) * 0.35 + aspiration
    voice = np.where(voice > VOICED, voice, 0.0)
    return Tracks(
        f0=f0,
        rd=gaussian_filter1d(rd, 20.0),
        voice=voice * gain,
        breath=breath * gain,
        hiss=gaussian_filter1d(fill["hiss"], 5.0) * gain,
        coefs=_shape_tract(fill, f0, singer)[:-1],
        zero=_place_nasal_zero(fill["nasal"])[:-1],
        hiss_coefs=_design_bandpasses(fill["hiss_hz"], fill["hiss_bw"])[:-1],
    )
