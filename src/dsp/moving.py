"""Moves a recorded voice to another F0 along its own partials.

A voiced sound is a period whose shape changes slowly. Counted in periods u(t) of its F0, a sample
at phase p of a period has neighbours at the same phase in the periods before and after it. The
voice at another F0 asks, at time t, for the phase of *its* periods v(t): the two samples nearest to
t that have this phase are taken from the recording and cross-faded. Every partial keeps its own
amplitude and phase over time, and moves to the same multiple of the new F0; nothing is modelled.

Where the F0 stays, the result is the recording. Formants move with the partials; `shape_partials`
puts them back, or elsewhere, beforehand.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import map_coordinates, uniform_filter1d
from scipy.signal import resample_poly

from .stft import istft, stft

Signal = NDArray[np.float32]
Track = NDArray[np.float64]

MARGIN = 0.05  # seconds around a stretch that are read for its first and last periods
WINDOW = 0.046  # seconds, of the spectra in which envelopes are measured and changed
MOST_GAIN = 24.0  # dB, by which a partial is changed at most

_SMOOTH = 5  # frames over which envelopes are averaged
BLOCK = 1000  # frames whose envelopes are read at a time; at every bin they need much memory
_OVERSAMPLING = 2  # splines err next to nothing below half of the highest frequency


class _Periods:
    """A voice counted in periods: where in a recording a place between two periods lies.

    Args:
        signal: [C, M + T + M] samples, see `move_partials`.
        f0: [T] Hz, positive; held beyond both ends.
        rate: sample rate in Hz.
    """

    def __init__(self, signal: Signal, f0: Track, rate: int) -> None:
        self.count = count_periods(f0, rate)
        self.margin = count_margin(rate)
        self._samples = resample_poly(signal.astype(np.float64), _OVERSAMPLING, 1, axis=-1)
        beyond = self.margin / rate
        end = self.count[-1]
        self._known = np.concatenate([[-beyond * f0[0]], self.count, [end + beyond * f0[-1]]])
        last = len(f0) - 1
        self._times = np.concatenate([[-self.margin], np.arange(last + 1), [last + self.margin]])

    def read(self, periods: Track) -> Track:
        """Read the signal at places counted in periods, [T]: [C, T]."""
        place = _OVERSAMPLING * (np.interp(periods, self._known, self._times) + self.margin)
        return np.stack(
            [map_coordinates(x, [place], order=5, mode="nearest") for x in self._samples]
        )


def count_periods(f0: Track, rate: int) -> Track:
    """Count the periods of an F0 track [T] in Hz, sampled at `rate`, from its first sample: [T]."""
    steps = 0.5 * (f0[1:] + f0[:-1]) / rate
    return np.concatenate([[0.0], np.cumsum(steps)])


def move_partials(signal: Signal, f0: Track, target: Track, *, rate: int) -> Signal:
    """Move a voice from one F0 to another, see the module.

    Args:
        signal: [C, M + T + M] samples, with M = `count_margin(rate)` before and after.
        f0: [T] Hz, positive.
        target: [T] Hz, positive.
        rate: sample rate in Hz.

    Returns:
        [C, T].
    """
    periods = _Periods(signal, f0, rate)
    ahead = (count_periods(target, rate) - periods.count) % 1.0
    later = periods.read(periods.count + ahead)
    earlier = periods.read(periods.count + ahead - 1.0)
    return (later + ahead * (earlier - later)).astype(np.float32)


def split_noise(signal: Signal, f0: Track, *, rate: int) -> tuple[Signal, Signal]:
    """Split a voice into what repeats with its F0 and what does not: [C, T] each.

    What repeats is the average of five neighbouring periods, weighted by a Hann window.

    Args:
        signal: [C, M + T + M] samples, with M = `count_margin(rate)` before and after.
        f0: [T] Hz, positive.
        rate: sample rate in Hz.
    """
    periods = _Periods(signal, f0, rate)
    shifts = np.arange(-2, 3)
    weights = np.cos(np.pi * shifts / 6.0) ** 2
    weights /= weights.sum()
    average = sum(w * periods.read(periods.count + k) for k, w in zip(shifts, weights, strict=True))
    repeated = np.asarray(average, np.float32)
    return repeated, signal[:, periods.margin : periods.margin + len(f0)] - repeated


def count_margin(rate: int) -> int:
    """Count the samples that `move_partials` reads before and after a stretch."""
    return round(MARGIN * rate)


def choose_fft(rate: int) -> int:
    """Choose the FFT size of envelopes: the power of two next to `WINDOW`."""
    return int(2 ** round(np.log2(WINDOW * rate)))


def measure_partials(signal: Signal, f0: Track, *, rate: int) -> Track:
    """Measure the level of every partial over time.

    Args:
        signal: [C, T].
        f0: [N] Hz, positive, at the frames of an STFT with `choose_fft(rate)` and a quarter of it
            as hop.
        rate: sample rate in Hz.

    Returns:
        [K, N] dB of partials 1 to K; those above the Nyquist frequency have the level of the last
        one below.
    """
    n_fft = choose_fft(rate)
    spectrum = stft(torch.from_numpy(signal), n_fft=n_fft, hop=n_fft // 4)
    power = spectrum.abs().square().sum(dim=0).double().numpy()
    last = power.shape[0] - 1
    highest = np.maximum(1, np.ceil(0.5 * rate / f0) - 1).astype(int)
    order = np.arange(1, int(highest.max()) + 1)[:, None]
    centre = np.rint(np.minimum(order, highest) * f0 * n_fft / rate).astype(int)
    frames = np.arange(len(f0))
    near = [power[np.clip(centre + k, 0, last), frames] for k in (-1, 0, 1)]
    level = 10.0 * np.log10(np.maximum(np.sum(near, axis=0), 1e-20))
    kernel = np.ones(_SMOOTH)
    count = np.convolve(np.ones(level.shape[1]), kernel, "same")
    return np.stack([np.convolve(row, kernel, "same") / count for row in level])


def read_envelope(partials: Track, order: Track) -> Track:
    """Read the envelope between partials.

    Args:
        partials: [K, N] dB (`measure_partials`).
        order: [F, N] frequencies as multiples of F0.

    Returns:
        [F, N] dB, linear between neighbouring partials, held below the first and above the last.
    """
    place = np.clip(order - 1.0, 0.0, len(partials) - 1.0)
    below = np.floor(place).astype(int)
    above = np.minimum(below + 1, len(partials) - 1)
    frames = np.arange(partials.shape[1])
    low, high = partials[below, frames], partials[above, frames]
    envelope: Track = low + (place - below) * (high - low)
    return envelope


def shape_partials(
    signal: Signal,
    f0: Track,
    ratio: Track,
    *,
    rate: int,
    formants: float = 1.0,
    tilt: Track | None = None,
) -> Signal:
    """Change the levels of a voice's partials so that its formants come to lie where they shall.

    Before the voice is moved to `ratio` times its F0, partial k gets the level that the envelope
    has at its new frequency; all together keep their power. Partials that would come to lie above
    the Nyquist frequency go.

    Args:
        signal: [C, T].
        f0: [N] Hz, positive, at the frames of `measure_partials`.
        ratio: [N] of the F0 to come and `f0`.
        rate: sample rate in Hz.
        formants: factor on the frequencies of the formants.
        tilt: [F] dB by bin, added to the envelope at the new frequencies.

    Returns:
        [C, T].
    """
    n_fft = choose_fft(rate)
    partials = measure_partials(signal, f0, rate=rate)
    hertz = np.linspace(0.0, 0.5 * rate, n_fft // 2 + 1)[:, None]
    factor = np.empty((len(hertz), len(f0)), np.float32)
    for first in range(0, len(f0), BLOCK):
        part = slice(first, first + BLOCK)
        levels, order, to_come = partials[:, part], hertz / f0[part], hertz * ratio[part]
        gain = read_envelope(levels, to_come / f0[part] / formants) - read_envelope(levels, order)
        if tilt is not None:
            gain += np.interp(to_come, hertz[:, 0], tilt)
        gain = np.clip(gain, -MOST_GAIN, MOST_GAIN)
        gain[to_come > 0.5 * rate] = -np.inf
        factor[:, part] = 10.0 ** ((gain - _measure_louder(levels, gain, f0[part], rate)) / 20.0)
    spectrum = stft(torch.from_numpy(signal), n_fft=n_fft, hop=n_fft // 4)
    shaped: Signal = istft(
        spectrum * torch.from_numpy(factor), signal.shape[-1], n_fft=n_fft, hop=n_fft // 4
    ).numpy()
    return shaped


def _measure_louder(levels: Track, gain: Track, f0: Track, rate: int) -> Track:
    """Measure by how many dB gains [F, N] make the partials [K, N] louder together: [N]."""
    order = np.arange(1, len(levels) + 1)[:, None]
    bins = np.rint(order * f0 * (2 * (len(gain) - 1) / rate)).astype(int)
    there = bins < len(gain)
    gains = np.where(there, gain[bins.clip(max=len(gain) - 1), np.arange(len(f0))], -np.inf)
    power = np.where(there, 10.0 ** (levels / 10.0), 0.0)
    after = (power * 10.0 ** (gains / 10.0)).sum(axis=0)
    louder = 10.0 * np.log10(np.maximum(after, 1e-30) / np.maximum(power.sum(axis=0), 1e-30))
    return np.asarray(np.clip(louder, -MOST_GAIN, MOST_GAIN))


def measure_periodicity(signal: Signal, f0: Track, *, rate: int) -> Track:
    """Measure how much a signal repeats with an F0: correlation with itself a period later, [T].

    Args:
        signal: [C, M + T + M] samples, with M = `count_margin(rate)` before and after.
        f0: [T] Hz, positive.
        rate: sample rate in Hz.

    Returns:
        -1 to 1, over about 30 ms; 0 in digital silence.
    """
    periods = _Periods(signal, f0, rate)
    now, later = (periods.read(periods.count + shift) for shift in (-0.5, 0.5))
    size = max(3, round(0.03 * rate))

    def average(x: Track) -> Track:
        return np.asarray(uniform_filter1d(x.sum(axis=0), size, mode="nearest"))

    power = np.sqrt(np.maximum(average(now * now) * average(later * later), 1e-30))
    return average(now * later) / power
