"""What comes between singers and file in training: rooms, microphones, background noise.

Everything random comes from a generator that is given. Signals are float32 [T] at 16 kHz.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.signal import butter, oaconvolve, sosfilt

from ..dsp.tracks import RATE

Audio = NDArray[np.float32]
Rng = np.random.Generator

SOUND = 343.0  # m/s
_EARLY = 0.08  # s of single reflections, before the noise that follows them
_BLEND = 0.03  # s of these, by whose level that of the noise is set
_SPLIT = 2000.0  # Hz, above which walls and air swallow more
_LOWEST = (60.0, 400.0)  # Hz, where microphones of limited band begin
_HIGHEST = (2000.0, 7000.0)  # Hz, where they end


def draw_late_noise(decay: float, seconds: float, rng: Rng) -> NDArray[np.float64]:
    """Draw decaying noise [T] of unit variance at its beginning; high frequencies decay faster.

    Args:
        decay: time in which what is below 2 kHz falls by 60 dB, s.
        seconds: length.
        rng: of the noise and of how much faster.
    """
    time = np.arange(round(seconds * RATE)) / RATE
    noise = rng.standard_normal(len(time))
    split = butter(1, _SPLIT, fs=RATE, output="sos")
    low = sosfilt(split, noise)
    high_decay = decay * rng.uniform(0.3, 1.0)
    return low * 10 ** (-3 * time / decay) + (noise - low) * 10 ** (-3 * time / high_decay)


def draw_noise_room(decay: float, direct_db: float, n_places: int, rng: Rng) -> Audio:
    """Draw impulse responses [P, R] of one room: direct sound, a short gap, decaying noise.

    Args:
        decay: reverberation time, s.
        direct_db: energy of the direct sound over that of the rest.
        n_places: P.
        rng: of everything else.
    """
    rows = []
    for _ in range(n_places):
        tail = draw_late_noise(decay, decay, rng)
        tail[: int(rng.uniform(0.002, 0.03) * RATE)] = 0.0
        rows.append(_balance(tail, direct_db))
    return np.stack(rows)


def draw_shoebox_room(decay: float, direct_db: float, n_places: int, rng: Rng) -> Audio:
    """Draw impulse responses [P, R] of one rectangular room, by images of the sources.

    After Allen and Berkley, "Image method for efficiently simulating small-room acoustics", JASA
    65, 1979. Images give the first 80 ms after the direct sound, decaying noise what follows. Rooms
    that sound longer are larger. The direct sound comes without delay.

    Args: see `draw_noise_room`.
    """
    size = np.array([7.0, 5.0, 3.2]) * (decay / 0.6) ** 0.7 * rng.uniform(0.7, 1.4, 3)
    volume, surface = size.prod(), 2 * (size * np.roll(size, 1)).sum()
    # A wall's share of the amplitude, such that 60 dB are gone after the time of decay.
    wall = 10 ** (-3 * 4 * volume / surface / (SOUND * decay))
    microphone = size * rng.uniform(0.35, 0.65, 3)
    rows = []
    for _ in range(n_places):
        source = microphone + rng.uniform(-0.3, 0.3, 3) * size
        early = _sum_images(size, source, microphone, wall)
        late = draw_late_noise(decay, decay, rng)
        start, blend = round(_EARLY * RATE), round(_BLEND * RATE)
        level = float(np.sqrt(np.mean(early[start - blend : start] ** 2)))
        late *= level / max(float(np.sqrt(np.mean(late[:blend] ** 2))), 1e-12)
        tail = np.concatenate([early[:start], late])
        rows.append(_balance(tail, direct_db))
    return np.stack(rows)


def _sum_images(
    size: NDArray[np.float64],
    source: NDArray[np.float64],
    microphone: NDArray[np.float64],
    wall: float,
) -> NDArray[np.float64]:
    """Sum the reflections of the first 80 ms, [T], sample 0 being the direct sound, which is 0."""
    direct = float(np.linalg.norm(source - microphone))
    n_samples = round(_EARLY * RATE)
    offsets, walls = [], []
    for axis in range(3):
        reach = math.ceil((direct + SOUND * _EARLY) / (2 * size[axis])) + 1
        n, side = np.meshgrid(np.arange(-reach, reach + 1), [0, 1], indexing="ij")
        place = (1 - 2 * side) * source[axis] + 2 * n * size[axis]
        offsets.append((place - microphone[axis]).ravel())
        walls.append((np.abs(n - side) + np.abs(n)).ravel())
    squares = [offset**2 for offset in offsets]
    distance = np.sqrt(
        squares[0][:, None, None] + squares[1][None, :, None] + squares[2][None, None, :]
    )
    met = walls[0][:, None, None] + walls[1][None, :, None] + walls[2][None, None, :]
    at = np.rint((distance - direct) / SOUND * RATE).astype(np.int64)
    heard = (met > 0) & (at >= 0) & (at < n_samples)
    gains = wall ** met[heard] * direct / np.maximum(distance[heard], 0.1)
    return np.bincount(at[heard], weights=gains, minlength=n_samples).astype(np.float64)


def _balance(tail: NDArray[np.float64], direct_db: float) -> Audio:
    """Scale reflections [R] to the energy wanted, and put the direct sound before them."""
    tail = tail * 10 ** (-direct_db / 20) / max(float(np.linalg.norm(tail)), 1e-12)
    tail[0] = 1.0
    return tail.astype(np.float32)


def reverberate_one(audio: Audio, response: Audio) -> Audio:
    """Convolve [T] with an impulse response; what lasts beyond the end is cut off."""
    wet: Audio = oaconvolve(audio, response)[: len(audio)].astype(np.float32)
    return wet


def equalise(audio: Audio, rng: Rng, spread: float) -> Audio:
    """Apply a smooth random frequency response: five points, 60 Hz to 8 kHz, joined in log f.

    Args:
        audio: [T].
        rng: of the points.
        spread: their standard deviation, dB.
    """
    spectrum = np.fft.rfft(audio)
    frequency = np.fft.rfftfreq(len(audio), 1 / RATE)
    points = np.geomspace(60.0, 8000.0, 5)
    gain = np.interp(np.log(frequency + 1.0), np.log(points), rng.normal(0.0, spread, 5))
    return np.fft.irfft(spectrum * 10 ** (gain / 20), len(audio)).astype(np.float32)


def limit_band(audio: Audio, rng: Rng) -> Audio:
    """Cut lows and highs as a telephone or an old recording does, at random frequencies."""
    low, high = (
        math.exp(rng.uniform(math.log(least), math.log(most)))
        for least, most in (_LOWEST, _HIGHEST)
    )
    order = int(rng.integers(1, 5))
    cut = butter(order, (low, high), btype="bandpass", fs=RATE, output="sos")
    limited: Audio = sosfilt(cut, audio).astype(np.float32)
    return limited


def overdrive(audio: Audio, rng: Rng) -> Audio:
    """Distort the loudest passages, as a level set too high does."""
    drive = rng.uniform(0.5, 2.0) / max(float(np.abs(audio).max()), 1e-6)
    distorted: Audio = (np.tanh(drive * audio) / drive).astype(np.float32)
    return distorted


def draw_noise(n_samples: int, rng: Rng) -> Audio:
    """Draw white to brown noise [T] of unit power."""
    spectrum = np.fft.rfft(rng.standard_normal(n_samples))
    bins = np.arange(len(spectrum)) + 20.0
    noise = np.fft.irfft(spectrum * bins ** -rng.uniform(0.0, 1.0), n_samples)
    return (noise / np.sqrt(np.mean(noise**2))).astype(np.float32)


def add_below(audio: Audio, other: Audio, decibels: float) -> Audio:
    """Add another sound, so many dB below the power of the first (of 0.1 in silence)."""
    level = float(np.sqrt(np.mean(np.square(audio)))) or 0.1
    power = float(np.sqrt(np.mean(np.square(other)))) or 1.0
    return audio + np.float32(level / power * 10 ** (-decibels / 20)) * other
