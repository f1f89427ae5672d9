"""The Triton kernels: interpreted against the compiled CPU loops, and compiled without a GPU."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

pytest.importorskip("triton", reason="the CUDA kernels need triton, which is not installed")

ROOT = Path(__file__).parents[2]

INTERPRETED = """
import builtins
import torch
from src.dsp import allpole_cpu as cpu, allpole_cuda as cuda
from src.dsp.lpc import reflection_to_lpc

# Triton's interpreter holds numbers as arrays of one element, which NumPy >= 2.4 no longer takes
# for an index.
cuda.range = lambda n: builtins.range(n if isinstance(n, int) else n.handle.data.item())

generator = torch.Generator().manual_seed(0)

def draw(*shape):
    return torch.randn(shape, generator=generator)

def compare(found, expected, tolerance):
    found = found if isinstance(found, tuple) else (found,)
    expected = expected if isinstance(expected, tuple) else (expected,)
    for one, two in zip(found, expected, strict=True):
        assert one.dtype == two.dtype and one.shape == two.shape
        torch.testing.assert_close(one, two, rtol=tolerance, atol=tolerance)

for rows, samples, hop, order in [(3, 23, 8, 3), (2, 16, 8, 4), (1, 5, 8, 1), (35, 9, 4, 2)]:
    a = reflection_to_lpc(draw(rows, -(-samples // hop), order).tanh() * 0.9)
    window = torch.hann_window(2 * hop, dtype=torch.float64)
    for dtype, tolerance in ((torch.float32, 1e-6), (torch.float64, 1e-12)):
        e, g = draw(rows, samples).to(dtype), draw(rows, samples).to(dtype)
        y = cpu.samplewise_forward(e, a, hop)
        compare(cuda.ola_forward(e, a, window, hop), cpu.ola_forward(e, a, window, hop), tolerance)
        compare(
            cuda.ola_backward(e, a, window, hop, g),
            cpu.ola_backward(e, a, window, hop, g),
            tolerance,
        )
        compare(cuda.samplewise_forward(e, a, hop), y, tolerance)
        compare(
            cuda.samplewise_backward(y, a, hop, g),
            cpu.samplewise_backward(y, a, hop, g),
            tolerance,
        )
print("same")
"""


def run_python(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1", **environment},
        capture_output=True,
        text=True,
        timeout=250,
        check=False,
    )


def test_interpreted_kernels_match_the_cpu() -> None:
    result = run_python(INTERPRETED, TRITON_INTERPRET="1")
    assert result.stdout.strip() == "same", result.stderr[-3000:]


@pytest.mark.parametrize(
    "kernel", ["_constant_forward", "_constant_backward", "_varying_forward", "_varying_adjoint"]
)
def test_kernels_compile_for_a_gpu_that_is_not_here(kernel: str, tmp_path: Path) -> None:
    """Triton brings its own assembler, so code generation is checked on any Linux machine."""
    code = f"""
import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from src.dsp import allpole_cuda

kernel = allpole_cuda.{kernel}
numbers = ("n_steps", "n_lanes", "n_frames", "hop")
signature = {{
    name: "constexpr" if name in ("order", "lanes") else "i32" if name in numbers else "*fp64"
    for name in kernel.arg_names
}}
source = ASTSource(fn=kernel, signature=signature, constexprs={{"order": 20, "lanes": 32}})
compiled = triton.compile(source, target=GPUTarget("cuda", 80, 32), options={{"num_warps": 1}})
assert len(compiled.asm["cubin"]) > 0
print("compiled", compiled.metadata.shared)
"""
    result = run_python(code, TRITON_CACHE_DIR=str(tmp_path))
    # Lanes share nothing, so no shared memory is used and no barrier is needed.
    assert result.stdout.strip() == "compiled 0", result.stderr[-3000:]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_kernels_on_the_gpu_match_the_cpu() -> None:
    from src.dsp import allpole_cpu as cpu
    from src.dsp import allpole_cuda as cuda
    from src.dsp.lpc import reflection_to_lpc

    generator = torch.Generator().manual_seed(0)
    window = torch.hann_window(512, dtype=torch.float64)
    for rows, samples in ((1, 256), (7, 5000)):
        frames = -(-samples // 256)
        a = reflection_to_lpc(torch.randn(rows, frames, 20, generator=generator).mul(0.3).tanh())
        e = torch.randn(rows, samples, generator=generator)
        g = torch.randn(rows, samples, generator=generator)
        y = cpu.samplewise_forward(e, a, 256)
        gpu = {"e": e.cuda(), "a": a.cuda(), "w": window.cuda(), "g": g.cuda(), "y": y.cuda()}
        pairs = [
            (
                (cuda.ola_forward(gpu["e"], gpu["a"], gpu["w"], 256),),
                (cpu.ola_forward(e, a, window, 256),),
            ),
            (
                cuda.ola_backward(gpu["e"], gpu["a"], gpu["w"], 256, gpu["g"]),
                cpu.ola_backward(e, a, window, 256, g),
            ),
            ((cuda.samplewise_forward(gpu["e"], gpu["a"], 256),), (y,)),
            (
                cuda.samplewise_backward(gpu["y"], gpu["a"], 256, gpu["g"]),
                cpu.samplewise_backward(y, a, 256, g),
            ),
        ]
        for found, expected in pairs:
            for one, two in zip(found, expected, strict=True):
                torch.testing.assert_close(one.cpu(), two, rtol=1e-5, atol=1e-6)
