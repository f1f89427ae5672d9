"""What users are told about errors, in one sentence each."""

from __future__ import annotations

import difflib
import os
import re

from hydra.errors import HydraException, InstantiationException
from omegaconf.errors import MissingMandatoryValue, OmegaConfBaseException

from .arguments import Kinds
from .configuration import list_choices
from .errors import UmssError

# What PyTorch and the system's loader say when there is no memory.
_NO_MEMORY = ("can't allocate memory", "failed to map segment", "Cannot allocate memory")


def user_message(error: BaseException) -> str | None:
    """What to tell the user about an error; None if it is a fault of the program."""
    cause = error.__cause__ if isinstance(error, HydraException) and error.__cause__ else error
    if isinstance(cause, MissingMandatoryValue):
        return f"{cause.full_key} is not set; give it as {cause.full_key}=VALUE, or see --help"
    if isinstance(cause, OmegaConfBaseException):
        where = f" ({cause.full_key})" if cause.full_key else ""
        return str(cause).splitlines()[0] + where
    if isinstance(cause, OSError) and not isinstance(cause, UmssError) and cause.filename:
        return f"{os.fsdecode(cause.filename)}: {cause.strerror}"
    if isinstance(cause, (UmssError, OSError)):
        return str(cause)
    if isinstance(error, InstantiationException) and isinstance(cause, (TypeError, ValueError)):
        place = re.search(r"full_key: (\S+)", str(error))
        return (
            f"{place[1] if place else 'the configuration'}: cannot be built from these settings "
            f"({str(cause).splitlines()[0]}); see --help for what they take"
        )
    if isinstance(cause, MemoryError) or any(words in str(cause) for words in _NO_MEMORY):
        reason = (str(cause) or "out of memory").splitlines()[0]
        return (
            "there is not enough memory; take less at a time (data.batch_size, chunk_seconds, "
            f"workers) or a larger machine ({reason})"
        )
    if type(cause).__name__ == "OutOfMemoryError":
        return (
            "the GPU has not enough memory; set data.batch_size or chunk_seconds lower, or "
            f"device=cpu ({str(cause).splitlines()[0]})"
        )
    return None


def explain_composition(error: BaseException, kinds: Kinds) -> str | None:
    """What to tell the user about a command line that gives no configuration; None = a bug."""
    text = " ".join(str(error).split())
    unknown = re.search(r"Could not override '([^']+)'", text)
    if unknown:
        near = difflib.get_close_matches(unknown[1], kinds, n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        return f"there is no setting {unknown[1]!r}{hint} (see --help for all)"
    choice = re.search(r"Could not find '([^']+)/([^'/]+)'", text)
    if choice:
        known = list_choices(choice[1])
        offers = f"choose from {', '.join(known)}" if known else "see --help"
        return f"{choice[1]}={choice[2]}: there is none of this name; {offers}"
    recipe = re.search(r"'grid\.recipes\.([^']+)\.\w+' not found", text)
    if recipe:
        return f"grid.recipe={recipe[1]}: there is none of this name; choose default or paper"
    if "Config group override must be a string" in text:
        return "a group of settings takes the name of one of its choices; see --help for them"
    if isinstance(error, HydraException) or user_message(error) is not None:
        return user_message(error) or text
    return None
