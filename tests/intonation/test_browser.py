"""The page of `umss intonation` in a browser: everybody can use it, and it asks nobody."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from src.intonation.measures import measure_intonation
from tests.intonation.singing import sing
from tests.listening.accessibility import list_serious

PHONE, DESK = {"width": 390, "height": 844}, {"width": 1280, "height": 900}
NASTY = "</script><script>alert(1)</script>&\"' ÄÖ"
LONG = "Soprano-of-the-second-choir-who-stands-far-on-the-left"


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    names = (LONG, NASTY, "tenor", "bass")
    measures = measure_intonation(sing(seconds=25, sharp=23, late=60, names=names))
    return measures.save(tmp_path_factory.mktemp("Bäche #1, 100 %"), "Lied & co")["page"]


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("size", [PHONE, DESK], ids=["phone", "desk"])
def test_everybody_can_use_it(browser: Any, path: Path, theme: str, size: dict[str, int]) -> None:
    context = browser.new_context(viewport=size, color_scheme=theme)
    page = context.new_page()
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("dialog", lambda dialog: complaints.append(dialog.message))
    page.on(
        "request",
        lambda request: (
            None
            if request.url == path.as_uri() or request.url.startswith("data:")
            else complaints.append(request.url)
        ),
    )
    page.goto(path.as_uri())
    # All there is, and all of it opened.
    assert page.locator("figure").count() == 4
    page.evaluate("document.querySelectorAll('details').forEach((d) => { d.open = true; })")
    assert not list_serious(page)
    for shown in (theme, {"light": "dark", "dark": "light"}[theme]):
        assert page.evaluate("document.documentElement.dataset.theme") == shown
        assert page.evaluate("document.documentElement.scrollWidth") <= size["width"]
        assert page.locator(f"img.{shown}").first.is_visible()
        page.keyboard.press("d")
    # A table that is wider than the page scrolls alone, and the names of its rows stay.
    table = page.locator(".scroll:has(table)").first
    table.evaluate("(box) => { box.scrollLeft = box.scrollWidth; }")
    edges = [table.bounding_box()["x"], table.locator("tbody th").first.bounding_box()["x"]]
    assert edges[1] == pytest.approx(edges[0], abs=1)
    assert not complaints
    context.close()
