"""Slower or in another key: a phase vocoder with locked phases, for signals of any length.

Every frame is one of the recording, turned so that each partial goes on where it was (Puckette
1995), with one angle for all bins around a peak (Laroche and Dolson 1999). Partials keep their
frequencies to half a cent, where the library Signalsmith Stretch moves those of basses by 10
to 25 cents. Another key is another length, resampled.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import scipy.fft
import soxr
from numpy.typing import NDArray

Signal = NDArray[np.float32]
Spectrum = NDArray[np.complex64]

_HOP = 0.0145  # seconds from frame to frame; frames are four times as long
_BATCH = 32  # frames that are yielded together
_ONSET = 8.0  # rise of the energy from frame to frame with which sound begins anew


def stretch(
    read: Callable[[int], Signal], rate: int, speed: float, semitones: float
) -> Iterator[Signal]:
    """Change speed without pitch, and pitch without speed.

    Args:
        read: gives the next n samples [C, n], fewer at the end.
        rate: sample rate in Hz.
        speed: 1 = as it is, 0.5 = twice as long.
        semitones: of transposition; formants move along.

    Yields:
        Blocks [C, m]; together n / speed samples, up to a few.
    """
    ratio = 2.0 ** (semitones / 12.0)
    blocks = _lengthen(read, rate, ratio / speed)
    if ratio == 1.0:
        yield from blocks
        return
    resampler = None
    for block in blocks:
        if resampler is None:
            resampler = soxr.ResampleStream(rate * ratio, rate, len(block), dtype="float32")
        yield _resample(resampler, block)
    if resampler is not None:
        yield _resample(resampler, block[:, :0], last=True)


def _resample(resampler: soxr.ResampleStream, block: Signal, last: bool = False) -> Signal:
    frames = np.ascontiguousarray(block.T)
    resampled: Signal = resampler.resample_chunk(frames, last=last).reshape(-1, block.shape[0]).T
    return resampled


def _lengthen(read: Callable[[int], Signal], rate: int, factor: float) -> Iterator[Signal]:
    """Make a signal longer by a factor; its pitch stays."""
    hop = scipy.fft.next_fast_len(round(_HOP * rate), real=True)
    size = 4 * hop
    window = np.hanning(size + 1)[:-1].astype(np.float32)
    held = read(size)  # samples from `start` on, preceded by silence
    # One more hop of silence, because a frame is compared with what is a hop before it.
    start = -(size // 2 + 2 * hop)
    held = np.concatenate([np.zeros((len(held), -start), np.float32), held], axis=1)
    left: int | None = None if held.shape[1] + start == size else held.shape[1] + start
    turned: Spectrum | None = None
    sum_of_frames = np.zeros((len(held), size), np.float32)
    ready: list[Signal] = []
    skipped = size // 2 + 2 * hop  # samples of the output that lie before its beginning
    written = 0
    number = -2  # of the frame; number 0 has its middle at the beginning
    while left is None or round(number * hop / factor) < left + size // 2:
        place = max(round(number * hop / factor), -hop) - size // 2  # of the frame in the input
        needed = place + size - (start + held.shape[1])
        if needed > 0:
            more = read(needed + 64 * hop) if left is None else held[:, :0]
            if left is None and more.shape[1] < needed + 64 * hop:
                left = start + held.shape[1] + more.shape[1]
            missing = max(0, needed - more.shape[1])
            held = np.concatenate([held, np.pad(more, ((0, 0), (0, missing)))], axis=1)
        drop = place - hop - start
        held, start = held[:, drop:], start + drop
        before = scipy.fft.rfft(window * held[:, :size])
        now = scipy.fft.rfft(window * held[:, hop : hop + size])
        turned = now if turned is None else _turn(before, now, turned)
        sum_of_frames += window * scipy.fft.irfft(turned, n=size) / 1.5
        ready.append(sum_of_frames[:, :hop].copy())
        sum_of_frames = np.pad(sum_of_frames[:, hop:], ((0, 0), (0, hop)))
        number += 1
        if len(ready) == _BATCH:
            block = np.concatenate(ready, axis=1)[:, skipped:]
            skipped, ready = 0, []
            if left is not None:
                block = block[:, : max(0, round(left * factor) - written)]
            written += block.shape[1]
            yield block
    rest = np.concatenate([*ready, sum_of_frames], axis=1)[:, skipped:]
    yield rest[:, : max(0, round((left or 0) * factor) - written)]


def _turn(before: Spectrum, now: Spectrum, turned: Spectrum) -> Spectrum:
    """Turn a frame so that its partials continue the frame that was put out.

    Args:
        before: [C, F], the recording's frame one hop earlier.
        now: [C, F], the frame.
        turned: [C, F], what was put out one hop earlier.
    """
    energy = np.abs(now).sum(axis=0)  # all channels are turned alike, so that voices stay in place
    if (energy**2).sum() > _ONSET * (np.abs(before).sum(axis=0) ** 2).sum():
        return now
    inner = energy[2:-2]
    peaks = 2 + np.flatnonzero(
        (inner >= energy[1:-3]) & (inner > energy[3:-1])
        & (inner >= energy[:-4]) & (inner > energy[4:])
    )  # fmt: skip
    if not len(peaks):
        return now
    angle = (turned[:, peaks] * before[:, peaks].conj()).sum(axis=0)
    size = np.abs(angle)
    angle = np.where(size > 0, angle / np.where(size > 0, size, 1.0), 1.0)
    # The region of a peak ends in the middle between it and the next one.
    bounds = (peaks[1:] + peaks[:-1] + 1) // 2
    regions = np.searchsorted(bounds, np.arange(now.shape[1]), side="right")
    result: Spectrum = now * angle[regions].astype(np.complex64)
    return result
