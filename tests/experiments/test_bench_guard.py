"""The regression guard: its comparison, on made-up numbers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from experiments.bench import guard
from experiments.bench.guard import Comparison, compare, conclusion, ratios


def results(umss_s: float = 0.2, umss_gb: float = 1.3) -> list[dict[str, Any]]:
    return [
        {"kind": "literal", "min_s": 4.0, "peak_gb": 3.3, "resting_gb": 0.8},
        {"kind": "umss", "min_s": umss_s, "peak_gb": umss_gb, "resting_gb": 0.8},
        {"kind": "network", "min_s": 0.16, "peak_gb": 1.2, "resting_gb": 0.8},
    ]


def test_ratios_are_times_and_added_memory() -> None:
    assert ratios(results()) == pytest.approx(
        {
            "time of umss / literal": 0.05,
            "time of umss / network": 1.25,
            "memory of umss / literal": 0.2,
            "memory of umss / network": 1.25,
        }
    )
    with pytest.raises(ValueError, match="no result of literal"):
        ratios(results()[1:])


def test_a_machine_twice_as_slow_changes_nothing() -> None:
    slow = [{**c, "min_s": 2 * c["min_s"]} for c in results()]
    assert ratios(slow) == pytest.approx(ratios(results()))


@pytest.mark.parametrize(
    ("measured", "verdict"),
    [
        (1.24, "as before"),
        (1.26, "worse"),
        (1.0, "as before"),
        (0.81, "as before"),
        (0.79, "better"),
    ],
)
def test_verdict(measured: float, verdict: str) -> None:
    assert Comparison("time", measured, 1.0, 0.25).verdict == verdict


def test_conclusion_names_what_is_worse_and_the_remedy() -> None:
    stored = ratios(results())
    assert conclusion(compare(ratios(results()), stored, 0.25)) == (0, "No worse than stored.")
    code, sentence = conclusion(compare(ratios(results(umss_s=0.3)), stored, 0.25))
    assert code == 1
    assert "time of umss / literal is 0.075, 50 % above the stored 0.050" in sentence
    assert "--update" in sentence and "memory" not in sentence
    code, sentence = conclusion(compare(ratios(results(umss_gb=1.6)), stored, 0.25))
    assert code == 1 and "memory of umss / literal" in sentence and "time" not in sentence
    assert conclusion(compare(ratios(results(umss_s=0.3)), stored, 0.6))[0] == 0
    code, sentence = conclusion(compare(ratios(results(umss_s=0.1)), stored, 0.25))
    assert code == 0 and "clearly better" in sentence


def test_bad_input() -> None:
    with pytest.raises(ValueError, match="not stored: b; run with --update"):
        compare({"a": 1.0, "b": 1.0}, {"a": 1.0}, 0.25)
    for tolerance in (0.0, -1.0, float("nan")):
        with pytest.raises(ValueError, match="tolerance must be positive"):
            compare({}, {}, tolerance)


def test_command_stores_then_compares(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = results()
    monkeypatch.setattr(guard, "measure_all", lambda *_: now)
    stored = tmp_path / "guard.json"
    arguments = ["--stored", str(stored)]
    assert guard.main(arguments) == 1
    assert "run with --update" in capsys.readouterr().out
    assert guard.main([*arguments, "--update", "--tolerance", "0.3"]) == 0
    assert json.loads(stored.read_text())["tolerance"] == 0.3
    assert guard.main(arguments) == 0
    now[1]["min_s"] = 0.255  # within the stored tolerance of 30 %
    assert guard.main(arguments) == 0
    now[1]["min_s"] = 0.265
    capsys.readouterr()
    assert guard.main(arguments) == 1
    out = capsys.readouterr().out
    assert "Worse than stored" in out and "note:" not in out
    content = json.loads(stored.read_text())
    content["machine"]["cpu"] = "another"
    stored.write_text(json.dumps(content))
    now[0]["min_s"] = 0.01  # the literal form is much faster here: it says nothing about the step
    assert guard.main(arguments) == 1  # 32 % above the network alone
    now[1]["min_s"] = 0.2
    capsys.readouterr()
    assert guard.main(arguments) == 0
    out = capsys.readouterr().out
    assert "was another" in out and "not judged" in out
    assert "only the ratios to the network alone" in out
