"""Settings of a project as the page sends them, checked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..configuration import list_choices
from ..errors import UmssError
from ..f0.names import MAX_ESTIMATED as MAX_SINGERS
from .state import SETTINGS

ALIGNMENTS = ("dtw", "stretch", "none")
MOST_TITLE = 200
MOST_NAME = 60
_NOT_HERE = ("mixture", "oracle")  # nothing to hear, or the true stems are needed


def list_methods() -> list[str]:
    """Methods that separate a recording."""
    return [name for name in list_choices("separator") if name not in _NOT_HERE]


def check_title(value: Any) -> str:
    """Check a title.

    Raises:
        UmssError: it is no text, empty, or too long.
    """
    if not isinstance(value, str) or not value.strip() or len(value) > MOST_TITLE:
        raise UmssError(f"a title is a text of 1 to {MOST_TITLE} characters")
    return value.strip()


def check_names(value: Any, count: int) -> list[str]:
    """Check the names of the singers.

    Raises:
        UmssError: not as many as there are singers, or unusable ones.
    """
    if not isinstance(value, list) or len(value) != count:
        raise UmssError(f"give {count} names, one per singer, from the highest down")
    for name in value:
        printable = isinstance(name, str) and name.isprintable() and "," not in name
        if not printable or not name.strip() or len(name) > MOST_NAME:
            raise UmssError(f"a name is a text of 1 to {MOST_NAME} characters without commas")
    names = [name.strip() for name in value]
    if len(set(names)) < count:
        raise UmssError("two singers have one name; give each another")
    return names


def check_settings(value: Any) -> dict[str, Any]:
    """Check some settings of a project.

    Raises:
        UmssError: an unknown one, or a value that is not possible.
    """
    if not isinstance(value, Mapping):
        raise UmssError("settings are given by name, e.g. n_singers")
    found: dict[str, Any] = {}
    for key, setting in value.items():
        if key not in SETTINGS or key == "score":
            raise UmssError(f"there is no setting {str(key)[:40]!r} to be changed here")
        found[key] = setting
    number = found.get("n_singers", "auto")
    whole = isinstance(number, int) and not isinstance(number, bool)
    if number != "auto" and not (whole and 1 <= number <= MAX_SINGERS):
        raise UmssError(f"n_singers: give a whole number from 1 to {MAX_SINGERS}, or auto")
    if found.get("names") is not None:
        count = len(found["names"]) if isinstance(found["names"], list) else 0
        if not 1 <= count <= MAX_SINGERS:
            raise UmssError("names: give a list of names, from the highest singer down")
        found["names"] = check_names(found["names"], count)
    if found.get("method", "comb") not in list_methods():
        raise UmssError(f"method: choose from {', '.join(list_methods())}")
    if found.get("score_alignment", "dtw") not in ALIGNMENTS:
        raise UmssError(f"score_alignment: choose from {', '.join(ALIGNMENTS)}")
    seed = found.get("seed", 0)
    if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < 2**31:
        raise UmssError("seed: give a whole number from 0")
    return found
