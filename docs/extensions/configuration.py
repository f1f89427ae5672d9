"""The configuration reference, written from the YAML files before the pages are read.

One page per command and one per group of options. Keys, values and comments are those of the files;
nothing is written by hand. The pages go to docs/configuration/, which git ignores.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

from sphinx.application import Sphinx

ROOT = Path(__file__).resolve().parents[2]
OUTPUT = ROOT / "docs" / "configuration"

# Groups whose files only choose and change settings are shown as they are.
LITERAL = ("experiment", "method", "sweep", "hydra/callbacks", "hydra/launcher", "callbacks")

GROUPS = {
    "separator": "how recordings are separated: `separator=comb`",
    "multif0": "how the F0 of every singer is estimated: `multif0=published`",
    "data": "what is trained and evaluated on: `data=csd data.root=DIR`",
    "model": "what is trained: `model=us`",
    "experiment": "complete trainings: `experiment=us_small`",
    "trainer": "where and how long it trains: `trainer=gpu`",
    "callbacks": "what happens during a training: `callbacks.averaging=null`",
    "logger": "where curves go: `logger=wandb`",
    "method": "rows of the paper's tables: `method=comb,us_small`",
    "sweep": "several runs at once: `-m +sweep=paper`",
    "hydra/launcher": "where the runs of a sweep go: `hydra/launcher=slurm`",
    "hydra/callbacks": "what follows a sweep",
    "paths": "folders: `paths.output_dir=DIR`",
}


@dataclass
class Setting:
    """A key of a YAML file: its dotted name, its value as written, and its comments."""

    name: str
    value: str = ""
    comments: list[str] = field(default_factory=list)


@dataclass
class File:
    """A YAML file: the comment at its head, what it builds on, and its settings."""

    head: list[str]
    defaults: list[str]
    settings: list[Setting]
    text: str

    @property
    def target(self) -> str | None:
        """Name of the class or function that the file's settings go to."""
        return next((s.value for s in self.settings if s.name == "_target_"), None)


def folder() -> Path:
    """The folder of the configuration, in a checkout."""
    places = [ROOT / "conf", ROOT / "src" / "conf"]
    return next(place for place in places if (place / "separate.yaml").is_file())


def split_comment(text: str) -> tuple[str, str]:
    """A line's content and its trailing comment."""
    quote = ""
    for position, letter in enumerate(text):
        if quote:
            quote = "" if letter == quote else quote
        elif letter in "\"'":
            quote = letter
        elif letter == "#" and (position == 0 or text[position - 1].isspace()):
            return text[:position].rstrip(), text[position + 1 :].strip()
    return text.rstrip(), ""


def parse(path: Path) -> File:
    """Read a file of the project's YAML style: block mappings, flow lists, comments."""
    text = path.read_text(encoding="utf-8")
    lines = text.splitlines()
    head: list[str] = []
    while lines and (lines[0].startswith("#") or not lines[0].strip()):
        line = lines.pop(0)
        if not line.strip():
            break
        comment = line.removeprefix("#").removeprefix(" ").rstrip()
        if not comment.startswith("@package"):
            head.append(comment)
    defaults: list[str] = []
    settings: list[Setting] = []
    stack: list[tuple[int, str]] = []
    pending: list[str] = []
    before = 0  # indentation of the last key
    for line in lines:
        content, comment = split_comment(line)
        indent = len(content) - len(content.lstrip())
        stripped = content.strip()
        if not stripped:
            if comment and re.match(r"\s*#", line):
                deeper = len(line) - len(line.lstrip()) > before + 2
                (settings[-1].comments if deeper and settings else pending).append(comment)
            elif not comment:
                pending = []
            continue
        key = re.match(r"([\w@/.\"-]+):(?:\s+(.*))?$", stripped)
        in_list = stripped.startswith("- ")
        continued = bool(settings) and settings[-1].value.endswith((">-", "|-", "{", "[", ","))
        if continued or (in_list and settings) or key is None:
            if stack and stack[0][1] == "defaults":
                defaults.append(stripped.removeprefix("- "))
            elif settings:
                last = settings[-1]
                last.value = (
                    f"{last.value.removesuffix('>-').removesuffix('|-')} {stripped}".strip()
                )
                last.comments += [comment] if comment else []
            continue
        while stack and stack[-1][0] >= indent:
            stack.pop()
        stack.append((indent, key[1]))
        before = indent
        value = (key[2] or "").strip()
        if key[1] == "defaults" and indent == 0:
            defaults += [v.strip() for v in value.strip("[]").split(",") if v.strip()]
            continue
        name = ".".join(name for _, name in stack)
        settings.append(Setting(name, value, [*pending, *([comment] if comment else [])]))
        pending = []
    return File(head, defaults, settings, text)


def cell(text: str) -> str:
    """Text for a cell of a table."""
    return text.replace("|", "\\|").strip()


def code(text: str) -> str:
    """Code for a cell of a table."""
    return f"`{text}`".replace("|", "\\|") if text else ""


def sentence(comments: list[str]) -> str:
    """Comments as a line of Markdown that shows them as they are."""
    text = cell(" ".join(comments))
    return re.sub(r"([<>*_\[\]{}])", r"\\\1", text)


