"""How dry the rows are, and what F0 gains and loses when reverberation is taken off all of them.

    python -m experiments.real.dryness --csd DIR --choralsynth DIR

For every development row: `measure_dryness` of its mono mixture, and the share of right pitches and
of silent frames with a pitch (`experiments.real.scores`), F0 estimated without `multif0.preprocess`
and with it, whatever the dryness. The settings of both were chosen on these rows. Results:
dryness.csv.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from hydra.utils import instantiate
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from experiments.real.build import Mixture, Voices, build_row
from experiments.real.plan import HERE, PLAN, USES, read_plan
from experiments.real.scores import find_near, score_pitches
from src.configuration import compose_config
from src.dsp.reverberation import measure_dryness
from src.dsp.tracks import RATE
from src.f0.estimate import F0Estimator
from src.files import write_text


def score_best(tracks: NDArray[np.float32], wanted: NDArray[np.float32]) -> dict[str, float]:
    """Scores of tracks [J, N] that are matched with singers [J, N] by their right pitches."""
    right = find_near(tracks, wanted).sum(axis=-1)
    rows, columns = linear_sum_assignment(right, maximize=True)
    return score_pitches(tracks[rows[np.argsort(columns)]], wanted)


def measure_row(mixture: Mixture, estimator: F0Estimator) -> dict[str, float]:
    """Dryness of a row, and the scores of its F0 without and with less reverberation."""
    audio = np.ascontiguousarray(mixture.audio.mean(axis=0), dtype=np.float32)
    found = {"dryness": measure_dryness(torch.from_numpy(audio), rate=RATE)}
    suppress: Any = estimator.preprocess
    always = replace(suppress, dryness=np.inf)
    for name, preprocess in {"without": None, "always": always}.items():
        estimator.preprocess = preprocess
        contours = estimator(audio, len(mixture.stems)).contours
        scores = score_best(contours.to_frames(mixture.f0.shape[1]).T, mixture.f0)
        found |= {f"right_{name}": scores["f0_right"], f"false_{name}": scores["f0_false"]}
    estimator.preprocess = suppress
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--csd", metavar="DIR", required=True)
    parser.add_argument("--choralsynth", metavar="DIR", required=True)
    parser.add_argument("--output", type=Path, default=HERE / "dryness.csv", metavar="FILE")
    options = parser.parse_args()
    voices = Voices({"csd": options.csd, "choralsynth": options.choralsynth})
    estimator = instantiate(compose_config("f0").multif0)
    rows = []
    for row in read_plan(PLAN).rows:
        if row.use == USES[0]:
            measured = measure_row(build_row(row, voices), estimator)
            rows.append({"row": row.name, "group": row.group} | measured)
            print(row.name, {k: round(v, 3) for k, v in measured.items()}, flush=True)
    write_text(options.output, pd.DataFrame(rows).round(4).to_csv(index=False))


if __name__ == "__main__":
    main()
