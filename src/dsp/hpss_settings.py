"""Settings of the harmonic-percussive decomposition (`src.dsp.hpss.hpss`), checked.

All functions raise `UmssError` for what cannot be used.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from ..errors import UmssError


def _to_pair(value: object, name: str) -> tuple[object, object]:
    """Expand one value for both filters to (harmonic, percussive)."""
    if not isinstance(value, Sequence):
        return value, value
    if isinstance(value, str) or len(value) != 2:
        raise UmssError(f"{name}={value} must be one number or two: (harmonic, percussive)")
    return value[0], value[1]


def check_kernel_sizes(kernel_size: int | Sequence[int]) -> tuple[int, int]:
    """Lengths of the medians along time and frequency."""
    sizes = []
    for k in _to_pair(kernel_size, "kernel_size"):
        if not isinstance(k, int | np.integer) or isinstance(k, bool) or k < 1:
            raise UmssError(
                f"kernel_size={kernel_size} must be whole numbers of at least 1; a typical range "
                "is 15 to 51 frames or bins"
            )
        sizes.append(int(k))
    return sizes[0], sizes[1]


def check_margins(margin: float | Sequence[float]) -> tuple[float, float]:
    """Margins of the harmonic and of the percussive component."""
    factors = []
    for m in _to_pair(margin, "margin"):
        try:
            factors.append(float(m))  # type: ignore[arg-type]
        except (TypeError, ValueError):
            factors.append(math.nan)
    if not all(m >= 1.0 for m in factors):
        raise UmssError(f"margin={margin} must be at least 1; a typical range is 1 to 10")
    return factors[0], factors[1]


def check_power(power: float) -> float:
    """The exponent of the masks as a plain number."""
    try:
        exponent = float(power)
    except (TypeError, ValueError):
        exponent = math.nan
    if not exponent > 0:
        raise UmssError(f"power={power} must be positive; 2 gives Wiener masks, inf hard masks")
    return exponent
