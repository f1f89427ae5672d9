"""The lattice's Triton kernels: interpreted against the CPU, and compiled without a GPU."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests.dsp.triton_checks import check_compiles, check_interpreted

pytest.importorskip("triton", reason="the CUDA kernels need triton, which is not installed")

INTERPRETED = """
from src.dsp import lattice_cpu as cpu, lattice_cuda as cuda

cuda.range = plain_range
for rows, samples, hop, order in [(3, 23, 8, 3), (2, 16, 8, 4), (1, 5, 8, 1), (35, 9, 4, 2)]:
    k = draw(rows, -(-samples // hop), order).double().tanh() * 0.9
    for dtype, tolerance in ((torch.float32, 1e-6), (torch.float64, 1e-12)):
        e, g = draw(rows, samples).to(dtype), draw(rows, samples).to(dtype)
        kept = cpu.lattice_forward(e, k, hop)
        compare(cuda.lattice_forward(e, k, hop), kept, tolerance)
        expected = cpu.lattice_backward(*kept[1:], k, hop, g)
        compare(cuda.lattice_backward(*kept[1:], k, hop, g), expected, tolerance)
        kept = cuda.lattice_forward(e, k, hop)
        compare(cuda.lattice_backward(*kept[1:], k, hop, g), expected, tolerance)
"""


def test_interpreted_kernels_match_the_cpu() -> None:
    check_interpreted(INTERPRETED)


@pytest.mark.slow
@pytest.mark.parametrize("kernel", ["_lattice_forward", "_lattice_backward"])
def test_kernels_compile_for_a_gpu_that_is_not_here(kernel: str, tmp_path: Path) -> None:
    check_compiles("src.dsp.lattice_cuda", kernel, tmp_path)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_kernels_on_the_gpu_match_the_cpu() -> None:
    from src.dsp import lattice_cpu as cpu
    from src.dsp import lattice_cuda as cuda

    generator = torch.Generator().manual_seed(0)
    for rows, samples in ((1, 256), (7, 5000), (35, 700)):
        frames = -(-samples // 256)
        k = torch.randn(rows, frames, 20, generator=generator).mul(0.3).tanh().double()
        e = torch.randn(rows, samples, generator=generator)
        g = torch.randn(rows, samples, generator=generator)
        kept = cpu.lattice_forward(e, k, 256)
        expected = (*kept, *cpu.lattice_backward(*kept[1:], k, 256, g))
        on_gpu = cuda.lattice_forward(e.cuda(), k.cuda(), 256)
        found = (*on_gpu, *cuda.lattice_backward(*on_gpu[1:], k.cuda(), 256, g.cuda()))
        for one, two in zip(found, expected, strict=True):
            torch.testing.assert_close(one.cpu(), two, rtol=1e-5, atol=1e-6)
