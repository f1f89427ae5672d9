"""What users type is what settings get: names of files, words for yes and no, kinds of values."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf

from src.arguments import prepare_arguments
from src.configuration import FOLDER, compose_config
from src.errors import UmssError
from src.settings import Kind, check_settings, find_declared, find_kinds, read_switch

KINDS = find_kinds(FOLDER, "separate")
NAMES = [
    "Männerchor.wav", "My choir (live).wav", "Kyrie, take 1.wav", "Don't stop.wav",
    "Bass & Alt.wav", "合唱.wav", "a=b.wav", "#3.wav", 'q"uo"te.wav', "back\\slash.wav", "end\\",
    "-take.wav", "M\udce4nner.wav", "a:b.wav", "x{1}.wav", "[1].wav", "null.wav", "tab\tname.wav",
    "*.wav", "$HOME.wav", "'quoted'.wav", "new\nline.wav", "true", "1_1", "007", "1e3", "null ",
    "a  b.wav", " lead", "~x.wav", "%(name)s", "${x", "é\u0301.wav", "@here", "a+b", "!x", "2024",
]  # fmt: skip


def read(*arguments: str, command: str = "separate") -> dict[str, Any]:
    """The values that Hydra gets for a command line; sweeps as lists."""
    values: dict[str, Any] = {}
    for text in prepare_arguments(arguments, find_kinds(FOLDER, command)):
        if text in ("-m", "--multirun"):
            values["sweep"] = True
            continue
        override = OverridesParser.create().parse_override(text)
        if override.is_sweep_override():
            values[override.key_or_group] = [
                getattr(value, "text", value) for value in override.value().list
            ]
        else:
            values[override.key_or_group] = override.value()
    return values


@pytest.mark.parametrize("name", NAMES)
def test_names_of_files_are_taken_as_they_stand(name: str) -> None:
    assert read(f"input={name}") == {"input": name}
    assert read(f"output={name}", "a.wav") == {"output": name, "input": "a.wav"}
    assert read(f"data.root={name}", command="evaluate") == {"data.root": name}
    assert read(f"separator.checkpoint={name}")["separator.checkpoint"] == name


@pytest.mark.parametrize("name", NAMES)
def test_a_recording_needs_no_name_of_a_setting(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    try:
        (tmp_path / name).touch()
    except (OSError, UnicodeError):
        pytest.skip("this file system does not take the name")
    # What would be an interpolation is escaped for OmegaConf.
    escaped = name.replace("${", "\\${")
    assert read(name, "n_singers=2") == {"input": escaped, "n_singers": 2}
    assert read("--", name)["input"] == escaped


def test_what_was_quoted_for_hydra_stays_quoted() -> None:
    for text in ('"My choir (live).wav"', "'My choir (live).wav'"):
        assert read(f"input={text}") == {"input": "My choir (live).wav"}
    assert read("names=['Alt, 2',Bass (1)]") == {"names": ["Alt, 2", "Bass (1)"]}
    assert read("names=[1,2]") == {"names": ["1", "2"]}
    assert read("score_parts=[1,Tenor (II)]") == {"score_parts": [1, "Tenor (II)"]}
    assert read("f0=null") == {"f0": None}
    assert read("input=null") == {"input": "null"}


def test_homes_are_expanded(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert read("input=~/a.wav") == {"input": f"{tmp_path}/a.wav"}


def test_several_recordings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    several = {"input": ["a.wav", "b, c.wav"], "sweep": True}
    assert read("a.wav", "b, c.wav") == several
    assert read("-m", "input=a.wav,no (1).wav") == {"input": ["a.wav", "no (1).wav"], "sweep": True}
    for name in ("a.wav", "b.wav"):
        (tmp_path / name).touch()
    with pytest.raises(UmssError, match="several files; add -m"):
        read("input=a.wav,b.wav")
    (tmp_path / "x,y.wav").touch()
    assert read("-m", "input=x,y.wav")["input"] == "x,y.wav"
    assert read("-m", "separator=comb,nmf1", "overwrite=true")["separator"] == ["comb", "nmf1"]


def test_no_word_is_a_switch_by_accident() -> None:
    for word, value in (
        ("yes", True), ("On", True), ("TRUE", True), ("no", False), ("off", False), ("False", False)
    ):  # fmt: skip
        assert read_switch(word) is value
        assert read(f"overwrite={word}") == {"overwrite": value}
    switches = [key for key, (kind, _) in KINDS.items() if kind is Kind.SWITCH]
    assert "overwrite" in switches and len(switches) > 5
    for command in ("train", "evaluate", "report", "f0", "prepare", "train_f0", "demo"):
        for key, (kind, _) in find_kinds(FOLDER, command).items():
            if kind is Kind.SWITCH:
                assert read(f"{key}=no", command=command) == {key: False}, key


def test_arguments_that_are_no_settings() -> None:
    with pytest.raises(UmssError, match="'foo' is not of the form NAME=VALUE"):
        read("foo", command="train")
    with pytest.raises(UmssError, match="--bla: neither an option"):
        read("--bla", "a.wav")
    assert read("+foo=a (b)")["foo"] == "a (b)"
    ordered = ["--config-dir", "a b", "-m", "~f0", "seed=1"]  # flags first: Hydra insists
    assert prepare_arguments(["~f0", "--config-dir", "a b", "seed=1", "-m"], KINDS) == ordered


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"n_singers": "two"}, "n_singers=two: give a whole number"),
        ({"n_singers": 2.5}, "n_singers=2.5: give a whole number"),
        ({"n_singers": True}, "n_singers=True: give a whole number"),
        ({"n_singers": None}, "n_singers=null: give a whole number"),
        ({"seed": "abc"}, "seed=abc"),
        ({"window_seconds": "long"}, "window_seconds=long: give a number"),
        ({"overwrite": "maybe"}, "overwrite=maybe: give true or false"),
        ({"names": "soprano"}, "names=soprano: give a list of texts"),
        ({"output": ["a", "b"]}, "output=.*: give one text"),
        ({"output": ""}, "output is empty"),
        ({"separator": {"retune": 3}}, "separator.retune=3: give true or false"),
        ({"paths": 5}, "paths=5: this is a group of settings; set one of them, e.g. paths"),
    ],
)
def test_values_of_another_kind_are_one_sentence(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(UmssError, match=message) as error:
        compose_config("separate", settings=settings)
    assert "\n" not in str(error.value)


def test_values_of_the_right_kind_are_kept() -> None:
    config = compose_config(
        "separate",
        settings={"output": 2024, "names": [1, 2], "window_seconds": 12, "n_singers": 2.0,
                  "overwrite": "no"},
    )  # fmt: skip
    found = config.output, list(config.names), config.window_seconds, config.n_singers
    assert found == ("2024", ["1", "2"], 12, 2) and config.overwrite is False


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.yaml")), ids=lambda path: path.stem)
def test_settings_without_a_default_are_declared(path: Path) -> None:
    content = OmegaConf.to_container(OmegaConf.load(path))
    assert isinstance(content, dict)
    for key, value in content.items():
        if key not in ("defaults", "hydra") and value in (None, "???"):
            assert find_declared(str(key)) is not None, key


@pytest.mark.parametrize("command", sorted(path.stem for path in FOLDER.glob("*.yaml")))
def test_defaults_have_their_own_kinds_and_bounds(command: str) -> None:
    check_settings(compose_config(command), find_kinds(FOLDER, command))
