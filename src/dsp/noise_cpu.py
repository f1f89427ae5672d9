"""White noise on the CPU: the hash of `src.dsp.noise` in a compiled loop."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from .compiled import jit, run_over_rows


@jit
def _mix(x):  # type: ignore[no-untyped-def]
    # Every step is cut to 32 bits: products of such words have 64 here.
    x = np.uint32((x ^ (x >> np.uint32(16))) * np.uint32(0x7FEB352D))
    x = np.uint32((x ^ (x >> np.uint32(15))) * np.uint32(0x846CA68B))
    return np.uint32(x ^ (x >> np.uint32(16)))


@jit
def _fill(rows, samples, noise):  # type: ignore[no-untyped-def]
    scale, one = np.float32(2.0**-23), np.float32(1.0)
    for r in range(noise.shape[0]):
        row = rows[r, 0]
        for t in range(noise.shape[1]):
            word = _mix(samples[t] ^ row) >> np.uint32(8)
            noise[r, t] = np.float32(word) * scale - one


def fill(rows: Tensor, samples: Tensor) -> Tensor:
    """Noise [R, T] from the hashes of R rows and of T samples (32-bit words as int64)."""
    noise = torch.empty(len(rows), len(samples))
    words = (rows.numpy().astype(np.uint32)[:, None], samples.numpy().astype(np.uint32))
    run_over_rows(_fill, len(rows), *words, noise.numpy())
    return noise
