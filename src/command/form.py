"""Which of the two forms of `umss separate` a command line has: options, or NAME=VALUE."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from pathlib import Path

from ..arguments import Kinds, is_flag, is_setting

_HELP = ("-h", "--help")


def has_settings(
    arguments: Sequence[str], with_value: Collection[str], find: Callable[[], Kinds]
) -> bool:
    """Whether there is a setting NAME=VALUE, or a flag of Hydra, outside the values of options.

    A file whose name holds an equals sign is none, unless it begins with the name of a setting;
    what follows `--` is always a recording.

    Args:
        arguments: what follows the command's name.
        with_value: options that take the next argument as their value.
        find: gives the command's settings; called only where it matters, since it reads files.
    """
    rest = iter(arguments)
    for argument in rest:
        if argument == "--":
            return False
        if argument in with_value:
            next(rest, None)
        elif argument.startswith("-"):
            if is_flag(argument) and argument not in _HELP and not Path(argument).is_file():
                return True
        elif argument.startswith("~"):
            if argument[1:].split("@")[0].replace("/", ".") in find():
                return True
        elif "=" in argument and is_setting(argument, find()):
            return True
    return False
