"""Writing WAV files: the same samples give the same bytes, at any length."""

from __future__ import annotations

import errno
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import soundfile as sf
from numpy.typing import NDArray

from .decoding import name_for_soundfile
from .errors import OutputExistsError
from .files import replace_when_complete

LARGEST_WAV = 1 << 32  # bytes; sizes in a WAV file have 32 bits


class WavWriter:
    """Writes a 32-bit float WAV file block by block.

    The file is an RF64 file, which most programs read like WAV, where WAV cannot hold it (4 GiB).
    The same samples give the same bytes.

    Args:
        path: the file; it is replaced.
        rate: sample rate in Hz.
        channels: number of channels C.
        n_samples: samples per channel that will be written.
        texts: title, artist, album and date, if any; RF64 files hold none.

    Attributes:
        peak: the largest magnitude that was written.

    Raises:
        OSError: the system does not write, here and in all methods.
    """

    def __init__(
        self,
        path: Path,
        rate: int,
        channels: int,
        n_samples: int,
        texts: Mapping[str, str] | None = None,
    ) -> None:
        self.path = path
        self.peak = 0.0
        large = 4 * channels * n_samples + (1 << 16) >= LARGEST_WAV
        with raise_system_errors(path):
            self._file = sf.SoundFile(
                name_for_soundfile(path),
                "w",
                rate,
                channels,
                subtype="FLOAT",
                format="RF64" if large else "WAV",
            )
            for name, text in ({} if large else texts or {}).items():
                setattr(self._file, name, text)

    def write(self, samples: NDArray[np.float32]) -> None:
        """Write the next samples [C, n]."""
        if samples.size:
            self.peak = max(self.peak, float(samples.max()), -float(samples.min()))
        with raise_system_errors(self.path):
            self._file.write(samples.T)

    def close(self) -> None:
        """Complete the file."""
        with raise_system_errors(self.path):
            self._file.close()
        clear_time(self.path)

    def abandon(self) -> None:
        """Close the file, whatever state it is in."""
        with suppress(OSError, RuntimeError):
            self._file.close()


def clear_time(path: Path) -> None:
    """Clear the time of day, which libsndfile writes beside the peak level of a WAV file."""
    with path.open("r+b") as file:
        place = file.read(1 << 12).find(b"PEAK")
        if place >= 0:
            file.seek(place + 12)
            file.write(bytes(4))


@contextmanager
def raise_system_errors(path: Path) -> Iterator[None]:
    """libsndfile does not pass on why the system refused to write."""
    try:
        yield
    except (sf.LibsndfileError, RuntimeError, AssertionError) as error:
        reason = "the disk is full, or a limit on the size of files is reached"
        raise OSError(errno.ENOSPC, reason, str(path)) from error


def write_wav_atomic(
    path: str | Path,
    audio: NDArray[np.float32],
    rate: int,
    *,
    overwrite: bool = False,
    texts: Mapping[str, str] | None = None,
) -> None:
    """Write [T] or [C, T] as a 32-bit float WAV file, complete or not at all; see `WavWriter`.

    Raises:
        OutputExistsError: the file exists and `overwrite` is false.
    """
    path = Path(path)
    if path.exists() and not overwrite:
        raise OutputExistsError(f"{path}: exists; choose another output or set overwrite=true")
    samples = np.atleast_2d(np.asarray(audio))
    with replace_when_complete(path) as temporary:
        writer = WavWriter(temporary, rate, samples.shape[0], samples.shape[1], texts)
        try:
            writer.write(samples)
            writer.close()
        finally:
            writer.abandon()
