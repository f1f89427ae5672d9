"""NumPy files of a project, opened one at a time.

NumPy parses the head of a file as a Python literal, and in Python 3.11 two threads that do so at
the same time may fail (SystemError: AST constructor recursion depth mismatch; CPython issue
106905). The studio answers in threads.
"""

from __future__ import annotations

from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

_LOCK = Lock()


def open_array(path: Path) -> NDArray[Any]:
    """Open an array, whose values are read where they are needed.

    Raises:
        OSError, ValueError: as `numpy.load`.
    """
    with _LOCK:
        array: NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
    return array
