"""The report's entry point."""

from __future__ import annotations

from pathlib import Path

import pytest
from omegaconf import OmegaConf

from src.report import run
from tests.processes import Done, run_python
from tests.reporting.fake_tables import frames_of, two_methods, write_table
from tests.tiny_training import compose_config


def call(*overrides: str) -> Done:
    return run_python("-m", "src.report", *overrides)


def test_configuration_composes() -> None:
    cfg = compose_config("report", [])
    OmegaConf.to_container(cfg, resolve=True, throw_on_missing=True)


def test_command_line(tmp_path: Path) -> None:
    two_methods(tmp_path / "in", excerpts=1)
    arguments = (f"tables=[{tmp_path}/in/*-j4]", f"output={tmp_path}/out", "formats=[svg]",
                 "order=[good,bad]", "title=Two methods")  # fmt: skip
    done = call(*arguments)
    assert done.returncode == 0, done.stderr
    assert f"wrote {tmp_path}/out/report.html from 2 evaluations" in done.stdout
    page = (tmp_path / "out" / "report.html").read_text()
    assert "<h1>Two methods</h1>" in page
    assert page.index("<td>good</td>") < page.index("<td>bad</td>")
    # The command of the page makes the same page, when files may be replaced.
    assert "order=[good,bad]" in page
    assert {p.suffix for p in (tmp_path / "out" / "figures").iterdir()} == {".svg"}

    with pytest.raises(FileExistsError, match="overwrite=true"):
        run(compose_config("report", list(arguments)))


@pytest.mark.slow
def test_mistakes_are_one_message(tmp_path: Path) -> None:
    done = call(f"tables=[{tmp_path}/nowhere]", f"output={tmp_path}/out")
    assert done.returncode == 1
    assert "nowhere" in done.stderr and "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("break_it", "message"),
    [
        (lambda root: None, "nowhere"),
        (lambda root: (root / "good-j4" / "frames.csv").write_text("song,voice\n"), "frames.csv"),
        (lambda root: (root / "good-j4" / "summary.json").write_text("{"), "summary.json"),
        (lambda root: (root / "good-j4" / "summary.json").unlink(), "summary.json"),
        (lambda root: write_table(root / "c", "good", frames_of(1.0, excerpts=1)), "'good'"),
    ],
    ids=["no folder", "no columns", "no JSON", "no summary", "a name twice"],
)
def test_bad_input_is_named(tmp_path: Path, break_it, message: str) -> None:
    two_methods(tmp_path / "in", excerpts=1)
    break_it(tmp_path / "in")
    where = tmp_path / ("nowhere" if message == "nowhere" else "in")
    cfg = compose_config("report", [f"tables={where}", f"output={tmp_path / 'out'}"])
    with pytest.raises((ValueError, OSError), match=message):
        run(cfg)
    assert not (tmp_path / "out").exists()


def test_nan_scores_name_their_row(tmp_path: Path) -> None:
    frames = frames_of(1.0, excerpts=1)
    row = frames.index[frames["kept"]][5]
    frames.loc[row, "si_sdr"] = float("nan")
    write_table(tmp_path / "in", "a", frames)
    cfg = compose_config("report", [f"tables=[{tmp_path / 'in'}]", f"output={tmp_path / 'out'}"])
    with pytest.raises(ValueError, match=rf"si_sdr.*line {row + 2} .*excerpt 1"):
        run(cfg)
