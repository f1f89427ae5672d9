"""Errors whose message is written for the user: it names the file or field, and the remedy.

Commands show the message of a `UmssError` alone; any other error is a fault of the program, and
keeps its traceback.
"""

from __future__ import annotations


class UmssError(ValueError):
    """Base of every error that a user can mend."""


class OutputExistsError(UmssError, FileExistsError):
    """A file or folder of results lies where new ones should go."""


class TrainingDivergedError(UmssError, FloatingPointError):
    """The loss is no longer a finite number."""
