"""Who sings what: the share of right pitches by what tells singers apart, or does not help.

    python -m experiments.real.who --csd DIR --choralsynth DIR

The development rows in one channel without instruments, each from its own start and 11 and 23 s
later, where the recordings are long enough. Tracks are estimated once per mixture; every variant
gives them to singers, without shared pitches (`src.f0.unisons`). Results: who.csv, with a column
per variant.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd
from hydra.utils import instantiate
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter1d

from experiments.real.build import Mixture, build_row
from experiments.real.development import open_development
from experiments.real.parts import describe_mean
from experiments.real.plan import Row
from experiments.real.scores import score_best
from src.configuration import compose_config
from src.errors import UmssError
from src.f0.estimate import F0Estimator
from src.f0.identity import SingerIdentity
from src.f0.timbre import STRIDE
from src.files import write_text

Tracks = NDArray[np.float32]
LATER = (0.0, 11.0, 23.0)  # s
STEP = 60.0  # cents from frame to frame: more is another note
SLOW, WINDOW = 17, 25  # frames: what is no vibrato, and over which its extent is measured
LEAST = 2.0  # cents
DEFAULT = "default"


def is_wanted(row: Row) -> bool:
    """Whether a row is in one channel, without an instrument that plays along."""
    return row.stereo is None and row.beside is None and len(row.parts) > 1


def move(row: Row, seconds: float) -> Row:
    """The same singers, that much later in their songs."""
    parts = tuple(
        tuple(s if s.start is None else replace(s, start=s.start + seconds) for s in part)
        for part in row.parts
    )
    return replace(row, start=row.start + seconds, parts=parts)


def measure_vibrato(f0: Tracks) -> NDArray[np.float64]:
    """Log extent of what is faster than a note, and of the changes from frame to frame.

    Args:
        f0: [N, J] Hz on the 16-ms grid, 0 = silent.

    Returns:
        [N', J, 2] at every `STRIDE`-th frame, NaN where a note is shorter than a quarter second.
    """
    found = np.full((*f0.shape, 2), np.nan)
    for j, track in enumerate(f0.T):
        cents = 1200.0 * np.log2(np.maximum(track, 1.0))
        sung = track > 0
        held = sung[1:] & sung[:-1] & (np.abs(np.diff(cents)) < STEP)
        edges = np.flatnonzero(~held) + 1
        for note in np.split(np.arange(len(cents)), edges):
            if len(note) < SLOW or not sung[note[0]]:
                continue
            line = cents[note]
            fast = line - uniform_filter1d(line, SLOW, mode="nearest")
            change = np.diff(line, n=2, prepend=line[0], append=line[-1])
            for k, values in enumerate((fast, change)):
                power = uniform_filter1d(np.square(values), WINDOW, mode="nearest")
                found[note, j, k] = np.log(np.sqrt(np.maximum(power, 0.0)) + LEAST)
    return found[::STRIDE]


def _identify(identity: SingerIdentity) -> Callable[[Tracks, Tracks], Tracks]:
    return lambda audio, f0: identity(audio, f0).f0


BASE = SingerIdentity(unisons=False)
VARIANTS: dict[str, Callable[[Tracks, Tracks], Tracks]] = {
    "tracker": lambda audio, f0: f0,
    DEFAULT: _identify(BASE),
    "one start": _identify(replace(BASE, starts=1)),
    "no ranges": _identify(replace(BASE, range_width=1e6)),
    "exchange 1.5": _identify(replace(BASE, exchange=1.5)),
    "exchange 3": _identify(replace(BASE, exchange=3.0)),
    "trust 1": _identify(replace(BASE, trust=1.0)),
    "trust 4": _identify(replace(BASE, trust=4.0)),
    "vibrato too": lambda audio, f0: BASE(audio, f0, extra=measure_vibrato(f0)).f0,
}


def measure(mixture: Mixture, estimator: F0Estimator) -> dict[str, float]:
    """The share of right pitches by every variant; `estimator` leaves tracks as they are."""
    audio = mixture.audio[0].astype(np.float32)
    n_frames = mixture.f0.shape[1]
    tracks = estimator(audio, len(mixture.stems)).contours.to_frames(n_frames)
    return {
        name: score_best(variant(audio, tracks).T, mixture.f0)["f0_right"]
        for name, variant in VARIANTS.items()
    }


def describe(table: pd.DataFrame) -> str:
    """Mean shares of every variant in percent, and how much less than by default."""
    lines = []
    for name in VARIANTS:
        less = 100.0 * (table[name] - table[DEFAULT])
        lines.append(f"{name}: {100.0 * table[name].mean():.1f} %, {describe_mean(less.tolist())}")
    return "\n".join(lines)


def main() -> None:
    chosen, voices, output = open_development(__doc__, "who.csv")
    estimator = instantiate(compose_config("f0").multif0)
    estimator.identity = None
    rows = []
    for row in filter(is_wanted, chosen):
        for later in LATER:
            try:
                mixture = build_row(move(row, later), voices)
            except UmssError as error:
                print(f"{row.name}, {later:g} s later: {error}", flush=True)
                continue
            right = measure(mixture, estimator)
            about = {"row": row.name, "later": later, "group": row.group}
            rows.append(about | {"singers": len(mixture.stems)} | right)
            print(row.name, later, {k: round(v, 3) for k, v in right.items()}, flush=True)
    table = pd.DataFrame(rows)
    write_text(output, table.round(4).to_csv(index=False))
    print(describe(table))


if __name__ == "__main__":
    main()
