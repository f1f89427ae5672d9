"""What it gives F0 to know where singers are: identity with places and without, in two channels.

    python -m experiments.real.where --csd DIR --choralsynth DIR

The dry development rows of two to four soloists, each panned, before a spaced and a near-coincident
pair of microphones in free air, and before the latter in a room (0.8 s, +6 dB). The share of right
pitches (`experiments.real.scores`), tracks as the tracker leaves them, with timbre alone, and with
places too. Results: where.csv.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
from hydra.utils import instantiate

from experiments.real.build import Mixture, build_row
from experiments.real.development import open_development
from experiments.real.plan import Room, Row
from experiments.real.scores import score_best
from src.configuration import compose_config
from src.dsp.tracks import RATE
from src.f0.estimate import F0Estimator
from src.f0.identity import SingerIdentity
from src.f0.places import hold_channels
from src.files import write_text
from src.hearing import Mix

GROUPS = ("plain", "unison", "crossing", "number")
LAYOUTS = {
    "panned": ("panned", None),
    "spaced": ("spaced", None),
    "coincident": ("coincident", None),
    "coincident, room": ("coincident", Room("image", 0.8, 6.0)),
}


def is_wanted(row: Row) -> bool:
    """Whether a row is of two to four soloists in one channel, without a room."""
    soloists = all(len(part) == 1 for part in row.parts) and len(row.parts) <= 4
    return soloists and row.group in GROUPS and row.stereo is None and row.room is None


def measure(mixture: Mixture, estimator: F0Estimator) -> dict[str, float]:
    """The share of right pitches of a row in two channels, by what tells singers apart."""
    audio = mixture.audio.astype(np.float32)
    heard, channels = audio.mean(axis=0), hold_channels(audio, RATE, Mix())
    found = {}
    for name, identity in (
        ("tracker", None),
        ("timbre", SingerIdentity(places=False)),
        ("places", SingerIdentity()),
    ):
        estimator.identity = identity
        contours = estimator(heard, len(mixture.stems), channels=channels).contours
        tracks = contours.to_frames(mixture.f0.shape[1]).T
        found[name] = score_best(tracks, mixture.f0)["f0_right"]
    return found


def main() -> None:
    chosen, voices, output = open_development(__doc__, "where.csv")
    estimator = instantiate(compose_config("f0").multif0)
    rows = []
    for row in filter(is_wanted, chosen):
        for layout, (stereo, room) in LAYOUTS.items():
            mixture = build_row(replace(row, stereo=stereo, room=room), voices)
            right = measure(mixture, estimator)
            singers = len(mixture.stems)
            rows.append({"row": row.name, "singers": singers, "layout": layout} | right)
            print(row.name, layout, {k: round(v, 3) for k, v in right.items()}, flush=True)
    write_text(output, pd.DataFrame(rows).round(4).to_csv(index=False))


if __name__ == "__main__":
    main()
