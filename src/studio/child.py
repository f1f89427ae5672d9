"""The child process: reads requests as lines of JSON, answers likewise, and dies with its parent.

    {"step": "separate", "place": {...}}   a step of a job (`src.studio.steps`)
    {"call": "preview_edit", "with": {...}}   a short request (`src.studio.calls`)

Answers: {"progress": 0.3, "said": "..."} while it works, then {"done": {...}}, or {"error": "..."}.
"""

from __future__ import annotations

import ctypes
import json
import os
import queue
import signal
import sys
import threading
import traceback
from contextlib import suppress
from time import monotonic
from typing import Any, TextIO

EVERY = 0.2  # seconds between two reports


def limit_memory(size: int | None) -> None:
    """Let this process have at most `size` bytes of memory of its own."""
    if size is None:
        return
    import resource

    # What is written to counts; address space that is only reserved does not.
    kind = resource.RLIMIT_DATA if sys.platform == "linux" else resource.RLIMIT_AS
    with suppress(ValueError, OSError):  # macOS does not know every limit
        resource.setrlimit(kind, (size, size))


def die_with_parent() -> None:
    """End this process when its parent ends, however that ends (Linux; elsewhere see `main`)."""
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


def main() -> None:
    """Serve requests from the standard input until it ends."""
    die_with_parent()
    limit_memory(int(sys.argv[1]) or None if len(sys.argv) > 1 else None)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the server's
    # Libraries may print: only answers go to the standard output.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1)
    os.dup2(2, 1)
    requests: queue.Queue[str] = queue.Queue()
    threading.Thread(target=_listen, args=(requests,), daemon=True).start()
    while True:
        _serve(json.loads(requests.get()), answers)


def _listen(requests: queue.Queue[str]) -> None:
    """Read requests; when the parent has gone, the input ends, and so does this process."""
    for line in sys.stdin:
        requests.put(line)
    os._exit(1)


def _serve(request: dict[str, Any], answers: TextIO) -> None:
    lock = threading.Lock()
    last = -1.0

    def answer(content: dict[str, Any]) -> None:
        with lock:
            answers.write(json.dumps(content) + "\n")
            answers.flush()

    def report(share: float, said: str) -> None:
        nonlocal last
        now = monotonic()
        if now - last > EVERY or share in (0.0, 1.0):
            last = now
            answer({"progress": share, "said": said})

    from ..messages import user_message

    try:
        name = request["step"] if "step" in request else request["call"]
        if "step" in request:
            from .place import Place
            from .steps import STEPS

            done = STEPS[name](Place.read(request["place"]), report)
        else:
            from .calls import CALLS

            done = CALLS[name](**request["with"])
        answer({"done": done})
    except Exception as error:
        message = user_message(error)
        if message is None:
            traceback.print_exc()
            message = (
                f"a fault of the program ({type(error).__name__}); what happened is printed in "
                "the terminal of umss studio"
            )
        elif isinstance(error, MemoryError):
            message = "there is not enough memory for this; see memory_gb of umss studio --help"
        answer({"error": message})


if __name__ == "__main__":
    main()
