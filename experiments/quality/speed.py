"""How long the default separation takes, F0 included: `speed.csv`.

    python -m experiments.quality.speed

Half a minute of a generated choir of four, mono, as `umss.separate` gets it from a user; times are
relative to its length, after one call that is not counted. Only a machine that does nothing else
tells the truth.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from src.api import separate
from src.data.choir.generate import SONGS, generate_song
from src.dsp.tracks import RATE
from src.files import write_text
from src.metrics.speed import Stopwatch

TABLE = Path(__file__).with_name("speed.csv")
SECONDS = 30
KINDS: dict[str, dict[str, Any]] = {
    "default": {},
    "opinions.readiness=[1.0]": {"separator": {"opinions": {"readiness": [1.0]}}},
    "opinions.readiness=[1.0] opinions.estimators.default=null": {
        "separator": {"opinions": {"readiness": [1.0], "estimators": {"default": None}}}
    },
    "opinions=null": {"separator": {"opinions": None}},
    "comb": {"method": "comb"},
}


def main() -> None:
    mixture = generate_song(SONGS[0], seed=3).audio.sum(axis=0)
    mixture = np.resize(mixture, SECONDS * RATE)
    mixture /= np.abs(mixture).max()
    rows = []
    for name, settings in KINDS.items():
        separate(mixture[: 4 * RATE], RATE, n_singers=4, **settings)
        stopwatch = Stopwatch()
        with stopwatch.measure(SECONDS):
            separate(mixture, RATE, n_singers=4, **settings)
        row = {
            "what": name,
            "cores": len(os.sched_getaffinity(0)),
            "wall": round(stopwatch.seconds / SECONDS, 3),
            "processor": round(stopwatch.cpu_seconds / SECONDS, 3),
        }
        rows.append(row)
        print(row, flush=True)
    write_text(TABLE, pd.DataFrame(rows).to_csv(index=False))


if __name__ == "__main__":
    main()
