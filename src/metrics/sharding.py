"""One evaluation shared out over processes, with the table that one process would write.

The unit of work is a piece of consecutive whole batches, the same batches that one process would
see: a kernel may sum in another order when the size of the batch is another. The pieces' tables
are put together in the order of the batches, whichever process made them and when.
"""

from __future__ import annotations

import multiprocessing
import multiprocessing.connection
import os
import signal
import threading
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf
from rich.progress import track
from torch.utils.data import DataLoader, Dataset

from ..errors import UmssError
from ..f0.errors import F0Errors, perturb_batches
from ..separator import Separator
from .evaluation import evaluate
from .speed import Stopwatch

# Enough for a process that is done early to take over work of a slow one; every piece costs the
# separation of one excerpt more, the one that is not timed.
_PIECES_PER_WORKER = 4
# Read by the numeric libraries when they are loaded.
_THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


@dataclass(frozen=True)
class Task:
    """What every process of an evaluation needs to know.

    Attributes:
        separator: configuration of the method, plain values with a `_target_`.
        excerpts: the test set.
        batches: for every batch, the addresses of its items in the test set.
        collate: makes a batch of items.
        seeds, bss: see `src.metrics.evaluation.evaluate`.
        errors, errors_seed: errors put into the F0 tracks.
    """

    separator: dict[str, Any]
    excerpts: Dataset[Any]
    batches: list[list[Any]]
    collate: Any
    seeds: list[int]
    bss: bool | str
    errors: F0Errors
    errors_seed: int

    @classmethod
    def of(
        cls,
        loader: DataLoader[Any],
        *,
        separator: dict[str, Any],
        seeds: Sequence[int],
        bss: bool | str,
        errors: F0Errors,
        errors_seed: int,
    ) -> Task:
        """The evaluation of a method on everything that a loader serves."""
        assert loader.batch_sampler is not None
        return cls(
            separator=separator,
            excerpts=loader.dataset,
            batches=list(loader.batch_sampler),
            collate=loader.collate_fn,
            seeds=list(seeds),
            bss=bss,
            errors=errors,
            errors_seed=errors_seed,
        )

    def evaluate(
        self,
        separator: Separator,
        batches: Sequence[list[Any]],
        stopwatch: Stopwatch,
        stop: Any = None,
    ) -> pd.DataFrame:
        """The rows of some of the batches; `stop.value` other than 0 ends it with an error."""
        loader: DataLoader[Any] = DataLoader(
            self.excerpts,
            batch_sampler=batches,  # type: ignore[arg-type]
            collate_fn=self.collate,
            generator=torch.Generator(),  # or it would draw from the global state
        )
        served: Iterable[dict[str, Any]] = loader
        if self.errors.any:
            served = perturb_batches(served, self.errors, self.errors_seed)
        if stop is not None:
            served = _until(served, stop)
        return evaluate(separator, served, seeds=self.seeds, bss=self.bss, stopwatch=stopwatch)


def _until(batches: Iterable[dict[str, Any]], stop: Any) -> Iterator[dict[str, Any]]:
    for batch in batches:
        if stop.value:
            raise InterruptedError("the evaluation was stopped")
        yield batch


def evaluate_sharded(
    task: Task, *, workers: int, threads: int, device: str = "cpu"
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Evaluate in processes of their own.

    Args:
        task: what to evaluate.
        workers: number of processes; no more are started than there are batches.
        threads: CPU threads of each.
        device: of the separator. With "cuda" the processes take the machine's GPUs in turn; a
            GPU with a number ("cuda:1") is shared by all of them.

    Returns:
        The table of `src.metrics.evaluation.evaluate`, and the measures of `Stopwatch.summary`
        over all processes: sums of seconds, the largest peak of any one process, and "workers".

    Raises:
        ValueError: nothing to evaluate; and whatever `evaluate` raises, for the first batch that
            it is raised for.
        ChildProcessError: a process was killed.
    """
    n_batches = len(task.batches)
    if not n_batches:
        raise UmssError("nothing to evaluate: the test set has no excerpt")
    workers = min(workers, n_batches)
    n_pieces = min(n_batches, _PIECES_PER_WORKER * workers)
    pieces = [part.tolist() for part in np.array_split(np.arange(n_batches), n_pieces)]
    # Not forked: neither CUDA nor the threads of the numeric libraries survive a fork.
    context = multiprocessing.get_context("spawn")
    numbers = context.SimpleQueue()
    for number in range(workers):
        numbers.put(number)
    # Without a lock, which a process that is killed could take with it.
    stop = context.RawValue("b", 0)
    pool = ProcessPoolExecutor(workers, context, _start, (task, threads, device, numbers, stop))
    try:
        with _limited_threads(threads):  # processes start when they are given work
            futures = [pool.submit(_evaluate_piece, piece) for piece in pieces]
        # In this order, so that of several errors the one is told that one process would meet.
        results = [f.result() for f in track(futures, "evaluating", transient=True)]
    except BaseException as error:
        # Nobody waits for the rest. The processes end by themselves after their current batch:
        # ended from outside they may leave the pool waiting for ever.
        stop.value = 1
        pool.shutdown(wait=False, cancel_futures=True)
        if isinstance(error, BrokenProcessPool):
            raise ChildProcessError(
                "a process of the evaluation ended before its work was done (killed, or out of "
                f"memory?); try fewer than workers={workers}, or a smaller data.batch_size"
            ) from error
        raise
    finally:
        pool.shutdown(wait=True)
    frames = pd.concat([table for table, _ in results], ignore_index=True)
    return frames, _combined([speed for _, speed in results], workers)


def _combined(speeds: Sequence[dict[str, Any]], workers: int) -> dict[str, Any]:
    """Measures of all pieces together."""
    total = {k: sum(s[k] for s in speeds) for k in ("seconds", "cpu_seconds", "audio_seconds")}
    return {
        **total,
        "real_time_factor": total["seconds"] / total["audio_seconds"],
        "peak_memory_gb": max(speed["peak_memory_gb"] for speed in speeds),
        "device": speeds[0]["device"],
        "threads": speeds[0]["threads"],
        "workers": workers,
    }


@contextmanager
def _limited_threads(threads: int) -> Iterator[None]:
    """Processes started inside have so many threads in all numeric libraries."""
    before = {name: os.environ.get(name) for name in _THREAD_VARIABLES}
    os.environ.update(dict.fromkeys(_THREAD_VARIABLES, str(threads)))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


# What follows runs in the processes.
_task: Task | None = None
_stop: Any = None
_separator: Separator | None = None


def _start(task: Task, threads: int, device: str, numbers: Any, stop: Any) -> None:
    global _task, _stop
    _task, _stop = task, stop
    # Ctrl-C reaches every process of the terminal; the first one ends the others.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_leave_with_parent, daemon=True).start()
    torch.set_num_threads(threads)
    number = numbers.get()
    if device == "cuda":
        torch.cuda.set_device(number % torch.cuda.device_count())


def _leave_with_parent() -> None:
    """Without this, processes whose parent was killed would wait for work for ever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        multiprocessing.connection.wait([parent.sentinel])
        os._exit(1)


def _evaluate_piece(batches: Sequence[int]) -> tuple[pd.DataFrame, dict[str, Any]]:
    global _separator
    assert _task is not None
    if _separator is None:
        _separator = instantiate(OmegaConf.create(_task.separator))
    stopwatch = Stopwatch(_separator.device)
    frames = _task.evaluate(_separator, [_task.batches[i] for i in batches], stopwatch, _stop)
    return frames, stopwatch.summary()
