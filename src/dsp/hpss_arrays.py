"""NumPy arrays through `src.dsp.hpss.hpss`: the types, and the layout, that librosa's results have.

librosa 0.11 makes masks by NumPy's rules from the medians, which have the type of the input, and
divides by their maximum, which is float32 for integers. So masks of integers of 8 and 16 bits are
float32 and those of wider ones float64; an exponent that is a NumPy scalar counts, a Python number
does not. Hard masks are boolean, and components the product of input and mask.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..errors import UmssError

Masks = Callable[[Tensor], tuple[Tensor, ...]]


def split_array(
    S: NDArray[Any],  # noqa: N803 - librosa's name
    compute_masks: Masks,
    *,
    power: float,
    mask: bool,
    residual: bool,
) -> tuple[NDArray[Any], ...]:
    """Split a NumPy array into components, or compute its masks.

    Args:
        S: [..., F, N] of booleans, integers, or real or complex numbers of single or double
            precision; any layout and byte order, also read-only.
        compute_masks: gives (harmonic, percussive) masks [..., F, N] of magnitudes [..., F, N],
            float32 or float64.
        power: exponent of the masks.
        mask, residual: see `src.dsp.hpss.hpss`.

    Returns:
        Two or three arrays [..., F, N], laid out like S.

    Raises:
        UmssError: another type.
    """
    S = np.asarray(S)  # subclasses have products of their own
    if S.dtype.kind not in "biufc" or S.dtype.itemsize > (16 if S.dtype.kind == "c" else 8):
        raise _refuse(S.dtype)
    if S.dtype == np.float16:
        raise _refuse(S.dtype)
    if not S.dtype.isnative:
        S = S.astype(S.dtype.newbyteorder("="), order="K")
    magnitude = np.abs(S) if np.iscomplexobj(S) else S
    kind = find_mask_type(magnitude.dtype, power)
    masks = [_lay_out(found, S, kind) for found in compute_masks(_as_tensor(magnitude))]
    if mask:
        return (*masks, _find_rest(*masks)) if residual else tuple(masks)
    # librosa multiplies by the phase, which is the whole number 1 where there is none.
    parts = [S * m if np.iscomplexobj(S) else S * m * 1 for m in masks]
    return (*parts, S - (parts[0] + parts[1])) if residual else tuple(parts)


def find_mask_type(magnitudes: np.dtype[Any], power: float) -> np.dtype[Any]:
    """The type of librosa's masks for magnitudes of a type."""
    if math.isinf(power):
        return np.dtype(bool)
    scale = magnitudes if magnitudes.kind == "f" else np.dtype(np.float32)
    share = np.zeros(1, magnitudes) / np.ones(1, scale)
    return (share**power).dtype


def _refuse(dtype: np.dtype[Any]) -> UmssError:
    return UmssError(
        f"S must hold integers or numbers of single or double precision, got {dtype}; use "
        "S.astype(np.float32)"
    )


def _as_tensor(magnitude: NDArray[Any]) -> Tensor:
    """Magnitudes as a tensor; integers as float64, as in librosa's comparisons of medians."""
    kind = magnitude.dtype if magnitude.dtype.kind == "f" else np.dtype(np.float64)
    plain = magnitude.astype(kind, order="K", copy=False)
    # PyTorch takes neither negative strides nor arrays that may not be written.
    usable = plain.flags.writeable and all(stride >= 0 for stride in plain.strides)
    return torch.from_numpy(plain if usable else plain.copy(order="C"))


def _lay_out(found: Tensor, like: NDArray[Any], kind: np.dtype[Any]) -> NDArray[Any]:
    result = np.empty_like(like, dtype=kind)
    result[...] = found.numpy()
    return result


def _find_rest(harmonic: NDArray[Any], percussive: NDArray[Any]) -> NDArray[Any]:
    """What two masks leave; rounding may leave less than nothing."""
    if harmonic.dtype == bool:
        return ~(harmonic | percussive)
    return np.maximum(1 - (harmonic + percussive), 0, dtype=harmonic.dtype)
