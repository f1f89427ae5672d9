"""Of which kind every setting of a command is: text, a number, yes or no.

The defaults in `conf` say it. Where the default is null or must be given, the comment would be the
only place, so `DECLARED` has it. Commands and `src.configuration` check values by these kinds.
"""

from __future__ import annotations

import enum
import functools
import math
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from omegaconf import DictConfig, ListConfig, OmegaConf

from .bounds import check_value, find_by_end
from .errors import UmssError


class Kind(enum.Enum):
    """What a value must be, in the words of a message."""

    TEXT = "text"
    TEXTS = "a list of texts, e.g. [one,two]"
    WHOLE = "a whole number"
    COUNT = "a whole number, or auto"
    NUMBER = "a number"
    SWITCH = "true or false"
    ANY = "anything"


# Settings whose default does not say what they take, by the end of their name; null is allowed.
DECLARED = {
    "input": Kind.TEXT,
    "parameters": Kind.TEXT,
    "f0": Kind.TEXT,
    "score": Kind.TEXT,
    "edits": Kind.ANY,
    "init": Kind.TEXT,
    "root": Kind.TEXT,
    "cache_dir": Kind.TEXT,
    "checkpoint": Kind.TEXT,
    "weights": Kind.TEXT,
    "source": Kind.TEXT,
    "reader.options.table": Kind.TEXT,
    "warm_start": Kind.TEXT,
    "reader.name": Kind.TEXT,
    "test_set": Kind.TEXT,
    "partition": Kind.TEXT,
    "max_time": Kind.TEXT,
    "names": Kind.TEXTS,
    "only": Kind.TEXTS,
    "two_stems": Kind.TEXT,
    "tables": Kind.TEXTS,
    "threads": Kind.WHOLE,
    "max_mixtures": Kind.WHOLE,
    "max_seconds": Kind.NUMBER,
    "tempo": Kind.NUMBER,
    "title": Kind.TEXT,
    "voices": Kind.TEXTS,
    "projects": Kind.TEXT,
    "memory_gb": Kind.NUMBER,
    "gradient_clip_val": Kind.NUMBER,
    # More than one kind.
    "bss": Kind.ANY,
    "devices": Kind.ANY,
    "fast_dev_run": Kind.ANY,
    "precision": Kind.ANY,
    "mixing.n_singers": Kind.ANY,
    "score_parts": Kind.ANY,
    "parts": Kind.ANY,
    "order": Kind.ANY,
    "singers": Kind.ANY,
    "val_singers": Kind.ANY,
    "train": Kind.ANY,
    "val": Kind.ANY,
    "test": Kind.ANY,
    "monitor": Kind.ANY,
    "callbacks.learning_rate": Kind.ANY,
    "averaging": Kind.ANY,
    "then": Kind.ANY,
    "overrides": Kind.ANY,
    "kernel_size": Kind.ANY,
    "margin": Kind.ANY,
}
# Commands that count the singers of a recording themselves if told so.
COUNTING = frozenset({"separate", "f0"})
# Text that names a file or a folder.
PATHS = frozenset(
    {
        "input",
        "parameters",
        "f0",
        "score",
        "contour",
        "init",
        "root",
        "checkpoint",
        "weights",
        "source",
        "output",
        "table",
        "projects",
    }
)
_REFERENCE = re.compile(r"\$\{[A-Za-z_][\w.]*\}")
_SWITCHES = {
    "true": True, "yes": True, "on": True, "false": False, "no": False, "off": False,
}  # fmt: skip


def read_switch(word: str) -> bool | None:
    """True or false for a word that says yes or no, None for any other."""
    return _SWITCHES.get(word.strip().lower())


def find_declared(key: str) -> Kind | None:
    """The declared kind of a setting, by its whole name or an end of it."""
    return find_by_end(DECLARED, key)


@functools.cache
def find_kinds(folder: Path, command: str) -> Mapping[str, tuple[Kind, bool]]:
    """Kinds of all settings of a command, and whether null is a value; by dotted name.

    Args:
        folder: of the configuration.
        command: name of its file, e.g. "separate".
    """
    values: dict[str, list[Any]] = {}
    for path in [folder / f"{command}.yaml", *sorted(folder.glob("*/**/*.yaml"))]:
        text = path.read_text(encoding="utf-8")
        content = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)) or {}
        content.pop("defaults", None)
        content.pop("hydra", None)
        package = re.search(r"^# @package (\S+)", text, flags=re.MULTILINE)
        group = ".".join(path.relative_to(folder).parts[:-1])
        prefix = group if package is None else package[1].removeprefix("_global_")
        if prefix.startswith("hydra"):
            continue
        for key, value in _walk(content, prefix):
            if key.rpartition(".")[2].startswith("_") or not key:
                continue
            values.setdefault(key, []).append(value)
    kinds = {key: _judge(key, found) for key, found in values.items()}
    if command in COUNTING:
        kinds["n_singers"] = (Kind.COUNT, False)
    for key, found in values.items():
        # One that follows another setting is of the other's kind.
        followed = {str(value)[2:-1] for value in found if _REFERENCE.fullmatch(str(value))}
        if len(followed) == 1 == len(set(map(str, found))) and followed <= kinds.keys():
            kinds[key] = kinds[followed.pop()]
    return kinds


