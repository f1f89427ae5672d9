"""Reasons to doubt F0 tracks: singers hardly heard, weak salience, pitches that nobody has."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..dsp.tracks import HOP, RATE
from .contours import F0Contours
from .count import MOST, SingerCount, count_singers
from .salience import Salience

NEAR_CENTS = 50.0  # salience this close to a track belongs to it

# What makes an estimate doubtful.
RARE_VOICE = 0.02  # share of the sung time in which a singer must be found
WEAK_SALIENCE = 0.35  # mean salience along the tracks
PEAK_SALIENCE = 0.5  # a peak of this height is a sounding pitch
UNEXPLAINED_PEAKS = 0.12  # share of the pitches that no track follows
LITTLE_SINGING = 0.3  # share of the audible time in which somebody sings
AUDIBLE = 10 ** (-40 / 20)  # relative to the loudest frame
SURE = 0.8  # probability of another number of singers


def find_doubts(
    tracks: F0Contours,
    salience: Salience,
    audio: NDArray[np.float32],
    count: SingerCount | None = None,
    *,
    accompanied: bool = False,
) -> list[str]:
    """Find reasons to doubt the tracks, as warnings for the user, one sentence each.

    Args:
        tracks: F0 tracks at the times of the salience.
        salience: salience from which the tracks were taken.
        audio: the recording [T] at 16 kHz.
        count: of the singers by the salience; None = they are counted here.
        accompanied: instruments play along, whose pitches are no missing singers'.
    """
    count = count_singers(salience) if count is None else count
    n_singers = tracks.n_singers
    sung: NDArray[np.bool_] = tracks.f0.max(axis=1) > 0
    if not sung.any():
        return [
            "no singing was found: every track is silent; the tracks of a recording with singing "
            "can be given as a CSV file"
        ]
    warnings = []
    shares = tracks.voiced[sung].mean(axis=0)
    rare = [
        f"{name} ({100 * share:.1f} % of the sung time)"
        for name, share in zip(tracks.names, shares, strict=True)
        if share < RARE_VOICE
    ]
    at_once = int(np.quantile(tracks.voiced[sung].sum(axis=1), 1 - RARE_VOICE))
    if rare:
        warnings.append(
            f"hardly a note was found for {', '.join(rare)}; if there are fewer singers, set "
            f"n_singers={n_singers - len(rare)}"
        )
    elif at_once < n_singers:
        warnings.append(
            f"hardly ever are more than {at_once} of the {n_singers} singers heard at once; if "
            f"there are fewer singers, set n_singers={at_once} (singers in unison count as one)"
        )
    elif count.is_fewer(n_singers) > SURE:
        warnings.append(
            f"probably {_name_number(count)} singing at once, not {n_singers}; if there are fewer "
            f"singers, set n_singers={count.n_singers} (singers in unison count as one)"
        )
    audible = find_audible_frames(audio, salience.times)
    singing = float(sung[audible].mean()) if audible.any() else 0.0
    if singing < LITTLE_SINGING:
        warnings.append(
            f"singing was found in {100 * singing:.0f} % of the audible time only; speech and "
            "noise have no F0 tracks"
        )
    along, unexplained = measure_agreement(tracks, salience)
    if along < WEAK_SALIENCE:
        warnings.append(
            f"the tracks are uncertain (mean salience {along:.2f}, {WEAK_SALIENCE:g} and more "
            "would be usual): the recording may hold speech, instruments or much reverberation"
        )
    if accompanied:
        return warnings
    if count.is_more(n_singers) > SURE:
        warnings.append(
            f"probably {_name_number(count)} singing at once, more than n_singers={n_singers}; set "
            f"n_singers={count.n_singers} unless the others are instruments"
        )
    elif unexplained > UNEXPLAINED_PEAKS:
        warnings.append(
            f"{100 * unexplained:.0f} % of the pitches that sound belong to no track: there seem "
            f"to be more than {n_singers} singers, or instruments"
        )
    return warnings


def _name_number(count: SingerCount) -> str:
    many = "8 or more" if count.n_singers == MOST else str(count.n_singers)
    return f"{many} {'is' if count.n_singers == 1 else 'are'}"


def measure_agreement(tracks: F0Contours, salience: Salience) -> tuple[float, float]:
    """Measure how well tracks and salience agree.

    Args:
        tracks: F0 tracks at the times of the salience.
        salience: salience from which the tracks were taken.

    Returns:
        Mean salience along the voiced tracks (the largest value within 50 cents of each), and
        the share of the salience's peaks above 0.5 that are not within 50 cents of any track.
    """
    values = salience.values
    reach = max(1, round(NEAR_CENTS / salience.cents_per_bin))
    frame, singer = np.nonzero(tracks.f0)
    octaves = np.log2(tracks.f0[frame, singer] / salience.frequencies[0])
    centre = np.rint(1200 * octaves / salience.cents_per_bin).astype(np.int64)
    along = np.zeros(len(frame), dtype=np.float32)
    explained = np.zeros(values.shape, dtype=np.bool_)
    for offset in range(-reach, reach + 1):
        row = centre + offset
        inside = (row >= 0) & (row < len(values))
        along[inside] = np.maximum(along[inside], values[row[inside], frame[inside]])
        explained[row[inside], frame[inside]] = True
    middle = values[1:-1]
    peaks = (middle >= PEAK_SALIENCE) & (middle > values[:-2]) & (middle >= values[2:])
    n_peaks = int(peaks.sum())
    missed = int((peaks & ~explained[1:-1]).sum())
    mean = float(along.mean()) if len(along) else 0.0
    return mean, missed / n_peaks if n_peaks else 0.0


def find_audible_frames(
    audio: NDArray[np.float32], times: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """Find where a recording is audible: 16-ms frames at most 40 dB below the loudest.

    Args:
        audio: [T] at 16 kHz.
        times: [N] seconds, where to look.

    Returns:
        [N] bool.
    """
    frames = np.pad(audio, (0, -len(audio) % HOP)).reshape(-1, HOP)
    level = np.sqrt(np.mean(frames**2, axis=1))
    at = np.clip(np.rint(times * RATE / HOP).astype(np.int64), 0, len(level) - 1)
    audible: NDArray[np.bool_] = level[at] > AUDIBLE * level.max()
    return audible
