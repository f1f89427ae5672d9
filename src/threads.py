"""Several things computed at the same time, each with its share of PyTorch's threads.

An operation that is spread over threads waits for the last of them; thousands of small ones wait
most of the time. Things that do not depend on each other need no waiting.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import ContextVar, copy_context
from threading import Event
from typing import TypeVar

import torch

T = TypeVar("T")
R = TypeVar("R")

_unwanted: ContextVar[Event | None] = ContextVar("unwanted", default=None)


class _NotWantedError(Exception):
    """Raised in work whose result nobody waits for; nobody sees it."""


def give_up_if_unwanted() -> None:
    """End work of `map_in_threads` here if its result is no longer wanted.

    Long work calls it now and then, so that Ctrl-C or an error elsewhere need not wait for it.
    """
    event = _unwanted.get()
    if event is not None and event.is_set():
        raise _NotWantedError


def map_in_threads(
    function: Callable[[T], R], items: Iterable[T], *, most: int
) -> Iterator[tuple[T, R]]:
    """Call a function of every item, several at a time, in threads.

    As many run at a time as PyTorch has threads, but at most `most`; each has an equal share of
    them for its own operations. With one thread, the calls happen here, one after the other.
    Gradients are computed where they are here; what is told of progress reaches who listens here.

    Args:
        function: must be safe to call from several threads.
        items: read by the caller's thread, at most one more than run at a time.
        most: how many run at a time; each needs memory.

    Yields:
        Each item and its result, in the order of the items.
    """
    threads = torch.get_num_threads()
    workers = max(1, min(threads, most))
    if workers == 1:
        for item in items:
            yield item, function(item)
        return

    graded, inference = torch.is_grad_enabled(), torch.is_inference_mode_enabled()
    unwanted = Event()

    def call(item: T) -> R:
        _unwanted.set(unwanted)
        with torch.inference_mode(inference), torch.set_grad_enabled(graded):
            return function(item)

    # The number of threads belongs to the thread that sets it, but that of some libraries to all.
    pool = ThreadPoolExecutor(workers, "umss", torch.set_num_threads, (threads // workers,))
    waiting: deque[tuple[T, Future[R]]] = deque()
    try:
        for item in items:
            waiting.append((item, pool.submit(copy_context().run, call, item)))
            if len(waiting) > workers:
                done, result = waiting.popleft()
                yield done, result.result()
        while waiting:
            done, result = waiting.popleft()
            yield done, result.result()
    finally:
        unwanted.set()
        pool.shutdown(cancel_futures=True)
        torch.set_num_threads(threads)
