"""`umss f0`: tracks that the separator reads, a picture, one message per mistake."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from src.cli import entry_point
from src.f0.contour_files import read_f0
from src.find_f0 import main
from tests.processes import Done, run_python
from tests.tiny_training import compose_config

CONF = Path(__file__).parent / "conf"
FAKE = (f"hydra.searchpath=[file://{CONF}]", "multif0=tones")


def run(*overrides: str, fake: bool = True) -> Done:
    return run_python("-m", "src.f0", *overrides, *(FAKE if fake else ()))


@pytest.fixture
def choir(tmp_path: Path) -> Path:
    t = np.arange(44_100) / 44_100
    high, low = np.sin(2 * np.pi * 440 * t), np.sin(2 * np.pi * 165 * t)
    sf.write(tmp_path / "choir.wav", 0.3 * np.stack([high, low], axis=1), 44_100)
    return tmp_path / "choir.wav"


def test_command_writes_tracks_and_picture(choir: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    arguments = (f"input={choir}", "n_singers=3", f"output={out}", "names=[high,low,nobody]")
    done = run(*arguments)
    assert done.returncode == 0, done.stderr
    assert sorted(p.name for p in out.iterdir()) == ["choir_f0.csv", "choir_f0.png"]
    contours = read_f0(out / "choir_f0.csv")
    assert contours.names == ("high", "low", "nobody")
    assert len(contours.times) == 63
    np.testing.assert_allclose(np.median(contours.f0, axis=0), [440, 165, 0], rtol=0.01)
    assert (out / "choir_f0.png").read_bytes().startswith(b"\x89PNG")
    assert "warning: hardly a note was found for nobody" in done.stdout + done.stderr
    assert f"wrote {out / 'choir_f0.csv'}" in done.stdout + done.stderr

    before = (out / "choir_f0.csv").read_bytes()
    with pytest.raises(SystemExit, match="overwrite=true"):
        entry_point(main)(compose_config("f0", [*arguments, *FAKE]))
    assert (out / "choir_f0.csv").read_bytes() == before
    forced = [f"input={choir}", "n_singers=2", f"output={out}", "overwrite=true", "plot=false"]
    main(compose_config("f0", [*forced, *FAKE]))
    assert read_f0(out / "choir_f0.csv").names == ("singer1", "singer2")


def test_other_formats_replace_each_other(choir: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    arguments = [f"input={choir}", "n_singers=2", f"output={out}", "plot=false", *FAKE]
    main(compose_config("f0", [*arguments, "formats=[tony,midi]"]))
    names = {str(path.relative_to(out)) for path in out.rglob("*.*")}
    assert names == {
        "choir_tony/singer1.csv", "choir_tony/singer2.csv", "choir_notes.mid",
        "choir_midi/singer1.mid", "choir_midi/singer2.mid",
    }  # fmt: skip
    found = read_f0(out / "choir_tony")
    np.testing.assert_allclose(np.median(found.f0, axis=0), [440, 165], rtol=0.01)
    # Without overwrite, nothing that is there goes.
    main(compose_config("f0", arguments))
    assert names < {str(path.relative_to(out)) for path in out.rglob("*.*")}
    main(compose_config("f0", [*arguments, "overwrite=true"]))
    assert [path.name for path in out.rglob("*")] == ["choir_f0.csv"]


def test_mistakes_end_in_one_message(choir: Path, tmp_path: Path) -> None:
    (tmp_path / "garbage.wav").write_bytes(b"\x00garbage" * 50)
    (tmp_path / "garbage.mid").write_bytes(b"\x00garbage" * 50)
    out = f"output={tmp_path / 'out'}"
    for overrides, message in (
        ((f"input={tmp_path}/none.wav",), "no such audio file"),
        ((f"input={tmp_path}/garbage.wav",), "not readable as audio"),
        ((f"input={choir}", "n_singers=17"), "1 to 16"),
        ((f"input={choir}", "n_singers=0"), "1 to 16"),
        ((f"input={choir}", "n_singers=2", "names=[a]"), "list of 2 names"),
        ((f"input={choir}", "n_singers=2", f"score={tmp_path}/garbage.mid"), "garbage.mid"),
        ((), "input is not set"),
    ):
        with pytest.raises(SystemExit) as stop:
            entry_point(main)(compose_config("f0", [*overrides, out, *FAKE]))
        assert str(stop.value.code).startswith("error: ")
        assert message in str(stop.value.code)
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_help_explains_the_settings() -> None:
    done = run("--help", fake=False)
    assert done.returncode == 0, done.stderr
    assert "umss f0 input=choir.wav n_singers=4" in done.stdout
    assert "score_alignment" in done.stdout
