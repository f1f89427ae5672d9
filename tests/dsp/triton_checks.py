"""Checks of Triton kernels on machines without a GPU, each in its own Python process."""

from __future__ import annotations

from pathlib import Path

from tests.processes import run_python

# Start of a script that draws inputs and compares two modules of kernels.
PREAMBLE = """
import builtins
import torch

# Triton's interpreter holds numbers as arrays of one element, which NumPy >= 2.4 no longer takes
# for an index.
def plain_range(n):
    return builtins.range(n if isinstance(n, int) else n.handle.data.item())

generator = torch.Generator().manual_seed(0)

def draw(*shape):
    return torch.randn(shape, generator=generator)

def compare(found, expected, tolerance):
    found = found if isinstance(found, tuple) else (found,)
    expected = expected if isinstance(expected, tuple) else (expected,)
    for one, two in zip(found, expected, strict=True):
        assert one.dtype == two.dtype and one.shape == two.shape
        torch.testing.assert_close(one, two, rtol=tolerance, atol=tolerance)
"""

COMPILED = """
import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from {module} import {kernel} as kernel

numbers = ("n_steps", "n_lanes", "n_frames", "n_samples", "hop")
signature = {{
    name: "constexpr" if name in ("order", "lanes") else "i32" if name in numbers else "*fp64"
    for name in kernel.arg_names
}}
source = ASTSource(fn=kernel, signature=signature, constexprs={{"order": 20, "lanes": 32}})
compiled = triton.compile(source, target=GPUTarget("cuda", 80, 32), options={{"num_warps": 1}})
assert len(compiled.asm["cubin"]) > 0
print("compiled", compiled.metadata.shared)
"""


def check_interpreted(code: str) -> None:
    """Run `code` after PREAMBLE under Triton's interpreter; it must not raise."""
    result = run_python("-c", PREAMBLE + code + '\nprint("same")\n', TRITON_INTERPRET="1")
    assert result.stdout.strip() == "same", result.stderr[-3000:]


def check_compiles(module: str, kernel: str, cache: Path) -> None:
    """Triton brings its own assembler, so code generation is checked on any Linux machine."""
    code = COMPILED.format(module=module, kernel=kernel)
    result = run_python("-c", code, TRITON_CACHE_DIR=str(cache))
    # Lanes share nothing, so no shared memory is used and no barrier is needed.
    assert result.stdout.strip() == "compiled 0", result.stderr[-3000:]
