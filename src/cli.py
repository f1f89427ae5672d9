"""The commands: `umss separate ...`, and the same as `python -m src.separate ...` in a checkout.

This module imports neither PyTorch nor Lightning, so that help comes at once; a command's own
module is imported when its work begins.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import hydra
from omegaconf import DictConfig

from .configuration import FOLDER
from .errors import UmssError
from .sweeps import is_sweep, run_job

PACKAGE = __name__.rpartition(".")[0]


@dataclass(frozen=True)
class Command:
    """One command.

    Attributes:
        module: where its `main(cfg)` is, below this package.
        config: its file in `conf`.
        summary: one line for `umss --help`.
    """

    module: str
    config: str
    summary: str


COMMANDS = {
    "separate": Command("separate_file", "separate", "separate one recording into its singers"),
    "f0": Command("find_f0", "f0", "estimate the F0 of every singer of a recording"),
    "train": Command("train", "train", "train a separator on mixtures"),
    "evaluate": Command("evaluate", "evaluate", "separate held-out mixtures and score them"),
    "evaluate-f0": Command("evaluate_f0", "evaluate_f0", "score F0 estimates of held-out mixtures"),
    "report": Command("report", "report", "compare evaluations: tables, figures, tests, a page"),
    "prepare": Command("prepare", "prepare", "check a data set, resample it and cache its F0"),
    "demo": Command("demo", "demo", "sing, train, separate, and write a page to listen to"),
    "train-f0": Command("train_f0", "train_f0", "train the multi-F0 network of this package"),
    "published-weights": Command(
        "published_weights", "published_weights", "fetch the weights of published F0 networks"
    ),
}


# Launchers of sweeps that come with an extra: beginning of the name, plugin, extra.
_LAUNCHERS = (
    ("joblib", "hydra_joblib_launcher", "sweeps"),
    ("slurm", "hydra_submitit_launcher", "slurm"),
    ("submitit", "hydra_submitit_launcher", "slurm"),
)


def usage() -> str:
    """What `umss --help` prints."""
    width = max(map(len, COMMANDS))
    rows = [f"  {name:<{width}}  {command.summary}" for name, command in COMMANDS.items()]
    return "\n".join(
        [
            "umss: separates the singers of a vocal ensemble from one recording",
            "",
            "usage: umss COMMAND [NAME=VALUE ...]",
            "",
            *rows,
            "",
            "  umss separate input=choir.wav n_singers=4",
            "",
            "umss COMMAND --help lists every setting of a command, --version names the version.",
            "-m sweeps over values, --config-dir DIR adds experiments of your own (see Hydra).",
        ]
    )


def main(arguments: Sequence[str] | None = None) -> Any:
    """The command `umss`."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if not given or given[0] in ("-h", "--help", "help"):
        print(usage())
        return None
    if given[0] in ("-V", "--version"):
        from importlib.metadata import version

        print(f"umss {version('umss')}")
        return None
    name = given[0].replace("_", "-")
    if name not in COMMANDS:
        sys.exit(
            f"error: {given[0]!r} is not a command of umss; "
            f"choose from {', '.join(COMMANDS)}, or see umss --help"
        )
    return launch(name, given[1:])


def launch(name: str, overrides: Sequence[str] | None = None) -> Any:
    """Run a command under Hydra.

    Args:
        name: key of `COMMANDS`.
        overrides: the command line after the command's name; None = all arguments of the process.
    """
    command = COMMANDS[name]
    whole = list(sys.argv)

    def task(cfg: DictConfig) -> Any:
        # Lightning starts further processes of a training by the whole command line.
        sys.argv = whole
        module = importlib.import_module(f"{PACKAGE}.{command.module}")
        return entry_point(module.main)(cfg)

    # Hydra names the job, and its log file, after the module of the task.
    task.__module__ = f"{PACKAGE}.{command.module}"
    given = whole[1:] if overrides is None else list(overrides)
    check_launcher(given)
    sys.argv = [whole[0], *given]
    try:
        return hydra.main(version_base="1.3", config_path=str(FOLDER), config_name=command.config)(
            task
        )()
    finally:
        sys.argv = whole


def check_launcher(overrides: Sequence[str]) -> None:
    """Leave with one sentence where a launcher of sweeps is asked for that is not installed."""
    for override in overrides:
        key, _, choice = override.partition("=")
        for beginning, plugin, extra in _LAUNCHERS:
            if (
                key == "hydra/launcher"
                and choice.startswith(beginning)
                and importlib.util.find_spec(f"hydra_plugins.{plugin}") is None
            ):
                sys.exit(
                    f"error: {override} needs a package that is not installed: "
                    f"pip install 'umss[{extra}]'"
                )


def entry_point(main: Callable[[DictConfig], Any]) -> Callable[[DictConfig], Any]:
    """Report user mistakes on stderr and leave with exit status 1.

    Hydra wraps errors of object construction; the cause is what the user needs to read. Errors of
    the program itself keep their traceback, and HYDRA_FULL_ERROR=1 shows every traceback. In a
    sweep (Hydra multirun) an error ends its own job only (`src.sweeps`).
    """

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
    from hydra.errors import HydraException
    from omegaconf.errors import MissingMandatoryValue, OmegaConfBaseException

    cause = error.__cause__ if isinstance(error, HydraException) and error.__cause__ else error
    if isinstance(cause, MissingMandatoryValue):
        return f"{cause.full_key} is not set; give it as {cause.full_key}=VALUE, or see --help"
    # Mistakes in the configuration, and what the system refuses: a full disk, a missing right.
    if isinstance(cause, (UmssError, OmegaConfBaseException, OSError)):
        return str(cause)
    return None
