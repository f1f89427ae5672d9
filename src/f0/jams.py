"""F0 tracks of JAMS files: annotations of the namespace `pitch_contour`, one per singer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .names import clean_name, number_names
from .texts import LARGEST, ContourError

Track = tuple[str, NDArray[np.float64], NDArray[np.float64]]


def read_jams(path: Path) -> list[Track]:
    """Read the tracks of a JAMS file.

    Returns:
        Name, times [N] in seconds and F0 [N] in Hz (0 where unvoiced), by singer; names differ.

    Raises:
        ContourError: no such file, too large, no JAMS, or none with an F0 track.
    """
    if not path.is_file():
        raise ContourError(f"{path}: no such F0 file")
    if path.stat().st_size > LARGEST:
        raise ContourError(f"{path}: more than {LARGEST >> 20} MB are too large for F0 tracks")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        annotations = [
            annotation
            for annotation in content["annotations"]
            if annotation["namespace"] == "pitch_contour" and annotation["data"]
        ]
        tracks = [_read_track(annotation["data"]) for annotation in annotations]
        names = [_find_name(annotation) for annotation in annotations]
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
        raise ContourError(
            f"{path}: not readable as JAMS ({type(error).__name__}: {str(error)[:80]}); write it "
            "again with the jams package, or give a table of F0"
        ) from error
    if not tracks:
        raise ContourError(f"{path}: no F0 track (namespace pitch_contour); give another file")
    return [(name, *track) for name, track in zip(number_names(names), tracks, strict=True)]


def _read_track(data: Any) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    if isinstance(data, dict):  # columns instead of rows
        times, values = data["time"], data["value"]
    else:
        times, values = [row["time"] for row in data], [row["value"] for row in data]
    f0 = [max(float(value["frequency"]), 0.0) if value["voiced"] else 0.0 for value in values]
    return np.array(times, np.float64), np.array(f0, np.float64)


def _find_name(annotation: dict[str, Any]) -> str:
    sandbox = annotation.get("sandbox") or {}
    return clean_name(str(sandbox.get("singer") or sandbox.get("name") or ""))
