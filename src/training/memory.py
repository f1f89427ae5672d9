"""How the C library keeps memory that tensors give back."""

from __future__ import annotations

import ctypes

# Names and values of <malloc.h>.
_M_TRIM_THRESHOLD = -1
_M_MMAP_MAX = -4
_LARGEST_INT = 2**31 - 1


def keep_freed_memory() -> bool:
    """Let freed tensors be used again instead of going back to the operating system.

    glibc maps every large block anew, and the kernel fills it with zeros page by page when it is
    first touched; in a training step on the CPU that costs as much as a tenth of the computation.
    Blocks are kept from now on; the peak stays what it was.

    Returns:
        Whether the C library is one that can be told so (glibc).
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return False
    return all(mallopt(*pair) for pair in ((_M_MMAP_MAX, 0), (_M_TRIM_THRESHOLD, _LARGEST_INT)))
