"""Commands in processes of their own, with as many threads as this process has.

Sums in another number of threads round differently, and so may another process: what two processes
computed is compared within `ROUNDING`, bit by bit only what one process computed twice.
"""

from __future__ import annotations

import os

import torch

ROUNDING = 1e-5  # of full scale; a fault of the method is a hundred times as large
# Guards against a command that hangs; no test judges by time.
PATIENCE = 1200  # seconds


def own_threads() -> dict[str, str]:
    """Environment in which a command computes with this process's number of threads."""
    threads = str(torch.get_num_threads())
    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
    return {**os.environ, **dict.fromkeys(names, threads)}
