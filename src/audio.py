"""Reading, resampling and writing audio files."""

from __future__ import annotations

from pathlib import Path

import librosa
import numpy as np
import soundfile as sf
from numpy.typing import NDArray

from .errors import OutputExistsError, UmssError
from .files import replace_when_complete

BLOCK = 1 << 20  # samples that are read at once


class AudioError(UmssError):
    """An audio file that cannot be used; the message names the file and the remedy."""


def open_audio(path: str | Path) -> sf.SoundFile:
    """Open a file, to read it block by block.

    Raises:
        AudioError: the file is missing, not readable as audio, or empty.
    """
    path = Path(path)
    if not path.is_file():
        raise AudioError(f"{path}: no such audio file")
    try:
        source = sf.SoundFile(path)
    except (sf.LibsndfileError, RuntimeError) as error:
        raise _explain_unreadable(path, error) from error
    if source.frames == 0:
        source.close()
        raise AudioError(f"{path}: the audio file is empty")
    return source


def load_audio(path: str | Path) -> tuple[NDArray[np.float32], int]:
    """Read a whole audio file.

    Returns:
        Samples as float32 [channels, T] and the sample rate in Hz.

    Raises:
        AudioError: the file is missing, not readable as audio, empty, or holds NaN or infinity.
    """
    path = Path(path)
    with open_audio(path) as source:
        try:
            samples = source.read(dtype="float32", always_2d=True)
        except (sf.LibsndfileError, RuntimeError) as error:
            raise _explain_unreadable(path, error) from error
        rate = int(source.samplerate)
    _check_samples(path, samples)
    return np.ascontiguousarray(samples.T), rate


def _check_samples(path: Path, samples: NDArray[np.float32]) -> None:
    if samples.shape[0] == 0:
        raise AudioError(f"{path}: the audio file is empty")
    if not np.isfinite(samples).all():
        raise AudioError(f"{path}: the audio holds NaN or infinite samples; export it again")


def _explain_unreadable(path: Path, error: Exception) -> AudioError:
    return AudioError(
        f"{path}: not readable as audio ({error}); convert it to WAV, FLAC, OGG or MP3"
    )


def resample(audio: NDArray[np.float32], rate: int, target: int) -> NDArray[np.float32]:
    """Resample [..., T] from `rate` to `target` Hz (soxr, high quality); no copy if equal."""
    if rate == target:
        return audio
    resampled = librosa.resample(audio, orig_sr=rate, target_sr=target, res_type="soxr_hq")
    return resampled.astype(np.float32, copy=False)


def load_mono(path: str | Path, rate: int = 16_000) -> NDArray[np.float32]:
    """Read a file as one channel (mean of its channels) at `rate` Hz, float32 [T].

    Only one channel of the whole file is in memory.

    Raises:
        AudioError: see `load_audio`.
    """
    path = Path(path)
    with open_audio(path) as source:
        try:
            blocks = [
                block.mean(axis=1)
                for block in source.blocks(BLOCK, dtype="float32", always_2d=True)
            ]
        except (sf.LibsndfileError, RuntimeError) as error:
            raise _explain_unreadable(path, error) from error
        file_rate = int(source.samplerate)
    samples = np.concatenate(blocks) if blocks else np.zeros(0, dtype=np.float32)
    _check_samples(path, samples)
    return resample(samples, file_rate, rate)


def write_wav_atomic(
    path: str | Path, audio: NDArray[np.float32], rate: int, *, overwrite: bool = False
) -> None:
    """Write [T] or [channels, T] as a 32-bit float WAV file, complete or not at all.

    Raises:
        OutputExistsError: the file exists and `overwrite` is false.
    """
    path = Path(path)
    if path.exists() and not overwrite:
        raise OutputExistsError(f"{path}: exists; choose another output or set overwrite=true")
    with replace_when_complete(path) as temporary:
        sf.write(temporary, np.asarray(audio).T, rate, subtype="FLOAT", format="WAV")
