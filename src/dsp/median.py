"""Running medians along one dimension, with mirrored ends.

The same values as `scipy.ndimage.median_filter(mode="reflect")`: ends are mirrored with the edge
sample repeated (d c b a | a b c d | d c b a), over and over where the window is longer than the
signal (where scipy, for windows longer than eight signals, reads outside the array); a window of
even size reaches one sample further back than forward and yields the upper of its two middle
values.

On the CPU, the windows of many neighbouring signals are kept sorted side by side, so that vector
instructions replace one sample in all of them without a branch. Elsewhere PyTorch selects from
unfolded windows, a bounded block at a time.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from numba import njit
from torch import Tensor

LANES = 64  # signals filtered side by side: their windows should fit the nearest cache
BLOCK_ELEMENTS = 1 << 26  # unfolded samples in memory at once, off the CPU

jit = njit(nogil=True, cache=True, error_model="numpy")


def median_filter(
    x: Tensor, size: int, *, dim: int, start: int = 0, stop: int | None = None
) -> Tensor:
    """Running median along one dimension.

    The gradient of a median is that of the sample it was taken from; of several equal samples, the
    first in the window.

    Args:
        x: [...], float32 or float64, finite.
        size: samples in a window, at least 1; output i sees samples i - size // 2 to
            i - size // 2 + size - 1.
        dim: dimension to filter along.
        start, stop: outputs to compute, by default all; samples outside them are seen.

    Returns:
        [...], with stop - start outputs along `dim`.

    Raises:
        ValueError: another type, no samples, or a size below 1.
    """
    if x.dtype not in (torch.float32, torch.float64):
        raise ValueError(f"x must be float32 or float64, got {x.dtype}; convert it with .float()")
    if size < 1:
        raise ValueError(f"size must be at least 1, got {size}")
    n = x.shape[dim]
    stop = n if stop is None else stop
    if x.numel() == 0 or not 0 <= start < stop <= n:
        raise ValueError(f"nothing to filter: shape {list(x.shape)}, outputs {start} to {stop}")
    moved = x.movedim(dim, -2) if x.ndim > 1 else x.unsqueeze(-1)
    # [R, n, Q]: filtered along the middle. The last dimension stays last if it can, so that memory
    # is read in order.
    rows = moved.reshape(-1, n, moved.shape[-1])
    index = mirror_ends(n, size, start, stop).to(x.device)
    run = _filter_on_cpu if x.device.type == "cpu" else select_medians
    with torch.no_grad():
        medians = run(rows.detach(), index, size)
    if torch.is_grad_enabled() and x.requires_grad:
        medians = rows.gather(1, _find_positions(rows.detach(), medians, index, size))
    shaped = medians.reshape(*moved.shape[:-2], stop - start, moved.shape[-1])
    return shaped.movedim(-2, dim) if x.ndim > 1 else shaped.squeeze(-1)


def mirror_ends(n: int, size: int, start: int, stop: int) -> Tensor:
    """List the samples seen by outputs start ... stop - 1 of n: int64 [stop - start + size - 1]."""
    wanted = torch.arange(start - size // 2, stop - size // 2 + size - 1) % (2 * n)
    return torch.minimum(wanted, 2 * n - 1 - wanted)


def select_medians(x: Tensor, index: Tensor, size: int) -> Tensor:
    """Select medians of x [R, P, Q] along its middle: [R, len(index) - size + 1, Q]."""
    n_out = len(index) - size + 1
    out = x.new_empty(x.shape[0], n_out, x.shape[2])
    step = max(1, BLOCK_ELEMENTS // (size * x.shape[0] * x.shape[2]))
    for begin in range(0, n_out, step):
        end = min(begin + step, n_out)
        windows = x[:, index[begin : end + size - 1]].unfold(1, size, 1)
        out[:, begin:end] = windows.kthvalue(size // 2 + 1, dim=-1).values
    return out


def _find_positions(x: Tensor, medians: Tensor, index: Tensor, size: int) -> Tensor:
    """Find the position along the middle of x [R, P, Q] of each median: int64 like `medians`."""
    found = torch.zeros_like(medians, dtype=torch.int64)
    # From the last place of the window to the first, so that the first one remains.
    for j in range(size - 1, -1, -1):
        source = index[j : j + medians.shape[1]]
        found = torch.where(x[:, source] == medians, source[:, None], found)
    return found


def _filter_on_cpu(x: Tensor, index: Tensor, size: int) -> Tensor:
    out = x.new_empty(x.shape[0], len(index) - size + 1, x.shape[2])
    if x.stride(1) < x.stride(2):
        out = out.transpose(1, 2).contiguous().transpose(1, 2)
    lanes = min(LANES, x.shape[2])
    n_blocks = x.shape[0] * -(-x.shape[2] // lanes)
    workers = min(torch.get_num_threads(), n_blocks)
    arguments = (x.numpy(), index.numpy(), size, lanes, out.numpy())
    if workers == 1:
        _filter_blocks(*arguments, 0, n_blocks)
        return out
    edges = np.linspace(0, n_blocks, workers + 1).astype(int)
    # Ordinary threads, for the reasons given in `src.dsp.allpole_cpu`.
    with ThreadPoolExecutor(workers) as pool:
        for job in [
            pool.submit(_filter_blocks, *arguments, edges[i], edges[i + 1]) for i in range(workers)
        ]:
            job.result()
    return out


@jit
def _load(x, row, first, index, padded):  # type: ignore[no-untyped-def]
    """padded[p, l] = x[row, index[p], first + l]; the loops follow the memory of x."""
    lanes = min(padded.shape[1], x.shape[2] - first)
    if x.strides[1] < x.strides[2]:
        for lane in range(lanes):
            for p in range(index.shape[0]):
                padded[p, lane] = x[row, index[p], first + lane]
    else:
        for p in range(index.shape[0]):
            for lane in range(lanes):
                padded[p, lane] = x[row, index[p], first + lane]


@jit
def _replace(window, old, new, carry):  # type: ignore[no-untyped-def]
    """Take one `old` out of the sorted columns of window [size, lanes] and put `new` in.

    Without `old`, position i holds d_i = window_i or, from the position of `old` on, window_i+1;
    with `new`, it holds the middle one of d_i-1, new and d_i.
    """
    size, lanes = window.shape
    carry[:] = -np.inf
    for i in range(size - 1):
        for lane in range(lanes):
            here, following = window[i, lane], window[i + 1, lane]
            rest = here if here < old[lane] else following
            low = new[lane] if new[lane] < rest else rest
            window[i, lane] = low if low > carry[lane] else carry[lane]
            carry[lane] = rest
    for lane in range(lanes):
        window[size - 1, lane] = new[lane] if new[lane] > carry[lane] else carry[lane]


@jit
def _filter_blocks(x, index, size, lanes, out, begin, end):  # type: ignore[no-untyped-def]
    """Medians along the middle of x [R, P, Q], for blocks of `lanes` places of its end.

    `lanes` is an argument, because the compiler makes no vector instructions of short loops whose
    length it knows.
    """
    n_out, width = out.shape[1], out.shape[2]
    per_row = (width + lanes - 1) // lanes
    padded = np.zeros((index.shape[0], lanes), x.dtype)
    window = np.empty((size, lanes), x.dtype)
    carry = np.empty(lanes, x.dtype)
    nothing = np.full(lanes, np.inf, x.dtype)
    for block in range(begin, end):
        row, first = block // per_row, block % per_row * lanes
        used = min(lanes, width - first)
        _load(x, row, first, index, padded)
        # The window is empty (all infinite) and filled by the first samples.
        window[:] = np.inf
        for p in range(n_out + size - 1):
            _replace(window, padded[p - size] if p >= size else nothing, padded[p], carry)
            if p >= size - 1:
                for lane in range(used):
                    out[row, p - size + 1, first + lane] = window[size // 2, lane]
