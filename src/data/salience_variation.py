"""How the training mixtures of the salience network vary, see conf/train_f0.yaml."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

from .readers.base import DataError

_PROBABILITIES = (
    "free",
    "parallel",
    "double",
    "section",
    "formant_share",
    "band",
    "overdrive",
    "room",
    "image",
    "noise",
    "accompaniment",
    "empty",
)


@dataclass(frozen=True)
class Variation:
    """How mixtures vary; probabilities, bounds and standard deviations.

    Attributes:
        n_singers: relative frequency of 1, 2, ... singers.
        free: probability of a mixture of unrelated stems.
        parallel: probability of one more voice: the line of another, moved by an interval.
        intervals: these intervals, semitones.
        double: probability of a second singer in a part, where the song has one.
        section: probability that every voice is a section of copies that are not in tune.
        section_size: bounds of the number of copies.
        section_cents: bounds of the standard deviation of their tuning.
        section_seconds: standard deviation of their onsets.
        speed: largest change of speed (pitch and formants move with it), octaves.
        formant_share: probability that a voice's formants move by themselves.
        formants: largest change of the formants then, octaves.
        level: standard deviation of a singer's level, dB.
        tilt: standard deviation of the random equalisation of every voice, dB.
        band: probability of a recording of limited band.
        overdrive: probability of a recording that is distorted where it is loud.
        room: probability of a room around the mixture.
        image: share of rectangular rooms, by images of the sources; the rest is decaying noise.
        decay: bounds of the reverberation time, s, drawn evenly in log.
        direct: bounds of the energy of the direct sound over that of the rest, dB.
        before: what was sung in a room before the mixture begins, s.
        noise: probability of background noise.
        noise_db: bounds of its distance below the mixture.
        accompaniment: probability of an organ or a piano, which no F0 tells of.
        accompaniment_db: bounds of its distance below the mixture.
        empty: probability of noise, speech or applause without singers.
    """

    n_singers: Sequence[float] = (2, 4, 5, 8, 3, 2, 1, 1)
    free: float = 0.3
    parallel: float = 0.1
    intervals: Sequence[int] = (-12, -7, -5, -4, -3, -2, -1, 1, 2, 3, 4, 5, 7, 12)
    double: float = 0.15
    section: float = 0.12
    section_size: Sequence[int] = (2, 4)
    section_cents: Sequence[float] = (10.0, 40.0)
    section_seconds: float = 0.02
    speed: float = 0.4
    formant_share: float = 0.3
    formants: float = 0.3
    level: float = 4.5
    tilt: float = 4.0
    band: float = 0.15
    overdrive: float = 0.05
    room: float = 0.6
    image: float = 0.5
    decay: Sequence[float] = (0.3, 3.0)
    direct: Sequence[float] = (-3.0, 10.0)
    before: float = 1.5
    noise: float = 0.5
    noise_db: Sequence[float] = (5.0, 55.0)
    accompaniment: float = 0.08
    accompaniment_db: Sequence[float] = (0.0, 15.0)
    empty: float = 0.04

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name in _PROBABILITIES:
                if not 0 <= value <= 1:
                    raise DataError(f"variation.{field.name}={value}: must lie between 0 and 1")
            elif isinstance(value, (int, float)):
                if value < 0:
                    raise DataError(f"variation.{field.name}={value}: must not be negative")
            else:
                object.__setattr__(self, field.name, tuple(value))
        for name in ("section_size", "section_cents", "decay", "direct", "noise_db",
                     "accompaniment_db"):  # fmt: skip
            bounds = getattr(self, name)
            if len(bounds) != 2 or bounds[0] > bounds[1]:
                raise DataError(f"variation.{name}={list(bounds)}: expected [lowest, highest]")
        if not self.n_singers or min(self.n_singers) < 0 or sum(self.n_singers) <= 0:
            raise DataError(
                f"variation.n_singers={list(self.n_singers)}: give frequencies of 1, 2, ... "
                "singers, at least one of them positive"
            )
