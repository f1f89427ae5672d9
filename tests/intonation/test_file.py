"""`umss intonation`: from F0, from a separation, from a recording; one sentence per mistake."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile as sf
import yaml

import src as umss
from src.configuration import FOLDER
from src.data.choir import SONGS, generate, generate_song
from src.data.choir.score import Note
from src.errors import OutputExistsError, UmssError
from src.f0.contour_files import write_f0
from src.intonation import files
from src.intonation.files import TABLES
from src.intonation.measures import measure_intonation
from src.intonation_file import main
from src.outputs import write_parameters
from tests.intonation.singing import NAMES, sing
from tests.tiny_training import compose_config


def run(*overrides: str) -> None:
    main(compose_config("intonation", overrides))


def test_page_and_tables(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_f0(tmp_path / "Lied & co_f0.csv", sing(seconds=15, sharp=23))
    out = tmp_path / "out"
    with caplog.at_level("INFO"):
        run(f"input='{tmp_path}/Lied & co_f0.csv'", f"output={out}")
    names = {"Lied & co_intonation.html", *(f"Lied & co_intonation_{t}.csv" for t in TABLES)}
    assert {path.name for path in out.iterdir()} == names
    singers = pd.read_csv(out / "Lied & co_intonation_singers.csv")
    assert singers["equal"][1] == pytest.approx(23, abs=5)
    assert "alto" in caplog.text and "cents per minute" in caplog.text
    page = (out / "Lied & co_intonation.html").read_text(encoding="utf-8")
    assert "<h1>How well we sang: Lied &amp; co</h1>" in page
    # Nothing is loaded from elsewhere, and every picture is there twice, light and dark.
    assert not re.search(r"""(src|href)=["'](?!data:)""", page)
    assert page.count('class="light"') == page.count('class="dark"') == 4
    before = {path: path.read_bytes() for path in out.iterdir()}
    with pytest.raises(OutputExistsError, match="overwrite=true"):
        run(f"input='{tmp_path}/Lied & co_f0.csv'", f"output={out}")
    assert before == {path: path.read_bytes() for path in out.iterdir()}
    run(f"input='{tmp_path}/Lied & co_f0.csv'", f"output={out}", "overwrite=true")
    assert before == {path: path.read_bytes() for path in out.iterdir()}  # the same to the byte


def test_separation_in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "render_page", lambda *_: "")
    contours = sing(seconds=15)
    confidence = np.ones((4, len(contours.times), 1), np.float32)
    confidence[3] = 0.2
    parameters = {"f0": contours.f0.T.copy(), "identity_confidence": confidence}
    for name in ("choir", "other"):
        write_parameters(
            tmp_path / f"{name}_parameters.npz",
            NAMES,
            parameters,
            frames_per_second=62.5,
            description="{}",
        )
    with pytest.raises(UmssError, match="several separations .*give one of these"):
        run(f"input={tmp_path}", f"output={tmp_path}")
    (tmp_path / "other_parameters.npz").unlink()
    run(f"input={tmp_path}", f"output={tmp_path}")
    singers = pd.read_csv(tmp_path / "choir_intonation_singers.csv")
    assert list(singers["singer"]) == list(NAMES)
    assert singers["notes"][0] > 5 and singers["notes"][3] == 0


def test_recording(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "render_page", lambda *_: "")
    t = np.arange(3 * 16_000) / 16_000
    steps = 2.0 ** (2.0 * (t // 1) / 12)
    phases = [2 * np.pi * np.cumsum(f0 * steps) / 16_000 for f0 in (440.0, 165.0)]
    sf.write(tmp_path / "choir.wav", 0.3 * np.sin(phases).sum(axis=0), 16_000)
    fake = (f"hydra.searchpath=[file://{Path(__file__).parents[1]}/f0/conf]", "multif0=tones")
    names = "names=[high,low]"
    run(f"input={tmp_path}/choir.wav", "n_singers=2", names, f"output={tmp_path}", *fake)
    notes = pd.read_csv(tmp_path / "choir_intonation_notes.csv")
    assert list(notes["note"]) == ["A4", "B4", "C#5", "E3", "F#3", "Ab3"]
    assert list(notes["singer"]) == 3 * ["high"] + 3 * ["low"]


def test_what_cannot_be_measured(tmp_path: Path) -> None:
    (tmp_path / "silent.csv").write_text("time,a\n0,0\n1,0\n")
    with pytest.raises(UmssError, match=r"silent\.csv: no singer has a pitch"):
        run(f"input={tmp_path}/silent.csv")
    (tmp_path / "short.csv").write_text("time,a\n0,220\n0.3,220\n")
    with pytest.raises(UmssError, match=r"short\.csv: of the 3 notes .* 1 were found"):
        run(f"input={tmp_path}/short.csv")
    with pytest.raises(UmssError, match=r"choir\.mid: this is a score"):
        run(f"input={tmp_path}/choir.mid")
    write_f0(tmp_path / "good.csv", sing(seconds=5))
    with pytest.raises(UmssError, match=r"none\.mid: no such score"):
        run(f"input={tmp_path}/good.csv", f"score={tmp_path}/none.mid")
    with pytest.raises(UmssError, match=r"holds 4 singers .* names= gives 1"):
        run(f"input={tmp_path}/good.csv", "names=[a]")


def test_defaults_are_those_of_the_configuration() -> None:
    config = yaml.safe_load((FOLDER / "intonation.yaml").read_text())
    parameters = inspect.signature(umss.measure_intonation).parameters
    for name, parameter in parameters.items():
        if name != "contours":
            assert config[name] == parameter.default, name


@pytest.mark.slow
def test_planted_deviations_of_a_sung_choir(monkeypatch: pytest.MonkeyPatch) -> None:
    """The generated singers have faults of their own, so two performances are compared."""
    read = generate.read_score

    def read_sharp(source: str) -> tuple[tuple[Note, ...], ...]:
        parts = list(read(source))
        parts[0] = tuple(Note(**{**vars(note), "midi": note.midi + 0.23}) for note in parts[0])
        return tuple(parts)

    found = []
    for planted in (False, True):
        if planted:
            monkeypatch.setattr(generate, "read_score", read_sharp)
        stems = generate_song(SONGS[3], seed=1, max_seconds=40).audio.astype(np.float64)
        time = np.arange(stems.shape[1]) / 16_000
        if planted:
            stems[0] = np.interp(time - 0.06, time, stems[0])
            # All slow down like a tape; at the slow end, the pitch sinks by 40 cents a minute.
            places = np.cumsum(2.0 ** (-40.0 * time / 60.0 / 1200.0)) / 16_000
            stems = np.stack([np.interp(places, time, stem) for stem in stems])
        estimate = umss.estimate_f0(stems.sum(axis=0).astype(np.float32), 16_000, n_singers=4)
        found.append(measure_intonation(estimate.contours))
    before, after = found
    assert after.drift.value - before.drift.value == pytest.approx(-40, abs=3)
    moved = after.singers["equal"] - before.singers["equal"]
    np.testing.assert_allclose(moved, [23, 0, 0, 0], atol=3)
    moved = after.singers["entry_ms"] - before.singers["entry_ms"]
    np.testing.assert_allclose(moved, [60, 0, 0, 0], atol=20)
