"""Table of the models that `trainings.sh` has trained and evaluated: trainings.csv.

    python -m experiments.deviations.trainings OUT

A model us_hold is compared with us, its recipe without the change; the interval is over excerpts of
the test, not over trainings (us_other_seed shows how much those differ).
"""

from __future__ import annotations

import argparse
from pathlib import Path

import pandas as pd

from experiments.quality.results import METRIC, difference
from src.errors import UmssError
from src.files import write_text

TABLE = Path(__file__).with_name("trainings.csv")
SPECTRAL = ("spectral_snr", "synth_spectral_snr")


def table(folder: Path) -> pd.DataFrame:
    """Scores in dB of all FOLDER/evaluation/MODEL, and differences to the unchanged recipe.

    Raises:
        UmssError: nothing was evaluated, or a recipe without the change is missing.
    """
    paths = sorted((folder / "evaluation").glob("*/frames.csv"))
    frames = {path.parent.name: pd.read_csv(path) for path in paths}
    if not frames:
        raise UmssError(f"{folder}: no evaluation there; run trainings.sh")
    rows = []
    for name, found in frames.items():
        base = name.partition("_")[0]
        if base not in frames:
            raise UmssError(f"{folder}: {name} is to be compared with {base}, which is missing")
        kept = found[found["kept"]]
        row = {"model": name, "mean": kept[METRIC].mean(), "median": kept[METRIC].median()}
        row |= {metric: kept[metric].mean() for metric in SPECTRAL if metric in kept}
        if name != base:
            ends = ("minus_recipe", "low", "high")
            row |= dict(zip(ends, difference(found, frames[base]), strict=True))
        rows.append(row)
    return pd.DataFrame(rows).round(3)


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("folder", type=Path, metavar="OUT", help="that of trainings.sh")
    found = table(parser.parse_args().folder)
    write_text(TABLE, found.to_csv(index=False))
    print(found.to_string(index=False))


if __name__ == "__main__":
    main()
