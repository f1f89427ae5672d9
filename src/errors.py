"""Errors whose message is written for the user: it names the file or field, and the remedy.

Commands show only the message of a `UmssError`. Any other error is a bug and keeps its traceback.
"""

from __future__ import annotations


class UmssError(ValueError):
    """Base class of all errors that a user can fix."""


class OutputExistsError(UmssError, FileExistsError):
    """Results already exist where new ones should be written."""


class WriteError(UmssError, OSError):
    """The system does not write a file: no space, no permission, a limit."""


class TrainingDivergedError(UmssError, FloatingPointError):
    """The loss is no longer a finite number."""


def shorten_reason(error: BaseException, *, length: int = 200) -> str:
    """What an error says, in one line of bounded length, to be quoted in a message."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= length else f"{text[: length - 1]}…"
