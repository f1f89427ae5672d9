"""The allocator's setting, in a process of its own: it cannot be taken back."""

from __future__ import annotations

import platform

import pytest

from tests.processes import run_python

# What glibc says of its memory: `hblks` blocks came from the system one by one, `fordblks`
# bytes are free and kept. (Page faults would say how fast it is, but depend on the machine's load.)
SCRIPT = """
import ctypes, sys, torch
from src.training.memory import keep_freed_memory

names = ("arena ordblks smblks hblks hblkhd usmblks fsmblks uordblks fordblks keepcost").split()
Info = type("Info", (ctypes.Structure,), {"_fields_": [(n, ctypes.c_size_t) for n in names]})
read = ctypes.CDLL(None).mallinfo2
read.restype = Info
if sys.argv[1] == "keep":
    print(keep_freed_memory())
before = read().hblks
a = torch.zeros(9_000_000)
b = a + 1
single = read().hblks - before
del a, b
print(single, read().fordblks)
"""
BLOCKS = 2 * 9_000_000 * 4  # bytes


def has_mallinfo2() -> bool:
    library, version = platform.libc_ver()
    return library == "glibc" and tuple(map(int, version.split(".")[:2])) >= (2, 33)


@pytest.mark.skipif(not has_mallinfo2(), reason="glibc from 2.33 on alone can be told and asked so")
def test_freed_tensors_are_used_again() -> None:
    known, kept = run_python("-c", SCRIPT, "keep", check=True).stdout.splitlines()
    single, free = map(int, kept.split())
    assert known == "True"
    assert single == 0 and free >= BLOCKS
    single, free = map(int, run_python("-c", SCRIPT, "as it is", check=True).stdout.split())
    assert single == 2 and free < BLOCKS