def describe(head: list[str]) -> list[str]:
    """The comment at a file's head: prose, with commands and tables as they are."""
    lines: list[str] = []
    block = False
    for line in head:
        shown = line.startswith(("  ", "umss ", "python "))
        if shown and not block:
            lines += ["", "```text"]
        if block and not shown:
            lines += ["```", ""]
        block = shown
        lines.append(line.strip() if shown else sentence([line]))
    return [*lines, *(["```"] if block else []), ""] if lines else []


def render(file: File, *, literal: bool, prefix: str = "") -> list[str]:
    """The description, defaults and settings of a file."""
    lines: list[str] = []
    lines += describe(file.head)
    if literal:
        body = "\n".join(
            line for line in file.text.splitlines() if not line.startswith("# @package")
        )
        while body.startswith("#"):
            body = body.partition("\n")[2]
        return [*lines, "```yaml", body.strip(), "```", ""] if body.strip() else lines
    if file.target:
        target = re.sub(r"^src\.", "umss.", file.target)
        lines += [f"Settings of {{soft}}`{target}`.", ""]
    based = [d for d in file.defaults if d != "_self_"]
    if based:
        lines += ["Begins with " + ", ".join(f"`{d}`" for d in based) + ".", ""]
    rows = [
        s
        for s in file.settings
        if s.name.split(".")[0] != "hydra"
        and not s.name.rsplit(".", 1)[-1].startswith("_")
        and (s.value or s.comments)
    ]
    if rows:
        lines += ["| setting = default | |", "|---|---|"]
        lines += [
            f"| {code(f'{prefix}{r.name}={r.value}'.rstrip('='))} | {sentence(r.comments)} |"
            for r in rows
        ]
        lines.append("")
    return lines


def command_page(path: Path) -> str:
    """The page of a command."""
    command = path.stem.replace("_", "-")
    file = parse(path)
    lines = [f"# `umss {command}`", "", *render(file, literal=False)]
    return "\n".join(lines)


def group_page(group: str, files: list[Path]) -> str:
    """The page of a group of options."""
    lines = [f"# `{group}`", "", f"Chooses {GROUPS[group]}.", ""]
    prefix = "" if group in LITERAL else f"{group}."
    for path in files:
        name = path.relative_to(folder() / group).with_suffix("").as_posix()
        title = "What all share" if name.startswith("_") else f"`{group}={name}`"
        if "/_" in name:
            title = f"`{name}`, shared"
        lines += [f"## {title}", "", *render(parse(path), literal=group in LITERAL, prefix=prefix)]
    return "\n".join(lines)


def pages() -> dict[str, str]:
    """All pages by name."""
    conf = folder()
    commands = sorted(conf.glob("*.yaml"))
    found = {file.parent.relative_to(conf).as_posix() for file in conf.rglob("*.yaml")} - {
        ".",
        "experiment/paper",
    }
    if found != set(GROUPS):
        raise ValueError(
            f"docs/extensions/configuration.py: GROUPS does not name {sorted(found ^ set(GROUPS))}"
        )
    result: dict[str, str] = {}
    for path in commands:
        result[f"command_{path.stem}"] = command_page(path)
    for group in GROUPS:
        files = sorted((conf / group).rglob("*.yaml"))
        result[group.replace("/", "_")] = group_page(group, files)
    first = [
        "# Configuration",
        "",
        "Everything that a command can be told, generated from the YAML files of the package. A",
        "setting is changed as `name=value`; a group's file is chosen as `group=file`;",
        "`+name=value` adds a setting that is not listed, `~name` removes one.",
        "`umss separate --help` shows the",
        "same on the terminal. A value `???` must be given; `${...}` refers to another setting or,",
        "with `oc.env:`, to an environment variable.",
        "",
        "Your own groups: `umss train --config-dir DIR` looks into `DIR` too, see",
        "[CONTRIBUTING](../contributing.md).",
        "",
        "`_target_` names the class that the settings beside it are for. Classes of this program",
        "and the trainer, callbacks and loggers of PyTorch Lightning are built, so that a",
        "configuration from somebody else cannot run anything. For classes of your own, name their",
        "package: `UMSS_TRUST=mypackage`, several as `UMSS_TRUST=mypackage,torch.optim`. Name only",
        "packages whose every function you would let the author of the configuration call.",
        "",
        "```{toctree}",
        ":caption: Commands",
        ":maxdepth: 1",
        "",
        *(f"command_{path.stem}" for path in commands),
        "```",
        "",
        "```{toctree}",
        ":caption: Groups",
        ":maxdepth: 1",
        "",
        *(group.replace("/", "_") for group in GROUPS),
        "```",
    ]
    result["index"] = "\n".join(first)
    return result


def write(app: Sphinx | None = None) -> None:
    """Write the pages; those that do not change keep their time, so that builds stay quick."""
    OUTPUT.mkdir(exist_ok=True)
    wanted = {OUTPUT / f"{name}.md": text.rstrip() + "\n" for name, text in pages().items()}
    for old in set(OUTPUT.glob("*.md")) - set(wanted):
        old.unlink()
    for path, text in wanted.items():
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("builder-inited", write, priority=100)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
