"""The table of F0 results: order, values, and gaps."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from experiments.f0.table import collect, markdown

VOICE = {"raw_pitch_accuracy": 0.81, "overall_accuracy": 0.9}


def write(folder: Path, data: str, method: str, overall: float) -> None:
    summary = {
        "multif0": {"weights": "/somewhere"}, "n_singers": 2, "mixtures": 3, "seconds": 309.0,
        "reference": "stems", "real_time_factor": None if method == "cached" else 0.25,
        "multipitch": {"precision": 0.9, "recall": 0.8, "f_measure": 0.847},
        "overall": {
            "raw_pitch_accuracy": 0.81, "raw_chroma_accuracy": 0.82, "overall_accuracy": overall,
            "voicing_recall": 0.9, "voicing_false_alarm": None, "raw_pitch_accuracy_20": 0.7,
        },
        "voices": {"alto": VOICE, "bass": VOICE},
        "comb": {"estimated": {"mean": 4.5}, "reference": {"mean": 5.75}},
    }  # fmt: skip
    path = folder / data / method / "summary.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(summary))


def test_table(tmp_path: Path) -> None:
    for method, overall in (("default-no_ranges", 0.7), ("default", 0.912), ("cached", 0.6)):
        write(tmp_path, "nino_dios-j4", method, overall)
    write(tmp_path, "another", "published", 0.5)
    results = collect(tmp_path)
    assert list(results) == ["nino_dios-j4", "another"]
    assert list(results["nino_dios-j4"]) == ["cached", "default", "default-no_ranges"]
    text = markdown(results)
    assert (
        "| **default** | 0.900 | 0.800 | 0.847 | 0.810 | 0.820 | 0.912 | 0.900 | - | 0.700 "
        "| 4.50 (-1.25) | 0.25 |"
    ) in text
    assert "| default, no ranges | 0.810 | 0.810 | 0.900 | 0.900 |" in text
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert {row.count("|") for row in rows} == {13, 6}


def test_nothing_to_collect(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"run run\.sh first"):
        collect(tmp_path)
