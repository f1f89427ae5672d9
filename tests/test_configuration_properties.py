"""Settings that nobody should give: the command does its work, or says one sentence.

A command runs in this process up to its slow part, which is cut off.
"""

from __future__ import annotations

import functools
import importlib
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile as sf
from hypothesis import strategies as st
from omegaconf import OmegaConf

from src.arguments import prepare_arguments
from src.cli import COMMANDS
from src.configuration import FOLDER
from src.errors import UmssError
from src.messages import explain_composition, user_message
from src.settings import check_settings, find_kinds
from src.targets import check_targets
from tests.doors import assert_one_sentence, few_and_many, snapshot
from tests.reporting.fake_tables import two_methods
from tests.tiny_training import compose_config, write_choir


class CutOffError(Exception):
    """The slow part would begin here: all settings were accepted."""


def cut_off(*_: Any, **__: Any) -> Any:
    raise CutOffError


WORDS = [
    "", "null", "nan", "inf", "-inf", "-1", "0", "1", "2", "0.5", "-0.5", "1e9", "1e-9", "1e300",
    "99999999999999999999999", "true", "false", "yes", "foo", "cpu", "cuda", "tpu", "cuda:99",
    "magnitude", "power", "[]", "[-1]", "[x]", "[0]", "[1,2]", "[exe]", "[nan]", "[null]", "[[1]]",
    "{}", "{a: 1}", "???", "${nothing}", "${seed}", "${", "'", '"', "a b", "ü", "日本", "a/b",
    "a\nb", "<b>title</b>", "../x", "a=b", "#", "~", "\\", "$HOME", "%s", "{x}", "file",
    "file/below", "folder", "/dev/null", "/proc/nothing", "x" * 300, "[a,b,c,d]", "[a,a,a,a]",
    "[a/b,c,d,e]", "[' ',b,c,d]", "[1,2,3,4]", "stems", "cached", "estimated", "dtw", "01:00",
]  # fmt: skip
# Slashes at their beginning would let tests write anywhere.
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12).filter(
    lambda text: not text.strip("'\"[ ").startswith(("/", "~"))
)
VALUES = st.one_of(
    st.sampled_from(WORDS),
    st.sampled_from(WORDS),
    TEXTS,
    st.integers(-1000, 1000).map(str),
    st.floats(width=32).map(str),
)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recording, a choir and evaluations."""
    folder = tmp_path_factory.mktemp("world")
    t = np.arange(8000) / 16_000
    sf.write(folder / "song.wav", 0.1 * np.sin(2 * np.pi * 220 * t), 16_000)
    write_choir(folder / "choir", seconds=2)
    two_methods(folder / "tables")
    return folder


@pytest.fixture
def place(world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with a file and a folder in it; what is slow is cut off."""
    (tmp_path / "file").write_text("mine")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "song_singer1.wav").write_text("mine too")
    monkeypatch.chdir(tmp_path)
    # Names, score and recording are checked before it.
    monkeypatch.setattr("src.f0.estimate.load_mono", cut_off)
    monkeypatch.setattr("src.separate_file.separate_file", cut_off)
    monkeypatch.setattr("src.evaluate.score", cut_off)
    monkeypatch.setattr("src.data.datamodule.estimate_mixtures", cut_off)
    monkeypatch.setattr("src.reporting.write.build_group_section", cut_off)
    return tmp_path


def base(command: str, world: Path) -> list[str]:
    """Settings with which a command does its work in no time."""
    data = [
        "data=folder", f"data.root={world / 'choir'}", "data.progress=false", "n_singers=2",
        f"paths.cache_dir={world / 'cache'}",
    ]  # fmt: skip
    return {
        "separate": [f"input={world / 'song.wav'}", "separator=comb"],
        "f0": [f"input={world / 'song.wav'}"],
        "evaluate": [*data, "separator=comb"],
        "prepare": data,
        "report": [f"tables=[{world / 'tables'}]"],
    }[command]


def execute(command: str, overrides: list[str]) -> None:
    """As `src.cli.launch`, without Hydra's application."""
    kinds = find_kinds(FOLDER, COMMANDS[command].config)
    try:
        given = prepare_arguments(overrides, kinds)
        if any(argument.startswith("--") for argument in given):
            return  # a sweep
        config = compose_config(COMMANDS[command].config, given)
    except Exception as error:
        message = explain_composition(error, kinds)
        if message is None:
            raise
        raise UmssError(message) from error
    main = importlib.import_module(f"src.{COMMANDS[command].module}").main
    try:
        check_targets(config)
        check_settings(config, kinds)
        main(config)
    except Exception as error:
        message = user_message(error)
        if message is None:
            raise
        raise UmssError(message) from error


@functools.cache
def keys_of(command: str, overrides: tuple[str, ...]) -> list[str]:
    """The settings that a command has with these choices."""
    config = compose_config(COMMANDS[command].config, list(overrides))
    kinds = find_kinds(FOLDER, COMMANDS[command].config)
    found = []
    for key in sorted(kinds):
        parent = OmegaConf.select(config, key.rpartition(".")[0]) if "." in key else config
        if parent is not None and key.rpartition(".")[2] in parent:
            found.append(key)
    return found


def check(command: str, place: Path, world: Path, data: st.DataObject, *choices: str) -> None:
    given = [*base(command, world), *choices]
    # Caches are written into, so they are no input.
    kept = [key for key in keys_of(command, tuple(given)) if key != "paths.cache_dir"]
    key = data.draw(st.sampled_from(kept))
    value = data.draw(VALUES)
    inputs = {folder: snapshot(world / folder) for folder in ("choir", "tables")}
    mine = snapshot(place / "folder")
    with suppress(CutOffError):
        try:
            execute(command, [*given, f"{key}={value}"])
        except UmssError as error:
            # A message that quotes what was given quotes its lines.
            if "\n" not in value:
                assert_one_sentence(error)
    assert {folder: snapshot(world / folder) for folder in inputs} == inputs
    assert snapshot(place / "folder").items() >= mine.items()
    assert (place / "file").read_text() == "mine"


