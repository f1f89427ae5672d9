"""Pages to listen to in a browser: what is seen, keys, accessibility, requests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from src.listening.page import write_page
from tests.listening.accessibility import list_serious
from tests.listening.voices import NASTY, make_page
from tests.listening.waiting import wait_for

PHONE, DESK = {"width": 390, "height": 844}, {"width": 1280, "height": 900}


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("pages") / "Bäche #1, 100 %.html"
    write_page(path, make_page())
    return path


@pytest.fixture
def page(browser: Any, path: Path) -> Iterator[Any]:
    """A page in which nothing may fail and nothing may be fetched."""
    context = browser.new_context(viewport=DESK)
    page = context.new_page()
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("dialog", lambda dialog: complaints.append(dialog.message))
    allowed = (path.parent.as_uri(), "data:")
    page.on(
        "request",
        lambda request: None if request.url.startswith(allowed) else complaints.append(request.url),
    )
    page.goto(path.as_uri())
    wait_for(page, "listening.rows.every((row) => row.overview)")
    yield page
    assert not complaints
    context.close()


def state(page: Any, name: str) -> Any:
    return page.evaluate(f"listening.player.{name}")


def test_it_plays_and_stops(page: Any) -> None:
    page.get_by_role("button", name="Play").click()
    wait_for(page, "listening.player.position > 0.2 && listening.player.level() > 0.01")
    page.get_by_role("button", name="Pause").click()
    stopped = state(page, "position")
    page.wait_for_timeout(200)
    assert state(page, "position") == stopped and not state(page, "playing")
    page.evaluate("listening.seek(2.8)")
    page.keyboard.press(" ")
    wait_for(page, "!listening.player.playing && listening.player.position === 3")


def test_sound_beside_the_page_is_found(browser: Any, tmp_path: Path) -> None:
    path = tmp_path / "Bäche #1, 100 %.html"
    write_page(path, make_page(1.0), single=False)
    context = browser.new_context()
    page = context.new_page()
    page.goto(path.as_uri())
    page.evaluate("listening.player.play()")
    wait_for(page, "listening.player.level() > 0.01")
    for file in (tmp_path / "Bäche #1, 100 %_files").iterdir():
        file.unlink()
    page.goto(path.as_uri())
    page.wait_for_selector("#failure:not([hidden])")
    assert "sound-0-0.js is missing" in page.inner_text("#failure")
    context.close()


def test_every_key_does_what_the_list_says(page: Any) -> None:
    keys = page.keyboard
    keys.press("ArrowRight")
    assert state(page, "position") == 2
    keys.press("a")
    keys.press("End")
    assert state(page, "position") == 3
    assert state(page, "loop") == {"start": 2, "end": 3} and state(page, "looping")
    keys.press("l")
    assert not state(page, "looping")
    keys.press("Home")
    keys.press("b")
    assert state(page, "position") == 0
    keys.press("Escape")
    assert state(page, "loop") is None
    keys.press("ArrowDown")
    keys.press("s")
    assert [track["solo"] for track in state(page, "tracks")] == [False, True] + [False] * 4
    keys.press("c")
    keys.press("m")
    assert state(page, "tracks[1].muted") and not state(page, "tracks[1].solo")
    keys.press("Shift+Digit3")
    keys.press("Digit4")
    assert state(page, "tracks[2].muted") and state(page, "tracks[3].solo")
    keys.press("+")
    keys.press("+")
    keys.press("-")
    assert state(page, "tracks[1].gain") == 1
    keys.press(",")
    keys.press(",")
    keys.press(".")
    assert state(page, "tempo") == 0.95
    keys.press("z")
    assert page.evaluate("listening.pictures.shown.end - listening.pictures.shown.start") == 1.5
    keys.press("x")
    keys.press("v")
    assert page.evaluate("listening.pictures.waves")
    theme = page.evaluate("document.documentElement.dataset.theme")
    keys.press("d")
    assert page.evaluate("document.documentElement.dataset.theme") != theme
    keys.press("n")
    wait_for(page, "listening.player.playing && listening.player.position >= 0.5")
    keys.press(" ")
    keys.press("?")
    assert page.get_by_role("dialog").is_visible()
    assert "waveforms or spectrograms" in page.inner_text("dialog")
    keys.press("Escape")
    assert not page.get_by_role("dialog").is_visible()


def test_buttons_and_pictures_can_be_used(page: Any) -> None:
    page.get_by_role("button", name="Solo alto").first.click()
    assert state(page, "tracks[1].solo")
    page.get_by_role("slider", name="Gain of alto").first.fill("-6")
    assert state(page, "tracks[1].gain") == -6
    page.get_by_role("slider", name="Tempo").fill("60")
    assert state(page, "tempo") == 0.6
    page.get_by_role("slider", name="Position").fill("1.5")
    assert state(page, "position") == 1.5
    wait_for(page, "$('.track:nth-child(2) .pitch').textContent === 'G3 +35 ct'")
    box = page.locator(".track .picture").nth(1).bounding_box()
    y = box["y"] + 20
    page.mouse.click(box["x"] + box["width"] / 3, y)
    assert state(page, "position") == pytest.approx(1, abs=0.01)
    page.mouse.move(box["x"] + box["width"] / 3, y)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 2 / 3, y, steps=4)
    page.mouse.up()
    loop = state(page, "loop")
    assert (loop["start"], loop["end"]) == pytest.approx((1, 2), abs=0.02)
    page.get_by_role("button", name="Listen at 0:01.0").click()
    wait_for(page, "listening.player.playing")
    page.get_by_role("combobox", name="Recording").select_option("1")
    assert not state(page, "playing")
    assert page.locator(".track").count() == 4
    assert page.inner_text(".track:nth-child(3) .name") == NASTY


def test_slow_pictures_of_short_parts_are_loaded(page: Any) -> None:
    wait_for(page, "listening.pictures.tiles.size === 1")
    before = page.evaluate("listening.rows[1].canvas.toDataURL()")
    page.keyboard.press("z")
    assert page.evaluate("listening.rows[1].canvas.toDataURL()") != before


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("size", [PHONE, DESK], ids=["phone", "desk"])
def test_everybody_can_use_it(browser: Any, path: Path, theme: str, size: dict[str, int]) -> None:
    context = browser.new_context(viewport=size, color_scheme=theme)
    page = context.new_page()
    page.goto(path.as_uri())
    wait_for(page, "listening.rows.every((row) => row.overview)")
    assert page.evaluate("document.documentElement.dataset.theme") == theme
    assert page.evaluate("document.documentElement.scrollWidth") <= size["width"]
    page.evaluate("listening.toggleSolo(1)")
    assert not list_serious(page)
    page.keyboard.press("?")
    assert not list_serious(page)
    context.close()


def test_paper_is_white_and_has_no_controls(page: Any) -> None:
    page.evaluate("document.documentElement.dataset.theme === 'dark' || $('#theme').click()")
    page.keyboard.press("z")
    page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
    page.emulate_media(media="print")
    assert page.evaluate("document.documentElement.dataset.theme") == "light"
    assert page.evaluate("listening.pictures.shown.end - listening.pictures.shown.start") == 3
    assert not page.locator("#play").is_visible() and not page.locator(".two").first.is_visible()
    assert (
        page.locator(".track canvas").first.is_visible()
        and page.locator("table").first.is_visible()
    )
    page.evaluate("window.dispatchEvent(new Event('afterprint'))")
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
