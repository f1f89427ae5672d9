"""How dry the rows are, and what F0 gains and loses when reverberation is taken off all of them.

    python -m experiments.real.dryness --csd DIR --choralsynth DIR

For every development row: `measure_dryness` of its mono mixture, and the share of right pitches and
of silent frames with a pitch (`experiments.real.scores`), F0 estimated without `multif0.preprocess`
and with it, whatever the dryness. The settings of both were chosen on these rows. Results:
dryness.csv.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import torch
from hydra.utils import instantiate

from experiments.real.build import Mixture, build_row
from experiments.real.development import open_development
from experiments.real.scores import score_best
from src.configuration import compose_config
from src.dsp.reverberation import measure_dryness
from src.dsp.tracks import RATE
from src.f0.estimate import F0Estimator
from src.files import write_text


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
    chosen, voices, output = open_development(__doc__, "dryness.csv")
    estimator = instantiate(compose_config("f0").multif0)
    rows = []
    for row in chosen:
        measured = measure_row(build_row(row, voices), estimator)
        rows.append({"row": row.name, "group": row.group} | measured)
        print(row.name, {k: round(v, 3) for k, v in measured.items()}, flush=True)
    write_text(output, pd.DataFrame(rows).round(4).to_csv(index=False))


if __name__ == "__main__":
    main()
