"""Estimates one F0 track per singer from a recording, with warnings where they may be wrong."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ..audio import Examination, examine_audio, load_mono
from ..dsp.tracks import HOP, RATE
from ..errors import UmssError
from ..progress import tell
from .accompaniment import AccompanimentFinder
from .contours import F0Contours
from .doubts import find_doubts
from .heard import listen
from .identity import SingerIdentity
from .names import MAX_ESTIMATED as MAX_SINGERS
from .names import name_singers
from .places import Channels, measure_places, open_channels
from .retune import retune
from .salience import Assigner, Salience, SalienceModel
from .score.alignment import Alignment, fill_unisons, place_score
from .unsure import warn_of_doubtful_singers

SILENCE_PEAK = 10 ** (-70 / 20)  # of full scale
# How much of the time has passed after each step, on a minute of four singers.
_HEARD, _ASSIGNED, _RETUNED = 0.76, 0.84, 0.94
SHORTEST = RATE // 2  # samples; shorter recordings are padded with silence

PLAYED_ALONG = (
    "an organ, a piano or the like seems to play along: what it plays goes to the residual; if all "
    "that sounds is sung, set multif0.accompaniment=null"
)

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
        accompaniment: finds instruments that play along; None = all that sounds may be sung.
    """

    def __init__(
        self,
        model: SalienceModel,
        assigner: Assigner,
        *,
        retune: bool = True,
        identity: SingerIdentity | None = _IDENTITY,
        preprocess: Callable[[NDArray[np.float32]], NDArray[np.float32]] | None = None,
        accompaniment: AccompanimentFinder | None = None,
    ) -> None:
        self.model = model
        self.assigner = assigner
        self.retune = retune
        self.identity = identity
        self.preprocess = preprocess
        self.accompaniment = accompaniment

    def __call__(
        self,
        audio: NDArray[np.float32],
        n_singers: NumberOfSingers,
        names: Sequence[str] | None = None,
        *,
        score: F0Contours | None = None,
        alignment: Alignment = "dtw",
        channels: Channels | None = None,
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
            channels: of the recording, if it has several.

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
        found = listen(
            heard, self.model, self.assigner, finder=self.accompaniment, tuned=self.retune,
            done=_HEARD,
        )  # fmt: skip
        if number is None:
            labels = choose_singer_names(found.count.n_singers)
        prior = None
        if score is not None:
            placed = place_score(score, found.salience, len(samples) / RATE, alignment)
            prior = placed.prior
            warnings += placed.warnings
        f0 = self.assigner(found.salience, len(labels), audio=padded, prior=prior)
        if prior is not None:
            f0 = fill_unisons(f0, prior)
        tell(_ASSIGNED)
        tracks = F0Contours(found.salience.times, f0, labels)
        accompanied = found.notes is not None
        warnings += find_doubts(tracks, found.singers, padded, found.count, accompanied=accompanied)
        frames = tracks.to_frames(n_frames)
        if self.retune:
            frames = retune(samples if found.sung is None else found.sung[: len(samples)], frames)
        tell(_RETUNED)
        contours = F0Contours.on_grid(frames, labels)
        if found.notes is not None:
            warnings.append(PLAYED_ALONG)
            contours = replace(contours, accompaniment=found.notes[:n_frames])
        # An instrument covers the partials that would tell the singers apart.
        elif self.identity is not None and prior is None:
            places = None
            if channels is not None and self.identity.places:
                places = measure_places(channels, frames)
            given = self.identity(samples, frames, extra=places)
            contours = F0Contours.on_grid(given.f0, labels, confidence=given.confidence)
            contours = replace(contours.sorted_high_to_low(), names=labels)
            warnings += warn_of_doubtful_singers(contours)
        kept = _cut_salience(found.salience, len(samples) / RATE)
        confidence = found.count.confidence if number is None else None
        return F0Estimate(contours, kept, warnings, confidence)


def estimate_file(
    path: str | Path,
    estimator: F0Estimator,
    n_singers: NumberOfSingers,
    names: Sequence[str] | None = None,
    *,
    score: F0Contours | None = None,
    alignment: Alignment = "dtw",
    examination: Examination | None = None,
) -> F0Estimate:
    """Estimate the F0 of a file of any sample rate and number of channels.

    Args:
        path: the recording.
        estimator: the method.
        n_singers, names, score, alignment: see `F0Estimator`.
        examination: of the file, if it was examined already.

    Raises:
        AudioError: the file is missing, unreadable or empty.
        UmssError: see `F0Estimator`.
    """
    settle_number(n_singers, names, score)  # report wrong settings before the slow part
    found = examine_audio(path) if examination is None else examination
    audio = load_mono(path, RATE, mix=found.mix)
    channels = open_channels(Path(path), found)
    return estimator(audio, n_singers, names, score=score, alignment=alignment, channels=channels)


def expect_parts(n_singers: NumberOfSingers) -> int | None:
    """The number of parts that a score must have; None = any."""
    return None if n_singers == "auto" else n_singers


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
        return name_singers(n_singers) if score is None else score.names
    if isinstance(names, str) or len(names) != n_singers:
        raise UmssError(
            f"names={names if isinstance(names, str) else list(names)}: give a list of {n_singers} "
            "names, one per singer, from the highest to the lowest"
        )
    if len(set(names)) < n_singers or not all(isinstance(n, str) and n.strip() for n in names):
        raise UmssError(f"names={list(names)}: names must differ and not be empty")
    return tuple(names)


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
