"""What all entry points share: user mistakes end in one message, not in a traceback."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable

from hydra.errors import HydraException
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

# Errors whose message is written for the user: it names the file or field and the remedy.
USER_ERRORS = (ValueError, FloatingPointError, OSError, OmegaConfBaseException)


def entry_point(main: Callable[[DictConfig], None]) -> Callable[[DictConfig], None]:
    """Report user mistakes on stderr and leave with exit status 1.

    Hydra wraps errors of object construction; the cause is what the user needs to read. Errors of
    the program itself keep their traceback.
    """

    @functools.wraps(main)
    def wrapped(cfg: DictConfig) -> None:
        try:
            main(cfg)
        except HydraException as error:
            cause = error.__cause__
            if not isinstance(cause, USER_ERRORS):
                raise
            sys.exit(f"error: {cause}")
        except USER_ERRORS as error:
            sys.exit(f"error: {error}")

    return wrapped
