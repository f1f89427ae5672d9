"""What a voice sounds like in a mixture, frame by frame: its spectral envelope along an F0 track.

Only partials count that no partial of another track covers. Where few are left, the envelope leans
on the mean of the recording, so that it says nothing about who sings.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..dsp.stft import compute_spectra
from ..dsp.tracks import HOP, RATE
from .permutations import give_tracks

FFT = 2048  # samples, 128 ms
STRIDE = 2  # F0 frames from one measured frame to the next
PARTIALS = 20
HIGHEST = 5000.0  # Hz; above, breath noise covers the partials
COSINES = 14  # of the log envelope, the level included
CLOSE = 16.0  # Hz between partials that cannot be told apart ...
CLEAR = 40.0  # ... and from where on they do not disturb each other
FLOOR = 3e-4  # relative to the loudest partial of the recording: lower ones count as this high
STIFFNESS = 0.1  # partials that the mean envelope is worth, for the second cosine; grows by order^2
USABLE, RANGE, HELD, FEWEST = 0.7, 40.0, 0.3, 3  # beating: clearness, dB, semitones, partials
BLOCK = 1024  # frames at a time, which bounds the memory


@dataclass(frozen=True, eq=False)
class Timbre:
    """Envelopes of J tracks in N measured frames, every STRIDE-th F0 frame.

    Attributes:
        features: [N, J, D] coefficients of the log amplitude in cosines over mel frequency, the
            first being the level; and what else is known.
        pitch: [N, J] semitones above 440 Hz; 0 where silent.
        weight: [N, J] 0 to 1, how much of the envelope was heard; 0 where silent.
        beating: [N, J, 2] how much the log levels of clear partials change from the frame before
            to this one, beside what all change, summed over partials; and the number of partials.
    """

    features: NDArray[np.float64]
    pitch: NDArray[np.float64]
    weight: NDArray[np.float64]
    beating: NDArray[np.float64]

    def extend(self, extra: NDArray[np.float64]) -> Timbre:
        """Add features [N, J, E], NaN where unknown: there their mean counts."""
        known = np.isfinite(extra)
        count = np.maximum(known.sum(axis=(0, 1)), 1)
        mean = np.where(known, extra, 0.0).sum(axis=(0, 1)) / count
        features = np.concatenate([self.features, np.where(known, extra, mean)], axis=2)
        return replace(self, features=features)

    def choose(self, tracks: slice) -> Timbre:
        """Choose some of the tracks."""
        return Timbre(*(values[:, tracks] for values in self._list()))

    def give(self, tracks: slice, singer: NDArray[np.int64]) -> Timbre:
        """Give some of the tracks to their singers, [N', J] in F0 frames."""
        places = singer[::STRIDE]
        given = []
        for values in map(np.copy, self._list()):
            values[:, tracks] = give_tracks(values[:, tracks], places)
            given.append(values)
        return Timbre(*given)

    def _list(self) -> tuple[NDArray[np.float64], ...]:
        return self.features, self.pitch, self.weight, self.beating


def measure_timbre(audio: NDArray[np.float32], f0: NDArray[np.float32]) -> Timbre:
    """Measure the envelopes of the voices along their tracks.

    Args:
        audio: recording [T] at 16 kHz.
        f0: [N, J] Hz on the 16-ms grid, 0 = silent.
    """
    tracks = f0[::STRIDE].astype(np.float64)
    n_frames, n_tracks = tracks.shape
    orders = np.arange(1, PARTIALS + 1)
    power = np.zeros((n_frames, n_tracks, PARTIALS))
    clear = np.zeros((n_frames, n_tracks, PARTIALS))
    for first in range(0, n_frames, BLOCK):
        part = slice(first, min(first + BLOCK, n_frames))
        power[part], clear[part] = _listen(audio, tracks[part], first, orders)
    sung = tracks > 0
    loudest = float((power * (clear > 0.5)).max(initial=0.0))
    level = np.log(np.maximum(power, FLOOR**2 * loudest) + 1e-30) / 2
    cosines = _fit_cosines(tracks, level, clear, orders)
    pitch = np.where(sung, 12 * np.log2(np.maximum(tracks, 1.0) / 440.0), 0.0)
    weight = np.where(sung, np.minimum(1.0, clear.sum(axis=2) / 6.0), 0.0)
    return Timbre(cosines, pitch, weight, _measure_beating(level, clear, pitch))


def _fit_cosines(
    tracks: NDArray[np.float64],
    level: NDArray[np.float64],
    clear: NDArray[np.float64],
    orders: NDArray[np.int64],
) -> NDArray[np.float64]:
    """Fit the envelopes [N, J, COSINES] to the log amplitudes of partials [N, J, H]."""
    stiffness = STIFFNESS * np.arange(COSINES) ** 2.0
    stiffness[0] = 1e-3
    prior = np.diag(stiffness)

    def relate(part: slice) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        basis = _build_cosines(tracks[part, :, None] * orders)
        heard = clear[part, :, :, None] * basis
        return heard.swapaxes(2, 3) @ basis, (heard * level[part, :, :, None]).sum(axis=2)

    # The mean envelope of the recording, every track with a level of its own.
    parts = [slice(i, i + BLOCK) for i in range(0, len(tracks), BLOCK)]
    sung = tracks > 0
    total, target = prior.copy(), np.zeros(COSINES)
    for part in parts:
        left, right = relate(part)
        total += left[sung[part]].sum(axis=0)
        target += right[sung[part]].sum(axis=0)
    mean = np.linalg.solve(total, target)
    mean[0] = 0.0
    cosines = np.zeros((*tracks.shape, COSINES))
    for part in parts:
        left, right = relate(part)
        right -= left @ mean
        cosines[part] = np.linalg.solve(left + prior, right[..., None])[..., 0] + mean
    cosines[~sung] = 0.0
    return cosines


def _listen(
    audio: NDArray[np.float32], tracks: NDArray[np.float64], first: int, orders: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Measure the power of each partial of tracks [N, J] and how clear it is, both [N, J, H]."""
    last = first + len(tracks)
    spectrum = compute_spectra(audio, first, last, n_fft=FFT, hop=HOP * STRIDE)
    power = spectrum.abs().square().numpy().T.astype(np.float64)
    hertz = tracks[:, :, None] * orders
    return read_powers(power, hertz * FFT / RATE), find_clear(tracks, orders)


def read_powers(power: NDArray[Any], bins: NDArray[np.float64]) -> NDArray[Any]:
    """Read the powers [..., N, J, H] of partials, each of three bins around `bins` [N, J, H].

    Args:
        power: [..., N, F] of spectra.
        bins: where the partials are, in bins; those outside are read at the edges.
    """
    nearest = np.rint(bins).astype(np.int64).clip(1, power.shape[-1] - 2)
    row = np.arange(len(bins))[:, None, None]
    around: NDArray[Any] = (
        power[..., row, nearest - 1] + power[..., row, nearest] + power[..., row, nearest + 1]
    )
    return around


def find_clear(tracks: NDArray[np.float64], orders: NDArray[np.int64]) -> NDArray[np.float64]:
    """Find the partials that no partial of another track covers.

    Args:
        tracks: [N, J] Hz, 0 = silent.
        orders: [H] of the partials.

    Returns:
        [N, J, H], 1 where a partial is clear, 0 where it is covered, silent or too high.
    """
    hertz = tracks[:, :, None] * orders
    clear = ((tracks[:, :, None] > 0) & (hertz < HIGHEST)).astype(np.float64)
    for j in range(tracks.shape[1]):
        for other in range(tracks.shape[1]):
            if other == j:
                continue
            pitch = np.where(tracks[:, other] > 0, tracks[:, other], 1e6)[:, None]
            nearest = np.maximum(1.0, np.round(hertz[:, j] / pitch)) * pitch
            distance = np.abs(hertz[:, j] - nearest)
            clear[:, j] *= np.clip((distance - CLOSE) / (CLEAR - CLOSE), 0.0, 1.0)
    return clear


def _measure_beating(
    level: NDArray[np.float64], clear: NDArray[np.float64], pitch: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Measure the changes of partials, see `Timbre.beating`.

    Args:
        level: [N, J, H] log amplitudes.
        clear: [N, J, H] 0 to 1.
        pitch: [N, J] semitones.
    """
    usable = clear > USABLE
    loudest = np.where(usable, level, -np.inf).max(axis=2, keepdims=True)
    usable &= level > loudest - np.log(10 ** (RANGE / 20))
    usable[:, :, 0] = False  # the lowest partials of many voices hardly beat
    held = np.abs(np.diff(pitch, axis=0)) < HELD
    both = usable[1:] & usable[:-1] & held[:, :, None]
    count = both.sum(axis=2)
    change = np.diff(level, axis=0)
    common = (change * both).sum(axis=2) / np.maximum(count, 1)
    total = (np.abs(change - common[:, :, None]) * both).sum(axis=2)
    enough = count >= FEWEST
    beating = np.zeros((*pitch.shape, 2))
    beating[1:, :, 0] = np.where(enough, total, 0.0)
    beating[1:, :, 1] = np.where(enough, count, 0)
    return beating


def _build_cosines(hertz: NDArray[np.float64]) -> NDArray[np.float64]:
    """Build the cosines over mel frequency at frequencies [...] in Hz: [..., COSINES]."""
    mel = np.log1p(hertz / 700.0) / np.log1p(HIGHEST / 700.0)
    return np.cos(np.pi * np.arange(COSINES) * np.minimum(mel, 1.0)[..., None])
