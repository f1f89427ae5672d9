"""Runs one evaluation in several processes; the table is the same as from one process.

The unit of work is a piece: consecutive whole batches, the same as in one process, because a kernel
may sum in another order if the batch size differs. The tables of the pieces are joined in the order
of the batches, whichever process finished them first.
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
from .frames import SnrSettings
from .speed import Stopwatch

# Several pieces per process, so that fast processes take work from slow ones. Every piece costs one
# extra separation, the warm-up that is not timed.
_PIECES_PER_WORKER = 4
# Read by the numeric libraries when they are loaded.
_THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


@dataclass(frozen=True)
class Task:
    """The settings that every process of an evaluation needs.

    Attributes:
        separator: configuration of the method with its `_target_`, in plain values.
        excerpts: the test set.
        batches: for every batch, the addresses of its items in the test set.
        collate: joins items to a batch.
        seeds, bss, snr: see `src.metrics.evaluation.evaluate`.
        errors, errors_seed: errors to add to the F0 tracks, and their seed.
    """

    separator: dict[str, Any]
    excerpts: Dataset[Any]
    batches: list[list[Any]]
    collate: Any
    seeds: list[int]
    bss: bool | str
    errors: F0Errors
    errors_seed: int
    snr: SnrSettings = SnrSettings()  # noqa: RUF009 (frozen)

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
        snr: SnrSettings = SnrSettings(),  # noqa: B008 (frozen)
    ) -> Task:
        """Task that evaluates a method on all batches of a loader."""
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
            snr=snr,
        )

    def evaluate(
        self,
        separator: Separator,
        batches: Sequence[list[Any]],
        stopwatch: Stopwatch,
        stop: Any = None,
    ) -> pd.DataFrame:
        """Evaluate some of the batches; it stops with an error when `stop.value` is not 0."""
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
            served = _serve_until_stopped(served, stop)
        return evaluate(
            separator, served, seeds=self.seeds, bss=self.bss, snr=self.snr, stopwatch=stopwatch
        )


def _serve_until_stopped(batches: Iterable[dict[str, Any]], stop: Any) -> Iterator[dict[str, Any]]:
    for batch in batches:
        if stop.value:
            raise InterruptedError("the evaluation was stopped")
        yield batch


def evaluate_sharded(
    task: Task, *, workers: int, threads: int, device: str = "cpu"
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Evaluate in several processes.

    Args:
        task: what to evaluate.
        workers: number of processes, at most one per batch.
        threads: CPU threads of each process.
        device: device of the separator. With "cuda" the processes take turns on the machine's GPUs;
            a GPU with a number ("cuda:1") is shared by all of them.

    Returns:
        The table of `src.metrics.evaluation.evaluate`, and the measures of `Stopwatch.summarise`
        over all processes: sums of seconds, the largest peak of any one process, and "workers".

    Raises:
        UmssError: nothing to evaluate. Errors of `evaluate` are passed on, from the first batch
            that fails.
        ChildProcessError: a process was killed.
    """
    n_batches = len(task.batches)
    if not n_batches:
        raise UmssError("nothing to evaluate: the test set has no excerpt")
    workers = min(workers, n_batches)
    n_pieces = min(n_batches, _PIECES_PER_WORKER * workers)
    pieces = [part.tolist() for part in np.array_split(np.arange(n_batches), n_pieces)]
    # Not forked: CUDA and the threads of the numeric libraries do not work after a fork.
    context = multiprocessing.get_context("spawn")
    numbers = context.SimpleQueue()
    for number in range(workers):
        numbers.put(number)
    # Without a lock, which a killed process would never release.
    stop = context.RawValue("b", 0)
    pool = ProcessPoolExecutor(workers, context, _start, (task, threads, device, numbers, stop))
    try:
        with _limit_threads(threads):  # processes start when they are given work
            futures = [pool.submit(_evaluate_piece, piece) for piece in pieces]
        # In this order, so that of several errors the first one is reported, as in one process.
        results = [f.result() for f in track(futures, "evaluating", transient=True)]
    except BaseException as error:
        # The other results are not needed. The processes stop after their current batch; if they
        # were killed, the pool might wait for ever.
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
    return frames, _combine([speed for _, speed in results], workers)


def _combine(speeds: Sequence[dict[str, Any]], workers: int) -> dict[str, Any]:
    """Combine the measures of all pieces."""
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
def _limit_threads(threads: int) -> Iterator[None]:
    """Limit the threads of all numeric libraries in processes that are started inside."""
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


# The code below runs in the worker processes.
_task: Task | None = None
_stop: Any = None
_separator: Separator | None = None


def _start(task: Task, threads: int, device: str, numbers: Any, stop: Any) -> None:
    global _task, _stop
    _task, _stop = task, stop
    # Ctrl-C reaches all processes of the terminal; only the parent should handle it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_leave_with_parent, daemon=True).start()
    torch.set_num_threads(threads)
    number = numbers.get()
    if device == "cuda":
        torch.cuda.set_device(number % torch.cuda.device_count())


def _leave_with_parent() -> None:
    """End this process if its parent is killed; it would wait for work for ever."""
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
    return frames, stopwatch.summarise()
