"""Salience and assignment that need no weights, for tests of what is around them."""

from __future__ import annotations

import librosa
import numpy as np
from numpy.typing import NDArray

from src.f0.contours import F0Contours
from src.f0.salience import Assigner, Salience, SalienceModel

FREQUENCIES = 55.0 * 2.0 ** (np.arange(272) / 60)


class ToneSalience(SalienceModel):
    """Level of the spectrum relative to its loudest moment: right for sine tones."""

    def __call__(self, audio: NDArray[np.float32]) -> Salience:
        n_frames = -(-len(audio) // 256)
        spectrum = np.abs(librosa.stft(audio, n_fft=4096, hop_length=256))[:, :n_frames]
        place = FREQUENCIES * 4096 / 16_000
        below = place.astype(int)
        weight = (place - below)[:, None]
        values = (1 - weight) * spectrum[below] + weight * spectrum[below + 1]
        relative = (values / max(float(values.max()), 1e-9)).astype(np.float32)
        return Salience(relative, FREQUENCIES, np.arange(n_frames) * 0.016)


class LoudestPeaks(Assigner):
    """The J highest peaks of every frame, sorted; fewer fill the tracks from above."""

    def __init__(self, threshold: float = 0.2) -> None:
        self.threshold = threshold

    def __call__(
        self,
        salience: Salience,
        n_singers: int,
        *,
        audio: NDArray[np.float32] | None = None,
        prior: NDArray[np.float32] | None = None,
    ) -> NDArray[np.float32]:
        self.refuse_prior(prior)
        v = salience.values
        peaks = np.zeros(v.shape, dtype=bool)
        peaks[1:-1] = (v[1:-1] > v[:-2]) & (v[1:-1] >= v[2:]) & (v[1:-1] >= self.threshold)
        f0 = np.zeros((v.shape[1], n_singers), dtype=np.float32)
        for n in range(v.shape[1]):
            rows = np.flatnonzero(peaks[:, n])
            rows = np.sort(rows[np.argsort(-v[rows, n])][:n_singers])[::-1]
            f0[n, : len(rows)] = salience.frequencies[rows]
        return f0


class PriorTracks(Assigner):
    """The prior itself, to see what arrives; without one, silence."""

    def __call__(
        self,
        salience: Salience,
        n_singers: int,
        *,
        audio: NDArray[np.float32] | None = None,
        prior: NDArray[np.float32] | None = None,
    ) -> NDArray[np.float32]:
        assert audio is not None
        if prior is None:
            return np.zeros((len(salience.times), n_singers), np.float32)
        return prior


def salience_of(
    contours: F0Contours, *, noise: float = 0.0, found: float = 1.0, seed: int = 0
) -> Salience:
    """What a good model would see: a bump of 30 cents at every F0, some missing, some noise."""
    rng = np.random.default_rng(seed)
    values = np.zeros((len(FREQUENCIES), len(contours.times)), dtype=np.float32)
    cents = 1200 * np.log2(FREQUENCIES)
    for track in contours.f0.T:
        shown = (track > 0) & (rng.random(len(track)) < found)
        distance = cents[:, None] - 1200 * np.log2(track[shown])
        values[:, shown] = np.maximum(values[:, shown], 0.9 * np.exp(-0.5 * (distance / 30) ** 2))
    values += noise * rng.random(values.shape).astype(np.float32)
    return Salience(np.clip(values, 0, 1).astype(np.float32), FREQUENCIES, contours.times)
