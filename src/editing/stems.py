"""Edits of a separated stem, moved along its own partials: what no model knows stays."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter1d

from ..dsp.moving import (
    BLOCK,
    choose_fft,
    count_margin,
    measure_partials,
    measure_periodicity,
    move_partials,
    read_envelope,
    shape_partials,
    split_noise,
)
from .edits import Edit
from .pitch import FRAMES, find_runs

Signal = NDArray[np.float32]
Track = NDArray[np.float64]

_PAUSE = 0.6  # seconds; a shorter silence of a voice belongs to the stretch around it
_BEFORE, _AFTER = 0.1, 0.5  # seconds that a stretch reaches into silence: onsets, decay in a room
_HOLE = 0.2  # seconds; so short a silence of a track is a fault of the track, or a reverberant end
# In a longer one, what repeats with the F0 around it is moved all the same: from the first
# correlation on, and fully from the second.
_REPEATS = (0.4, 0.7)
_FADE = 0.02  # seconds
_SAME = 1e-7  # relative difference of F0s that are the same


@dataclass(frozen=True)
class Stretch:
    """A part of a recording in which a voice sounds.

    Attributes:
        start, stop: seconds.
        first, last: frames of the first and last F0 inside.
    """

    start: float
    stop: float
    first: int
    last: int


def find_stretches(voiced: NDArray[np.bool_]) -> list[Stretch]:
    """Find where a voice [N frames] sounds, with the silence that belongs to it."""
    runs = find_runs(voiced)
    joined: list[list[int]] = []
    for run in runs:
        if joined and run.start - joined[-1][1] <= _PAUSE * FRAMES:
            joined[-1][1] = run.stop
        else:
            joined.append([run.start, run.stop])
    ends = [0.0, *(stop / FRAMES for _, stop in joined)]
    starts = [*(start / FRAMES for start, _ in joined), len(voiced) / FRAMES + 2 * _AFTER]
    return [
        Stretch(
            max(0.0, start / FRAMES - min(_BEFORE, 0.5 * (start / FRAMES - ends[k]))),
            stop / FRAMES + min(_AFTER, 0.5 * (starts[k + 1] - stop / FRAMES)),
            start,
            stop - 1,
        )
        for k, (start, stop) in enumerate(joined)
    ]


def edit_stem(
    stem: Signal, f0: Track, target: Track, edit: Edit, rate: int, tilt: Track | None = None
) -> Signal:
    """Edit a stem.

    Args:
        stem: [C, T].
        f0: [N] Hz on the 16-ms grid, what the stem has, 0 = silent.
        target: [N] Hz, what it is to have.
        edit: what else is changed.
        rate: sample rate in Hz.
        tilt: [F] dB by bin of `choose_fft(rate)`, a change of the spectrum (`compare_spectra`).

    Returns:
        [C, T]; outside the stretches in which something changes, the stem times the gain.
    """
    result = stem.copy()
    voiced = (f0 > 0) & (target > 0)
    reshaped = tilt is not None or edit.formants or edit.harmonics or edit.noise
    for stretch in find_stretches(voiced):
        inside = slice(stretch.first, stretch.last + 1)
        same = np.abs(target[inside] - f0[inside])[voiced[inside]] <= _SAME * f0[inside].max()
        if same.all() and not reshaped:
            continue
        begin, end = (min(round(x * rate), stem.shape[-1]) for x in (stretch.start, stretch.stop))
        if end - begin < 2:
            continue
        edited = _edit_stretch(stem, begin, end, f0, target, voiced, edit, rate, tilt)
        weight = _build_fade(begin, end, stem.shape[-1], rate)
        weight *= _find_voiced(stem, begin, end, f0, voiced, rate)
        result[:, begin:end] += weight * (edited - stem[:, begin:end])
    return result * np.float32(10.0 ** (edit.gain / 20.0)) if edit.gain else result


def _build_fade(begin: int, end: int, n_samples: int, rate: int) -> Signal:
    """Weights of what is edited: 1, faded at both ends that are not the recording's."""
    places = np.arange(end - begin) + 0.5
    length = min(_FADE * rate, 0.5 * (end - begin))
    up = places / length if begin else np.ones_like(places)
    down = (end - begin - places) / length if end < n_samples else np.ones_like(places)
    ramp = np.clip(np.minimum(up, down), 0.0, 1.0)
    return (0.5 - 0.5 * np.cos(np.pi * ramp)).astype(np.float32)


