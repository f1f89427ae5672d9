"""Sweeps (Hydra multiruns): a failed job stops no other, and all are listed at the end.

Every job writes `job.json` to its folder: its overrides, state ("running", "done" or "failed"),
value, run time and error message. The files are read after the last job, so the list is the same
whether a launcher runs the jobs in this process, in other processes, or on a cluster.
"""

from __future__ import annotations

import json
import logging
import math
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.experimental.callback import Callback
from hydra.types import RunMode
from omegaconf import DictConfig
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from .errors import UmssError
from .files import write_json
from .targets import is_own_module

log = logging.getLogger(__name__)

JOB = "job.json"
JOBS = "umss-jobs-"  # beginning of a temporary folder of jobs


def is_sweep() -> bool:
    """Whether this is a job of a Hydra multirun."""
    return HydraConfig.initialized() and HydraConfig.get().mode == RunMode.MULTIRUN


def run_job(
    main: Callable[[DictConfig], Any],
    cfg: DictConfig,
    explain: Callable[[BaseException], str | None],
) -> Any:
    """Run one job of a sweep, and keep its errors from stopping the others.

    Args:
        main: the task; the number that it returns is the job's value, which a sweeper optimises.
        cfg: configuration of the job.
        explain: returns the message of an error that the user can fix, or None if the traceback
            is needed.

    Returns:
        What `main` returns; NaN if it failed.
    """
    settings = HydraConfig.get()
    path = Path(settings.runtime.output_dir) / JOB
    job: dict[str, Any] = {"overrides": list(settings.overrides.task), "status": "running"}
    write_json(path, job)
    begin = time.monotonic()
    value: Any = math.nan
    try:
        value = main(cfg)
        job["status"] = "done"
        if isinstance(value, (int, float)) and math.isfinite(value):
            job["value"] = float(value)
    except Exception as error:
        message = explain(error)
        job |= {"status": "failed", "error": message or f"{type(error).__name__}: {error}"}
        if message is None:
            job["traceback"] = traceback.format_exc()
            log.exception("the job failed")
        else:
            log.error("error: %s", message)
    write_json(path, job | {"seconds": round(time.monotonic() - begin, 1)})
    return value


class SweepSummary(Callback):
    """Lists the jobs of a sweep when all have ended, and starts the next command.

    The process exits with status 1 if a job or the next command failed.

    Args:
        then: module and arguments of the command that follows, e.g. [src.report, tables=[DIR]];
            None = no command. It also runs when jobs failed, on the jobs that succeeded.
        forward: overrides of this sweep that start with one of these are passed on to the command.
        overrides: further overrides for the command.
        settled: overrides for the command that stand in place of forwarded ones of the same name,
            but not in place of `overrides`.
        instead_of: prefixes of the overrides that `overrides` replace; if `overrides` is None, they
            are passed on like `forward`.
        rows: which rows the command takes if this sweep was not the whole grid: {setting of the
            command: {"from": setting of this sweep whose choices they are, "and": further rows}}.
    """

    def __init__(
        self,
        *,
        then: Sequence[str] | None = None,
        forward: Sequence[str] = (),
        overrides: Sequence[str] | None = None,
        settled: Sequence[str] = (),
        instead_of: Sequence[str] = (),
        rows: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> None:
        self.rows = dict(rows or {})
        self.then = list(then or [])
        # `python -m` runs any module of Python's own, some of them with code as arguments.
        if self.then and not is_own_module(str(self.then[0])):
            raise UmssError(
                f"hydra.callbacks.sweep.then={self.then}: begin with a command of this program, "
                "e.g. umss.report"
            )
        self.forward = (*forward, *(instead_of if overrides is None else ()))
        self.overrides = list(overrides or [])
        self.settled = _leave_out(settled, self.overrides)

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Remove the job files of an earlier launch."""
        for path in _find_job_files(Path(config.hydra.sweep.dir)):
            path.unlink(missing_ok=True)

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        """List the jobs, run the next command, and exit if anything failed."""
        folder = Path(config.hydra.sweep.dir)
        jobs = {path.parent: read_job(path) for path in _find_job_files(folder)}
        show_jobs(jobs, folder)
        failed = sum(job["status"] != "done" for job in jobs.values())
        if self.then:
            given = [*config.hydra.overrides.task, *config.hydra.overrides.hydra]
            passed = [text for text in given if text.lstrip("+~").startswith(self.forward)]
            passed = _leave_out(passed, self.settled)
            rows = _choose_rows(self.rows, given)
            command = [sys.executable, "-m", *self.then, *passed, *rows]
            command += [*self.settled, *self.overrides]
            log.info("next: %s", " ".join(["python", *command[1:]]))
            failed += subprocess.run(command, check=False).returncode != 0
        if failed:
            sys.exit(1)


def _leave_out(overrides: Sequence[str], others: Sequence[str]) -> list[str]:
    """Those overrides whose names do not occur among the others."""
    names = {text.lstrip("+~").partition("=")[0] for text in others}
    return [text for text in overrides if text.lstrip("+~").partition("=")[0] not in names]


def _choose_rows(rows: Mapping[str, Mapping[str, Any]], given: Sequence[str]) -> list[str]:
    """Overrides that restrict the next command to the rows of this sweep, see `SweepSummary`.

    The row of a choice in a folder, such as paper/us_small, is called paper_us_small.
    """
    chosen = []
    for setting, row in rows.items():
        choices = [text.partition("=")[2] for text in given if text.startswith(f"{row['from']}=")]
        if choices:
            trained = [choice.strip().replace("/", "_") for choice in choices[-1].split(",")]
            chosen.append(f"{setting}={','.join([*trained, *row['and']])}")
    return chosen


def _find_job_files(folder: Path) -> list[Path]:
    return sorted(folder.rglob(JOB))


def read_job(path: Path) -> dict[str, Any]:
    """Read a job's file; a job that was killed while writing it counts as failed."""
    try:
        job: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, json.JSONDecodeError):
        return {"status": "failed", "error": "job.json is not readable"}
    if job["status"] == "running":
        job |= {"status": "failed", "error": "ended without a word: killed, or out of memory?"}
    return job


def show_jobs(jobs: dict[Path, dict[str, Any]], folder: Path) -> None:
    """Print one line per job, the failed ones last with their error messages."""
    where = "" if JOBS in folder.name else f" in {folder}"
    table = Table(title=escape(f"{len(jobs)} jobs{where}"))
    for column in ("job", "status", "minutes", "value", "error"):
        right = column in ("minutes", "value")
        table.add_column(column, justify="right" if right else "left", overflow="fold")
    for path, job in sorted(jobs.items(), key=lambda item: item[1]["status"] != "done"):
        minutes = f"{job['seconds'] / 60:.1f}" if "seconds" in job else "-"
        value = f"{job['value']:.3f}" if "value" in job else "-"
        name = path.relative_to(folder).as_posix()
        table.add_row(name, job["status"], minutes, value, escape(job.get("error", "")))
    Console().print(table)
