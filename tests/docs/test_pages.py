"""What pages say about the repository is so: names, messages, links, settings."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from src.command.options import separate
from tests.docs.documents import DOCS, PAGES, ROOT, inline_code
from tests.processes import run_python

sys.path.insert(0, str(DOCS / "extensions"))

import docstrings
import soft_references

import configuration

CONF_FILES = sorted(configuration.folder().rglob("*.yaml"))


def page_name(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def test_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 150


@pytest.mark.parametrize("figure", sorted((DOCS / "figures").glob("*.png")), ids=lambda p: p.stem)
def test_figures_are_small_and_shown(figure: Path) -> None:
    assert figure.stat().st_size < 300_000
    assert any(f"figures/{figure.name}" in page.read_text(encoding="utf-8") for page in PAGES)


@pytest.mark.parametrize("page", PAGES, ids=page_name)
def test_names_of_modules_and_functions_exist(page: Path) -> None:
    names = {code for code in inline_code(page) if re.fullmatch(r"umss(\.\w+)+(\(.*\))?", code)}
    for name in names - {"umss.X"}:  # any module
        assert soft_references.exists(name.partition("(")[0]), f"{page.name}: {name}"


@pytest.mark.parametrize("page", PAGES, ids=page_name)
def test_links_lead_to_files_and_headings(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"https?://", target):
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path) if path else page
        generated = DOCS / "configuration" in file.resolve().parents
        assert file.exists() or generated, f"{page.name}: {target}"
        if anchor and file.suffix == ".md":
            titles = re.findall(r"(?m)^#+ (.*)$", file.read_text(encoding="utf-8"))
            slugs = {re.sub(r"[^\w\- ]", "", t.lower()).replace(" ", "-") for t in titles}
            assert anchor in slugs, f"{page.name}: {target}"


def messages_of_the_source() -> list[str]:
    """All strings of the source that take values, with … for these, and all other strings."""
    found = []
    for path in (ROOT / "src").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.append(re.sub(r"%[sd]|%\.\df", "…", node.value))
            elif isinstance(node, ast.JoinedStr):
                parts = [v.value if isinstance(v, ast.Constant) else "…" for v in node.values]
                found.append("".join(str(p) for p in parts))
    return found


def test_messages_of_troubleshooting_are_real() -> None:
    text = (DOCS / "troubleshooting.md").read_text(encoding="utf-8")
    before_hydra, _, _ = text.partition("## Hydra")
    messages = re.findall(r"(?m)^`([^`]+)`\n: ", before_hydra)
    assert len(messages) > 40
    real = messages_of_the_source()
    for message in messages:
        # Numbers and names may be written into the message or filled in.
        assert any(message in r or message.removeprefix("…: ") in r for r in real), message


def leaves(node: Any, prefix: str = "") -> dict[str, Any]:
    """Values of a mapping by dotted name; lists and flow mappings count as values."""
    found: dict[str, Any] = {}
    for key, value in node.items():
        name = f"{prefix}{key}"
        if isinstance(value, dict) and value:
            found |= leaves(value, f"{name}.")
        else:
            found[name] = value
    return found


@pytest.mark.parametrize(
    "file", CONF_FILES, ids=lambda p: p.relative_to(configuration.folder()).as_posix()
)
def test_configuration_reference_holds_every_setting(file: Path) -> None:
    content = yaml.safe_load(file.read_text(encoding="utf-8")) or {}
    content.pop("defaults", None)
    content.pop("hydra", None)
    expected = leaves(content)
    found: dict[str, Any] = {}
    for setting in configuration.parse(file).settings:
        if setting.name.split(".")[0] == "hydra" or not setting.value:
            continue
        value = yaml.safe_load(setting.value)
        found |= (
            leaves({setting.name: value})
            if isinstance(value, dict) and value
            else {setting.name: value}
        )
    assert {k: str(v) for k, v in found.items()} == {k: str(v) for k, v in expected.items()}


def test_configuration_reference_has_a_page_for_every_command_and_group() -> None:
    pages = configuration.pages()
    conf = configuration.folder()
    assert {f"command_{p.stem}" for p in conf.glob("*.yaml")} <= set(pages)
    assert all(f"`separator={p.stem}`" in pages["separator"] for p in conf.glob("separator/*"))
    row = "| `separator.mask=magnitude` | or power |"
    assert row in pages["separator"]


def test_comments_belong_to_their_settings(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_text(
        "# What it is.\ndefaults: [base]\n# Before a.\na: 1  # after a\nb:\n  c: '#x'  # of c\n",
        encoding="utf-8",
    )
    parsed = configuration.parse(file)
    assert parsed.head == ["What it is."]
    assert parsed.defaults == ["base"]
    assert [(s.name, s.value, s.comments) for s in parsed.settings] == [
        ("a", "1", ["Before a.", "after a"]),
        ("b", "", []),
        ("b.c", "'#x'", ["of c"]),
    ]


def test_docstrings_become_restructured_text() -> None:
    lines = ["|x| of `a|b`.", "", "Returns:", "    one: first", "        more", "    two: last"]
    converted = docstrings.convert(lines)
    assert converted[0] == r"\|x\| of `a|b`."
    assert "    - ``one``: first" in converted
    assert "      more" in converted


def test_versions_agree() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["version"] == project["version"]
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert f"## {project['version']} - {citation['date-released']}" in changes
    assert "## Unreleased" in changes


def test_hooks_are_local() -> None:
    clientlib = pytest.importorskip("pre_commit.clientlib")
    loaded = clientlib.load_config(ROOT / ".pre-commit-config.yaml")
    assert [repo["repo"] for repo in loaded["repos"]] == ["local"]


@pytest.mark.slow
def test_site_builds_without_warnings(tmp_path: Path) -> None:
    options = ["-W", "-n", "-q", "-b", "html", "-d", str(tmp_path / "doctrees")]
    result = run_python("-m", "sphinx", *options, str(DOCS), str(tmp_path / "html"))
    assert result.returncode == 0, result.stderr
    assert (tmp_path / "html" / "index.html").is_file()


@pytest.mark.slow
def test_functions_stay_functions_whatever_is_imported() -> None:
    # A module of the same name, once imported, would take the function's place in the package.
    code = (
        "import importlib, umss; from umss.cli import COMMANDS\n"
        "for c in COMMANDS.values(): importlib.import_module(f'umss.{c.module}')\n"
        "assert all(callable(getattr(umss, n)) for n in ('separate', 'estimate_f0', 'load_model'))"
    )
    run_python("-c", code, check=True)


def test_the_page_of_the_command_has_every_option() -> None:
    text = (DOCS / "command.md").read_text(encoding="utf-8")
    names = [name for option in separate.params for name in option.opts if name.startswith("-")]
    assert len(names) > 20
    missing = [name for name in names if not re.search(rf"`{name}[ `,]", text)]
    assert not missing
