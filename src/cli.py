"""What all entry points share: user mistakes end in one message, not in a traceback."""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Callable
from typing import Any

from hydra.errors import HydraException
from omegaconf import DictConfig
from omegaconf.errors import MissingMandatoryValue, OmegaConfBaseException

from src.sweeps import is_sweep, run_job

# Errors whose message is written for the user: it names the file or field and the remedy.
USER_ERRORS = (ValueError, FloatingPointError, OSError, OmegaConfBaseException)


def entry_point(main: Callable[[DictConfig], Any]) -> Callable[[DictConfig], Any]:
    """Report user mistakes on stderr and leave with exit status 1.

    Hydra wraps errors of object construction; the cause is what the user needs to read. Errors of
    the program itself keep their traceback, and HYDRA_FULL_ERROR=1 shows every traceback. In a
    sweep (Hydra multirun) an error ends its own job only (`src.sweeps`).
    """

    @functools.wraps(main)
    def wrapped(cfg: DictConfig) -> Any:
        if is_sweep():
            return run_job(main, cfg, user_message)
        try:
            return main(cfg)
        except Exception as error:
            message = user_message(error)
            if message is None or os.environ.get("HYDRA_FULL_ERROR") == "1":
                raise
            sys.exit(f"error: {message}")

    return wrapped


def user_message(error: BaseException) -> str | None:
    """What to tell the user about an error; None if it is a fault of the program."""
    cause = error.__cause__ if isinstance(error, HydraException) else error
    if not isinstance(cause, USER_ERRORS):
        return None
    if isinstance(cause, MissingMandatoryValue):
        return f"{cause.full_key} is not set; give it as {cause.full_key}=VALUE, or see --help"
    return str(cause)
