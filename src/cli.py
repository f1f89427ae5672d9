"""What all entry points share: user mistakes end in one message, not in a traceback."""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Callable

from hydra.errors import HydraException
from omegaconf import DictConfig
from omegaconf.errors import MissingMandatoryValue, OmegaConfBaseException

# Errors whose message is written for the user: it names the file or field and the remedy.
USER_ERRORS = (ValueError, FloatingPointError, OSError, OmegaConfBaseException)


def entry_point(main: Callable[[DictConfig], None]) -> Callable[[DictConfig], None]:
    """Report user mistakes on stderr and leave with exit status 1.

    Hydra wraps errors of object construction; the cause is what the user needs to read. Errors of
    the program itself keep their traceback, and HYDRA_FULL_ERROR=1 shows every traceback.
    """

    @functools.wraps(main)
    def wrapped(cfg: DictConfig) -> None:
        try:
            main(cfg)
        except (HydraException, *USER_ERRORS) as error:
            cause = error.__cause__ if isinstance(error, HydraException) else error
            if not isinstance(cause, USER_ERRORS) or os.environ.get("HYDRA_FULL_ERROR") == "1":
                raise
            sys.exit(f"error: {message_of(cause)}")

    return wrapped


def message_of(error: BaseException) -> str:
    """What to tell the user."""
    if isinstance(error, MissingMandatoryValue):
        return f"{error.full_key} is not set; give it as {error.full_key}=VALUE, or see --help"
    return str(error)
