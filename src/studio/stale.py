"""What a separation was made with, and where it no longer fits the tracks."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..chunks import find_sung
from ..f0.contour_files import read_f0
from ..f0.contours import F0Contours
from ..windows import STEP, Grid, silence_between
from .operations import read_locks

NOTES = "separation.json"  # beside the stems
_GAIN_STEP = 0.004  # seconds; a change of what is silenced is far longer


@dataclass(frozen=True)
class Settings:
    """With what a project is separated; where they change, everything is separated again.

    Attributes:
        method: name of the separator.
        seed: of the method's noise.
        window_seconds, overlap_seconds: see `src.windows.Grid`.
    """

    method: str
    seed: int = 0
    window_seconds: float = 9.0
    overlap_seconds: float = 1.0

    @property
    def grid(self) -> Grid:
        """Where the windows lie."""
        return Grid.of(self.window_seconds, self.overlap_seconds, self.window_seconds)

    def note(self, names: Sequence[str], digest: str) -> dict[str, Any]:
        """What is written beside the stems, to be compared."""
        return {"names": list(names), "recording": digest, **self.__dict__}


@dataclass(frozen=True)
class Former:
    """What an earlier separation left.

    Attributes:
        contours: the tracks it was made with.
        notes: `Settings.note`, and "sizes": the lengths of the parameters by window.
        folder: where it lies.
    """

    contours: F0Contours
    notes: Mapping[str, Any]
    folder: Path


def find_former(folder: Path, stem: str) -> Former | None:
    """Find the separation in a folder; None = there is none that can be gone on from."""
    try:
        notes = json.loads((folder / NOTES).read_text(encoding="utf-8"))
        return Former(read_f0(folder / f"{stem}_f0.csv"), notes, folder)
    except (OSError, ValueError):
        return None


def find_changed_windows(
    old: F0Contours,
    new: F0Contours,
    grid: Grid,
    seconds: float,
    also: NDArray[np.bool_] | None = None,
) -> NDArray[np.bool_]:
    """Find the windows whose F0, or what is silent in them, has changed: [K].

    Args:
        old, new: tracks on the 16-ms grid, of as many singers.
        grid: where windows lie.
        seconds: of the recording.
        also: [N], other frames in which something has changed.
    """
    count = grid.count(seconds)
    changed = np.zeros(count, np.bool_)
    differs = (old.f0 != new.f0).any(axis=1)
    rows = np.flatnonzero(differs if also is None else differs | also)
    if not len(rows):
        return changed
    at = new.times[rows]
    gains = [find_sung(contours) for contours in (old, new)]
    for k in range(count):
        last = k == count - 1
        begin = k * grid.advance - (_find_repeats(grid, count, seconds) if last else 0)
        end = seconds if last else k * grid.advance + grid.advance + grid.overlap
        changed[k] = bool(((at >= begin) & (at <= end + 0.016)).any())
        begin, end = k * grid.advance, seconds if last else (k + 1) * grid.advance
        n = max(1, int((end - begin) / _GAIN_STEP))
        flat = np.ones(n, np.float32)
        one, other = (
            silence_between(flat, begin, round(1 / _GAIN_STEP), stretches) for stretches in gains
        )
        changed[k] |= not np.array_equal(one, other)
    return changed


def _find_repeats(grid: Grid, count: int, seconds: float) -> int:
    """Find how many seconds before its place the last window begins (`src.windows.Grid`)."""
    following = seconds - (count - 1) * grid.advance - grid.overlap
    skipped = STEP * int(np.ceil(following / STEP - 1e-9))
    return max(0, grid.advance - skipped) if count > 1 else 0


def merge_spans(marked: NDArray[np.bool_], grid: Grid, seconds: float) -> list[list[float]]:
    """The stretches of windows as [from, to] in seconds, neighbours joined."""
    spans: list[list[float]] = []
    for k in np.flatnonzero(marked):
        begin = float(k * grid.advance)
        end = min(seconds, begin + grid.advance + grid.overlap)
        end = seconds if k == len(marked) - 1 else end
        if spans and spans[-1][1] >= begin:
            spans[-1][1] = end
        else:
            spans.append([begin, end])
    return spans


def _count_changes(old: F0Contours, new: F0Contours) -> int:
    """Count the stretches of single tracks that differ."""
    differs = np.pad(old.f0 != new.f0, ((1, 0), (0, 0)))
    return int((differs[1:] & ~differs[:-1]).sum())


def find_let_go(former: Former, held: NDArray[np.bool_] | None) -> NDArray[np.bool_] | None:
    """Find where something else is held than in a former separation, [N]; None = it kept nothing.

    Args:
        former: the former separation.
        held: [N, J], true where tracks must be kept now; None = nowhere.
    """
    known = former.notes.get("held")
    if known is None:
        return None
    now = np.zeros(former.contours.f0.shape, np.bool_) if held is None else held
    found: NDArray[np.bool_] = (read_locks(known, len(now)) != now).any(axis=1)
    return found


def describe_stale(
    former: Former | None,
    contours: F0Contours | None,
    notes: Mapping[str, Any],
    seconds: float,
    held: NDArray[np.bool_] | None = None,
) -> dict[str, Any] | None:
    """What separating would do again, for the page; None = nothing is separated."""
    if former is None or contours is None:
        return None
    grid = Grid.of(former.notes["window_seconds"], former.notes["overlap_seconds"], 1.0)
    count = grid.count(seconds)
    whole = any(former.notes.get(key) != value for key, value in notes.items())
    whole = whole or former.contours.f0.shape != contours.f0.shape
    changed = np.ones(count, np.bool_)
    if not whole:
        also = find_let_go(former, held)
        changed = find_changed_windows(former.contours, contours, grid, seconds, also)
    return {
        "method": former.notes["method"],
        "stale": merge_spans(changed, grid, seconds),
        "windows": {"stale": int(changed.sum()), "all": count},
        "changes": None if whole else _count_changes(former.contours, contours),
        "whole": whole,
    }