def _walk(node: Any, key: str) -> Iterator[tuple[str, Any]]:
    if isinstance(node, dict) and node:
        for name, value in node.items():
            yield from _walk(value, f"{key}.{name}" if key else str(name))
    else:
        yield key, node


def _judge(key: str, values: list[Any]) -> tuple[Kind, bool]:
    declared = find_declared(key)
    missing = any(value is None for value in values)
    if declared is not None:
        return declared, missing or declared is Kind.ANY
    kinds = {_name_kind(value) for value in values if value is not None and value != "???"}
    if kinds == {Kind.WHOLE, Kind.NUMBER}:
        kinds = {Kind.NUMBER}
    return (kinds.pop() if len(kinds) == 1 else Kind.ANY), missing


def _name_kind(value: Any) -> Kind:
    if isinstance(value, bool):
        return Kind.SWITCH
    if isinstance(value, int):
        return Kind.WHOLE
    if isinstance(value, float):
        return Kind.NUMBER
    if isinstance(value, str) and re.fullmatch(r"[-+]?\d[\d.]*[eE][-+]?\d+", value):
        return Kind.NUMBER  # YAML 1.1 reads 1e-4 as text, Hydra as a number
    if isinstance(value, str) and not re.fullmatch(r"\$\{(?!hydra:|oc\.env:)[^{}]*\}", value):
        return Kind.TEXT
    return Kind.ANY


def check_settings(config: DictConfig, kinds: Mapping[str, tuple[Kind, bool]]) -> None:
    """Check the kind of every value, and turn into text what was read as a number but is a text.

    Raises:
        UmssError: names the setting, its value and what it takes.
    """
    _check_sections(config, kinds)
    for key, (kind, nullable) in kinds.items():
        parent_name, _, name = key.rpartition(".")
        parent = OmegaConf.select(config, parent_name) if parent_name else config
        if not isinstance(parent, DictConfig) or name not in parent:
            continue
        if OmegaConf.is_missing(parent, name) or OmegaConf.is_interpolation(parent, name):
            continue
        if kind is Kind.ANY:
            check_value(key, parent[name])
            continue
        value = parent[name]
        if value is None:
            if nullable or parent_name.startswith(("trainer", "callbacks", "logger", "model")):
                continue
            raise UmssError(f"{key}=null: give {kind.value}")
        checked = _convert(key, value, kind)
        if checked is not value:
            parent[name] = checked
        check_value(key, checked)


def _check_sections(config: DictConfig, kinds: Mapping[str, tuple[Kind, bool]]) -> None:
    """Refuse one value in the place of a whole section."""
    parts = [key.split(".") for key in kinds]
    sections = {".".join(names[:k]) for names in parts for k in range(1, len(names))}
    for section in sorted(sections - kinds.keys()):
        parent_name, _, name = section.rpartition(".")
        parent = OmegaConf.select(config, parent_name) if parent_name else config
        if not isinstance(parent, DictConfig) or name not in parent:
            continue
        if OmegaConf.is_missing(parent, name) or OmegaConf.is_interpolation(parent, name):
            continue
        value = parent[name]
        if value is not None and not isinstance(value, DictConfig):
            inside = next(key for key in kinds if key.startswith(f"{section}."))
            raise UmssError(
                f"{section}={value}: this is a group of settings; set one of them, e.g. {inside}"
            )


def _convert(key: str, value: Any, kind: Kind) -> Any:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    whole = kind in (Kind.WHOLE, Kind.COUNT)
    if kind is Kind.TEXT:
        if isinstance(value, (DictConfig, ListConfig)):
            raise UmssError(f"{key}={value}: give one text, not {_describe(value)}")
        if isinstance(value, str) and not value:
            raise UmssError(f"{key} is empty; give it as {key}=VALUE")
        if not isinstance(value, (str, Path)):
            return str(value)
    elif kind is Kind.TEXTS:
        if isinstance(value, ListConfig):
            if not all(isinstance(entry, str) for entry in value):
                return [str(entry) for entry in value]
        elif key.rpartition(".")[2] != "tables" or not isinstance(value, str):
            raise UmssError(f"{key}={value}: give {kind.value}")
    elif kind is Kind.SWITCH:
        if isinstance(value, str) and read_switch(value) is not None:
            return read_switch(value)
        if not isinstance(value, bool):
            raise UmssError(f"{key}={value}: give {kind.value}")
    elif kind is Kind.COUNT and value == "auto":
        return value
    elif value == "auto" and key == "n_singers":
        raise UmssError(
            "n_singers=auto: the mixtures of a data set are made of as many singers as is said; "
            "give a whole number (umss separate and umss f0 count singers)"
        )
    elif not number or (
        kind in (Kind.WHOLE, Kind.COUNT) and (not math.isfinite(value) or value != int(value))
    ):
        raise UmssError(f"{key}={value}: give {kind.value}")
    elif whole and isinstance(value, float):
        return int(value)
    return value


def _describe(value: DictConfig | ListConfig) -> str:
    return "a list" if isinstance(value, ListConfig) else "several settings"
