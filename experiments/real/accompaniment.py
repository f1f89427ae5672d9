"""Whether instruments are told from singers, and what separates singers beside them.

    python -m experiments.real.accompaniment --csd DIR --choralsynth DIR

For every development row, the steady partials per frame (`measure_steadiness`) that decide whether
an instrument plays along. Then an organ or a piano, 4 dB below the singers, is put beside rows that
have none, and the default separates each, and the rows that have one, with
`multif0.accompaniment=null` and as it is: mean SI-SDR in dB; results.csv has the rows without
instruments. The settings were chosen on such mixtures. Results: accompaniment.csv.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from hydra.utils import instantiate

from experiments.real.build import Mixture, Voices, build_row
from experiments.real.plan import HERE, PLAN, USES, Beside, read_plan
from experiments.real.scores import score_row
from src.api import separate
from src.configuration import compose_config
from src.dsp.steadiness import measure_steadiness
from src.dsp.tracks import RATE
from src.files import write_text

_UPPER = ("csd/soprano_1", "csd/alto_2")
_LOWER = ("csd/tenor_1", "csd/bass_1")
# Beside these rows; what is played: the lines of the singers themselves, or those of others.
BESIDE = {
    "quartet-1212": (Beside("organ", -4.0), Beside("organ", -4.0, lines=(*_UPPER, *_LOWER))),
    "quartet-2121": (Beside("organ", -4.0), Beside("piano", -4.0)),
    "duet-soprano-tenor": (
        Beside("organ", -4.0, lines=(_UPPER[1], _LOWER[1])),
        Beside("piano", -4.0, lines=(_UPPER[1], _LOWER[1])),
    ),
    "times-soprano": (Beside("organ", -4.0, lines=_LOWER), Beside("piano", -4.0, lines=_LOWER)),
    "three": (Beside("organ", -4.0), Beside("piano", -4.0)),
    "noise-room": (Beside("organ", -4.0), Beside("piano", -4.0)),
    "image-church": (Beside("organ", -4.0),),
}


def score(mixture: Mixture, accompaniment: dict[str, Any] | None) -> float:
    """Mean SI-SDR in dB of the default, with these changes of `multif0.accompaniment`."""
    result = separate(
        mixture.audio[0],
        RATE,
        n_singers=len(mixture.stems),
        multif0={"accompaniment": accompaniment},
    )
    stems = np.stack(list(result.stems.values())).reshape(mixture.stems.shape)
    tracks = result.f0.to_frames(mixture.f0.shape[1]).T
    return float(score_row(stems, tracks, mixture)[0]["mean"])


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--csd", metavar="DIR", required=True)
    parser.add_argument("--choralsynth", metavar="DIR", required=True)
    parser.add_argument("--output", type=Path, default=HERE / "accompaniment.csv", metavar="FILE")
    options = parser.parse_args()
    voices = Voices({"csd": options.csd, "choralsynth": options.choralsynth})
    preprocess = instantiate(compose_config("f0").multif0.preprocess)
    rows: list[dict[str, Any]] = []
    for row in read_plan(PLAN).rows:
        if row.use != USES[0]:
            continue
        for beside in (row.beside, *BESIDE.get(row.name, ())):
            mixture = build_row(replace(row, beside=beside), voices)
            heard = preprocess(np.ascontiguousarray(mixture.audio.mean(axis=0)))
            new: dict[str, Any] = {
                "row": row.name,
                "beside": "" if beside is None else beside.kind,
                "plays": "" if beside is None else ("other lines" if beside.lines else "theirs"),
                "steadiness": measure_steadiness(heard),
            }
            if beside is not None:
                new |= {"without": score(mixture, None), "with": score(mixture, {})}
            rows.append(new)
            print(new, flush=True)
            write_text(options.output, pd.DataFrame(rows).round(3).to_csv(index=False))


if __name__ == "__main__":
    main()
