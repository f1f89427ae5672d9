"""Which mixture of its channels is listened to: what F0 estimates and masks are made of.

Usually the mean of the channels. Not where it would lose the voices: one channel may be inverted
(then the mean cancels them), dead, or nothing but noise. This is measured over the whole recording,
in the band of the voices' strongest partials.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

BAND = (100.0, 4000.0)  # Hz
FRAME_SECONDS = 0.046
DEAD = 1e-6  # power relative to the loudest channel
NOISE_FLATNESS = 0.4  # spectral flatness: white noise has 0.56, singing less than 0.2
VOICE_FLATNESS = 0.2
INVERTED = 0.3  # correlation of a channel, turned round, with the others
CANCELLED = 0.1  # power of the mixture relative to the mean power of its channels


@dataclass(frozen=True)
class Mix:
    """How channels are mixed for listening.

    Attributes:
        weights: float32 [C]; None = the mean of all channels.
        notes: why it is not the mean, one sentence each.
    """

    weights: NDArray[np.float32] | None = None
    notes: list[str] = field(default_factory=list)

    def apply(self, channels: NDArray[np.float32]) -> NDArray[np.float32]:
        """Mix channels [..., C, T] to [..., T]."""
        if self.weights is None:
            mean: NDArray[np.float32] = channels.mean(axis=-2)
            return mean
        mixed: NDArray[np.float32] = np.tensordot(channels, self.weights, axes=([-2], [0]))
        return mixed.astype(np.float32, copy=False)


class ChannelMeter:
    """Measures the channels of a recording, block by block.

    Args:
        channels: number of channels C.
        rate: sample rate in Hz.
    """

    def __init__(self, channels: int, rate: int) -> None:
        self._size = 1 << max(4, round(np.log2(FRAME_SECONDS * rate)))
        frequencies = np.fft.rfftfreq(self._size, 1 / rate)
        self._band = (frequencies >= BAND[0]) & (frequencies <= BAND[1])
        self._window = np.hanning(self._size)
        self._products = np.zeros((channels, channels))
        self._geometric = np.zeros(channels)

    def measure(self, block: NDArray[np.float32]) -> None:
        """Take in the next samples [C, n]; less than a frame at the end of a block is left out."""
        n_channels, n_samples = block.shape
        n_frames = n_samples // self._size
        if n_channels < 2 or not n_frames or not self._band.any():
            return
        frames = block[:, : n_frames * self._size].reshape(n_channels, n_frames, self._size)
        spectra = np.fft.rfft(frames * self._window)[..., self._band]
        self._products += np.einsum("anf,bnf->ab", spectra, spectra.conj()).real
        power = np.abs(spectra) ** 2
        means = np.exp(np.log(power + 1e-20).mean(axis=-1))
        self._geometric += means.sum(axis=-1) * power.shape[-1]

    def choose(self) -> Mix:
        """How to mix the channels that were measured."""
        power = np.diag(self._products)
        if len(power) < 2 or not power.max() > 0:
            return Mix()
        flatness = self._geometric / np.maximum(power, 1e-30)
        live = power > DEAD * power.max()
        noisy = live & (flatness > NOISE_FLATNESS) & (flatness[live].min() < VOICE_FLATNESS)
        used = live & ~noisy
        signs = _find_signs(self._products, used)
        weights = signs * used / used.sum()
        notes = []
        if noisy.any():
            notes.append(f"{_name(noisy)} noise without voices and is not listened to")
        if (~live).any() and not live.all():
            notes.append(f"{_name(~live)} silent and is not listened to")
        if (signs < 0).any():
            notes.append(
                f"{_name(signs < 0)} inverted against the rest (opposite phase) and is turned "
                "round for listening; stems keep the channels as they are"
            )
        mean_power = float(power[used].mean())
        if weights @ self._products @ weights < CANCELLED * mean_power:
            loudest = int(np.argmax(np.where(used, power, 0)))
            weights = np.eye(len(power))[loudest]
            notes.append(f"the channels cancel each other; channel {loudest + 1} is listened to")
        if used.all() and (signs > 0).all() and not notes:
            return Mix()
        return Mix(weights.astype(np.float32), notes)


def _find_signs(products: NDArray[np.float64], used: NDArray[np.bool_]) -> NDArray[np.float64]:
    """-1 for each channel that is inverted against the others, else 1; [C]."""
    signs = np.ones(len(products))
    scale = np.sqrt(np.maximum(np.diag(products), 1e-30))
    correlation = products / np.outer(scale, scale) * np.outer(used, used)
    _, vectors = np.linalg.eigh(correlation)
    turned = used & (vectors[:, -1] < 0)
    # The fewer channels are the inverted ones; of two, the second.
    if 2 * turned.sum() > used.sum() or (
        2 * turned.sum() == used.sum() and turned[np.argmax(used)]
    ):
        turned = used & ~turned
    guess = np.where(turned, -1.0, 1.0) * used
    for channel in np.flatnonzero(turned):
        others = guess.copy()
        others[channel] = 0
        power = others @ correlation @ others
        if power > 0 and -(correlation[channel] @ others) > INVERTED * np.sqrt(power):
            signs[channel] = -1.0
    return signs


def _name(channels: NDArray[np.bool_]) -> str:
    numbers = [str(k + 1) for k in np.flatnonzero(channels)]
    if len(numbers) == 1:
        return f"channel {numbers[0]} is"
    return f"channels {', '.join(numbers)}: each is"
