"""Commands of the pages are ones that the program understands."""

from __future__ import annotations

import importlib.util
import re
import shlex
from functools import cache
from pathlib import Path

import pytest
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf

from src.arguments import prepare_arguments
from src.command.options import is_command_for_musicians, separate
from src.command.separation import compose as compose_options
from src.command.settings import Options
from src.configuration import FOLDER
from src.separation_plan import check as check_settings_of_options
from src.settings import find_kinds
from tests.docs.documents import EXEMPT, PAGES, ROOT, blocks, commands, commands_of
from tests.tiny_training import compose_config

LANGUAGES = ("bash", "python", "yaml", "text", "bibtex")  # or a directive in braces
SUBCOMMANDS = {p.stem.replace("_", "-"): p.stem for p in (ROOT / "conf").glob("*.yaml")}
MODULES = {
    "src.f0.published_weights": "published_weights",
    **{f"src.{name}": name for name in SUBCOMMANDS.values()},
}


@cache
def compose(name: str, overrides: tuple[str, ...]) -> None:
    """Compose a configuration from overrides; those of a sweep as its first job."""
    parsed = OverridesParser.create().parse_overrides(list(overrides))
    first = BasicSweeper.split_arguments(parsed, max_batch_size=None)[0][0]
    cfg = compose_config(name, [str(o) for o in first])
    OmegaConf.to_container(cfg, resolve=False)


def check(command: str) -> None:
    """Compose the configuration that a command asks for, or look whether it is there."""
    words = shlex.split(command)
    while re.match(r"[A-Z_]+=", words[0]):
        words.pop(0)
    if shlex.join(words) in EXEMPT or command in EXEMPT:
        return
    if words[0] == "make":
        targets = (ROOT / "Makefile").read_text(encoding="utf-8")
        for target in words[1:]:
            assert re.search(rf"(?m)^{re.escape(target)}:", targets), target
        return
    if words[:2] == ["python", "-m"] and words[2].startswith("experiments."):
        assert importlib.util.find_spec(words[2]) is not None, words[2]
        return
    if words[0] == "python" and words[1].endswith(".py"):
        assert (ROOT / words[1]).is_file(), words[1]
        return
    if words[:2] == ["python", "-m"]:
        if words[2] == "src.X":  # any of them
            return
        name, rest = MODULES[words[2]], words[3:]
    else:
        assert words[0] == "umss", f"not a known command: {command}; or add it to EXEMPT"
        name, rest = SUBCOMMANDS[words[1]], words[2:]
    if name == "separate" and is_command_for_musicians(rest):
        check_options(rest)
        return
    folders = [rest[k + 1] for k, w in enumerate(rest) if w == "--config-dir"]
    in_repository = ["conf"] if Path("conf").is_dir() else []  # files of the page for this folder
    rest = prepare_arguments(rest, find_kinds(FOLDER, name))
    overrides = [w for w in rest if "=" in w or w.startswith("~")]
    flags = [w for w in rest if w not in overrides and w not in folders]
    assert set(flags) <= {"-m", "--multirun", "--help", "--config-dir"}, flags
    places = ",".join(f"file://{Path(f).resolve()}" for f in folders + in_repository)
    overrides += [f"hydra.searchpath=[{places}]"] if places else []
    if not {"-m", "--multirun"} & set(flags):
        parsed = OverridesParser.create().parse_overrides(overrides)
        assert not any(o.is_sweep_override() for o in parsed), "a sweep needs -m"
    compose(name, tuple(overrides))


def check_options(arguments: list[str]) -> None:
    """Compose the configuration that options of `umss separate` ask for."""
    if not arguments or "--help" in arguments:
        return
    with separate.make_context("umss separate", list(arguments)) as context:
        options = Options(**{k: v for k, v in context.params.items() if k != "recordings"})
        options.check(len(context.params["recordings"]))
    check_settings_of_options(compose_options([*options.list_settings(), "input=x"]))


def write_files(page: Path, folder: Path) -> None:
    """Write the blocks of a page whose first line is the name of a file."""
    for block in blocks(page):
        first, _, rest = block.text.partition("\n")
        match = re.fullmatch(r"# ([\w/]+\.(py|yaml))", first)
        if match:
            path = folder / match[1]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(rest + "\n", encoding="utf-8")


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_commands_are_understood(page: Path, playground: Path) -> None:
    write_files(page, playground)
    for command in commands(page):
        try:
            check(command)
        except Exception as error:
            raise AssertionError(f"{page.name}: {command}: {error}") from error


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_every_block_has_a_language_that_is_tested(page: Path) -> None:
    for block in blocks(page):
        known = block.language in LANGUAGES or block.language.startswith("{")
        assert known, f"{page.name}, line {block.line}: {block.language or 'no language'}"


def test_every_exemption_is_used() -> None:
    used = {c for page in PAGES for c in commands(page)}
    assert set(EXEMPT) <= used, set(EXEMPT) - used


def test_commands_are_read_as_a_shell_reads_them() -> None:
    text = "umss f0 input=a.wav \\\n    n_singers=4  # four\n\n'umss' f0 'names=[a, b]'"
    assert commands_of(text) == ["umss f0 input=a.wav n_singers=4", "umss f0 'names=[a, b]'"]


@pytest.mark.parametrize(
    "command",
    [
        "umss separate inptu=a.wav",
        "umss separate separator=cmob",
        "umss sing a=b",
        "umss separate --sing 4 a.wav",
        "umss separate --method cmob a.wav",
    ],
)
def test_wrong_commands_are_found(command: str) -> None:
    with pytest.raises(Exception, match=r"inptu|cmob|--sing|sing"):
        check(command)
