"""Table of the training recipes that `recipes.sh` has trained and evaluated: recipes.csv.

python -m experiments.quality.recipes OUT/evaluation
"""

from __future__ import annotations

import argparse
from pathlib import Path

import pandas as pd

from experiments.quality.results import METRIC, difference
from src.files import write_text

BASE = "shipped"
TABLE = Path(__file__).with_name("recipes.csv")


def table(folder: Path) -> pd.DataFrame:
    """Mean and median SI-SDR in dB of every recipe in FOLDER/NAME, and the difference to `shipped`.

    Raises:
        FileNotFoundError: the recipe that the others are compared with was not evaluated.
        ValueError: a recipe was evaluated on other excerpts.
    """
    frames = {path.parent.name: pd.read_csv(path) for path in sorted(folder.glob("*/frames.csv"))}
    if BASE not in frames:
        raise FileNotFoundError(f"{folder / BASE / 'frames.csv'} is missing; run recipes.sh")
    rows = []
    for name in (BASE, *sorted(frames.keys() - {BASE})):
        kept = frames[name][frames[name]["kept"]]
        row = {"recipe": name, "mean": kept[METRIC].mean(), "median": kept[METRIC].median()}
        if name != BASE:
            ends = ("minus_shipped", "low", "high")
            row |= dict(zip(ends, difference(frames[name], frames[BASE]), strict=True))
        rows.append(row)
    return pd.DataFrame(rows).round(3)


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("folder", type=Path, help="OUT/evaluation of recipes.sh")
    found = table(parser.parse_args().folder)
    write_text(TABLE, found.to_csv(index=False))
    print(found.to_string(index=False))


if __name__ == "__main__":
    main()
