"""Documents how a report was made: protocols, methods, seeds, and the command."""

from __future__ import annotations

import json
import os
import re
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from ..metrics.tables import EvaluationTable
from .content import Grid, Group, Part, Section, list_error_sizes

PLAIN = re.compile(r"[\w./*?+-]+")
"""Text that a Hydra override takes as it is."""
LONG = 200


def build_provenance_section(groups: Sequence[Group], command: str) -> Section:
    """Build the section that documents what was run.

    Args:
        groups: all evaluations.
        command: how to make the report again.
    """
    parts = [_build_group_part(group) for group in groups]
    text = ["From the folder in which the report was made:"]
    return Section("run", "What was run", [*parts, Part("This report again", text, command)])


def write_command(tables: Sequence[EvaluationTable], output: str | Path) -> str:
    """Write the command that makes a report of these tables; paths are relative if possible.

    Args:
        tables: evaluations.
        output: folder of the report.
    """
    folders = ",".join(_quote(_make_relative(table.path)) for table in tables)
    overrides = [f"tables=[{folders}]", f"output={_quote(_make_relative(Path(output)))}"]
    return quote_command([*overrides, "overwrite=true"])


def quote_command(overrides: Sequence[str]) -> str:
    """Write a call of the report command with Hydra overrides, quoted for a shell."""
    return " ".join(["umss report", *map(shlex.quote, overrides)])


def _build_group_part(group: Group) -> Part:
    compared, disturbed = list(group.methods.values()), group.disturbed
    protocol = list(_flatten([*compared, *disturbed][0].summary["protocol"]))
    stem = f"j{group.n_singers}"
    grids = [
        Grid(
            f"{stem}_protocol",
            "The protocol, the same for all evaluations.",
            ["field", "value"],
            [[name, _shorten(value)] for name, value in protocol],
            pd.DataFrame(protocol, columns=["field", "value"]),
            text=True,
        )
    ]
    if compared:
        header = ["method", "noise seeds", "settings", "folder"]
        rows = [[t.name, _describe_seeds(t), _describe_method(t), _show(t.path)] for t in compared]
        data = pd.DataFrame(rows, columns=header)
        caption = "The evaluations."
        grids.append(Grid(f"{stem}_evaluations", caption, header, rows, data, text=True))
    if disturbed:
        header = ["method", "errors in F0", "noise seeds", "settings", "folder"]
        rows = [
            [t.name, _describe_errors(t), _describe_seeds(t), _describe_method(t), _show(t.path)]
            for t in disturbed
        ]
        data = pd.DataFrame(rows, columns=header)
        caption = "The evaluations with errors in F0."
        stem = f"{stem}_evaluations_f0_errors"
        grids.append(Grid(stem, caption, header, rows, data, folded=True, text=True))
    return Part(f"{group.n_singers} singer" + ("s" if group.n_singers > 1 else ""), grids=grids)


def _describe_errors(table: EvaluationTable) -> str:
    sizes = list_error_sizes(table)
    return ", ".join(f"{k.replace('_', ' ')} {v:g}" for k, v in sizes.items()) or "none"


def _describe_seeds(table: EvaluationTable) -> str:
    return ", ".join(str(seed) for seed in sorted(table.frames["seed"].unique()))


def _describe_method(table: EvaluationTable) -> str:
    """Describe the separator, its settings and its weights."""
    settings = dict(_flatten(table.summary.get("separator", "")))
    target = settings.pop("_target_", settings.pop("", "")).rsplit(".", 1)[-1]
    words = [target, *(f"{key} {value}" for key, value in settings.items())]
    if "checkpoint_sha256" in table.summary:
        words.append(f"sha256 {str(table.summary['checkpoint_sha256'])[:12]}")
    if table.summary.get("bss"):
        words.append(f"BSS Eval by {table.summary['bss']}")
    return ", ".join(filter(None, words))


def _flatten(node: Any, name: str = "") -> Iterator[tuple[str, str]]:
    """Flatten a nested structure to (dotted name, text); empty and unset leaves are left out."""
    if isinstance(node, dict):
        for key, value in node.items():
            yield from _flatten(value, f"{name}.{key}" if name else str(key))
    elif isinstance(node, list) and node:
        yield name, ", ".join(dict(_flatten(item)).get("", json.dumps(item)) for item in node)
    elif node is not None and node != [] and node != "":
        yield name, _make_portable(node)


def _make_portable(value: Any) -> str:
    """Convert a value to text; of an absolute path only its end, which holds on any machine."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:g}"
    text = str(value)
    return f"…/{Path(text).name}" if os.path.isabs(text) else text


def _shorten(text: str) -> str:
    return text if len(text) <= LONG else f"{text[:LONG].rsplit(',', 1)[0]}, … (all: CSV file)"


def _make_relative(path: Path) -> Path:
    """Make a path relative to the working folder if it is below it."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def _show(path: Path) -> str:
    """Show a path relative to the working folder; of paths elsewhere only the end."""
    near = _make_relative(path)
    return f"…/{path.parent.name}/{path.name}" if near.is_absolute() else near.as_posix()


def _quote(path: Path) -> str:
    """Quote a path for a Hydra override."""
    text = path.as_posix()
    if PLAIN.fullmatch(text):
        return text
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
