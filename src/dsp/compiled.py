"""Compiled loops on the CPU, their rows spread over PyTorch's threads.

Rows run in ordinary threads (the kernels release the interpreter lock) instead of numba's parallel
backend, whose thread pools abort after a fork or when two Python threads enter them.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import torch
from numba import njit

# Reassociation lets the K-term sums use vector registers; NaN and infinity keep their meaning.
jit = njit(nogil=True, cache=True, fastmath={"reassoc", "contract"}, error_model="numpy")


def run_over_rows(kernel: Callable[..., Any], rows: int, *arguments: Any) -> list[Any]:
    """Call `kernel` on contiguous blocks of rows, one block per thread.

    NumPy arrays of two or three dimensions, whose first dimension is `rows`, are cut into blocks;
    windows (one dimension) and numbers are passed unchanged.

    Returns:
        The results of the calls, in the order of the blocks.
    """
    workers = min(torch.get_num_threads(), rows)
    if workers <= 1:
        return [kernel(*arguments)]
    edges = np.linspace(0, rows, workers + 1).astype(int)

    def run_block(i: int) -> Any:
        part = slice(edges[i], edges[i + 1])
        return kernel(*(x[part] if getattr(x, "ndim", 0) >= 2 else x for x in arguments))

    with ThreadPoolExecutor(workers) as pool:
        return list(pool.map(run_block, range(workers)))
