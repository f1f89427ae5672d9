"""The sound of a page: tracks in pieces of ten seconds, as FLAC of 16 bits.

FLAC gives back exactly the samples that went in, as many and at the same places, so pieces join
without a seam. Browsers decode a piece when it is about to be heard and forget it afterwards.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile as sf
import soxr
from numpy.typing import NDArray

from ..audio import BLOCK, count_resampled, open_audio
from ..errors import UmssError
from .content import Recording, Track

PIECE_SECONDS = 10
BROWSER_RATES = (8_000, 96_000)  # Hz, which all browsers play
OTHER_RATE = 48_000  # Hz, for recordings with another rate
FULL_SCALE = 0.98
MOST_GAIN = 100.0  # very quiet recordings stay quiet
LEVEL_SECONDS = 0.1

Samples = NDArray[np.float32]


@dataclass(frozen=True)
class Measured:
    """What must be known of a track before it is written.

    Attributes:
        channels: 1 or 2.
        length: T, samples at the page's rate.
        peak: the largest absolute value.
        levels: [M], mean square of every `LEVEL_SECONDS`.
    """

    channels: int
    length: int
    peak: float
    levels: NDArray[np.float64]


def choose_rate(rate: int) -> int:
    """The rate that browsers can play: the recording's own, if they can."""
    lowest, highest = BROWSER_RATES
    return rate if lowest <= rate <= highest else OTHER_RATE


def read_pieces(track: Track, rate: int, n: int) -> Iterator[Samples]:
    """Read a track as pieces [C, n] at the page's rate, the last one shorter; C is 1 or 2.

    Args:
        track: the track.
        rate: its sample rate, Hz.
        n: samples of a piece.

    Raises:
        AudioError: a file that cannot be read.
        UmssError: a file with another rate, or samples that are not finite.
    """
    blocks = (
        block if track.factor == 1 else np.float32(track.factor) * block
        for block in _read(track, rate)
    )
    return _cut(_resample(blocks, rate, choose_rate(rate)), n)


def _read(track: Track, rate: int) -> Iterator[Samples]:
    """Read blocks [C, m] of at most two channels."""
    if isinstance(track.audio, (str, Path)):
        with open_audio(track.audio) as source:
            if source.rate != rate:
                raise UmssError(
                    f"{track.audio}: has {source.rate} Hz, but the other tracks of the page have "
                    f"{rate} Hz; resample it"
                )
            for block in source.blocks():
                yield _reduce(block)
        return
    samples = np.atleast_2d(np.asarray(track.audio))
    for start in range(0, samples.shape[-1], BLOCK):
        part = samples[:, start : start + BLOCK].astype(np.float32)
        if not np.isfinite(part).all():
            raise UmssError(f"the audio of {track.name} holds NaN or infinite samples")
        yield _reduce(part)


def _reduce(block: Samples) -> Samples:
    return block if len(block) <= 2 else block.mean(axis=0, keepdims=True, dtype=np.float32)


def _resample(blocks: Iterable[Samples], rate: int, target: int) -> Iterator[Samples]:
    """Resample blocks as if they were one signal."""
    if rate == target:
        yield from blocks
        return
    stream: soxr.ResampleStream | None = None
    read = written = channels = 0
    for block in blocks:
        channels = len(block)
        stream = stream or soxr.ResampleStream(rate, target, channels, dtype="float32")
        read += block.shape[-1]
        part = stream.resample_chunk(np.ascontiguousarray(block.T)).reshape(-1, channels).T
        written += part.shape[-1]
        yield part
    if stream is None:
        return
    rest = stream.resample_chunk(np.zeros((0, channels), np.float32), last=True)
    missing = count_resampled(read, rate, target) - written
    rest = rest.reshape(-1, channels).T[:, :missing]
    yield np.pad(rest, ((0, 0), (0, missing - rest.shape[-1])))


def _cut(blocks: Iterable[Samples], n: int) -> Iterator[Samples]:
    """Cut blocks of any lengths into pieces of n samples."""
    held: list[Samples] = []
    for block in blocks:
        held.append(block)
        if sum(part.shape[-1] for part in held) < n:
            continue
        joined = np.concatenate(held, axis=-1)
        whole = joined.shape[-1] // n * n
        for start in range(0, whole, n):
            yield joined[:, start : start + n]
        held = [joined[:, whole:]]
    if sum(part.shape[-1] for part in held):
        yield np.concatenate(held, axis=-1)


def measure(recording: Recording) -> list[Measured]:
    """Measure all tracks of a recording.

    Raises:
        UmssError: tracks of unequal lengths, or what `read_pieces` raises.
    """
    measured = [_measure(track, recording.rate) for track in recording.tracks]
    for track, found in zip(recording.tracks, measured, strict=True):
        if found.length != measured[0].length:
            raise UmssError(
                f"{track.name} has {found.length} samples, {recording.tracks[0].name} "
                f"{measured[0].length}; tracks that are played together must be equally long"
            )
    return measured


def _measure(track: Track, rate: int) -> Measured:
    target = choose_rate(rate)
    step = round(LEVEL_SECONDS * target)
    channels, length, peak, levels = 1, 0, 0.0, []
    for piece in read_pieces(track, rate, PIECE_SECONDS * target):
        channels = len(piece)
        length += piece.shape[-1]
        peak = max(peak, float(np.abs(piece).max()))
        power = np.square(piece, dtype=np.float64).mean(axis=0)
        starts = np.arange(0, len(power), step)
        lengths = np.diff(np.append(starts, len(power)))
        levels.append(np.add.reduceat(power, starts) / lengths)
    return Measured(channels, length, peak, np.concatenate(levels))


def choose_gain(measured: Iterable[Measured]) -> float:
    """The one factor of all tracks that makes the loudest sample `FULL_SCALE`."""
    peak = max(found.peak for found in measured)
    return min(FULL_SCALE / peak, MOST_GAIN) if peak > 0 else 1.0


def encode_flac(piece: Samples, rate: int, gain: float) -> bytes:
    """Encode a piece [C, n], multiplied by a gain, as FLAC of 16 bits."""
    numbers = np.clip(np.rint(piece * (gain * 32768)), -32768, 32767).astype(np.int16)
    buffer = io.BytesIO()
    sf.write(buffer, numbers.T, rate, format="FLAC", subtype="PCM_16")
    return buffer.getvalue()
