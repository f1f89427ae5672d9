"""Instruments that play along: their notes are found, so that no singer gets them.

What an organ or a piano plays stands still where singers waver. In a spectrogram of one-second
windows its partials are lines, and those of voices, with their vibrato, are not: a harmonic part of
such a spectrogram holds the instrument (and what of the voices stands still, the lowest partials
above all), the rest holds the singers. Neither is clean enough to be heard, but both say which
pitches are whose.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..dsp.hpss import harmonic_part
from ..dsp.steadiness import measure_steadiness
from ..dsp.stft import check_hop
from ..errors import UmssError


@dataclass(frozen=True)
class AccompanimentFinder:
    """Finds the steady part of recordings in which an instrument plays along.

    Args:
        steadiness: partials per frame that stay on their frequency, from which on an instrument
            plays (`src.dsp.steadiness`).
        sung: share of the energy that must not stand still: with less, nobody sings beside the
            instrument, and what stands still are the voices (synthesised ones, say).
        n_fft, hop: of the spectrogram in which steady tones are lines, samples.
        kernel_size: of its medians along time and along frequency, see `src.dsp.hpss`.
        margin: how far a line must stand out.

    Raises:
        UmssError: a setting out of range.
    """

    steadiness: float = 0.5
    sung: float = 0.12
    n_fft: int = 16384
    hop: int = 2048
    kernel_size: tuple[int, int] = (9, 61)
    margin: float = 3.0

    def __post_init__(self) -> None:
        if not self.steadiness > 0:
            raise UmssError(f"accompaniment.steadiness={self.steadiness} must be positive")
        if not 0.0 <= self.sung <= 1.0:
            raise UmssError(f"accompaniment.sung={self.sung} must be between 0 and 1")
        if not self.margin >= 1:
            raise UmssError(f"accompaniment.margin={self.margin} must be at least 1")
        check_hop("accompaniment", self.hop, self.n_fft)

    def __call__(self, audio: NDArray[np.float32]) -> NDArray[np.float32] | None:
        """The steady part [T] of samples [T] at 16 kHz; None where no instrument plays along."""
        if measure_steadiness(audio) < self.steadiness:
            return None
        steady = harmonic_part(
            audio,
            n_fft=self.n_fft,
            hop=self.hop,
            kernel_size=self.kernel_size,
            margin=(self.margin, 1.0),
        )
        left = np.square(audio - steady, dtype=np.float64).sum()
        return steady if left >= self.sung * np.square(audio, dtype=np.float64).sum() else None
