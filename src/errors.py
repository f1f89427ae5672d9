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
