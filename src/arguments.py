"""The command line as users type it, in the grammar that Hydra reads.

Hydra gives spaces, commas, brackets, apostrophes, `=`, `#` and backslashes a meaning. File names
hold all of them. Where a setting takes a text, what was typed is taken as it stands; a recording
needs no name of a setting before it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Quote, QuotedString
from hydra.errors import HydraException

from .errors import UmssError
from .settings import PATHS, Kind, read_switch

SWEEP = ("-m", "--multirun")
# Flags of Hydra that are followed by a value of their own.
_WITH_VALUE = (
    "--config-dir", "-cd", "--config-name", "-cn", "--config-path", "-cp", "--package", "-p",
    "--cfg", "-c", "--experimental-rerun",
)  # fmt: skip
_FLAGS = (
    *SWEEP, *_WITH_VALUE, "--help", "-h", "--hydra-help", "--version", "--resolve", "--run", "-r",
    "--shell-completion", "-sc", "--info", "-i",
)  # fmt: skip
_FUNCTION = re.compile(r"(choice|range|interval|glob|shuffle|sort|tag|extend_list|json_str|int|"
                       r"float|str|bool)\(.*\)", re.DOTALL)  # fmt: skip
_KEY = re.compile(r"(\+{0,2}|~)([A-Za-z_][\w./$@-]*)=(.*)", re.DOTALL)

# The fields of edits (`src.editing.edits`) whose values are text: singers are not known beforehand.
EDITS = "edits"
_TEXT_FIELDS = ("copy_of", "contour", "to", "key", "score", "scale", "timbre")

Kinds = Mapping[str, tuple[Kind, bool]]


def prepare_arguments(arguments: Sequence[str], kinds: Kinds) -> list[str]:
    """Translate a command line for Hydra.

    Args:
        arguments: what follows the command's name.
        kinds: the command's settings (`src.settings.find_kinds`).

    Raises:
        UmssError: an argument that is neither a setting nor, where the command takes one, a
            recording.
    """
    sweep = any(argument in SWEEP for argument in arguments)
    flags: list[str] = []
    prepared: list[str] = []
    recordings: list[str] = []
    rest = iter(arguments)
    only_files = False
    for argument in rest:
        if not only_files and argument == "--":
            only_files = True
        elif not only_files and is_flag(argument) and not Path(argument).is_file():
            flags.append(argument)
            if argument.split("=")[0] == "--experimental-rerun":
                raise UmssError(
                    "--experimental-rerun reads a pickle, which can hold any code; give the "
                    "settings again instead"
                )
            if argument in _WITH_VALUE:
                flags += [value for value in [next(rest, None)] if value is not None]
        elif not only_files and is_setting(argument, kinds):
            prepared.append(_translate(argument, kinds, sweep=sweep))
        elif argument.startswith("~") and argument[1:].split("@")[0].replace("/", ".") in kinds:
            prepared.append(argument)  # removes a setting
        elif not only_files and argument.startswith("-") and not Path(argument).exists():
            raise UmssError(f"{argument}: neither an option (see --help) nor a file")
        elif _find_file_setting(kinds) is not None:
            recordings.append(argument)
        else:
            raise UmssError(
                f"{argument!r} is not of the form NAME=VALUE; see --help for the settings"
            )
    if recordings:
        given = ",".join(_quote_path(name) for name in recordings)
        prepared.append(f"{_find_file_setting(kinds)}={given}")
        if len(recordings) > 1 and not sweep:
            flags.append("--multirun")
    # Hydra does not take settings on both sides of a flag.
    return [*flags, *prepared]


def _find_file_setting(kinds: Kinds) -> str | None:
    """Find the setting that names what a command works on and may be left out before the name."""
    return next((name for name in ("input", "parameters") if name in kinds), None)


def quote(text: str) -> str:
    """A text as Hydra takes it as it stands, references to other settings not followed."""
    return _quote(text.replace("${", "\\${"))


def is_flag(argument: str) -> bool:
    """Whether it is a flag of Hydra."""
    return argument.split("=")[0] in _FLAGS


def is_setting(argument: str, kinds: Kinds) -> bool:
    """Whether it is NAME=VALUE, not a file whose name holds an equals sign."""
    match = _KEY.fullmatch(argument)
    if match is None:
        return False
    name = match[2].split("@")[0].replace("/", ".")
    known = name in kinds or any(key.startswith(f"{name}.") for key in kinds)
    return (
        known
        or bool(match[1])
        or not (_find_file_setting(kinds) is not None and Path(argument).exists())
    )


def _translate(argument: str, kinds: Kinds, *, sweep: bool) -> str:
    match = _KEY.fullmatch(argument)
    assert match is not None
    sign, key, raw = match.groups()
    kind, nullable = kinds.get(key, (Kind.ANY, True))
    if EDITS in kinds and key.startswith(f"{EDITS}."):
        sign = sign or "++"  # any singer may be named
        argument = f"{sign}{key}={raw}"
        if key.rpartition(".")[2] in _TEXT_FIELDS:
            kind = Kind.TEXT
    if kind in (Kind.TEXT, Kind.TEXTS, Kind.SWITCH) and not _is_finished(raw, sweep=sweep):
        if kind is Kind.TEXT and not (nullable and raw.lower() in ("null", "none")):
            return f"{sign}{key}={_quote_text(key, raw, sweep=sweep)}"
        if kind is Kind.TEXTS and raw.startswith("[") and raw.endswith("]") and not sweep:
            return f"{sign}{key}=[{','.join(_split_and_quote(raw[1:-1]))}]"
        if kind is Kind.SWITCH and read_switch(raw) is not None:
            return f"{sign}{key}={str(read_switch(raw)).lower()}"
    group = not sign and kind is Kind.ANY and any(name.startswith(f"{key}.") for name in kinds)
    if group and re.fullmatch(r"[-+\d.]+|true|false", raw.lower()):
        return f"{key}={_quote(raw)}"  # the name of a choice is a text
    if _can_be_read(argument):
        return argument
    if raw.startswith("[") and raw.endswith("]"):
        return f"{sign}{key}=[{','.join(_split_and_quote(raw[1:-1], numbers=True))}]"
    return f"{sign}{key}={_quote(raw)}"


def _is_finished(raw: str, *, sweep: bool) -> bool:
    """Whether the value is in Hydra's own notation: quoted, or a function of a sweep."""
    quoted = len(raw) >= 2 and raw[0] == raw[-1] and raw[0] in "'\""
    return (quoted and _can_be_read(f"x={raw}")) or (
        sweep and (_FUNCTION.fullmatch(raw) is not None or raw.startswith(("'", '"')))
    )


