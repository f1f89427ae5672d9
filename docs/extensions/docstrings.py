"""The docstrings' own conventions, brought to reStructuredText before Napoleon reads them.

`|x|` is an absolute value, not a substitution. `Returns:` holds prose, in which a colon separates
nothing, or one `name: text` per line, which becomes a list.
"""

from __future__ import annotations

import re
from typing import Any

from sphinx.application import Sphinx

# What NumPy's alias ArrayLike consists of.
ARRAY_LIKE = re.compile(
    r"[~\w.]*_Buffer \| [~\w.]*_SupportsArray\[.*?\] \| [~\w.]*_NestedSequence\[.*?\]\]\] \| "
    r"complex \| bytes \| str \| [~\w.]*_NestedSequence\[complex \| bytes \| str\]"
)


def escape(line: str) -> str:
    """A line whose bars, outside of code, are bars."""
    if line.lstrip().startswith((">>>", "...")):
        return line
    parts = re.split(r"(`+[^`]*`+)", line)
    return "".join(p if k % 2 else p.replace("|", r"\|") for k, p in enumerate(parts))


def returned(lines: list[str]) -> list[str]:
    """The contents of `Returns:` as a field."""
    shortest = min((len(x) - len(x.lstrip()) for x in lines if x.strip()), default=0)
    content = [line[shortest:] for line in lines]
    item = re.compile(r"(\w+(?:, \w+)*): (.*)")
    names = [item.match(line) for line in content if line[:1].strip()]
    if len(names) < 2 or not all(names):
        return [":returns:", *(f"    {line}" for line in content), ""]
    field = [":returns:", ""]
    for line in content:
        match = item.match(line)
        field.append(f"    - ``{match[1]}``: {match[2]}" if match else f"      {line.strip()}")
    return [*field, ""]


def convert(lines: list[str]) -> list[str]:
    """A docstring, ready for Napoleon."""
    result: list[str] = []
    position = 0
    while position < len(lines):
        line = lines[position]
        position += 1
        if line.strip() not in ("Returns:", "Yields:"):
            result.append(line)
            continue
        body = []
        while position < len(lines) and (
            not lines[position].strip() or lines[position].startswith(" ")
        ):
            body.append(lines[position])
            position += 1
        result += returned(body)
    return [escape(line) for line in result]


def process(app: Sphinx, what: str, name: str, thing: Any, options: Any, lines: list[str]) -> None:
    lines[:] = convert(lines)
    if what in ("attribute", "data", "property") and lines:
        # Napoleon takes what stands before a colon of the first line for a type.
        before, colon, after = lines[0].partition(": ")
        lines[:1] = [before + ":", after] if colon else [before]


def signature(
    app: Sphinx,
    what: str,
    name: str,
    thing: Any,
    options: Any,
    arguments: str | None,
    result: str | None,
) -> tuple[str | None, str | None] | None:
    """Defaults that dataclasses make anew as Python, and NumPy's ArrayLike by its name."""
    if arguments is None:
        return None
    return ARRAY_LIKE.sub("ArrayLike", arguments.replace("<factory>", "...")), result


def setup(app: Sphinx) -> dict[str, bool]:
    # Before Napoleon, whose priority is 500.
    app.connect("autodoc-process-docstring", process, priority=400)
    app.connect("autodoc-process-signature", signature)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