def check_separate(world: Path, place: Path, data: st.DataObject) -> None:
    check("separate", place, world, data, "separator=comb")


def check_separate_with_other_methods(world: Path, place: Path, data: st.DataObject) -> None:
    method = data.draw(st.sampled_from(["fit", "umss", "nmf1", "nmf2", "hpss_comb", "umss_fit"]))
    check("separate", place, world, data, f"separator={method}")


def check_f0(world: Path, place: Path, data: st.DataObject) -> None:
    check("f0", place, world, data)


def check_evaluate(world: Path, place: Path, data: st.DataObject) -> None:
    check("evaluate", place, world, data)


def check_prepare(world: Path, place: Path, data: st.DataObject) -> None:
    check("prepare", place, world, data)


def check_report(world: Path, place: Path, data: st.DataObject) -> None:
    check("report", place, world, data)


for each in (
    check_separate, check_separate_with_other_methods, check_f0, check_evaluate, check_prepare,
    check_report,
):  # fmt: skip
    globals().update(few_and_many(each))


BAD: list[tuple[str, str]] = [
    *(("separate", text) for text in (
        "seed=-1", "seed=x", "seed=1e30", "chunk_seconds=nan", "chunk_seconds=inf",
        "chunk_seconds=0", "window_seconds=inf", "window_seconds=-1", "overlap_seconds=nan",
        "n_singers=0", "n_singers=1e9", "n_singers=-4", "n_singers=2.5", "names=[a/b,a_b,c,d]",
        "names=[a,b]", "names=[a,a,b,c]", "names=[]", "output=file/below", "output=/dev/null",
        "output=file", "output=", "separator.mask=foo", "separator=foo", "device=tpu",
        "input=nothing.wav", "input=folder", "input=file", "f0=nothing.csv", "f0=folder",
        "score_alignment=foo", "separator.noise_level=nan", "separator.f0_edges=foo",
        "multif0.model.device=tpu", "multif0.model.device=cuda:99", "multif0.model.weights=file",
        "multif0=foo", "overwrite=perhaps",
    )),
    *(("f0", text) for text in (
        "n_singers=0", "n_singers=17", "score_parts=0.0",
        "names=[a]", "score=nothing.mid", "score_alignment=foo",
        "multif0.assigner.threshold=nan", "multif0.assigner.threshold=2",
        "multif0.assigner.n_candidates=-1", "multif0.assigner.width=0",
        "multif0.assigner.width=-1", "multif0.assigner.leap=nan", "multif0.assigner.onset=-1",
        "multif0.assigner.sweeps=-1", "multif0.assigner.range_width=0",
        "multif0.assigner.local_seconds=0", "multif0.assigner.prior_width=0",
        "multif0.assigner.prior_cost=nan", "multif0.assigner.ceiling=nan",
    )),
    *(("evaluate", text) for text in (
        "data.excerpt_seconds=0", "data.excerpt_seconds=-1", "data.excerpt_seconds=inf",
        "data.excerpt_seconds=1e9", "data.batch_size=0", "data.num_workers=-1", "workers=0",
        "workers=1e9", "threads=0", "seeds=[]", "seeds=[-1]", "seeds=[x]", "seeds=[0.5]",
        "seeds=x", "seed=-1", "f0=foo", "bss=foo", "data=foo", "data.root=nothing",
        "data.root=file", "data.size=huge", "n_singers=9", "data.singers=[9]", "data.singers=x",
        "data.test_first_excerpt=-1", "data.test_start_offset=3", "data.test_start_offset=-1e9",
        "f0_errors.octave_rate=2", "f0_errors.offset_hz=nan", "f0_errors.swap_seconds=0",
        "data.split.full.test=[nothing]", "separator.device=tpu", "separator.checkpoint=file",
    )),
    *(("report", text) for text in (
        "formats=[exe]", "formats=x", "formats=-0.5", "order=3",
        "seed=-1", "tables=[nothing]", "tables=[]", "tables=file",
        "output=file/below", "output=/dev/null",
    )),
    *(("prepare", text) for text in (
        "data.root=nothing", "data.root=file", "data.root=folder", "data.f0=foo",
        "data.parts=[a,b]", "data.parts=x", "data.excerpt_seconds=0", "data.batch_size=0",
        "data.reader.name=foo", "data.reader.options={a:1}", "paths.cache_dir=file/below",
        "paths.cache_dir=/dev/null", "data.mixing.gain_db=-1",
        "data.mixing.n_singers=0.5", "data.split.full.val=[9]",
        "data.allow_silent=perhaps",
    )),
]  # fmt: skip


@pytest.mark.parametrize(("command", "setting"), BAD)
def test_bad_settings_are_refused(command: str, setting: str, world: Path, place: Path) -> None:
    before = snapshot(place)
    with pytest.raises(UmssError) as caught:
        execute(command, [*base(command, world), setting])
    assert_one_sentence(caught.value)
    assert snapshot(place) == before


def test_a_title_is_shown_as_it_was_typed(world: Path, tmp_path: Path) -> None:
    from src.reporting.page import render_page

    page = render_page([], {}, title="<script>alert(1)</script>", summary="")
    assert "<script>alert" not in page and "&lt;script&gt;alert" in page
