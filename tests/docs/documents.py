"""The pages whose code is tested, and how their blocks and commands are found."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"

# Generated or built, or tested elsewhere (the experiments' own pages).
LEFT_OUT = {DOCS / "_build", DOCS / "configuration"}

PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    *sorted(p for p in DOCS.rglob("*.md") if not LEFT_OUT & set(p.parents)),
]

# Commands that tests neither run nor compose: they need a network, a login, git, or hours.
EXEMPT = {
    "pip install .": "needs a network",
    "pip install 'umss[published]'": "needs a network",
    "pre-commit install": "changes the repository's git hooks",
    "pip install 'umss[workspace]'": "needs a network",
    "python -m umss.training.workspace --project umss --voices soprano,alto,tenor,bass": (
        "needs a login"
    ),
    "wandb login": "asks for a key",
    "wandb sync 'outputs/train/us_small-generated-j4-s0/wandb/offline-run-*'": "needs a login",
    "wandb sync 'outputs/paper/train/*/wandb/offline-run-*'": "needs a login",
}


@dataclass(frozen=True)
class Block:
    """A fenced block of a page."""

    page: Path
    line: int
    language: str
    text: str


def blocks(page: Path) -> list[Block]:
    """All fenced blocks of a page."""
    found = []
    start, language, lines = 0, "", []
    for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), 1):
        if line.startswith("```"):
            if start:
                found.append(Block(page, start, language, "\n".join(lines)))
                start, lines = 0, []
            else:
                start, language = number, line[3:].strip()
        elif start:
            lines.append(line)
    assert not start, f"{page}, line {start}: the block does not end"
    return found


def inline_code(page: Path) -> list[str]:
    """Code in running text and tables, without that of fenced blocks."""
    text = re.sub(r"(?ms)^```.*?^```$", "", page.read_text(encoding="utf-8"))
    return [" ".join(code.split()) for code in re.findall(r"`([^`]+)`", text)]


def commands_of(text: str) -> list[str]:
    """Commands of a shell block: continuation lines joined, comments and blank lines left out."""
    joined = re.sub(r"\\\n\s*", " ", text)
    lines = (shlex.join(shlex.split(line, comments=True)) for line in joined.splitlines())
    return [line for line in lines if line]


def commands(page: Path) -> list[str]:
    """Commands of the shell blocks of a page, and those in its running text."""
    found = [c for b in blocks(page) if b.language == "bash" for c in commands_of(b.text)]
    starts = ("umss ", "python -m ", "make ", "pip ", "ffmpeg ", "wandb ", "pre-commit ")
    for code in inline_code(page):
        words = [w for w in shlex.split(code.replace("\\|", "|"), comments=True) if w != "..."]
        # make targets are named in prose, too ("make bench"); experiments' scripts are not ours.
        while words and re.match(r"[A-Z_]+=", words[0]):
            words.pop(0)
        command = shlex.join(words)
        if (command + " ").startswith(starts) and len(words) > 1:
            found.append(command)
    return found
