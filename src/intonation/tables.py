"""The measures of notes, chords, singers and unisons as tables."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import median_abs_deviation

from ..editing.pitch import pitch_to_hertz
from .chords import Chord, Unison
from .estimates import Estimate, Values, estimate_mean
from .sung import SungNote
from .tuning import Tuning
from .vibrato import measure_vibrato

CLASSES = ("C", "C#", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")


def name_note(midi: int) -> str:
    """The name of a note, e.g. Bb3."""
    return f"{CLASSES[midi % 12]}{midi // 12 - 1}"


def tabulate_notes(
    names: Sequence[str],
    notes: Sequence[SungNote],
    midi: NDArray[np.int64],
    tuning: Tuning,
    just: Values,
    late: Values,
) -> pd.DataFrame:
    """One row per note, see `IntonationMeasures.notes`.

    Args:
        names: J singers.
        notes, midi, late: n notes, what each was meant to be, and how late each is (ms).
        tuning: of the ensemble.
        just: [n] cents from pure intervals, NaN where there is no chord.
    """
    middle = np.array([note.middle for note in notes])
    centre = np.array([note.centre for note in notes])
    tuned = np.array([note.tuned for note in notes])
    a440 = np.where(tuned, 100.0 * (middle - midi), np.nan)
    vibrato = np.array([measure_vibrato(note.pitch) for note in notes]).reshape(-1, 2)
    return pd.DataFrame(
        {
            "singer": [names[note.singer] for note in notes],
            "start": [note.start for note in notes],
            "end": [note.end for note in notes],
            "note": [name_note(int(number)) for number in midi],
            "pitch": pitch_to_hertz(middle),
            "a440": a440,
            "equal": a440 - tuning.read(centre),
            "just": just,
            "vibrato_hz": vibrato[:, 0],
            "vibrato_cents": vibrato[:, 1],
            "entry_ms": late,
        }
    )


def average_just(notes: Sequence[SungNote], chords: Sequence[Chord], just: Values) -> Values:
    """Average over its chords how far every note is from pure intervals, by their lengths, [n]."""
    total, seconds = np.zeros(len(notes)), np.zeros(len(notes))
    for c, chord in enumerate(chords):
        total[chord.notes] += just[c, chord.singers] * (chord.end - chord.start)
        seconds[chord.notes] += chord.end - chord.start
    return np.where(seconds > 0, total / np.where(seconds > 0, seconds, 1.0), np.nan)


def tabulate_chords(
    names: Sequence[str], chords: Sequence[Chord], tuning: Tuning, just: Values
) -> pd.DataFrame:
    """One row per chord and singer, see `IntonationMeasures.chords`; just is [C, J] cents."""
    rows = []
    for c, chord in enumerate(chords):
        level = float(tuning.read(0.5 * (chord.start + chord.end)))
        for k, j in enumerate(chord.singers):
            number = int(chord.midi[k])
            rows.append(
                {
                    "chord": c + 1,
                    "start": chord.start,
                    "end": chord.end,
                    "kind": chord.just.kind,
                    "root": CLASSES[chord.just.root],
                    "singer": names[j],
                    "note": name_note(number),
                    "ratio": str(chord.just.ratios[k]),
                    "equal": 100.0 * (chord.middles[k] - number) - level,
                    "just": just[c, j],
                }
            )
    columns = [
        "chord", "start", "end", "kind", "root", "singer", "note", "ratio", "equal", "just"
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=columns)


def tabulate_unisons(
    names: Sequence[str], chords: Sequence[Chord], unisons: Sequence[Unison]
) -> pd.DataFrame:
    """One row per chord and pair, see `IntonationMeasures.unisons`."""
    rows = [
        (
            unison.chord + 1,
            chords[unison.chord].start,
            chords[unison.chord].end,
            names[unison.singers[0]],
            names[unison.singers[1]],
            unison.octaves,
            unison.cents,
        )
        for unison in unisons
    ]
    columns = ["chord", "start", "end", "first", "second", "octaves", "cents"]
    return pd.DataFrame(rows, columns=columns)


def tabulate_singers(names: Sequence[str], notes: pd.DataFrame) -> pd.DataFrame:
    """One row per singer, see `IntonationMeasures.singers`."""
    rows = []
    for name in names:
        own = notes[notes["singer"] == name]
        equal = own["equal"].dropna().to_numpy(dtype=np.float64)
        long_enough = own[own["vibrato_hz"].notna()]
        shaken = long_enough[long_enough["vibrato_hz"] > 0]
        share = len(shaken) / len(long_enough) if len(long_enough) else np.nan
        row = {
            "singer": name,
            "notes": len(equal),
            "seconds": float((own["end"] - own["start"]).sum()),
            "scatter": float(median_abs_deviation(equal, scale="normal")) if len(equal) else np.nan,
            "vibrato_share": share,
            "entries": int(own["entry_ms"].notna().sum()),
        }
        for column, table in (
            ("equal", own),
            ("just", own),
            ("vibrato_hz", shaken),
            ("vibrato_cents", shaken),
            ("entry_ms", own),
        ):
            row |= _spread(column, estimate_mean(table[column].to_numpy(dtype=np.float64)))
        rows.append(row)
    return pd.DataFrame(rows)


def _spread(column: str, estimate: Estimate) -> dict[str, float]:
    return {
        column: estimate.value,
        f"{column}_low": estimate.low,
        f"{column}_high": estimate.high,
    }
