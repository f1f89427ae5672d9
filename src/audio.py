"""Reading audio files and resampling."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import librosa
import numpy as np
import soundfile as sf
from numpy.typing import NDArray

from .decoding import Decoder, claims_mp3, explain_failure, open_decoder
from .errors import UmssError
from .ffmpeg import DecodingError, has_ffmpeg, open_with_ffmpeg
from .hearing import ChannelMeter, Mix
from .wav_headers import BRIEF

BLOCK = 1 << 20  # samples that are read at once
LOUDEST = 1e10  # full scale is 1; some programs write samples of 32 bits as such

log = logging.getLogger(__name__)


class AudioError(UmssError):
    """An audio file that cannot be used; the message names the file and the remedy."""


class AudioFile:
    """An audio file that is read from its beginning to its end.

    Attributes:
        path: the file.
        rate: sample rate in Hz.
        channels: number of channels C.
        position: samples per channel that were read so far.
        notes: what the user should know about the file, one sentence each; complete at its end.
    """

    def __init__(self, path: Path, decoder: Decoder) -> None:
        self.path = path
        self.rate = int(decoder.source.samplerate)
        self.channels = int(decoder.source.channels)
        self.position = 0
        self.notes = list(decoder.notes)
        self._decoder = decoder
        self._ended = False

    def __enter__(self) -> AudioFile:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._decoder.source.close()

    def read(self, n: int) -> NDArray[np.float32]:
        """Read the next n samples as [C, n], fewer at the end, [C, 0] after it.

        Raises:
            AudioError: the decoder fails, or samples are NaN or infinite.
        """
        parts: list[NDArray[np.float32]] = []
        while n and not self._ended:
            part = self._decode(n)
            parts.append(part)
            n -= len(part)
        if len(parts) == 1:
            return np.ascontiguousarray(parts[0].T)
        if not parts:
            return np.zeros((self.channels, 0), dtype=np.float32)
        return np.ascontiguousarray(np.concatenate(parts).T)

    def blocks(self, n: int = BLOCK) -> Iterator[NDArray[np.float32]]:
        """Read to the end in blocks of n samples, [C, n], the last one shorter."""
        while (block := self.read(n)).shape[-1]:
            yield block

    def _decode(self, n: int) -> NDArray[np.float32]:
        """Decode up to n samples [n, C]; not beyond the promised end in the same call, because an
        error of the decoder loses the whole block."""
        promised = self._decoder.promised
        left = n if promised is None else promised - self.position
        wanted = min(n, left) if left > 0 else n
        try:
            block = self._decoder.source.read(wanted, dtype="float32", always_2d=True)
        except (sf.LibsndfileError, RuntimeError, AssertionError) as error:
            if promised is not None and self.position >= promised:
                self._end()
                return np.zeros((0, self.channels), dtype=np.float32)
            begin, end = (x / self.rate for x in (self.position, self.position + wanted))
            until = "" if promised is None else f" and before {end:.1f} s"
            reason = f" ({why})" if (why := explain_failure(error)) else ""
            raise AudioError(
                f"{self.path}: damaged or incomplete: the decoder fails after {begin:.1f} s{until}"
                f"{reason}; get or export the file again"
            ) from error
        if len(block) < wanted:
            self._end(len(block))
        sound = np.abs(block) < LOUDEST  # NaN is not
        if not sound.all():
            first = self.position + int(np.argmin(sound.all(axis=1)))
            raise AudioError(
                f"{self.path}: the sample at {first / self.rate:.1f} s is NaN or infinite or "
                f"beyond {LOUDEST:g}, so it is no sound; export the file again"
            )
        self.position += len(block)
        result: NDArray[np.float32] = block
        return result

    def _end(self, last: int = 0) -> None:
        self._ended = True
        held = (self.position + last) / self.rate
        promised = self._decoder.promised
        if promised is None or abs(promised / self.rate - held) <= BRIEF:
            return
        if promised / self.rate > held:
            self.notes.append(
                f"its header promises {promised / self.rate:.1f} s, but the file ends after "
                f"{held:.1f} s: the rest is missing or damaged"
            )
        else:
            self.notes.append(
                f"its header speaks of {promised / self.rate:.1f} s; the file was read to its end, "
                f"{held:.1f} s"
            )


@dataclass(frozen=True)
class Examination:
    """What a file holds.

    Attributes:
        frames: samples per channel.
        rate: sample rate in Hz.
        channels: number of channels C.
        mix: how the channels are mixed for listening.
    """

    frames: int
    rate: int
    channels: int
    mix: Mix


def open_audio(path: str | Path) -> AudioFile:
    """Open a file, to read it block by block.

    Raises:
        AudioError: the file is missing, not readable as audio, or empty.
    """
    path = Path(path)
    if path.is_dir():
        raise AudioError(f"{path.resolve()}: this is a folder; give an audio file")
    if not path.is_file():
        raise AudioError(f"{path}: no such audio file")
    try:
        if not path.stat().st_size:
            raise AudioError(f"{path}: the audio file is empty")
        decoder = open_decoder(path)
    except PermissionError as error:
        raise AudioError(f"{path}: may not be read (permission denied)") from error
    except (sf.LibsndfileError, RuntimeError, OSError) as error:
        decoder = _open_other(path, error)
    if decoder.promised == 0:
        decoder.source.close()
        raise AudioError(f"{path}: the audio file is empty")
    return AudioFile(path, decoder)


def _open_other(path: Path, error: Exception) -> Decoder:
    """Open what libsndfile does not read."""
    why, remedy = explain_failure(error), "convert it to WAV, FLAC, OGG or MP3"
    if isinstance(error, sf.LibsndfileError) and claims_mp3(path):
        # libsndfile takes it for a file that is not there.
        why = "damaged, or no MP3 although it says so"
        remedy = "get or export it again as WAV, FLAC, OGG or MP3"
    if not has_ffmpeg():
        raise AudioError(
            f"{path}: not readable as audio ({why}); {remedy}, or install ffmpeg, which reads M4A, "
            "videos and more"
        ) from error
    try:
        return open_with_ffmpeg(path)
    except DecodingError as reason:
        raise AudioError(
            f"{path}: not readable as audio ({why}; by ffmpeg neither: {reason}); "
            "get or export the file again"
        ) from error


def load_audio(path: str | Path) -> tuple[NDArray[np.float32], int]:
    """Read a whole audio file.

    Returns:
        Samples as float32 [C, T] and the sample rate in Hz.

    Raises:
        AudioError: the file is missing, not readable as audio, empty, or holds NaN or infinity.
    """
    with open_audio(path) as source:
        samples = np.concatenate(
            [np.zeros((source.channels, 0), np.float32), *source.blocks()], axis=1
        )
        _check_length(source)
        _warn(source.path, source.notes)
    return samples, source.rate


def examine_audio(path: str | Path, *, listened: bool = True) -> Examination:
    """Decode a file once, to know its length and what to listen to, and to find its faults early.

    Args:
        path: the file.
        listened: warn of channels that are not listened to as they are.

    Raises:
        AudioError: the file is missing, not readable to its end, empty, or holds NaN or infinity.
    """
    with open_audio(path) as source:
        meter = ChannelMeter(source.channels, source.rate)
        for block in source.blocks():
            meter.measure(block)
        _check_length(source)
        mix = meter.choose()
        _warn(source.path, [*source.notes, *(mix.notes if listened else ())])
        return Examination(source.position, source.rate, source.channels, mix)


def _check_length(source: AudioFile) -> None:
    if not source.position:
        raise AudioError(f"{source.path}: the audio file is empty")


def _warn(path: Path, notes: list[str]) -> None:
    for note in notes:
        log.warning("warning: %s: %s", path, note)


def resample(audio: NDArray[np.float32], rate: int, target: int) -> NDArray[np.float32]:
    """Resample [..., T] from `rate` to `target` Hz (soxr, high quality); no copy if equal."""
    if rate == target:
        return audio
    resampled = librosa.resample(audio, orig_sr=rate, target_sr=target, res_type="soxr_hq")
    return resampled.astype(np.float32, copy=False)


def count_resampled(n_samples: int, rate: int, target: int) -> int:
    """Count the samples that `resample` makes of n_samples."""
    return n_samples if rate == target else math.ceil(n_samples * (float(target) / rate))


def load_mono(
    path: str | Path, rate: int = 16_000, *, mix: Mix | None = None
) -> NDArray[np.float32]:
    """Read a file as one channel at `rate` Hz, float32 [T].

    Only one channel of the whole file is in memory.

    Args:
        path: the file.
        rate: of the result, Hz.
        mix: how channels are mixed; None = as `examine_audio` finds, with its warnings.

    Raises:
        AudioError: see `load_audio`.
    """
    mixed = examine_audio(path).mix if mix is None else mix
    with open_audio(path) as source:
        blocks = [mixed.apply(block) for block in source.blocks()]
        _check_length(source)
    return resample(np.concatenate(blocks), source.rate, rate)


def mix_for_listening(
    channels: NDArray[np.float32], rate: int, name: str | Path = "the recording"
) -> Mix:
    """How to mix [C, T] to what is listened to (`src.hearing`), with warnings."""
    mix = measure_mix(channels, rate)
    _warn(Path(name), mix.notes)
    return mix


def measure_mix(channels: NDArray[np.float32], rate: int) -> Mix:
    """How to mix [C, T] for listening (`src.hearing`)."""
    meter = ChannelMeter(len(channels), rate)
    for start in range(0, channels.shape[-1], BLOCK):
        meter.measure(channels[:, start : start + BLOCK])
    return meter.choose()