def _find_voiced(
    stem: Signal, begin: int, end: int, f0: Track, voiced: NDArray[np.bool_], rate: int
) -> Signal:
    """Weights of what has pitch: 1 along the track, and between its parts what repeats with it."""
    samples = np.arange(begin, end)
    hole = round(_HOLE * FRAMES)
    held = voiced.copy()
    for run in find_runs(~voiced):
        held[run.start : min(run.start + hole, run.stop)] = run.start > 0
    inside = np.interp(samples / rate * FRAMES, np.arange(len(held)), held.astype(float))
    if inside.min() > 0:
        return np.ones(end - begin, np.float32)
    signal = _cut(stem, begin, end, count_margin(rate))
    track = _read_track(f0, voiced, samples, rate)
    least, most = _REPEATS
    repeats = (measure_periodicity(signal, track, rate=rate) - least) / (most - least)
    smooth = uniform_filter1d(np.clip(np.maximum(inside, repeats), 0.0, 1.0), round(_FADE * rate))
    return np.asarray(smooth, np.float32)


def _cut(stem: Signal, begin: int, end: int, margin: int) -> Signal:
    """Cut a stretch with a margin, zeros beyond the recording: [C, margin + n + margin]."""
    left, right = max(0, margin - begin), max(0, end + margin - stem.shape[-1])
    return np.pad(stem[:, max(0, begin - margin) : end + margin], ((0, 0), (left, right)))


def _read_track(
    track: Track, voiced: NDArray[np.bool_], samples: NDArray[np.int_], rate: int
) -> Track:
    """Read a track [N frames] at samples, between its frames with pitch, and held beyond them."""
    known = np.flatnonzero(voiced)
    return np.exp(np.interp(samples / rate * FRAMES, known, np.log(track[known])))


def _edit_stretch(
    stem: Signal,
    begin: int,
    end: int,
    f0: Track,
    target: Track,
    voiced: NDArray[np.bool_],
    edit: Edit,
    rate: int,
    tilt: Track | None,
) -> Signal:
    margin = count_margin(rate)
    signal = _cut(stem, begin, end, margin)
    if edit.harmonics or edit.noise:
        around = np.arange(begin - margin, end + margin)
        wide = _cut(stem, begin - margin, end + margin, margin)
        parts = split_noise(wide, _read_track(f0, voiced, around, rate), rate=rate)
        levels = [np.float32(10.0 ** (x / 20.0)) for x in (edit.harmonics, edit.noise)]
        signal = levels[0] * parts[0] + levels[1] * parts[1]
    samples = np.arange(begin, end)
    before, after = (_read_track(x, voiced, samples, rate) for x in (f0, target))
    moves = not np.allclose(before, after, rtol=_SAME, atol=0.0)
    if moves or edit.formants or tilt is not None:
        hop = choose_fft(rate) // 4
        centres = begin - margin + hop * np.arange(1 + signal.shape[-1] // hop)
        own, wanted = (_read_track(x, voiced, centres, rate) for x in (f0, target))
        signal = shape_partials(
            signal, own, wanted / own, rate=rate, formants=2.0 ** (edit.formants / 12.0), tilt=tilt
        )
    if not moves:
        return signal[:, margin : margin + end - begin]
    return move_partials(signal, before, after, rate=rate)


def compare_spectra(stem: Signal, f0: Track, other: Signal, other_f0: Track, rate: int) -> Track:
    """Compare the mean spectra of two voices.

    Args:
        stem, other: [C, T].
        f0, other_f0: [N] Hz on the 16-ms grid, 0 = silent.
        rate: sample rate in Hz.

    Returns:
        [F] dB that make the first as coloured as the other, at the same power.
    """
    own, wanted = (_average_envelope(x, y, rate) for x, y in ((stem, f0), (other, other_f0)))
    tilt = wanted - own
    power = 10.0 ** (own / 10.0)
    level = 10.0 * np.log10((power * 10.0 ** (tilt / 10.0)).sum() / power.sum())
    return np.asarray(tilt - level)


def _average_envelope(stem: Signal, f0: Track, rate: int) -> Track:
    """Mean envelope in dB by bin, over the frames with pitch."""
    n_fft = choose_fft(rate)
    n_frames = 1 + stem.shape[-1] // (n_fft // 4)
    frames = np.rint(np.arange(n_frames) * (n_fft // 4) / rate * FRAMES).astype(int)
    track = f0[frames.clip(max=len(f0) - 1)]
    sung = track > 0
    partials = measure_partials(stem, np.where(sung, track, 200.0), rate=rate)[:, sung]
    hertz = np.linspace(0.0, 0.5 * rate, n_fft // 2 + 1)[:, None]
    total = np.zeros(len(hertz))
    for first in range(0, partials.shape[1], BLOCK):
        part = slice(first, first + BLOCK)
        total += read_envelope(partials[:, part], hertz / track[sung][part]).sum(axis=1)
    return np.asarray(total / max(1, partials.shape[1]))
