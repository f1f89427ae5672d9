"""Table of the training recipes that `recipes.sh` has trained and evaluated: recipes.csv.

python -m experiments.quality.recipes OUT
"""

from __future__ import annotations

import argparse
from pathlib import Path

import pandas as pd

from experiments.quality.results import METRIC, difference
from src.files import write_text

BASE, DATA = "with_stems", ("singer_2", "generated")
TABLE = Path(__file__).with_name("recipes.csv")


def table(folder: Path) -> pd.DataFrame:
    """Mean and median SI-SDR in dB of all FOLDER/DATA/RECIPE, and differences to `with_stems`.

    Raises:
        FileNotFoundError: the recipe that the others are compared with was not evaluated.
        ValueError: a recipe was evaluated on other excerpts.
    """
    rows = []
    for data in DATA:
        paths = sorted((folder / data).glob("*/frames.csv"))
        frames = {path.parent.name: pd.read_csv(path) for path in paths}
        if BASE not in frames:
            missing = folder / data / BASE / "frames.csv"
            raise FileNotFoundError(f"{missing} is missing; run recipes.sh")
        for name in (BASE, *sorted(frames.keys() - {BASE})):
            kept = frames[name][frames[name]["kept"]]
            scores = {"mean": kept[METRIC].mean(), "median": kept[METRIC].median()}
            if name != BASE:
                ends = ("minus_base", "low", "high")
                scores |= dict(zip(ends, difference(frames[name], frames[BASE]), strict=True))
            rows.append({"data": data, "recipe": name, **scores})
    return pd.DataFrame(rows).round(3)


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("folder", type=Path, metavar="OUT", help="that of recipes.sh")
    found = table(parser.parse_args().folder)
    write_text(TABLE, found.to_csv(index=False))
    print(found.to_string(index=False))


if __name__ == "__main__":
    main()
