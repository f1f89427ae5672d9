"""One recording of a command line: composed as the other form composes it, separated, said."""

from __future__ import annotations

import logging
import os
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from omegaconf import DictConfig

from ..arguments import quote
from ..cli import FULL_ERROR
from ..configuration import FOLDER, compose_config
from ..errors import UmssError
from ..messages import explain_composition, user_message
from ..settings import find_kinds
from .settings import speak_of_options

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Job:
    """What is done with one recording.

    Attributes:
        path: of the recording.
        settings: NAME=VALUE, text quoted.
        practice: also write practice tracks.
        dry_run: only say what would be done.
        others: the other recordings of the command line, whose files are never replaced.
    """

    path: Path
    settings: tuple[str, ...]
    practice: bool = False
    dry_run: bool = False
    others: tuple[Path, ...] = ()

    def run(self) -> None:
        """Separate the recording.

        Raises:
            UmssError: what the user can mend.
        """
        cfg = compose(self.settings)
        if self.dry_run:
            describe(self.path, cfg, self.others)
            return
        from ..separate_file import main

        written = main(cfg, self.others)
        if self.practice:
            from ..practice_file import main as practise

            settings = [
                f"parameters={quote(os.fspath(written['parameters']))}",
                f"output={quote(cfg.output)}",
                f"overwrite={str(cfg.overwrite).lower()}",
            ]
            practise(compose_config("practice", overrides=settings))

    def attempt(self) -> str | None:
        """Separate the recording; returns why that failed, in one sentence, or None."""
        try:
            self.run()
        except Exception as error:
            if os.environ.get(FULL_ERROR) == "1":
                raise
            message = user_message(error)
            if message is None:
                log.error("%s", traceback.format_exc())
                message = f"{self.path}: {type(error).__name__}: {error}"
            return speak_of_options(message, os.fspath(self.path))
        return None


def compose(settings: Sequence[str]) -> DictConfig:
    """The configuration that the form NAME=VALUE composes of the same settings.

    Raises:
        UmssError: settings that there are not.
    """
    try:
        return compose_config("separate", overrides=settings)
    except Exception as error:
        message = explain_composition(error, find_kinds(FOLDER, "separate"))
        if message is None:
            raise
        if "'separator.device'" in message:
            message = "--device: this method computes on the CPU only; leave it out"
        if "'separator.opinions'" in message:
            message = "--fast: this method has no faster variant; leave it out"
        raise UmssError(message) from error


def describe(path: Path, cfg: DictConfig, others: Sequence[Path] = ()) -> None:
    """Say which files would be written.

    Args:
        path: the recording.
        cfg: its settings.
        others: recordings that are separated, too.

    Raises:
        UmssError: the recording cannot be read, or files are in the way.
    """
    from ..audio import open_audio
    from ..files import check_existing, check_inputs
    from ..separation_plan import foresee, list_inputs

    with open_audio(path) as audio:
        log.info("%s: %d Hz, %d channels", path, audio.rate, audio.channels)
    targets = foresee(cfg).values()
    check_inputs(targets, path, list_inputs(cfg, others))
    check_existing(targets, overwrite=cfg.overwrite)
    for target in targets:
        log.info("  would write %s", target)
    if cfg.names is None and cfg.n_singers == "auto":
        log.info("  and one file per singer who is heard")


class Printer(logging.Handler):
    """Prints messages, warnings on the error stream, with options in the place of settings.

    Args:
        path: the recording that they are about.
        named: warnings name the recording.
        say: prints a line, and is told whether it is a warning.
    """

    def __init__(
        self, path: Path, *, named: bool = False, say: Callable[[str, bool], None] | None = None
    ) -> None:
        super().__init__()
        self._path, self._named = os.fspath(path), named
        self._say = say or print_message

    def emit(self, record: logging.LogRecord) -> None:
        message, warning = record.getMessage(), record.levelno >= logging.WARNING
        if warning:
            message = speak_of_options(message, self._path)
            if self._named and self._path not in message:
                message = f"{self._path}: {message}"
        self._say(message, warning)


def print_message(message: str, warning: bool = False) -> None:
    """Print a line on the output, or on the error stream."""
    print(message, file=sys.stderr if warning else sys.stdout, flush=True)


@contextmanager
def show_messages(handler: logging.Handler, *, quiet: bool) -> Iterator[None]:
    """Give what is logged while the block runs to a handler; `quiet`: warnings and errors only."""
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.WARNING if quiet else logging.INFO)
    try:
        yield
    finally:
        root.removeHandler(handler)
        root.setLevel(level)
