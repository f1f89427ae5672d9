"""Waiting for a page."""

from __future__ import annotations

from typing import Any


def wait_for(page: Any, expression: str, *, patience: float = 60.0) -> None:
    """Ask until a JavaScript expression is true; the page's own policy forbids it to ask itself."""
    for _ in range(round(patience / 0.05)):
        if page.evaluate(expression):
            return
        page.wait_for_timeout(50)
    raise AssertionError(f"{expression} did not come true in {patience:g} s")
