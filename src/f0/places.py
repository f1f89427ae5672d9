"""Where the singers are: how loud the partials of their tracks are in the channels of a recording.

A singer who stands left is louder in the left channel, on whatever pitch. That tells singers apart
whose voices sound alike, in panned mixes as well as before two microphones.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..audio import Examination, open_audio
from ..dsp.tracks import HOP, RATE
from ..hearing import Mix
from .timbre import FFT, PARTIALS, STRIDE, find_clear, read_powers

EDGES = (0.0, 700.0, 1500.0, 5000.0)  # Hz; microphones and heads shade high partials more
ALIKE = 0.5  # dB by which levels must vary for channels to be different
FAINT = 1e-6  # amplitude of the partials of a band, relative to the loudest; fainter is not heard
BLOCK = 64  # frames at a time


@dataclass(frozen=True, eq=False)
class Channels:
    """The channels of a recording, to be read once its tracks are known.

    Attributes:
        read: begins to read, block by block, [C, n].
        rate: sample rate in Hz.
        used: bool [C], the channels that are listened to; two at least.
    """

    read: Callable[[], Iterable[NDArray[np.float32]]]
    rate: int
    used: NDArray[np.bool_]


def open_channels(path: Path, examination: Examination) -> Channels | None:
    """The channels of an examined file that are listened to; None where it is one channel.

    The file is opened when they are read, with the errors of `src.audio.open_audio`.
    """
    used = _list_used(examination.channels, examination.mix)

    def read() -> Iterator[NDArray[np.float32]]:
        with open_audio(path) as source:
            yield from source.blocks()

    return Channels(read, examination.rate, used) if used.sum() > 1 else None


def hold_channels(samples: NDArray[np.float32], rate: int, mix: Mix) -> Channels | None:
    """The channels of samples [C, T] of which `mix` is listened to; None where it is one."""
    used = _list_used(len(samples), mix)
    return Channels(lambda: [samples], rate, used) if used.sum() > 1 else None


def measure_places(channels: Channels, f0: NDArray[np.float32]) -> NDArray[np.float64] | None:
    """Measure where singers are, along their tracks, from partials that no other track covers.

    Args:
        channels: the recording.
        f0: [N, J] Hz on the 16-ms grid, 0 = silent.

    Returns:
        [N', J, E] at every `STRIDE`-th F0 frame: in three bands and all channels but the last, dB
        above the mean of the channels, NaN where no partial is heard; or None where that is the
        same all the time, as in a mono recording on several channels.
    """
    tracks = f0[::STRIDE].astype(np.float64)
    orders = np.arange(1, PARTIALS + 1)
    size = 2 * round(0.5 * FFT * channels.rate / RATE)
    n_levels = (len(EDGES) - 1) * (int(channels.used.sum()) - 1)
    places = np.zeros((*tracks.shape, n_levels))
    weights = np.zeros((*tracks.shape, n_levels))
    for first, spectra in _transform(channels, len(tracks), size):
        part = slice(first, first + spectra.shape[1])
        hertz = tracks[part, :, None] * orders
        power = np.square(np.abs(spectra))
        powers = read_powers(power, hertz * size / channels.rate).astype(np.float64)
        clear = find_clear(tracks[part], orders) * (hertz < 0.5 * channels.rate)
        places[part], weights[part] = _average_levels(powers, clear, hertz)
    heard = weights > FAINT * weights.max(initial=0.0)
    weights = np.where(heard, weights, 0.0)
    total = np.maximum(weights.sum(axis=(0, 1)), np.finfo(np.float64).tiny)
    mean = (weights * places).sum(axis=(0, 1)) / total
    variance = (weights * (places - mean) ** 2).sum(axis=(0, 1)) / total
    if variance.max(initial=0.0) < ALIKE**2:
        return None
    return np.where(heard, places, np.nan)


def _list_used(n_channels: int, mix: Mix) -> NDArray[np.bool_]:
    return np.ones(n_channels, dtype=np.bool_) if mix.weights is None else mix.weights != 0


def _transform(
    channels: Channels, n_frames: int, size: int
) -> Iterator[tuple[int, NDArray[np.complex64]]]:
    """Spectra [C, n, F] of the channels around every measured frame, in blocks, with the first."""
    centres = np.rint(np.arange(n_frames) * (STRIDE * HOP * channels.rate / RATE)).astype(np.int64)
    window = np.hanning(size + 1)[:-1].astype(np.float32)
    # Silence beyond both ends.
    silence = np.zeros((len(channels.used), size), dtype=np.float32)
    position, first = -size, 0
    held = silence[channels.used]
    for block in chain(channels.read(), [silence]):
        held = np.concatenate([held, block[channels.used]], axis=1)
        end = position + held.shape[1]
        ready = int(np.searchsorted(centres, end - size // 2, side="right"))
        for start in range(first, ready, BLOCK):
            stop = min(start + BLOCK, ready)
            begin = centres[start:stop] - size // 2 - position
            frames = held[:, begin[:, None] + np.arange(size)]
            yield start, np.fft.rfft(frames * window).astype(np.complex64)
        first = ready
        if first < n_frames:
            gone = max(0, int(centres[first]) - size // 2 - position)
            held, position = held[:, gone:], position + gone


def _average_levels(
    powers: NDArray[np.float64], clear: NDArray[np.float64], hertz: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Levels [n, J, E] of powers [C, n, J, H] beside the mean channel, and their weights."""
    # 70 dB below the loudest channel nothing is told apart.
    level = 10.0 * np.log10(np.maximum(powers, 1e-7 * powers.max(axis=0)) + 1e-30)
    level -= level.mean(axis=0)
    amplitude = clear * np.sqrt(powers.sum(axis=0))
    levels, weights = [], []
    for low, high in pairwise(EDGES):
        inside = amplitude * ((hertz >= low) & (hertz < high))
        total = inside.sum(axis=-1)
        means = (inside * level[:-1]).sum(axis=-1) / np.maximum(total, 1e-30)
        levels.append(means)
        weights.append(np.broadcast_to(total, means.shape))
    return np.moveaxis(np.concatenate(levels), 0, -1), np.moveaxis(np.concatenate(weights), 0, -1)
