"""What programs share that measure something of every development row."""

from __future__ import annotations

import argparse
from pathlib import Path

from experiments.real.build import Voices
from experiments.real.plan import HERE, PLAN, USES, Row, read_plan


def open_development(doc: str | None, name: str) -> tuple[list[Row], Voices, Path]:
    """Read the command line: the development rows, the voices, and the file of results.

    Args:
        doc: of the program; its first line is its description.
        name: of the file, by default in this folder.
    """
    parser = argparse.ArgumentParser(description=(doc or "").splitlines()[0])
    parser.add_argument("--csd", metavar="DIR", required=True)
    parser.add_argument("--choralsynth", metavar="DIR", required=True)
    parser.add_argument("--output", type=Path, default=HERE / name, metavar="FILE")
    options = parser.parse_args()
    voices = Voices({"csd": options.csd, "choralsynth": options.choralsynth})
    rows = [row for row in read_plan(PLAN).rows if row.use == USES[0]]
    return rows, voices, options.output
