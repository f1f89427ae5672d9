"""Names of singers: printable, filled in where nobody gave any, and told apart."""

from __future__ import annotations

import re
from collections.abc import Sequence

MAX_ESTIMATED = 16  # singers whose F0 is estimated

# Control characters, lone surrogates and separators of lines or paragraphs.
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufeff]+")


def name_singers(n_singers: int) -> tuple[str, ...]:
    """Name J singers whom nobody named: `singer1` for the highest, `singer2`, ..."""
    return tuple(f"singer{j + 1}" for j in range(n_singers))


def clean_name(name: str) -> str:
    """Turn line breaks and control characters into spaces, so that messages stay one line."""
    return _UNPRINTABLE.sub(" ", name).strip()


def number_names(names: Sequence[str]) -> tuple[str, ...]:
    """Make J names unique: `singerN` where there is none, numbers where they are repeated."""
    named = [name or other for name, other in zip(names, name_singers(len(names)), strict=True)]
    seen: dict[str, int] = {}
    result: list[str] = []
    for name in named:
        seen[name] = seen.get(name, 0) + 1
        label = name if named.count(name) == 1 else f"{name} {seen[name]}"
        while label in result:
            label += "'"
        result.append(label)
    return tuple(result)


def find_words(name: str) -> set[str]:
    """The words of a name or header, in lower case: `F0_Hz` has f and hz, `voicedFlag` two."""
    return set(re.findall(r"[^\W\d_]+", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).lower()))


def shorten(text: str, length: int = 40) -> str:
    """The text, or its beginning and an ellipsis, for a message."""
    return text if len(text) <= length else text[: length - 1] + "…"
