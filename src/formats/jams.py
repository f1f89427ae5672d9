"""F0 tracks and notes as JAMS (Humphrey et al. 2014), one annotation of each kind per singer."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..f0.contours import F0Contours
from ..files import replace_when_complete
from .midi import SungPart

VERSION = "0.3.4"  # of the schema


def write_jams(path: Path, contours: F0Contours, parts: Sequence[SungPart], title: str) -> None:
    """Write namespaces `pitch_contour` and `note_midi`; the sandbox of each names the singer.

    Args:
        path: the file; it is replaced.
        contours: the F0 tracks.
        parts: the notes of the same singers.
        title: of the recording.
    """
    duration = float(contours.duration)
    tracks = [
        _annotate("pitch_contour", name, _list_frames(contours.times, f0), duration)
        for name, f0 in zip(contours.names, contours.f0.T, strict=True)
    ]
    sung = [_annotate("note_midi", part.name, _list_notes(part), duration) for part in parts]
    content = {
        "annotations": [*tracks, *sung],
        "file_metadata": {
            "title": title, "artist": "", "release": "", "duration": duration,
            "identifiers": {}, "jams_version": VERSION,
        },
        "sandbox": {},
    }  # fmt: skip
    with replace_when_complete(path) as temporary:
        temporary.write_text(json.dumps(content), encoding="utf-8")


def _annotate(
    namespace: str, singer: str, data: list[dict[str, Any]], duration: float
) -> dict[str, Any]:
    return {
        "namespace": namespace,
        "annotation_metadata": {
            "curator": {"name": "", "email": ""}, "annotator": {}, "version": "", "corpus": "",
            "annotation_tools": "umss", "annotation_rules": "", "validation": "",
            "data_source": "program",
        },
        "data": data,
        "sandbox": {"singer": singer},
        "time": 0.0,
        "duration": duration,
    }  # fmt: skip


def _list_frames(times: NDArray[np.float64], f0: NDArray[np.float32]) -> list[dict[str, Any]]:
    return [
        {
            "time": round(float(time), 6),
            "duration": 0.0,
            # Nine digits restore any float32 exactly.
            "value": {"index": 0, "frequency": float(f"{value:.9g}"), "voiced": bool(value > 0)},
            "confidence": None,
        }
        for time, value in zip(times, f0, strict=True)
    ]


def _list_notes(part: SungPart) -> list[dict[str, Any]]:
    return [
        {
            "time": round(note.start, 6),
            "duration": round(note.end - note.start, 6),
            "value": round(note.pitch, 4),
            "confidence": None,
        }
        for note in part.notes
    ]
