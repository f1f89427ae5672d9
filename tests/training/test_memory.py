"""The allocator's setting, in a process of its own: it cannot be taken back."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

SCRIPT = """
import resource, torch
from src.training.memory import keep_freed_memory
print(keep_freed_memory())
for _ in range(4):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    a = torch.zeros(9_000_000)
    b = a + 1
    c = a * b
    del a, b, c
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="glibc alone can be told so")
def test_freed_tensors_are_used_again() -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True
    )
    known, faults = done.stdout.split()
    # Three fresh blocks of 36 MB would touch about 8 800 pages each.
    assert known == "True"
    assert int(faults) < 12_000
