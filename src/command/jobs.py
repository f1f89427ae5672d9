"""All recordings of a command line: one after the other, or several at a time."""

from __future__ import annotations

import multiprocessing
import multiprocessing.process
import os
import signal
import sys
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from multiprocessing.connection import Connection

from .separation import Job, Printer, print_message, show_messages

Worker = tuple[multiprocessing.process.BaseProcess, Connection]
Result = tuple[list[tuple[str, bool]], str | None]
_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


def run_in_turn(jobs: Sequence[Job], failed: dict[int, str], *, quiet: bool) -> None:
    """Separate one recording after the other.

    Args:
        jobs: the recordings.
        failed: gets the reasons of those that fail, by their number.
        quiet: say nothing but warnings.
    """
    for index, job in enumerate(jobs):
        with show_messages(Printer(job.path, named=len(jobs) > 1), quiet=quiet):
            if len(jobs) > 1 and not quiet and not job.dry_run:
                print_message(f"[{index + 1}/{len(jobs)}] {job.path}")
            reason = job.attempt()
        if reason is not None:
            failed[index] = reason
            if len(jobs) > 1:
                print_message(f"error: {reason}", True)


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
                    print_message(line, warning)
                if reason is not None:
                    failed[index] = reason
                    print_message(f"error: {reason}", True)
                progress.advance(task)
    finally:
        executor.shutdown(wait=False, cancel_futures=True)
        pool.stop()
        executor.shutdown(wait=True)


class _Pool:
    """Processes that separate one recording after the other; they start when they are needed.

    Args:
        threads: of each process.
        quiet: they report warnings only.
    """

    def __init__(self, threads: int, quiet: bool) -> None:
        self._context = multiprocessing.get_context("spawn")
        self._arguments = threads, quiet
        self._lock = threading.Lock()
        self._idle: list[Worker] = []
        self._all: list[Worker] = []
        self._stopped = False

    def run(self, job: Job) -> Result:
        """Run a job; returns what it says, and why it failed or None."""
        try:
            worker = self._take()
            worker[1].send(job)
            result: Result = worker[1].recv()
        except (EOFError, OSError):
            return [], f"{job.path}: its process ended without a word: killed, or out of memory?"
        with self._lock:
            self._idle.append(worker)
        return result

    def _take(self) -> Worker:
        with self._lock:
            if self._stopped:
                raise EOFError
            if self._idle:
                return self._idle.pop()
            ours, theirs = self._context.Pipe()
            process = self._context.Process(
                target=_work, args=(theirs, *self._arguments), daemon=True
            )
            process.start()
            theirs.close()
            self._all.append((process, ours))
            return self._all[-1]

    def stop(self) -> None:
        """End all processes; they leave nothing half written."""
        with self._lock:
            self._stopped = True
        for process, _ in self._all:
            process.terminate()
        for process, _ in self._all:
            process.join()


def _work(connection: Connection, threads: int, quiet: bool) -> None:
    """What a process does; the one that started it tells it when to stop."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    for name in _THREADS:
        os.environ.setdefault(name, str(threads))
    import torch

    torch.set_num_threads(threads)
    while True:
        try:
            job = connection.recv()
        except EOFError:
            return
        lines: list[tuple[str, bool]] = []

        def keep(line: str, warning: bool, lines: list[tuple[str, bool]] = lines) -> None:
            lines.append((line, warning))

        with show_messages(Printer(job.path, named=True, say=keep), quiet=quiet):
            reason = job.attempt()
        connection.send((lines, reason))
