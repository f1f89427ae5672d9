"""Whether instruments are told from singers, and what separates singers beside them.

    python -m experiments.real.accompaniment --csd DIR --choralsynth DIR

For every development row, the steady partials per frame (`measure_steadiness`) that decide whether
an instrument plays along. Then an organ or a piano, 4 dB below the singers, is put beside rows that
have none, and the default separates each, and the rows that have one, with
`multif0.accompaniment=null` and as it is: mean SI-SDR in dB; results.csv has the rows without
instruments. The settings were chosen on such mixtures. Results: accompaniment.csv.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from hydra.utils import instantiate

from experiments.real.build import build_row
from experiments.real.development import open_development
from experiments.real.plan import Beside, Method
from experiments.real.run import separate
from experiments.real.scores import score_row
from src.configuration import compose_config
from src.dsp.steadiness import measure_steadiness
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


WITHOUT = Method("without", "umss_fit", settings={"multif0": {"accompaniment": None}})
WITH = Method("with", "umss_fit")


def main() -> None:
    chosen, voices, output = open_development(__doc__, "accompaniment.csv")
    preprocess = instantiate(compose_config("f0").multif0.preprocess)
    rows: list[dict[str, Any]] = []
    for row in chosen:
        for beside in (row.beside, *BESIDE.get(row.name, ())):
            mixture = build_row(replace(row, beside=beside), voices)
            heard = preprocess(np.ascontiguousarray(mixture.audio.mean(axis=0)))
            new: dict[str, Any] = {
                "row": row.name,
                "beside": "" if beside is None else beside.kind,
                "plays": "" if beside is None else ("other lines" if beside.lines else "theirs"),
                "steadiness": measure_steadiness(heard),
            }
            for method in (WITHOUT, WITH) if beside is not None else ():
                new[method.name] = score_row(*separate(mixture, method), mixture)[0]["mean"]
            rows.append(new)
            print(new, flush=True)
            write_text(output, pd.DataFrame(rows).round(3).to_csv(index=False))


if __name__ == "__main__":
    main()
