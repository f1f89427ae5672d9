"""Measures how well an ensemble sang, from the F0 of its singers: `umss.measure_intonation`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..errors import UmssError
from ..f0.contours import F0Contours
from ..f0.score.alignment import Alignment
from ..f0.score.reading import read_score
from ..ranges import check_number
from .chords import find_chords, find_unisons, measure_just
from .entries import group_entries, measure_entries
from .estimates import Estimate, Values, estimate_mean, estimate_slope
from .remarks import find_remarks
from .scores import Written, choose_midi, lay_score, measure_written_entries
from .sung import SHORTEST, SungNote, find_all_notes
from .tables import (
    average_just,
    tabulate_chords,
    tabulate_notes,
    tabulate_singers,
    tabulate_unisons,
)
from .tuning import Tuning, follow_tuning

FEWEST = 3  # notes


@dataclass(frozen=True, eq=False)
class IntonationMeasures:
    """How well an ensemble sang.

    Deviations are in cents and positive where the singer is too high; entries are in milliseconds
    and positive where the singer is late.

    Attributes:
        names: J singers.
        notes: one row per note: singer, start and end (s), note, pitch (Hz),
            a440 (cents from equal temperament at A4 = 440 Hz; NaN below 0.2 s), equal (from equal
            temperament in the ensemble's own tuning at that time), just (from pure intervals in its
            chords),
            vibrato_hz and vibrato_cents (to either side; 0 = straight, NaN = too short to tell),
            entry_ms.
        chords: one row per chord and singer: chord, start, end, kind, root, singer, note, ratio to
            the root, equal, just.
        singers: one row per singer: notes, seconds, means with the ends of their 95 % intervals
            (`_low`, `_high`) of equal, just, vibrato_hz, vibrato_cents and entry_ms; scatter (of
            the notes around the singer's own mean, cents), vibrato_share (of the notes that are
            long enough), entries (how many).
        unisons: one row per chord and pair on one note, or octaves apart: chord, start, end, first,
            second, octaves, cents (by which the first is higher).
        tuning: where the ensemble is, once a second: time (s), cents from A4 = 440 Hz.
        drift: of the ensemble, cents per minute; negative where it sinks.
        unison, octave: mean distance of two singers in unison, and octaves apart, cents.
        purity: mean distance of notes from pure intervals in their chords, cents.
        together: mean distance of entries from those of the others, milliseconds.
        remarks: what cannot be told, and what to beware of, one sentence each.
    """

    names: tuple[str, ...]
    notes: pd.DataFrame
    chords: pd.DataFrame
    singers: pd.DataFrame
    unisons: pd.DataFrame
    tuning: pd.DataFrame
    drift: Estimate
    unison: Estimate
    octave: Estimate
    purity: Estimate
    together: Estimate
    remarks: tuple[str, ...]

    @property
    def ensemble(self) -> pd.DataFrame:
        """What is said of all together: measure, value, low, high, unit, count."""
        rows = {
            "drift": (self.drift, "cents per minute"),
            "unison": (self.unison, "cents"),
            "octave": (self.octave, "cents"),
            "purity": (self.purity, "cents"),
            "together": (self.together, "ms"),
        }
        return pd.DataFrame(
            [(name, e.value, e.low, e.high, unit, e.count) for name, (e, unit) in rows.items()],
            columns=["measure", "value", "low", "high", "unit", "count"],
        )

    def save(
        self, folder: str | Path, name: str = "recording", *, overwrite: bool = False
    ) -> dict[str, Path]:
        """Write the page NAME_intonation.html and the tables NAME_intonation_TABLE.csv.

        Returns:
            The files, by "page" and the names of the tables.

        Raises:
            OutputExistsError: a file exists and `overwrite` is false.
        """
        from .files import write_measures

        return write_measures(Path(folder), name, self, overwrite=overwrite)


def measure_intonation(
    contours: F0Contours,
    *,
    score: F0Contours | str | Path | None = None,
    score_parts: Sequence[str | int] | None = None,
    score_alignment: Alignment = "dtw",
    harmonic_seventh: bool = False,
    min_confidence: float = 0.5,
) -> IntonationMeasures:
    """Measure how well an ensemble sang.

    Args:
        contours: F0 of its singers, e.g. `result.f0`, or from `umss.read_f0`.
        score: what they should sing, MIDI or MusicXML; without it a note is meant to be the
            semitone that it is nearest to.
        score_parts: the parts of the score that sing, by name or number; None = all.
        score_alignment: "dtw": the score follows the singers, who are late or early against each
            other; "stretch" (from the first to the last note) and "none": its own times count.
        harmonic_seventh: pure dominant sevenths are 7/4, not 16/9.
        min_confidence: notes that are less surely the singer's (`F0Contours.confidence`) are left
            out.

    Raises:
        UmssError: nothing to measure, or a score that does not fit.

    Example:
        >>> import numpy as np
        >>> import umss
        >>> time = np.arange(0.0, 60.0, 0.016)
        >>> step = np.array([0, 4, 7, 5])[(time // 1.0).astype(int) % 4]
        >>> bass = 110.0 * 2.0 ** ((step - 40.0 * time / 60.0 / 100.0) / 12.0)
        >>> f0 = np.stack([4.0 * bass, 3.0 * bass, bass], axis=1)
        >>> measures = umss.measure_intonation(umss.F0Contours(time, f0, ("high", "mid", "low")))
        >>> round(measures.drift.value), round(float(measures.singers["just"].abs().max()), 1)
        (-40, 0.0)
    """
    check_number("min_confidence", min_confidence, 0.0, 1.0)
    if not contours.voiced.any():
        raise UmssError("no singer has a pitch anywhere, so there is no intonation to measure")
    n_singers = contours.n_singers
    notes, unsure = find_all_notes(contours, min_confidence)
    tuned = [note for note in notes if note.tuned]
    if len(tuned) < FEWEST:
        raise UmssError(
            f"of the {FEWEST} notes of at least {SHORTEST:g} s that are needed, {len(tuned)} were "
            f"found in {contours.duration:.1f} s"
            + (f", and {unsure} more that are not surely the singer's" if unsure else "")
            + "; give a longer recording"
        )
    tuning = follow_tuning(tuned, n_singers)
    written = None
    if score is not None:
        read = score if isinstance(score, F0Contours) else read_score(score, parts=score_parts)
        written = lay_score(read, notes, tuning, contours.names, score_alignment)
        tuning = replace(
            tuning,
            cents=tuning.cents + 100.0 * written.shift,
            own=tuning.own + 100.0 * written.own,
        )
    midi = choose_midi(notes, tuning, written)
    chords = find_chords(notes, midi, n_singers, harmonic_seventh=harmonic_seventh)
    just = measure_just(chords, n_singers)[0]
    late = _measure_late(notes, midi, n_singers, written)
    unisons, shared = find_unisons(chords)
    table = tabulate_notes(
        contours.names, notes, midi, tuning, average_just(notes, chords, just), late
    )
    pairs = tabulate_unisons(contours.names, chords, unisons)
    distances = pairs["cents"].abs().to_numpy(dtype=np.float64)
    same = pairs["octaves"].to_numpy() == 0
    return IntonationMeasures(
        names=contours.names,
        notes=table,
        chords=tabulate_chords(contours.names, chords, tuning, just),
        singers=tabulate_singers(contours.names, table),
        unisons=pairs,
        tuning=pd.DataFrame({"time": tuning.times, "cents": tuning.cents}),
        drift=_measure_drift(notes, table, tuning),
        unison=estimate_mean(distances[same]),
        octave=estimate_mean(distances[~same]),
        purity=estimate_mean(table["just"].abs().to_numpy(dtype=np.float64)),
        together=estimate_mean(table["entry_ms"].abs().to_numpy(dtype=np.float64)),
        remarks=find_remarks(contours, notes, unsure, shared, written),
    )


def _measure_drift(notes: Sequence[SungNote], table: pd.DataFrame, tuning: Tuning) -> Estimate:
    """Measure how the tuning moves over the notes, cents per minute."""
    own = tuning.own[[note.singer for note in notes]]
    level = table["a440"].to_numpy(dtype=np.float64) - own
    minutes = np.array([note.centre for note in notes]) / 60.0
    known = np.isfinite(level)
    return estimate_slope(minutes[known], level[known])


def _measure_late(
    notes: Sequence[SungNote], midi: NDArray[np.int64], n_singers: int, written: Written | None
) -> Values:
    if written is not None:
        return measure_written_entries(notes, midi, written)
    return measure_entries(notes, group_entries(notes, n_singers))[0]
