"""What axe-core finds wrong with a page in the browser."""

from __future__ import annotations

from typing import Any

import pytest


def list_serious(page: Any) -> list[str]:
    """The serious findings, each with its first place; skips the test where axe is missing."""
    axe = pytest.importorskip(
        "axe_playwright_python.sync_playwright",
        reason="axe is missing: pip install axe-playwright-python",
    )
    return [
        f"{found['id']}: {found['nodes'][0]['html']}"
        for found in axe.Axe().run(page).response["violations"]
        if found["impact"] in ("serious", "critical")
    ]
