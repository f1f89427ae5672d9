"""From places to ears: impulse responses of rooms and of pairs of microphones.

Images of the sources in the walls of a shoebox (Allen and Berkley, "Image method for efficiently
simulating small-room acoustics", JASA 65, 1979), their places moved a little so that a rectangular
room does not whistle. Without walls the same function gives the microphones alone.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.signal import butter, sosfilt

from src.data.room import draw_impulse_responses
from src.dsp.tracks import RATE

Array = NDArray[np.float64]

SOUND = 343.0  # m/s
_LEAD = 16  # samples before the first direct sound, room for its interpolation
_SCATTER = 0.1  # m by which an image lies off the place where flat walls would put it
_LOWEST = 50.0  # Hz; what images add up to below is not heard in rooms

# m; of halls whose walls are neither bare nor carpeted at these times.
SIZES = {0.8: (9.0, 7.0, 3.5), 1.8: (20.0, 12.0, 9.0), 3.0: (35.0, 18.0, 14.0)}
_DISTANCE = 2.5  # m from the microphones to the singers
_WIDEST = 50.0  # degrees to the left and the right, the outermost singers
# Pairs: half their distance in m, degrees between them, and whether they hear all around.
PAIRS = {"spaced": (0.5, 0.0, True), "coincident": (0.085, 110.0, False)}


def spread_angles(n: int) -> Array:
    """Angles [n] in degrees of singers in a row, from left (negative) to right."""
    return np.linspace(-_WIDEST, _WIDEST, n) if n > 1 else np.array([-_WIDEST / 2])


def pan(angles: Array) -> Array:
    """Gains [n, 2] of equal power that put singers at these angles between two loudspeakers."""
    place = (angles / _WIDEST * 0.9 + 1.0) * math.pi / 4.0
    return np.stack([np.cos(place), np.sin(place)], axis=1)


def draw_noise_room(
    n: int, channels: int, decay: float, direct_db: float, rng: np.random.Generator
) -> Array:
    """Impulse responses [n, channels, R] of decaying noise, of its own in every channel.

    Args:
        n: singers.
        channels: C.
        decay: time of 60 dB, s.
        direct_db: energy of the direct sound over that of the noise.
        rng: of the noise.
    """
    found = draw_impulse_responses(n * channels, decay, direct_db, rng)
    return found.astype(np.float64).reshape(n, channels, -1)


def place_singers(
    angles: Array, size: tuple[float, float, float], rng: np.random.Generator
) -> tuple[Array, Array]:
    """Places of singers [n, 3] on an arc, and of the middle of the microphones [3], m."""
    middle = np.array([0.48 * size[0], 0.3 * size[1], 1.8])
    radius = min(_DISTANCE, 0.5 * size[1]) + rng.uniform(-0.3, 0.3, len(angles))
    across, ahead = np.sin(np.radians(angles)), np.cos(np.radians(angles))
    height = np.full(len(angles), 1.6) + rng.uniform(-0.1, 0.1, len(angles))
    places = middle + np.stack([radius * across, radius * ahead, height - middle[2]], axis=1)
    return places, middle


def place_microphones(middle: Array, pair: str | None) -> tuple[Array, Array | None]:
    """Places of microphones [M, 3] and where they look [M, 3]; None: they hear all around.

    Args:
        middle: [3] m.
        pair: a key of `PAIRS`, or None for one microphone.
    """
    if pair is None:
        return middle[None], None
    half, between, around = PAIRS[pair]
    places = middle + np.array([[-half, 0.0, 0.0], [half, 0.0, 0.0]])
    if around:
        return places, None
    turned = np.radians(between / 2.0)
    side, ahead = math.sin(turned), math.cos(turned)
    return places, np.array([[-side, ahead, 0.0], [side, ahead, 0.0]])


def find_reflection(size: tuple[float, float, float], decay: float) -> float:
    """Factor on the pressure at every wall so that sound falls by 60 dB in `decay` s (Eyring)."""
    x, y, z = size
    volume, surface = x * y * z, 2.0 * (x * y + y * z + x * z)
    return math.exp(-0.5 * 0.161 * volume / (surface * decay))


def compute_images(
    places: Array,
    microphones: Array,
    looks: Array | None,
    rng: np.random.Generator,
    *,
    size: tuple[float, float, float] | None = None,
    decay: float = 0.0,
    direct_db: float = 0.0,
) -> Array:
    """Impulse responses of a shoebox, or of free air.

    Args:
        places: [n, 3] m, of the singers.
        microphones: [M, 3] m.
        looks: [M, 3] unit vectors, axes of cardioids; None: they hear all around.
        rng: scatters the images.
        size: of the room, m; None: no walls.
        decay: time of 60 dB, s.
        direct_db: energy of the direct sound over that of all reflections, over all microphones.

    Returns:
        [n, M, R]; the direct sound comes at the same time for every singer at the nearest
        microphone, and its energy is 1 in the mean over the microphones.
    """
    length = round(decay * RATE) + 512
    responses = np.zeros((len(places), len(microphones), length))
    for response, place in zip(responses, places, strict=True):
        distance = np.linalg.norm(place - microphones, axis=1)
        early = distance.min() / SOUND * RATE - _LEAD
        levels = _hear(place - microphones, looks) / distance
        levels /= math.sqrt(float(np.mean(levels**2)))
        if size is not None:
            images, walls = _list_images(place, size, decay, rng)
            amplitude = find_reflection(size, decay) ** walls
            for m, microphone in enumerate(microphones):
                way = images - microphone
                far = np.linalg.norm(way, axis=1)
                gain = amplitude * _hear(way, None if looks is None else looks[m]) / far
                when = np.rint(far / SOUND * RATE - early).astype(int)
                inside = when < length
                response[m] = np.bincount(when[inside], gain[inside], length)
            cut = butter(2, _LOWEST, "highpass", fs=RATE, output="sos")
            response[:] = sosfilt(cut, response, axis=-1)
            # Walls swallow high tones first: a mean of two samples dulls towards 8 kHz.
            response[:, 1:] = 0.5 * (response[:, 1:] + response[:, :-1])
            _hasten(response, decay)
            energy = float(np.mean(np.sum(response**2, axis=-1)))
            response *= 10.0 ** (-direct_db / 20.0) / math.sqrt(energy)
        for m, level in enumerate(levels):
            _add_pulse(response[m], distance[m] / SOUND * RATE - early, level)
    return responses


def measure_decay(response: Array) -> float:
    """Time of 60 dB of a response [T], s: by 5 to 25 dB of the energy still to come (Schroeder)."""
    left = np.cumsum(np.square(response)[::-1])[::-1]
    level = 10.0 * np.log10(np.maximum(left / left[0], 1e-12))
    first, last = (int(np.argmax(level < -x)) for x in (5, 25))
    return 3.0 * (last - first) / RATE


def _hasten(response: Array, decay: float) -> None:
    """Make reflections [M, R] decay as asked: a rectangular room has paths that meet few walls."""
    excess = 1.0 / decay - 1.0 / measure_decay(response[0])
    response *= 10.0 ** (-3.0 * excess * np.arange(response.shape[-1]) / RATE)


def _hear(way: Array, look: Array | None) -> Array:
    """Sensitivity to sound from `way` [..., 3]: that of a cardioid, or 1 all around."""
    if look is None:
        return np.ones(way.shape[:-1])
    towards = (way * look).sum(axis=-1) / np.linalg.norm(way, axis=-1)
    return np.asarray(0.5 * (1.0 + towards))


def _list_images(
    place: Array, size: tuple[float, float, float], decay: float, rng: np.random.Generator
) -> tuple[Array, Array]:
    """Places [I, 3] of the images that are heard within `decay`, and the walls they met [I]."""
    reach = SOUND * decay
    axes, walls = [], []
    for x, length in zip(place, size, strict=True):
        n = np.arange(-math.ceil(reach / 2 / length), math.ceil(reach / 2 / length) + 1)
        axes.append(np.concatenate([2 * n * length + x, 2 * n * length - x]))
        walls.append(np.concatenate([2 * np.abs(n), np.abs(n) + np.abs(n - 1)]))
    grid = np.stack([g.ravel() for g in np.meshgrid(*axes, indexing="ij")], axis=1)
    met = sum(g.ravel() for g in np.meshgrid(*walls, indexing="ij"))
    inside = (np.linalg.norm(grid - place, axis=1) < reach) & (met > 0)
    found = grid[inside]
    return found + rng.uniform(-_SCATTER, _SCATTER, found.shape), np.asarray(met[inside], float)


def _add_pulse(response: Array, when: float, level: float) -> None:
    """Add a pulse between samples."""
    first = math.floor(when) - _LEAD + 1
    offset = np.arange(first, first + 2 * _LEAD) - when
    window = 0.5 + 0.5 * np.cos(math.pi * offset / _LEAD)
    response[max(first, 0) : first + 2 * _LEAD] += (level * np.sinc(offset) * window)[
        max(-first, 0) :
    ]
