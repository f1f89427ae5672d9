"""How far the estimation of F0 is: told to a listener, shown on a terminal, nowhere else."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import rich
import soundfile as sf
from rich.console import Console

from src.cli import main as umss
from src.f0 import network
from src.f0.estimate import F0Estimator
from src.f0.tracker import VoiceTracker
from src.progress import listen, show_bar, stretch, tell

RATE = 16_000


def sing(seconds: float = 3.0) -> np.ndarray:
    t = np.arange(int(seconds * RATE)) / RATE
    return (0.1 * sum(np.sin(2 * np.pi * 220 * h * t) / h for h in range(1, 6))).astype(np.float32)


def test_parts_of_the_work_are_parts_of_what_is_told() -> None:
    heard: list[float] = []
    tell(0.5)  # to nobody
    with listen(heard.append):
        with stretch(0.0, 0.5):
            tell(0.5)
            with listen(None):
                tell(0.9)
        tell(0.75)
    tell(1.0)
    assert heard == [0.25, 0.5, 0.75]


def test_estimation_tells_how_far_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(network, "CHUNK_SECONDS", 1.0)
    heard: list[float] = []
    estimator = F0Estimator(network.VoiceSalience(), VoiceTracker(), identity=None)
    with listen(heard.append):
        estimator(sing(), 1)
    # Each second that was heard, and the steps that follow.
    assert heard[:3] == pytest.approx([0.25, 0.5, 0.75], abs=0.01)
    assert heard[-2:] == [0.84, 0.94] and heard == sorted(heard)


@pytest.mark.parametrize("terminal", [True, False])
@pytest.mark.parametrize("wanted", [True, False])
def test_a_bar_is_shown_on_a_terminal_only(
    terminal: bool, wanted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = io.StringIO()
    console = Console(file=shown, force_terminal=terminal, width=80)
    monkeypatch.setattr(rich, "_console", console)
    with show_bar("estimating F0: [a].wav", wanted=wanted):
        tell(0.5)
    if terminal and wanted:
        assert "estimating F0: [a].wav" in shown.getvalue() and "50%" in shown.getvalue()
    else:
        assert shown.getvalue() == ""


@pytest.mark.parametrize("command", ["f0", "separate"])
def test_commands_show_it_unless_told_not_to(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sf.write(tmp_path / "a.wav", sing(1.0), RATE)
    shown = io.StringIO()
    monkeypatch.setattr(rich, "_console", Console(file=shown, force_terminal=True, width=80))
    more = ["plot=false"] if command == "f0" else ["separator=comb"]
    arguments = [command, f"input={tmp_path / 'a.wav'}", "n_singers=1", *more]
    umss([*arguments, f"output={tmp_path / 'quiet'}", "progress=false"])
    assert shown.getvalue() == ""
    umss([*arguments, f"output={tmp_path / 'shown'}"])
    assert "estimating F0: a.wav" in shown.getvalue()
