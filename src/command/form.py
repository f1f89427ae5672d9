"""Which of the two forms of `umss separate` a command line has: options, or NAME=VALUE."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

from ..arguments import Kinds, is_flag, is_setting

_HELP = ("-h", "--help")


def find_setting(
    arguments: Sequence[str], with_value: Collection[str], find: Callable[[], Kinds]
) -> str | None:
    """Find a setting NAME=VALUE, or a flag of Hydra, outside the values of options; None = none.

    A file that there is, is no setting, whatever its name; what follows `--` is a recording.

    Args:
        arguments: what follows the command's name.
        with_value: options that take the next argument as their value.
        find: gives the command's settings; called only where it matters, since it reads files.
    """
    rest = iter(arguments)
    for argument in rest:
        if argument == "--":
            return None
        if argument in with_value:
            next(rest, None)
        elif argument.startswith("-"):
            if is_flag(argument) and argument not in _HELP and not Path(argument).is_file():
                return argument
        elif os.path.lexists(argument):
            continue
        elif argument.startswith("~"):
            if argument[1:].split("@")[0].replace("/", ".") in find():
                return argument
        elif "=" in argument and is_setting(argument, find()):
            return argument
    return None
