"""Estimates one F0 track per singer from a recording, with warnings where they may be wrong."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ..audio import load_mono
from ..dsp.tracks import HOP, RATE
from ..errors import UmssError
from ..hearing import Mix
from .contours import F0Contours
from .count import MOST, SingerCount, count_singers
from .identity import SingerIdentity
from .retune import retune
from .salience import Assigner, Salience, SalienceModel
from .score.alignment import Alignment, fill_unisons, place_score
from .unsure import warn_of_doubtful_singers

MAX_SINGERS = 16
SILENCE_PEAK = 10 ** (-70 / 20)  # of full scale
SHORTEST = RATE // 2  # samples; shorter recordings are padded with silence
NEAR_CENTS = 50.0  # salience this close to a track belongs to it

# What makes an estimate doubtful.
RARE_VOICE = 0.02  # share of the sung time in which a singer must be found
WEAK_SALIENCE = 0.35  # mean salience along the tracks
PEAK_SALIENCE = 0.5  # a peak of this height is a sounding pitch
UNEXPLAINED_PEAKS = 0.12  # share of the pitches that no track follows
LITTLE_SINGING = 0.3  # share of the audible time in which somebody sings
AUDIBLE = 10 ** (-40 / 20)  # relative to the loudest frame
SURE = 0.8  # probability of another number of singers

NumberOfSingers = int | Literal["auto"]


_IDENTITY = SingerIdentity()  # frozen: it can be shared


@dataclass(frozen=True, eq=False)
class F0Estimate:
    """F0 of the singers of a recording.

    Attributes:
        contours: one track per singer, from the highest to the lowest, on the 16-ms grid
            (N = ceil(T / 256)), with the confidence that each is one singer's.
        salience: salience from which the tracks were taken, on the model's own grid.
        warnings: doubts about the tracks, one sentence each; empty if there are none.
        confidence: probability that the number of singers is right, 0 to 1, where it was counted
            (`n_singers="auto"`); None where it was given.
    """

    contours: F0Contours
    salience: Salience
    warnings: list[str]
    confidence: float | None = None

    def list_messages(self) -> list[str]:
        """What to tell the user: a number that was counted, and the warnings."""
        counted = []
        if self.confidence is not None:
            counted.append(
                f"counted singers: {self.contours.n_singers} "
                f"(confidence {100 * self.confidence:.0f} %)"
            )
        return counted + [f"warning: {warning}" for warning in self.warnings]


class F0Estimator:
    """A multi-F0 model and a method that assigns its pitches to singers.

    Args:
        model: computes salience.
        assigner: turns salience into tracks.
        retune: refine the tracks on the recording (`src.f0.retune`).
        identity: gives the tracks' pieces to singers; None = they stay as the assigner has them.
            Without effect where a score says who sings what.
        preprocess: function from samples [T] at 16 kHz to the samples [T] that the model gets
            instead, e.g. the harmonic part (`src.dsp.hpss.harmonic_part`).
    """

    def __init__(
        self,
        model: SalienceModel,
        assigner: Assigner,
        *,
        retune: bool = True,
        identity: SingerIdentity | None = _IDENTITY,
        preprocess: Callable[[NDArray[np.float32]], NDArray[np.float32]] | None = None,
    ) -> None:
        self.model = model
        self.assigner = assigner
        self.retune = retune
        self.identity = identity
        self.preprocess = preprocess

    def __call__(
        self,
        audio: NDArray[np.float32],
        n_singers: NumberOfSingers,
        names: Sequence[str] | None = None,
        *,
        score: F0Contours | None = None,
        alignment: Alignment = "dtw",
    ) -> F0Estimate:
        """Estimate one track per singer.

        Args:
            audio: mono recording [T] at 16 kHz.
            n_singers: J, 1 to 16; or "auto": as many as the score or the names say, else as many
                as are heard, at most 8 (`src.f0.count`).
            names: J names, from the highest singer to the lowest; by default those of the score,
                else singer1, singer2, ...
            score: the score as F0 tracks, one per singer (`src.f0.score.reading.read_score`).
            alignment: how the score is aligned with the recording, see
                `src.f0.score.alignment.place_score`.

        Raises:
            UmssError: unusable audio, number of singers, names or score.
        """
        number = settle_number(n_singers, names, score)
        if number is not None:
            labels = choose_singer_names(number, names, score)
        samples = _check_audio(audio)
        n_frames = -(-len(samples) // HOP)
        if np.abs(samples - samples.mean()).max() < SILENCE_PEAK:
            labels = choose_singer_names(number or 1, names, score)
            contours = F0Contours.on_grid(np.zeros((n_frames, len(labels)), np.float32), labels)
            warning = (
                "the recording is silent (below -70 dB of full scale): there is no F0 to find; "
                "export it louder if there should be sound"
            )
            confidence = 0.0 if number is None else None
            return F0Estimate(contours, _build_empty_salience(n_frames), [warning], confidence)
        warnings = []
        if len(samples) < SHORTEST:
            warnings.append(
                f"the recording lasts {len(samples) / RATE:.2f} s only; F0 estimates need at least "
                f"{SHORTEST / RATE:g} s to be reliable"
            )
        padded = np.pad(samples, (0, max(0, SHORTEST - len(samples))))
        heard = padded if self.preprocess is None else self.preprocess(padded)
        salience = self.model(heard)
        count = count_singers(salience)
        if number is None:
            labels = choose_singer_names(count.n_singers)
        prior = None
        if score is not None:
            placed = place_score(score, salience, len(samples) / RATE, alignment)
            prior = placed.prior
            warnings += placed.warnings
        f0 = self.assigner(salience, len(labels), audio=padded, prior=prior)
        if prior is not None:
            f0 = fill_unisons(f0, prior)
        tracks = F0Contours(salience.times, f0, labels)
        warnings += find_doubts(tracks, salience, padded, count)
        frames = tracks.to_frames(n_frames)
        if self.retune:
            frames = retune(samples, frames)
        contours = F0Contours.on_grid(frames, labels)
        if self.identity is not None and prior is None:
            found = self.identity(samples, frames)
            contours = F0Contours.on_grid(found.f0, labels, confidence=found.confidence)
            contours = replace(contours.sorted_high_to_low(), names=labels)
            warnings += warn_of_doubtful_singers(contours)
        kept = _cut_salience(salience, len(samples) / RATE)
        return F0Estimate(contours, kept, warnings, count.confidence if number is None else None)


def estimate_file(
    path: str | Path,
    estimator: F0Estimator,
    n_singers: NumberOfSingers,
    names: Sequence[str] | None = None,
    *,
    score: F0Contours | None = None,
    alignment: Alignment = "dtw",
    mix: Mix | None = None,
) -> F0Estimate:
    """Estimate the F0 of a file of any sample rate and number of channels.

    Args:
        path: the recording.
        estimator: the method.
        n_singers, names, score, alignment: see `F0Estimator`.
        mix: how the channels are mixed for listening; None = as is found in the file.

    Raises:
        AudioError: the file is missing, unreadable or empty.
        UmssError: see `F0Estimator`.
    """
    settle_number(n_singers, names, score)  # report wrong settings before the slow part
    audio = load_mono(path, RATE, mix=mix)
    return estimator(audio, n_singers, names, score=score, alignment=alignment)


def settle_number(
    n_singers: NumberOfSingers,
    names: Sequence[str] | None = None,
    score: F0Contours | None = None,
) -> int | None:
    """Settle the number of singers before anything is heard; None = it must be counted.

    Raises:
        UmssError: a number of singers out of range, or names or a score that do not fit it.
    """
    if isinstance(n_singers, str) and n_singers == "auto":
        if score is None and names is None:
            return None
        n_singers = score.n_singers if score is not None else len(names or ())
    choose_singer_names(n_singers, names, score)
    return n_singers


def choose_singer_names(
    n_singers: int, names: Sequence[str] | None = None, score: F0Contours | None = None
) -> tuple[str, ...]:
    """Choose the names of the singers, from the highest to the lowest.

    Raises:
        UmssError: a number of singers out of range, or names or a score that do not fit it.
    """
    whole = isinstance(n_singers, (int, np.integer)) and not isinstance(n_singers, bool)
    if not whole or not 1 <= n_singers <= MAX_SINGERS:
        raise UmssError(
            f"n_singers={n_singers}: F0 is estimated for 1 to {MAX_SINGERS} singers; give a whole "
            "number in this range, or auto"
        )
    if score is not None and score.n_singers != n_singers:
        raise UmssError(
            f"the score has {score.n_singers} parts ({', '.join(score.names)}), but "
            f"n_singers={n_singers}; set n_singers={score.n_singers} or give another score"
        )
    if names is None:
        default = tuple(f"singer{j + 1}" for j in range(n_singers))
        return default if score is None else score.names
    if isinstance(names, str) or len(names) != n_singers:
        raise UmssError(
            f"names={names if isinstance(names, str) else list(names)}: give a list of {n_singers} "
            "names, one per singer, from the highest to the lowest"
        )
    if len(set(names)) < n_singers or not all(isinstance(n, str) and n.strip() for n in names):
        raise UmssError(f"names={list(names)}: names must differ and not be empty")
    return tuple(names)


def find_doubts(
    tracks: F0Contours,
    salience: Salience,
    audio: NDArray[np.float32],
    count: SingerCount | None = None,
) -> list[str]:
    """Find reasons to doubt the tracks, as warnings for the user, one sentence each.

    Args:
        tracks: F0 tracks at the times of the salience.
        salience: salience from which the tracks were taken.
        audio: the recording [T] at 16 kHz.
        count: of the singers by the salience; None = they are counted here.
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


def _check_audio(audio: NDArray[np.float32]) -> NDArray[np.float32]:
    samples = np.asarray(audio, dtype=np.float32)
    if samples.ndim != 1 or samples.size == 0:
        raise UmssError(
            f"audio must be mono samples [T] at 16 kHz and not empty, got {list(samples.shape)}"
        )
    if not np.isfinite(samples).all():
        raise UmssError("the audio holds NaN or infinite samples; export it again")
    return samples


def _build_empty_salience(n_frames: int) -> Salience:
    frequencies = 55.0 * 2.0 ** (np.arange(240) / 60)
    values = np.zeros((len(frequencies), n_frames), dtype=np.float32)
    return Salience(values, frequencies, np.arange(n_frames) * HOP / RATE)


def _cut_salience(salience: Salience, seconds: float) -> Salience:
    """Drop the frames of salience after the end of the recording; at least one is kept."""
    kept = max(1, int(np.searchsorted(salience.times, seconds)))
    return Salience(salience.values[:, :kept], salience.frequencies, salience.times[:kept])
