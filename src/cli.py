"""The commands: `umss separate ...`, and the same as `python -m src.separate ...` in a checkout.

This module imports neither PyTorch nor Lightning, so that help comes at once; a command's own
module is imported when its work begins.
"""

from __future__ import annotations

import importlib
import importlib.util
import io
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import hydra
from omegaconf import DictConfig

from .arguments import SWEEP, prepare_arguments
from .configuration import FOLDER
from .errors import UmssError
from .messages import explain_composition, user_message
from .settings import check_settings, find_kinds
from .sweeps import JOBS, is_sweep, run_job
from .targets import check_targets, check_when_loaded

PACKAGE = __name__.rpartition(".")[0]
FULL_ERROR = "HYDRA_FULL_ERROR"


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
    "resynthesise": Command(
        "resynthesise", "resynthesise", "synthesise the voices of a separation from its parameters"
    ),
    "edit": Command("edit_file", "edit", "edit singers: pitch, formants, colour, new voices"),
    "practice": Command("practice_file", "practice", "tracks to learn a voice from a separation"),
    "studio": Command("studio.command", "studio", "correct pitches by hand in the browser"),
    "f0": Command("find_f0", "f0", "estimate the F0 of every singer of a recording"),
    "intonation": Command("intonation_file", "intonation", "how well we sang: a page and tables"),
    "hpss": Command("hpss_file", "hpss", "split a recording into tones, clicks and the rest"),
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
            "usage: umss separate [OPTIONS] RECORDING...",
            "       umss COMMAND [NAME=VALUE ...]",
            "",
            *rows,
            "",
            "  umss separate choir.mp3",
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
    if name == "separate":
        from .command.options import is_command_for_musicians
        from .command.options import main as separate

        try:
            wanted = is_command_for_musicians(given[1:])
        except UmssError as error:
            sys.exit(f"error: {error}")
        if wanted:
            return separate(given[1:])
    return launch(name, given[1:])


def launch(name: str, overrides: Sequence[str] | None = None) -> Any:
    """Run a command under Hydra.

    Args:
        name: key of `COMMANDS`.
        overrides: the command line after the command's name; None = all arguments of the process.
    """
    command = COMMANDS[name]
    whole = list(sys.argv)
    kinds = find_kinds(FOLDER, command.config)
    shows_all = os.environ.get(FULL_ERROR)

    def task(cfg: DictConfig) -> Any:
        # Lightning starts further processes of a training by the whole command line.
        sys.argv = whole
        _set_variable(FULL_ERROR, shows_all)

        def run(cfg: DictConfig) -> Any:
            check_targets(cfg)
            check_settings(cfg, kinds)
            return importlib.import_module(f"{PACKAGE}.{command.module}").main(cfg)

        try:
            return entry_point(run)(cfg)
        finally:
            os.environ[FULL_ERROR] = "1"

    # Hydra names the job, and its log file, after the module of the task.
    task.__module__ = f"{PACKAGE}.{command.module}"
    given = whole[1:] if overrides is None else list(overrides)
    check_launcher(given)
    accept_all_names()
    leave_on_signals()
    jobs = None
    try:
        prepared = prepare_arguments(given, kinds)
        if keeps_no_jobs(name, prepared):
            jobs = tempfile.mkdtemp(prefix=JOBS)
            prepared.append(f"hydra.sweep.dir={jobs}")
        sys.argv = [whole[0], *prepared]
        # Hydra would print its errors itself, in words about its grammar.
        os.environ[FULL_ERROR] = "1"
        with check_when_loaded():
            return hydra.main(
                version_base="1.3", config_path=str(FOLDER), config_name=command.config
            )(task)()
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        # Whoever read the output has enough (`umss separate --help | head`).
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115 - Python writes the rest at its end
        sys.exit(128 + 13)
    except Exception as error:
        message = explain_composition(error, kinds) if shows_all != "1" else None
        if message is None:
            raise
        sys.exit(f"error: {message}")
    finally:
        _set_variable(FULL_ERROR, shows_all)
        sys.argv = whole
        if jobs is not None:
            shutil.rmtree(jobs, ignore_errors=True)


def keeps_no_jobs(name: str, overrides: Sequence[str]) -> bool:
    """Whether a multirun writes nothing but what its jobs write, so that Hydra's own files and the
    records of the jobs belong among temporary files.

    Not for trainings, which live in the jobs' folders; not where the user or a sweep's file says
    where jobs go; not on a cluster, whose machines share no temporary files.
    """
    if name in ("train", "demo") or not any(text in SWEEP for text in overrides):
        return False
    given = dict(text.lstrip("+").partition("=")[::2] for text in overrides)
    shared = given.get("hydra/launcher", "").startswith(("slurm", "submitit"))
    return not shared and not given.keys() & {"sweep", "hydra.sweep.dir"}


def _set_variable(name: str, value: str | None) -> None:
    if value is None:
        os.environ.pop(name, None)
    else:
        os.environ[name] = value


def accept_all_names() -> None:
    """Let names of files be printed whatever bytes they have."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def leave_on_signals() -> None:
    """Leave in good order when told to end: by `kill`, a job scheduler or a closed terminal."""
    for number in (getattr(signal, name, None) for name in ("SIGTERM", "SIGHUP")):
        # `nohup` has SIGHUP ignored, and that is what its user wants.
        if number is not None and signal.getsignal(number) is signal.SIG_DFL:
            with suppress(ValueError):  # not the main thread
                signal.signal(number, _leave)


def _leave(number: int, frame: Any) -> None:
    print(f"stopped by {signal.Signals(number).name}", file=sys.stderr, flush=True)
    sys.exit(128 + number)


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
            if message is None or os.environ.get(FULL_ERROR) == "1":
                raise
            sys.exit(f"error: {message}")

    return wrapped
