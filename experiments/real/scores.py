"""Scores of a separated row: who is matched with whom, how well, and whose pitches were found."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from experiments.real.build import Mixture
from src.dsp.tracks import HOP, RATE
from src.metrics.f0 import TOLERANCE
from src.metrics.frames import SILENCE_ENERGY, cut_one_second_frames, frame_energy, si_sdr

Array = NDArray[np.float64]


def score_pairs(estimates: NDArray[np.float32], stems: NDArray[np.float32]) -> Array:
    """SI-SDR of every estimate with every stem in every second; channels count together.

    Shape:
        - estimates: [I, C, T]
        - stems: [J, C, T]
        - output: [I, J, seconds] dB
    """
    found, wanted = (
        cut_one_second_frames(torch.from_numpy(x)).transpose(1, 2).flatten(2)
        for x in (estimates, stems)
    )
    return np.asarray(si_sdr(found[:, None], wanted[None]).numpy())


def find_sung(stems: NDArray[np.float32]) -> NDArray[np.bool_]:
    """The seconds [J, seconds] in which stems [J, C, T] are not silent, as in `src.metrics`."""
    peak = float(np.abs(stems.sum(axis=0)).max())
    energy = frame_energy(torch.from_numpy(stems), peak).mean(dim=1)
    return np.asarray((energy >= SILENCE_ENERGY).numpy())


def match(pairs: Array, sung: NDArray[np.bool_]) -> NDArray[np.int_]:
    """The estimate [J] of every stem that makes the sum of their mean SI-SDR greatest."""
    means = np.zeros(pairs.shape[:2])
    for j in np.flatnonzero(sung.any(axis=1)):
        means[:, j] = pairs[:, j, sung[j]].mean(axis=1)
    rows, columns = linear_sum_assignment(means, maximize=True)
    return np.asarray(rows[np.argsort(columns)])


def match_seconds(pairs: Array, sung: NDArray[np.bool_]) -> float:
    """Mean SI-SDR if stems and estimates are matched anew in every second."""
    scores: list[float] = []
    for n in range(pairs.shape[-1]):
        values = pairs[:, sung[:, n], n]
        rows, columns = linear_sum_assignment(values, maximize=True)
        scores += list(values[rows, columns])
    return float(np.mean(scores)) if scores else float("nan")


def find_near(tracks: NDArray[np.float32], wanted: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Where tracks [I, N] are at most 50 cents from those of singers [J, N] in Hz: [I, J, N]."""
    with np.errstate(divide="ignore", invalid="ignore"):
        cents = 1200.0 * np.log2(tracks[:, None] / wanted[None])
    near: NDArray[np.bool_] = np.abs(cents) <= TOLERANCE
    return near & (tracks[:, None] > 0) & (wanted[None] > 0)


def score_pitches(tracks: NDArray[np.float32], wanted: NDArray[np.float32]) -> dict[str, float]:
    """Shares of the sung frames of all singers.

    Args:
        tracks: [J, N] Hz, of the estimates in the order of the stems, 0 = silent.
        wanted: [J, N] Hz.

    Returns:
        f0_right: the singer's own track is at most 50 cents away; f0_other: only another singer's
        is; f0_missed: none is. f0_false: share of the silent frames in which the track sings.
    """
    near = find_near(tracks, wanted)
    sung = wanted > 0
    own = near[np.arange(len(tracks)), np.arange(len(tracks))]
    n_sung, n_silent = max(sung.sum(), 1), max((~sung).sum(), 1)
    return {
        "f0_right": float(own.sum() / n_sung),
        "f0_other": float((near.any(axis=0) & ~own).sum() / n_sung),
        "f0_missed": float((sung & ~near.any(axis=0)).sum() / n_sung),
        "f0_false": float(((tracks > 0) & ~sung).sum() / n_silent),
    }


def measure_closeness(f0: NDArray[np.float32]) -> float:
    """Share of the frames [J, N] with two singers or more in which two are within a semitone."""
    together, close = np.zeros(f0.shape[1], bool), np.zeros(f0.shape[1], bool)
    for a, b in combinations(f0, 2):
        both = (a > 0) & (b > 0)
        together |= both
        steps = 12.0 * np.log2(np.where(both, a, 1.0) / np.where(both, b, 1.0))
        close |= both & (np.abs(steps) < 1.0)
    return float(close.sum() / max(together.sum(), 1))


def measure_leak(estimates: NDArray[np.float32], mixture: Mixture) -> float:
    """dB of all stems together over the recording where nobody sings; NaN if that is below 0.5 s.

    Args:
        estimates: [J, C, T].
        mixture: the row.
    """
    silent = ~np.repeat((mixture.f0 > 0).any(axis=0), HOP)[: estimates.shape[-1]]
    if silent.sum() < RATE // 2:
        return float("nan")
    given = float(np.square(estimates.sum(axis=0)[:, silent]).sum())
    heard = float(np.square(mixture.audio[:, silent]).sum())
    return 10.0 * float(np.log10(max(given, 1e-12) / max(heard, 1e-12)))


def score_row(
    estimates: NDArray[np.float32], tracks: NDArray[np.float32], mixture: Mixture
) -> tuple[dict[str, float], pd.DataFrame]:
    """All scores of a row.

    Args:
        estimates: [J, C, T].
        tracks: [J, N] Hz, the F0 that they were separated with.
        mixture: the row.

    Returns:
        mean, median: SI-SDR in dB over the seconds that are not silent, stems matched once for the
        whole row; worst: the least mean of a stem; anew: the mean if matched in every second;
        f0_...: see `score_pitches`; leak: see `measure_leak`. And a table with the columns voice,
        frame, kept, si_sdr.
    """
    pairs = score_pairs(estimates, mixture.stems)
    sung = find_sung(mixture.stems)
    matched = match(pairs, sung)
    own = pairs[matched, np.arange(len(sung))]
    means = [float(own[j, sung[j]].mean()) for j in range(len(sung)) if sung[j].any()]
    voice, frame = (index.ravel() for index in np.indices(own.shape))
    table = pd.DataFrame(
        {"voice": voice, "frame": frame, "kept": sung.ravel(), "si_sdr": own.ravel()}
    )
    return {
        "mean": float(own[sung].mean()),
        "median": float(np.median(own[sung])),
        "worst": min(means),
        "anew": match_seconds(pairs, sung),
        **score_pitches(tracks[matched], mixture.f0),
        "leak": measure_leak(estimates, mixture),
        "n_frames": int(sung.sum()),
    }, table


def score_best(tracks: NDArray[np.float32], wanted: NDArray[np.float32]) -> dict[str, float]:
    """Scores of tracks [J, N] that are matched with singers [J, N] by their right pitches."""
    right = find_near(tracks, wanted).sum(axis=-1)
    rows, columns = linear_sum_assignment(right, maximize=True)
    return score_pitches(tracks[rows[np.argsort(columns)]], wanted)
