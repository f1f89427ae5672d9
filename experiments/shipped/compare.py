"""The package's model, which heard no single voice, beside one trained with stems.

    python -m experiments.shipped.compare --csd DIR --choralsynth DIR
    python -m experiments.shipped.compare --csd DIR --choralsynth DIR --checkpoint FILE --name US

Both alone and inside the fit, beside the comb, tested as in `experiments.quality.learning`; rows go
to compare.csv. The other model is that of with_stems.sh, or another checkpoint under a name of its
own.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from experiments.quality.learning import Places, Table, evaluate


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    stems = Path(__file__).with_name("with_stems.ckpt")
    parser.add_argument("--checkpoint", type=Path, default=stems)
    parser.add_argument("--name", default="with stems", help="of the checkpoint, in the table")
    parser.add_argument("--csd", type=Path, required=True)
    parser.add_argument("--choralsynth", type=Path, required=True)
    parser.add_argument("--output", type=Path, default=Path(__file__).with_name("compare.csv"))
    options = parser.parse_args()
    places = Places(options.csd.resolve(), options.choralsynth.resolve(), Path())
    table = Table(options.output)
    own = f"separator.checkpoint={options.checkpoint.resolve()}"
    for test in places.list_tests():
        evaluate(table, places, "comb", ["separator=comb", "separator.mask=power"], [test])
        for method in ("umss", "umss_fit"):
            settings = [f"separator={method}"]
            settings += ["separator.mask=power"] if method == "umss" else []
            evaluate(table, places, f"{method}, mixtures alone", settings, [test])
            evaluate(table, places, f"{method}, {options.name}", [*settings, own], [test])


if __name__ == "__main__":
    main()
