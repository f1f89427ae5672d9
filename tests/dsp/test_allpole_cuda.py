"""The Triton kernels: interpreted against the compiled CPU loops, and compiled without a GPU."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests.dsp.triton_checks import check_compiles, check_interpreted

pytest.importorskip("triton", reason="the CUDA kernels need triton, which is not installed")

INTERPRETED = """
from src.dsp import allpole_cpu as cpu, allpole_cuda as cuda
from src.dsp.lpc import reflection_to_lpc

cuda.range = plain_range
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
"""


def test_interpreted_kernels_match_the_cpu() -> None:
    check_interpreted(INTERPRETED)


@pytest.mark.slow
@pytest.mark.parametrize(
    "kernel", ["_constant_forward", "_constant_backward", "_varying_forward", "_varying_adjoint"]
)
def test_kernels_compile_for_a_gpu_that_is_not_here(kernel: str, tmp_path: Path) -> None:
    check_compiles("src.dsp.allpole_cuda", kernel, tmp_path)


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
