"""What a network hears of a recording: what singers sing, and what instruments play along."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..dsp.tracks import HOP
from ..progress import stretch
from .accompaniment import AccompanimentFinder
from .contours import F0Contours, name_accompaniment
from .count import SingerCount, count_singers
from .retune import retune
from .salience import Assigner, Salience, SalienceModel

MOVING = 0.55  # weight of the salience of what does not stand still, beside instruments


@dataclass(frozen=True, eq=False)
class Heard:
    """Saliences of a recording, and the notes of instruments.

    Attributes:
        salience: the tracks are taken from it.
        singers: that of what is sung alone, as far as it is known.
        count: of the singers.
        sung: [T] what the tracks are tuned on; None = the recording.
        notes: [N, K] Hz, what instruments play; None where there are none.
    """

    salience: Salience
    singers: Salience
    count: SingerCount
    sung: NDArray[np.float32] | None = None
    notes: NDArray[np.float32] | None = None


def listen(
    audio: NDArray[np.float32],
    model: SalienceModel,
    assigner: Assigner,
    *,
    finder: AccompanimentFinder | None,
    tuned: bool,
    done: float,
) -> Heard:
    """Hear a recording.

    Args:
        audio: [T] at 16 kHz.
        model: computes salience.
        assigner: turns the salience of instruments into tracks.
        finder: finds instruments; None = there are none.
        tuned: refine their notes on the recording.
        done: how much of the work is done after this, for the progress.
    """
    steady = None if finder is None else finder(audio)
    if steady is None:
        with stretch(0.0, done):
            salience = model(audio)
        return Heard(salience, salience, count_singers(salience))
    sung = audio - steady
    saliences = []
    for k, part in enumerate((audio, sung, steady)):
        with stretch(done * k / 3, done * (k + 1) / 3):
            saliences.append(model(part))
    whole, moving, still = saliences
    # What moves says most about the singers; but their lowest partials may stand still.
    values = MOVING * moving.values + (1.0 - MOVING) * whole.values
    salience = replace(whole, values=values)
    names = name_accompaniment(count_singers(still).n_singers)
    tracks = F0Contours(still.times, assigner(still, len(names), audio=steady), names)
    notes = tracks.to_frames(-(-len(audio) // HOP))
    if tuned:
        notes = retune(steady, notes)
    return Heard(salience, moving, count_singers(moving), sung, notes)
