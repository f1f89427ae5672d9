"""Commands in processes of their own, and what may be asked of results of two processes.

Sums in another number of threads round differently, and so may another process: what two processes
or two numbers of threads computed is compared within `ROUNDING`, bit by bit only what one process
computed twice with as many threads. No test judges by time: `PATIENCE` is for commands that hang,
`MUCH_PATIENCE` for those of slow tests.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from numpy.typing import ArrayLike

ROOT = Path(__file__).parents[1]
ROUNDING = 1e-5  # of full scale; a fault of the method is a hundred times as large
PATIENCE, MUCH_PATIENCE = 400, 1700  # seconds
Done = subprocess.CompletedProcess[str]


def own_threads() -> dict[str, str]:
    """Environment in which a command computes with this process's number of threads."""
    threads = str(torch.get_num_threads())
    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
    return {**os.environ, **dict.fromkeys(names, threads)}


def run_python(
    *arguments: str,
    cwd: Path = ROOT,
    check: bool = False,
    patience: float = PATIENCE,
    **environment: str,
) -> Done:
    """`python ARGUMENTS` with this process's number of threads, its output caught.

    Args:
        arguments: as Python takes them: `-m` and a module, or `-c` and a program.
        cwd: the folder it runs in, by default the repository's.
        check: raise where it ends with another code than 0.
        patience: seconds after which it counts as hanging.
        environment: variables to add.
    """
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=cwd, env=own_threads() | environment, capture_output=True, text=True, check=False,
        timeout=patience,
    )  # fmt: skip
    assert not check or done.returncode == 0, done.stderr
    return done


def assert_same_sound(found: ArrayLike, expected: ArrayLike, message: str = "") -> None:
    """Samples of full scale 1 differ by rounding alone."""
    np.testing.assert_allclose(found, expected, rtol=0, atol=ROUNDING, err_msg=message)


def assert_same_learning(
    found: Mapping[str, torch.Tensor], expected: Mapping[str, torch.Tensor]
) -> None:
    """Weights differ by no more than rounding in the steps that led to them.

    All weights together: a gradient that is nothing but rounding moves its weight by a whole step
    of Adam in one process and by none in another. Two instead of one thread change a training of
    tests by 0.1 % of its weights, a lost epoch by 2 %, a lost schedule by 10 %.
    """
    assert found.keys() == expected.keys()
    numbers = [
        torch.cat([w[name].double().flatten() for name in expected]) for w in (found, expected)
    ]
    distance = float((numbers[0] - numbers[1]).norm() / numbers[1].norm())
    assert distance < 5e-3, distance
