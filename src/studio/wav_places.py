"""Writing over samples of a WAV file of floats, wherever they lie."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from ..errors import UmssError


class WavPlaces:
    """A WAV or RF64 file of 32-bit floats, whose samples are replaced in place.

    The level in a PEAK chunk is taken away: it would be wrong afterwards.

    Args:
        path: the file.
        channels: C.

    Raises:
        UmssError: it has no samples.
    """

    def __init__(self, path: Path, channels: int) -> None:
        self._channels = channels
        self._file = path.open("r+b")
        self._start = self._find_data(path)

    def write(self, first: int, samples: NDArray[np.float32]) -> None:
        """Write samples [C, n] from sample `first` on."""
        self._file.seek(self._start + 4 * self._channels * first)
        self._file.write(np.ascontiguousarray(samples.T, "<f4").tobytes())

    def close(self) -> None:
        """Complete the file."""
        self._file.close()

    def _find_data(self, path: Path) -> int:
        file: BinaryIO = self._file
        file.seek(12)
        while True:
            head = file.read(8)
            if len(head) < 8:
                raise UmssError(f"{path}: holds no samples; separate the recording again")
            name, size = struct.unpack("<4sI", head)
            if name == b"data":
                return file.tell()
            if name == b"PEAK":
                file.seek(-8, 1)
                file.write(b"JUNK")
                file.seek(4, 1)
            file.seek(size + size % 2, 1)
