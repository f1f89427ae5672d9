"""Checks that a setting is a number within bounds."""

from __future__ import annotations

import math
from typing import Any

from .errors import UmssError


def check_whole(name: str, value: Any, low: int, high: int) -> None:
    """Check a whole number.

    Args:
        name: of the setting, for the message.
        value: what was given.
        low, high: bounds, both allowed.

    Raises:
        UmssError: another kind of value, or one out of bounds.
    """
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise UmssError(f"{name}={value!r}: give a whole number from {low} to {high}")


def check_number(name: str, value: Any, low: float, high: float) -> None:
    """Check a number; NaN is none.

    Raises:
        UmssError: another kind of value, or one out of bounds (both bounds are allowed).
    """
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not number or not math.isfinite(value) or not low <= value <= high:
        raise UmssError(f"{name}={value!r}: give a number from {low:g} to {high:g}")
