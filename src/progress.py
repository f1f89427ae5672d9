"""How far slow work is: told where it is done, shown by whoever waits for it.

The work calls `tell`; it needs to know nothing of bars, nor of who listens, and where nobody does,
nothing happens.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from rich import get_console
from rich.markup import escape
from rich.progress import Progress

_listener: ContextVar[Callable[[float], object] | None] = ContextVar("progress", default=None)


def tell(share: float) -> None:
    """Say how much of the work is done, 0 to 1."""
    listener = _listener.get()
    if listener is not None:
        listener(share)


@contextmanager
def listen(listener: Callable[[float], object] | None) -> Iterator[None]:
    """Give a function what is told while the block runs; None = nobody listens."""
    token = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(token)


@contextmanager
def stretch(start: float, stop: float) -> Iterator[None]:
    """Tell of the block as of a part of the work, from `start` to `stop`."""
    listener = _listener.get()
    if listener is None:
        yield
        return
    with listen(lambda share: listener(start + share * (stop - start))):
        yield
    listener(stop)


@contextmanager
def show_bar(said: str, *, wanted: bool = True) -> Iterator[None]:
    """Show a bar, with the time left, of what is told while the block runs.

    It goes when the block ends, and is not there where the output is no terminal.

    Args:
        said: what is done.
        wanted: whether there is a bar at all.
    """
    shown = wanted and get_console().is_terminal
    with Progress(transient=True, disable=not shown) as bar:
        task = bar.add_task(escape(said), total=1.0)
        with listen(lambda share: bar.update(task, completed=share)):
            yield
