"""The folder `tracks` of a project: what tracking or imports gave, and the tracks now."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..f0.contour_files import read_f0, write_f0
from ..f0.contours import F0Contours
from .state import Tracks

Notes = NDArray[np.float32]


@dataclass(frozen=True)
class TrackFiles:
    """The files of tracks of a project.

    Attributes:
        folder: where they lie.
        stem: how the names of result files begin.
    """

    folder: Path
    stem: str

    @property
    def present(self) -> Path:
        """The tracks as they are now."""
        return self.folder / f"{self.stem}_f0.csv"

    def name_next(self) -> str:
        """A name for new tracks that no tracks have."""
        there = [p.stem for p in self.folder.glob("[0-9]*.csv")]
        numbers = [int(name) for name in there if name.isdigit()]
        return f"{max(numbers, default=0) + 1:04d}"

    def read(self, name: str) -> Tracks:
        """Tracks [N, J] of a name, e.g. "0002"."""
        return read_f0(self._locate(name)).f0

    def read_accompaniment(self, name: str) -> Notes | None:
        """The notes [N, K] of instruments beside tracks; None = there are none."""
        return read_f0(self._locate(name)).accompaniment

    def write_next(self, f0: Tracks, names: Sequence[str], accompaniment: Notes | None) -> str:
        """Write new tracks [N, J] beside the others; returns their name."""
        name = self.name_next()
        _write(self._locate(name), f0, names, accompaniment)
        return name

    def write_present(self, f0: Tracks, names: Sequence[str], made_on: str | None) -> None:
        """Write the tracks [N, J] as they are now.

        Args:
            f0: Hz on the 16-ms grid.
            names: J singers.
            made_on: the tracks that were corrected, whose accompaniment they keep; None = none.
        """
        notes = None if made_on is None else self.read_accompaniment(made_on)
        _write(self.present, f0, names, notes)

    def has_newer_than(self, path: Path) -> bool:
        """Whether the tracks as they are now were written after another file."""
        try:
            return self.present.stat().st_mtime_ns >= path.stat().st_mtime_ns
        except OSError:
            return False

    def _locate(self, name: str) -> Path:
        return self.folder / f"{name}.csv"


def _write(path: Path, f0: Tracks, names: Sequence[str], accompaniment: Notes | None) -> None:
    contours = F0Contours.on_grid(f0, tuple(names))
    write_f0(path, replace(contours, accompaniment=accompaniment), overwrite=True)
