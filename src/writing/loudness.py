"""Loudness and true peak of recordings of any length (ITU-R BS.1770-4), block by block.

torchaudio and pyloudnorm measure the same, but only signals that are in memory.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.signal import resample_poly, sosfilt

_HOP = 0.1  # seconds; blocks of 400 ms overlap by three quarters
_ABSOLUTE, _RELATIVE = -70.0, -10.0  # gates, LUFS and LU
_OVERSAMPLING = 4
_MARGIN = 16  # samples around a block that the interpolation needs


class LoudnessMeter:
    """Measures the integrated loudness of a signal [C, n] that comes block by block; C is 1 or 2.

    Args:
        rate: sample rate in Hz.
        channels: number of channels C.
    """

    def __init__(self, rate: int, channels: int) -> None:
        self._sos = _design_weighting(rate)
        self._state = np.zeros((len(self._sos), channels, 2))
        self._hop = round(_HOP * rate)
        self._rest = np.zeros(0)
        self.energies: list[NDArray[np.float64]] = []

    def measure(self, block: NDArray[np.floating]) -> None:
        """Take the next samples [C, n]."""
        if not block.shape[1]:
            return
        weighted, self._state = sosfilt(
            self._sos, np.asarray(block, np.float64), axis=-1, zi=self._state
        )
        power = np.concatenate([self._rest, (weighted**2).sum(axis=0)])
        whole = len(power) - len(power) % self._hop
        self.energies.append(power[:whole].reshape(-1, self._hop).mean(axis=1))
        self._rest = power[whole:]

    def integrate(self) -> float:
        """The loudness in LUFS, -inf for silence or less than 400 ms."""
        return integrate(np.concatenate([*self.energies, np.zeros(0)]))


def integrate(energies: NDArray[np.float64]) -> float:
    """Integrate weighted energies of steps of 100 ms, [K], to a gated loudness in LUFS."""
    if len(energies) < 4:
        return -math.inf
    blocks = np.convolve(energies, np.full(4, 0.25), "valid")
    kept = blocks[_to_level(blocks) > _ABSOLUTE]
    if not len(kept):
        return -math.inf
    gate = float(_to_level(kept.mean())) + _RELATIVE
    return float(_to_level(kept[_to_level(kept) > gate].mean()))


def _to_level(energy: NDArray[np.float64] | np.floating) -> NDArray[np.float64]:
    return -0.691 + 10.0 * np.log10(np.maximum(energy, 1e-20))


def _design_weighting(rate: int) -> NDArray[np.float64]:
    """Design the K-weighting for any sample rate, as libebur128 does."""
    k = math.tan(math.pi * 1681.974450955533 / rate)
    gain, q = 10 ** (3.999843853973347 / 20), 0.7071752369554196
    band = gain**0.4996667741545416
    scale = 1 + k / q + k * k
    shelf = [
        (gain + band * k / q + k * k) / scale, 2 * (k * k - gain) / scale,
        (gain - band * k / q + k * k) / scale,
        1.0, 2 * (k * k - 1) / scale, (1 - k / q + k * k) / scale,
    ]  # fmt: skip
    k, q = math.tan(math.pi * 38.13547087602444 / rate), 0.5003270373238773
    scale = 1 + k / q + k * k
    high_pass = [1.0, -2.0, 1.0, 1.0, 2 * (k * k - 1) / scale, (1 - k / q + k * k) / scale]
    return np.array([shelf, high_pass])


class PeakMeter:
    """Measures the true peak of a signal [C, n] that comes block by block, four times oversampled.

    Attributes:
        peak: the largest magnitude so far; what is less than 16 samples old is added by `finish`.
    """

    def __init__(self, channels: int) -> None:
        self.peak = 0.0
        self._tail = np.zeros((channels, 2 * _MARGIN))

    def measure(self, block: NDArray[np.floating]) -> None:
        """Take the next samples [C, n]."""
        joined = np.concatenate([self._tail, block], axis=1)
        self._tail = joined[:, -2 * _MARGIN :]
        fine = resample_poly(joined, _OVERSAMPLING, 1, axis=1)
        inside = fine[:, _OVERSAMPLING * _MARGIN : -_OVERSAMPLING * _MARGIN]
        if inside.size:
            self.peak = max(self.peak, float(np.abs(inside).max()))

    def finish(self) -> float:
        """The true peak in dBTP, -inf for silence."""
        self.measure(np.zeros((len(self._tail), 2 * _MARGIN)))
        return 20.0 * math.log10(self.peak) if self.peak > 0 else -math.inf