def _quote_text(key: str, raw: str, *, sweep: bool) -> str:
    path = key.rpartition(".")[2] in PATHS
    quote = _quote_path if path else _quote
    if "," in raw and not (path and Path(raw).exists()):
        names = raw.split(",")
        if sweep:
            return ",".join(map(quote, names))
        if path and all(Path(name).exists() for name in names):
            raise UmssError(f"{key}={raw}: these are several files; add -m to take one by one")
    return quote(raw)


def _quote_path(raw: str) -> str:
    if raw.startswith("~") and not Path(raw).exists():
        raw = os.path.expanduser(raw)  # shells do so at the beginning of a word only
    if "${" in raw and Path(raw).exists():
        raw = raw.replace("${", "\\${")
    return _quote(raw)


def _quote(text: str) -> str:
    return QuotedString(text=text, quote=Quote.double).with_quotes()


def _split_and_quote(inside: str, *, numbers: bool = False) -> list[str]:
    """Split a list at commas outside quotes, and quote what is not quoted."""
    entries = re.findall(r"""\s*("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|[^,]+)\s*(?:,|$)""", inside)
    plain = (entry.strip() for entry in entries)
    return [
        entry
        if entry[:1] in ("'", '"') or (numbers and re.fullmatch(r"[-+]?\d+(\.\d+)?", entry))
        else _quote(entry)
        for entry in plain
    ]


def _can_be_read(argument: str) -> bool:
    try:
        OverridesParser.create().parse_override(argument)
    except HydraException:
        return False
    return True
