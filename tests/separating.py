"""Separation in memory with all stems in one array, as tests compare them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from src.arrays import separate_array


@dataclass(frozen=True)
class Arrays:
    """Stems [J, T] or [J, C, T], residual, F0 [J, N] on the frame grid, and parameters."""

    stems: NDArray[np.float32]
    residual: NDArray[np.float32]
    f0: NDArray[np.float32]
    parameters: dict[str, NDArray[np.floating]]


def separate(*arguments: Any, **settings: Any) -> Arrays:
    """As `src.arrays.separate_array`."""
    result = separate_array(*arguments, **settings)
    parameters = dict(result.parameters)
    f0 = parameters.pop("f0")
    return Arrays(np.stack(list(result.stems.values())), result.residual, f0, parameters)
