"""The index of prepared data: which songs there are, and in which folders."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from .readers.base import StemKey

FORMAT = 1
INDEX = "index.json"


def read_index(folder: Path) -> dict[str, Any] | None:
    """Read the folder's index; None if nothing is prepared, or only by an older version."""
    try:
        index: dict[str, Any] = json.loads((folder / INDEX).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (ValueError, RecursionError, OSError):
        # Indices are replaced atomically, so the file was damaged from outside: prepare again.
        return None
    return index if is_index(index) else None


def is_index(index: Any) -> bool:
    """Whether it is an index of this version; one from elsewhere may hold anything.

    Folders of songs are replaced and removed, so none may lie outside the data set's own.
    """
    try:
        return (
            index["format"] == FORMAT
            and isinstance(index["reader"], str)
            and isinstance(index["license"], str)
            and all(_is_entry(name, entry) for name, entry in index["songs"].items())
        )
    except (AttributeError, LookupError, TypeError, ValueError):
        return False


def _is_entry(name: str, entry: Mapping[str, Any]) -> bool:
    keys = as_keys(entry["keys"])
    groups = [as_keys(keys) for group in entry["cached"].values() for keys in group]
    return (
        entry["name"] == name
        and isinstance(entry["position"], int)
        and isinstance(entry["fingerprint"], str)
        and re.fullmatch(r"[A-Za-z0-9_-][A-Za-z0-9._-]*", entry["folder"]) is not None
        and all(isinstance(part, str) for part in entry["parts"])
        and all(part in entry["parts"] and isinstance(singer, str) for part, singer in keys)
        and all(set(group) <= set(keys) for group in groups)
        and all(int(size) > 0 for size in entry["cached"])
        and isinstance(entry["n_samples"], int)
        and entry["n_samples"] > 0
        and all(isinstance(entry[kind], bool) for kind in ("stems", "exact"))
        and all(isinstance(place, str) for place in entry["silent"])
        and all(isinstance(text, str) for note in entry["notes"] for text in note)
        and all(len(note) == 2 for note in entry["notes"])
    )


def as_keys(pairs: Iterable[Sequence[str]]) -> tuple[StemKey, ...]:
    """Convert lists from JSON to stem keys."""
    return tuple((part, singer) for part, singer in pairs)
