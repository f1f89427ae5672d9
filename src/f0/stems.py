"""F0 of one isolated singer by SwiftF0, a small convolutional network run by ONNX Runtime."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from swift_f0 import SwiftF0

from ..dsp.tracks import HOP, RATE
from ..errors import UmssError
from .contours import F0Contours


class StemF0:
    """Reusable estimator of the F0 of isolated singers; loading the network takes 20 ms.

    Args:
        threads: number of CPU threads.
    """

    def __init__(self, threads: int = 1) -> None:
        self._detector = SwiftF0(threads=threads, spin=False)

    def __call__(
        self, audio: NDArray[np.float32], *, rate: int = RATE, confidence: float = 0.5
    ) -> NDArray[np.float32]:
        """Estimate the F0 of one singer.

        SwiftF0's frame n is centred on sample 256 n at 16 kHz (checked with chirps in the tests:
        the error is smallest at no offset), which is the project's grid; the resampling keeps the
        result on the grid if a later version of the package changes its time stamps. SwiftF0 leaves
        out an incomplete last frame, so the audio is padded to whole frames.

        Args:
            audio: mono samples [T].
            rate: sample rate, Hz.
            confidence: frames below this confidence (0 to 1) are unvoiced; SwiftF0 is calibrated
                for 0.5.

        Returns:
            F0 in Hz, float32 [ceil(T * 16000 / rate / 256)], 0 where unvoiced.

        Raises:
            UmssError: the audio is not one-dimensional or empty.
        """
        if audio.ndim != 1 or audio.size == 0:
            raise UmssError(f"expected audio [T] with T > 0, got shape {audio.shape}")
        n_frames = -(-int(round(audio.size * RATE / rate)) // HOP)
        missing = -audio.size % -(-HOP * rate // RATE)
        padded = np.pad(np.asarray(audio, dtype=np.float32), (0, missing))
        result = self._detector.detect(padded, rate)
        f0 = np.where(result.confidence >= confidence, result.pitch_hz, 0.0).astype(np.float32)
        return F0Contours(result.timestamps, f0[:, None], ("stem",)).to_frames(n_frames)[:, 0]


def estimate_stem_f0(
    audio: NDArray[np.float32], rate: int = RATE, *, confidence: float = 0.5
) -> NDArray[np.float32]:
    """Estimate the F0 of one isolated singer; `StemF0` is faster for several.

    Args:
        audio: mono samples [T].
        rate: sample rate, Hz.
        confidence: frames below this confidence (0 to 1) are unvoiced.

    Returns:
        F0 in Hz on the 16-ms grid, float32 [ceil(T / 256)] at 16 kHz, 0 where unvoiced.
    """
    return StemF0()(audio, rate=rate, confidence=confidence)
