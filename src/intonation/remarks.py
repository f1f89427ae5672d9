"""What the measures cannot tell, and what to beware of: one sentence each."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..f0.contours import F0Contours
from .scores import Written
from .sung import SungNote

_FEW = 10  # notes, with which means say little
_SHORT = 20.0  # seconds, in which a drift says little


def find_remarks(
    contours: F0Contours,
    notes: Sequence[SungNote],
    unsure: int,
    shared: int,
    written: Written | None,
) -> tuple[str, ...]:
    """Say what the measures cannot tell.

    Args:
        contours: what was measured.
        notes: what was found.
        unsure: notes that were left out because they are not surely the singer's.
        shared: unisons that were left out because both singers have one F0.
        written: the score.
    """
    names = contours.names
    count = np.bincount([note.singer for note in notes if note.tuned], minlength=len(names))
    singing = int((count > 0).sum())
    remarks = []
    if singing == 1:
        remarks.append(
            "With one singer it cannot be told whether the pitch is right among others, nor, "
            "without a score in its own times, whether entries are late: deviations are from the "
            "singer's own tuning, whose course is the drift."
        )
    elif singing == 2:
        remarks.append(
            "With two singers it can be told how far apart they are, in cents and milliseconds, "
            "but not which of them is out of tune or late: half of the distance is shown for each."
        )
    if written is None:
        remarks.append(
            "Without a score, a note is meant to be the semitone that it is nearest to, and the "
            "tuning is known up to whole semitones only."
        )
    silent = [name for name, n in zip(names, count, strict=True) if n == 0]
    if silent:
        remarks.append(f"Nothing can be said of {', '.join(silent)}: there are no notes.")
    few = [f"{name} ({n})" for name, n in zip(names, count, strict=True) if 0 < n < _FEW]
    if few:
        remarks.append(f"Few notes say little about a singer: {', '.join(few)}.")
    sung = max(note.end for note in notes) - min(note.start for note in notes)
    if sung < _SHORT:
        remarks.append(f"In {sung:.0f} s of singing a drift per minute says little.")
    if written is not None and written.missing:
        lost = ", ".join(names[j] for j in written.missing)
        remarks.append(
            f"The score has no part for {lost}: their notes are meant to be the nearest semitones."
        )
    if unsure:
        remarks.append(
            f"{unsure} notes were left out, of which it is not sure who sings them "
            "(min_confidence)."
        )
    if shared:
        remarks.append(
            f"{shared} unisons were left out, for which both singers were given one and the same "
            "F0: how far apart they are is not known."
        )
    return tuple(remarks)
