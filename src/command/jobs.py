"""All recordings of a command line: one after the other, or several at a time."""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from multiprocessing.connection import Connection

from .separation import Job, messages, print_message

_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


def run_in_turn(jobs: Sequence[Job], failed: dict[int, str], *, quiet: bool) -> None:
    """Separate one recording after the other.

    Args:
        jobs: the recordings.
        failed: gets the reasons of those that fail, by their number.
        quiet: say nothing but warnings.
    """
    for index, job in enumerate(jobs):
        with messages(job.path, quiet=quiet):
            if len(jobs) > 1 and not quiet and not job.dry_run:
                print_message(f"[{index + 1}/{len(jobs)}] {job.path}")
            reason = job.attempt()
        if reason is not None:
            failed[index] = reason
            if len(jobs) > 1:
                print_message(f"error: {reason}", warning=True)


def run_together(jobs: Sequence[Job], failed: dict[int, str], *, workers: int, quiet: bool) -> None:
    """Separate several recordings at a time, each in a process of its own.

    Args:
        jobs: the recordings.
        failed: gets the reasons of those that fail, by their number.
        workers: how many at a time.
        quiet: say nothing but warnings, and show no progress.
    """
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

    columns = ("{task.description}", BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    threads = max(1, (os.cpu_count() or 1) // workers)
    pool = _Pool(threads, quiet)
    executor = ThreadPoolExecutor(workers)
    futures = {executor.submit(pool.run, job): index for index, job in enumerate(jobs)}
    try:
        with Progress(*columns, disable=quiet, transient=True) as progress:
            task = progress.add_task("separating", total=len(jobs))
            for future in as_completed(futures):
                index = futures[future]
                lines, reason = future.result()
                for line, warning in lines:
                    print_message(line, warning=warning)
                if reason is not None:
                    failed[index] = reason
                    print_message(f"error: {reason}", warning=True)
                progress.advance(task)
    finally:
        executor.shutdown(wait=False, cancel_futures=True)
        pool.stop()
        executor.shutdown(wait=True)


class _Pool:
    """Processes that separate one recording each.

    Args:
        threads: of each process.
        quiet: they report warnings only.
    """

    def __init__(self, threads: int, quiet: bool) -> None:
        self._context = multiprocessing.get_context("spawn")
        self._threads, self._quiet = threads, quiet
        self._lock = threading.Lock()
        self._alive: set[multiprocessing.process.BaseProcess] = set()
        self._stopped = False

    def run(self, job: Job) -> tuple[list[tuple[str, bool]], str | None]:
        """Run a job; returns what it says, and why it failed or None."""
        ours, theirs = self._context.Pipe(duplex=False)
        process = self._context.Process(
            target=_work, args=(job, theirs, self._threads, self._quiet), daemon=True
        )
        with self._lock:
            if self._stopped:
                return [], "stopped"
            process.start()
            self._alive.add(process)
        theirs.close()
        try:
            result: tuple[list[tuple[str, bool]], str | None] = ours.recv()
        except EOFError:
            result = [], f"{job.path}: its process ended without a word: killed, or out of memory?"
        process.join()
        with self._lock:
            self._alive.discard(process)
        return result

    def stop(self) -> None:
        """End all processes; they leave nothing half written."""
        with self._lock:
            self._stopped = True
            alive = list(self._alive)
        for process in alive:
            process.terminate()


class _Collector(logging.Handler):
    """Keeps lines, to be printed by the process that started this one."""

    def __init__(self, job: Job) -> None:
        super().__init__()
        self.lines: list[tuple[str, bool]] = []
        self._job = job

    def emit(self, record: logging.LogRecord) -> None:
        from .settings import speak_of_options

        warning = record.levelno >= logging.WARNING
        text = record.getMessage()
        if warning:
            text = speak_of_options(text, os.fspath(self._job.path))
        self.lines.append((text, warning))


def _work(job: Job, connection: Connection, threads: int, quiet: bool) -> None:
    """What a process does; the one that started it tells it when to stop."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for name in _THREADS:
        os.environ.setdefault(name, str(threads))
    from ..cli import leave_on_signals

    leave_on_signals()
    import torch

    torch.set_num_threads(threads)
    collector = _Collector(job)
    with messages(job.path, quiet=quiet, handler=collector):
        reason = job.attempt()
    connection.send((collector.lines, reason))
