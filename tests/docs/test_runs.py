"""Commands of the pages, run as they stand, or with settings that make them short."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from pathlib import Path

import pytest

from tests.docs.documents import ROOT, commands
from tests.docs.test_commands import write_files
from tests.processes import run_python
from tests.tiny_training import ESTIMATOR

UMSS = ["-c", "from umss.cli import main; main()"]
TINY_TRAINING = [
    "data.excerpt_seconds=1",
    "data.batch_size=2",
    "data.progress=false",
    "model.fft_sizes=[512,128]",
    *(f"model.estimator.{key}={value}" for key, value in ESTIMATOR.items()),
    "trainer=cpu",
    "trainer.max_epochs=1",
    "threads=1",
]
TINY_EVALUATION = ["data.excerpt_seconds=1", "data.progress=false", "threads=1"]


def run(command: str, folder: Path, more: list[str] | None = None) -> str:
    """Run a command of a page as a shell would, with further overrides."""
    words = shlex.split(command)
    # This checkout, before any other that may be installed.
    places = os.pathsep.join([str(folder), *map(str, filter(None, sys.path))])
    variables = {}
    while "=" in words[0]:
        name, _, value = words.pop(0).partition("=")
        variables[name] = value
    variables["PYTHONPATH"] = places  # instead of PYTHONPATH=.
    assert words.pop(0) == "umss"
    result = run_python(*UMSS, *words, *(more or []), cwd=folder, **variables)
    assert result.returncode == 0, f"{command}\n{result.stdout}\n{result.stderr}"
    return result.stdout


def of_page(name: str, start: str) -> str:
    """The command of a page that begins so; pages must have exactly one."""
    found = {c for c in commands(ROOT / name) if c.startswith(start)}
    assert len(found) == 1, f"{name}: {start}: {found}"
    return found.pop()


def test_a_separator_of_ones_own(playground: Path) -> None:
    write_files(ROOT / "CONTRIBUTING.md", playground)
    run(of_page("CONTRIBUTING.md", "UMSS_TRUST=mine PYTHONPATH=. umss separate"), playground)
    assert (playground / "even" / "choir_soprano.wav").is_file()


def test_a_reader_of_ones_own(playground: Path) -> None:
    write_files(ROOT / "CONTRIBUTING.md", playground)
    namespace: dict[str, type] = {}
    code = (playground / "src" / "data" / "readers" / "flat.py").read_text(encoding="utf-8")
    exec(code, namespace)
    folder = playground / "flat"
    folder.mkdir()
    for song in ("evening_song", "morning_song"):
        for part in ("alto", "soprano"):
            (folder / f"{song}-{part}.wav").symlink_to(playground / "songs" / song / f"{part}.wav")
    reader = namespace["FlatReader"](folder)
    songs = reader.songs()
    assert [s.name for s in songs] == ["evening_song", "morning_song"]
    assert [stem.part for stem in songs[0].stems] == ["soprano", "alto"]
    assert reader.load_stem(songs[0], songs[0].stems[1]).shape == (4 * 16_000,)


@pytest.mark.slow
def test_an_experiment_of_ones_own(playground: Path) -> None:
    write_files(ROOT / "CONTRIBUTING.md", playground)
    command = of_page("CONTRIBUTING.md", "umss train --config-dir")
    split = ["data.split.small.train=[evening_song]", "data.split.small.val=[morning_song]"]
    run(command, playground, [*TINY_TRAINING, *split, "output=finer"])
    assert "order: 30" in (playground / "finer" / "config.yaml").read_text(encoding="utf-8")
    evaluation = of_page("CONTRIBUTING.md", "PYTHONPATH=. umss evaluate")
    run(evaluation, playground, TINY_EVALUATION)
    assert (playground / "even_scores" / "summary.json").is_file()


@pytest.mark.slow
def test_own_recordings(playground: Path) -> None:
    page = "docs/tutorials/own_recordings.md"
    run(of_page(page, "umss separate input=choir.wav n_singers=4 output=separated"), playground)
    written = {p.name for p in (playground / "separated").iterdir()}
    stems = {f"choir_singer{j}.wav" for j in range(1, 5)}
    assert written == stems | {"choir_residual.wav", "choir_f0.csv", "choir_parameters.npz"}
    run(of_page(page, "umss f0"), playground)
    assert (playground / "outputs" / "f0" / "choir_f0.png").is_file()
    for folder in ("corrected", "quick", "given_pitches_only", "my_model"):
        command = next(c for c in commands(ROOT / page) if c.endswith(f"output={folder}"))
        run(command, playground)
        assert (playground / folder / "choir_residual.wav").is_file()


@pytest.mark.slow
def test_own_training_data(playground: Path) -> None:
    page = "docs/tutorials/own_training_data.md"
    assert "evening_song" in run(of_page(page, "umss prepare data=folder"), playground)
    trainings = [c for c in commands(ROOT / page) if c.startswith("umss train ")]
    first, second = (c for c in trainings if "data=folder" in c)
    run(first, playground, [*TINY_TRAINING, "model.voice.order=6", "overwrite=true"])
    assert (playground / "first" / "checkpoints" / "best.ckpt").is_file()
    assert (playground / "first" / "csv" / "version_0" / "metrics.csv").is_file()
    split = ["data.split.full.train=[morning_song]", "data.split.full.val=[evening_song]"]
    run(second, playground, [*TINY_TRAINING, "model.voice.order=6", *split])
    for command in (c for c in commands(ROOT / page) if c.startswith("umss evaluate")):
        run(command, playground, TINY_EVALUATION)
    run(of_page(page, "umss report"), playground)
    assert (playground / "report" / "report.html").is_file()
    run(of_page(page, "umss separate input=choir.wav separator.checkpoint"), playground)
    assert (playground / "separated" / "choir_singer4.wav").is_file()


@pytest.mark.slow
def test_recordings_without_stems(playground: Path) -> None:
    page = "docs/tutorials/own_training_data.md"
    folder = playground / "recordings"
    (folder / "concert").mkdir(parents=True)
    for name in ("evening_song", "concert/last_song"):
        shutil.copy(playground / "choir.wav", folder / f"{name}.wav")
    shutil.copy(playground / "choir.csv", folder / "evening_song.csv")
    (folder / "singers.csv").write_text("evening_song.wav,4\n")
    short = ["data.excerpt_seconds=0.3", *TINY_TRAINING[1:], "model.voice.order=6"]
    prepared = run(of_page(page, "umss prepare data=mixtures"), playground, short[:1])
    assert "evening_song" in prepared and "from a file" in prepared
    for command in (c for c in commands(ROOT / page) if "train" in c and "data=mixtures" in c):
        run(command, playground, short)
    assert (playground / "from_mixtures" / "checkpoints" / "best.ckpt").is_file()
    run(of_page(page, "umss separate input=choir.wav n_singers=4 separator=umss"), playground)
    assert (playground / "its_voices" / "choir_singer4.wav").is_file()
