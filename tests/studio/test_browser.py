"""The studio in a browser, as people use it: errors are found and mended, by keys and by mouse."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile as sf

from tests.listening.accessibility import list_serious
from tests.listening.waiting import wait_for
from tests.studio.quartet import (
    NAMES,
    OCTAVE,
    SWAP,
    make_project,
    make_quartet,
    measure_cents,
    plant_errors,
    serve,
)
from tests.studio.singing import sing_file

DESK, TABLET, PHONE = (
    {"width": 1280, "height": 900},
    {"width": 820, "height": 1180},
    {"width": 390, "height": 844},
)
PARTS = ("setup", "pitch", "listen", "edit", "files")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_project(tmp_path_factory.mktemp("made"))


@pytest.fixture
def address(made: Path, tmp_path: Path) -> Iterator[str]:
    shutil.copytree(made, tmp_path / "projects" / "quartet")
    with serve(tmp_path / "projects") as found:
        yield found


@pytest.fixture
def page(browser: Any, address: str) -> Iterator[Any]:
    """The project in a page that may not complain."""
    context = browser.new_context(viewport=DESK)
    page = context.new_page()
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.complaints = complaints
    page.goto(f"{address}&project=quartet")
    wait_for(page, "window.studio?.listening && studio.editor.doubts.length > 1")
    yield page
    # The browser itself writes down every answer that is an error, also one that is shown.
    assert not [text for text in complaints if "status of 409" not in text]
    context.close()


def read_tracks(page: Any) -> np.ndarray:
    """The tracks [N, J] that the server has, Hz."""
    rows = page.evaluate(
        """async () => {
          const headers = {"X-UMSS-Token": sessionStorage.getItem("token")};
          const response = await fetch("/api/projects/quartet/tracks", {headers});
          const values = [...new Float32Array(await response.arrayBuffer())];
          const n = Number(response.headers.get("X-UMSS-Count"));
          const singers = values.length / n;
          return Array.from({length: singers}, (_, j) => values.slice(j * n, (j + 1) * n));
        }"""
    )
    return np.array(rows).T


def wait_for_revision(page: Any, revision: int) -> None:
    wait_for(page, f"studio.session.revision === {revision}")


def test_errors_are_found_and_mended_by_keys(page: Any) -> None:
    keys, right = page.keyboard, make_quartet()
    revision = page.evaluate("studio.session.revision")
    keys.press("n")
    assert "Place 1 of" in page.inner_text("#said") and "alto" in page.inner_text("#said")
    kind = page.evaluate("studio.editor.doubt.kind")
    mend = {"octave": "Control+Shift+ArrowDown", "exchange": "Shift+3"}
    keys.press(mend[kind])
    wait_for_revision(page, revision + 1)
    wait_for(page, "studio.editor.doubts.length === 1")
    keys.press("n")
    assert {kind, page.evaluate("studio.editor.doubt.kind")} == {"octave", "exchange"}
    assert "Y: " in page.inner_text("#said")
    keys.press("y")
    wait_for_revision(page, revision + 2)
    mended = read_tracks(page)
    assert measure_cents(mended, right) < 1.0
    untouched = np.ones(mended.shape, bool)
    untouched[OCTAVE, 1] = untouched[SWAP, 1] = untouched[SWAP, 2] = False
    np.testing.assert_array_equal(mended[untouched], right.astype(np.float32)[untouched])
    shown = page.evaluate("studio.session.tracks.map((track) => [...track])")
    np.testing.assert_array_equal(np.array(shown).T, mended)
    wait_for(page, "$('#places').textContent === 'Nothing looks suspicious.'")
    keys.press("Control+z")
    keys.press("Control+z")  # at once: changes follow one another
    wait_for_revision(page, revision + 4)
    np.testing.assert_array_equal(read_tracks(page), plant_errors(right).astype(np.float32))
    keys.press("Control+Shift+Z")
    wait_for_revision(page, revision + 5)
    assert "Made again" in page.inner_text("#said")


def find_point(page: Any, singer: int, seconds: float) -> tuple[float, float]:
    """Where a track is on the screen."""
    box = page.locator("#editor").bounding_box()
    x, y = page.evaluate(
        f"""() => {{
          const {{shown, view, root, session}} = studio.editor;
          const {{clientWidth: width, clientHeight: height}} = root;
          const hertz = session.tracks[{singer}][Math.round({seconds} / 0.016)];
          const share = ({seconds} - shown.start) / (shown.end - shown.start);
          return [share * width, view.yOf(hertz, height)];
        }}"""
    )
    return box["x"] + x + 1, box["y"] + y + 1


def draw_roughly(page: Any, singer: int, begin: float, end: float) -> None:
    """Draw along a track, a bit beside it; a line that sounds is waited for."""
    (x, y), right = find_point(page, singer, begin), find_point(page, singer, end)[0]
    page.mouse.move(x, y - 3)
    page.mouse.down()
    page.mouse.move((x + right) / 2, y + 3, steps=6)
    page.mouse.move(right, y - 2, steps=6)
    page.mouse.up()
    wait_for(page, "studio.editor.draft?.line")


def find_tone(response: Any) -> tuple[float, float]:
    """The loudest frequency of a sound that was sent, Hz, and its length in seconds."""
    samples, rate = sf.read(io.BytesIO(response.body()))
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples)), 1 << 18))
    return float(spectrum.argmax() * rate / (1 << 18)), len(samples) / rate


def test_a_drawn_line_is_heard_before_it_is_sent(page: Any) -> None:
    revision, before = page.evaluate("studio.session.revision"), read_tracks(page)
    page.keyboard.press("1")
    page.keyboard.press("p")

    # What is heard is what the line snapped to, and nothing is changed by it.
    def is_sung(response: Any) -> bool:
        return response.url.endswith("/preview/f0")

    page.evaluate("studio.editor.session.tracks[0].fill(587.3, 150, 200)")  # a place to aim at
    with page.expect_response(is_sung) as sung:
        draw_roughly(page, 0, 2.5, 3.0)
    line = page.evaluate("({...studio.editor.draft, f0: [...studio.editor.draft.line.f0]})")
    hertz, seconds = find_tone(sung.value)
    assert hertz == pytest.approx(np.median(line["f0"]), rel=0.005)
    assert seconds == pytest.approx(line["to"] - line["from"], abs=0.01)
    bar = page.get_by_role("group", name="The drawn line")
    assert bar.is_visible() and "A line for soprano" in bar.inner_text()
    assert "Enter takes it, Escape drops it" in page.inner_text("#said")
    page.keyboard.press("Escape")
    assert not bar.is_visible() and page.evaluate("studio.editor.draft") is None
    np.testing.assert_array_equal(read_tracks(page), before)
    # Again by keys, by the button, and taken back before it was taken.
    draw_roughly(page, 0, 2.5, 3.0)
    page.keyboard.press("Shift+H")  # quiet, if it is still heard
    page.wait_for_timeout(700)
    for hear_it in (
        lambda: page.keyboard.press("Shift+H"),
        lambda: page.get_by_role("button", name="Hear it").click(),
    ):
        with page.expect_response(is_sung):
            hear_it()
        page.wait_for_timeout(700)
    page.keyboard.press("Control+z")
    assert not bar.is_visible() and page.evaluate("studio.session.revision") == revision
    # It is taken as it was heard, by Enter or by the button.
    for n, take_it in enumerate(
        (
            lambda: page.keyboard.press("Enter"),
            lambda: page.get_by_role("button", name="Take it").click(),
        )
    ):
        draw_roughly(page, 0, 2.5 + n, 2.9 + n)
        first = page.evaluate("studio.editor.draft.line.first")
        line = page.evaluate("[...studio.editor.draft.line.f0]")
        take_it()
        wait_for_revision(page, revision + 1 + n)
        wait_for(page, "$('#draft').hidden")
        found = read_tracks(page)[first : first + len(line), 0]
        np.testing.assert_array_equal(found, np.float32(line))
        assert page.inner_text("#chosen").startswith("soprano")
    # A line that cannot be taken says so, and does not wait.
    page.keyboard.press("Shift+L")
    wait_for_revision(page, revision + 3)
    with page.expect_response(lambda response: response.url.endswith("/preview/operation")):
        (x, y), right = find_point(page, 0, 3.55), find_point(page, 0, 3.8)[0]
        page.mouse.move(x, y + 40)
        page.mouse.down()
        page.mouse.move(right, y + 40, steps=6)
        page.mouse.up()
    wait_for(page, "!$('#alarm').hidden")
    assert "locked" in page.inner_text("#failure") and not bar.is_visible()
    page.complaints[:] = [text for text in page.complaints if "status of 4" not in text]


def test_a_line_that_is_taken_is_no_longer_asked_for(page: Any) -> None:
    """Else the answer is that it changes nothing, since it was taken meanwhile."""
    from playwright.sync_api import Error

    revision = page.evaluate("studio.session.revision")
    held: list[Any] = []
    page.route("**/preview/f0", lambda route: held.append(route))
    page.keyboard.press("1")
    page.keyboard.press("p")
    with page.expect_request("**/preview/f0"):
        draw_roughly(page, 0, 2.5, 3.0)
    page.keyboard.press("Enter")
    wait_for_revision(page, revision + 1)
    for route in held:
        with suppress(Error):  # it was given up
            route.continue_()
    page.wait_for_timeout(300)
    assert not [text for text in page.complaints if "400" in text]


def test_a_track_is_chosen_drawn_and_cut(page: Any) -> None:
    def where(singer: int, seconds: float) -> tuple[float, float]:
        return find_point(page, singer, seconds)

    page.mouse.click(*where(2, 1.0))
    assert page.inner_text("#chosen").startswith("tenor, 0:00.00 to 0:01.8")
    page.mouse.move(*where(0, 2.5))
    page.mouse.down()
    page.mouse.move(*where(0, 3.0), steps=4)
    page.mouse.up()
    assert "soprano" in page.inner_text("#chosen")
    first, last = page.evaluate("[studio.editor.selection.first, studio.editor.selection.last]")
    assert (first * 0.016, last * 0.016) == pytest.approx((2.5, 3.0), abs=0.04)
    revision = page.evaluate("studio.session.revision")
    page.get_by_role("button", name="Silence", exact=True).click()
    wait_for_revision(page, revision + 1)
    assert not read_tracks(page)[first : last + 1, 0].any()
    # Drawn roughly, it snaps to what sounds.
    page.get_by_role("button", name="Draw", exact=True).click()
    x, y = where(0, 2.4)
    end = where(0, 3.1)[0]
    page.mouse.move(x, y - 3)
    page.mouse.down()
    page.mouse.move((x + end) / 2, y + 3, steps=6)
    page.mouse.move(end, y - 2, steps=6)
    page.mouse.up()
    page.keyboard.press("Enter")  # heard, and taken
    wait_for_revision(page, revision + 2)
    drawn = read_tracks(page)[first : last + 1, 0]
    assert measure_cents(drawn, make_quartet()[first : last + 1, 0]) < 30
    page.keyboard.press("Escape")  # no longer draws
    page.keyboard.press("Escape")  # chooses nothing
    page.keyboard.press("Home")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("4")
    page.keyboard.press("Enter")
    assert page.inner_text("#chosen").startswith("bass")
    page.keyboard.press("/")
    wait_for_revision(page, revision + 3)
    assert read_tracks(page)[62, 3] == 0
    # A box that is dragged is tracked again: what was cut is whole.
    page.get_by_role("button", name="Box", exact=True).click()
    (x, y), end = where(3, 0.5), where(3, 1.5)[0]
    page.mouse.move(x, y - 25)
    page.mouse.down()
    page.mouse.move(end, y + 25, steps=4)
    page.mouse.up()
    assert page.get_by_role("dialog", name="Track bass again in a box").is_visible()
    page.get_by_label("Near").fill("nonsense")
    page.get_by_role("button", name="Track again").last.click()
    assert page.get_by_role("dialog").is_visible()
    page.get_by_label("Near").fill("C3")
    page.get_by_role("button", name="Track again").last.click()
    wait_for_revision(page, revision + 4)
    assert measure_cents(read_tracks(page)[40:90, 3], make_quartet()[40:90, 3]) < 30
    page.keyboard.press("Control+Enter")
    wait_for(page, "studio.editor.candidates !== null")
    page.keyboard.press("Escape")
    page.mouse.move(x, y)
    seconds = page.evaluate("studio.editor.shown.end - studio.editor.shown.start")
    page.keyboard.down("Control")
    page.mouse.wheel(0, -240)
    page.keyboard.up("Control")
    wait_for(page, f"studio.editor.shown.end - studio.editor.shown.start < {0.6 * seconds}")


def test_pitches_suffice_for_how_well_they_sang(page: Any) -> None:
    page.click("#tab-files")
    page.wait_for_selector("#makers fieldset")
    assert page.get_by_role("button", name="Make the page").is_disabled()
    assert page.get_by_role("button", name="Measure").is_enabled()


@pytest.mark.slow
def test_how_well_they_sang_is_measured_without_stems(page: Any) -> None:
    page.click("#tab-files")
    page.get_by_role("button", name="Measure").click()
    wait_for(page, "studio.session.project.job?.state === 'done'")
    wait_for(page, "$('#downloads').textContent.includes('How well you sang')")
    with page.expect_download() as download:
        page.get_by_role("button", name="quartet_intonation.html").click()
    text = Path(download.value.path()).read_text(encoding="utf-8")
    assert "<h1>How well we sang: quartet</h1>" in text and "soprano, alto, tenor, bass" in text


def test_stems_are_seen_as_spectrograms_with_their_pitch(page: Any, tmp_path: Path) -> None:
    folder, right = tmp_path / "projects" / "quartet" / "separated", make_quartet()
    folder.mkdir()
    for j, name in enumerate(NAMES):
        sing_file(folder / f"quartet_{name}.wav", right[:, [j]])
    sing_file(folder / "quartet_residual.wav", 0 * right)
    (folder / "separation.json").write_text(json.dumps({"names": NAMES}), encoding="utf-8")
    page.reload()
    wait_for(page, "window.studio?.listening?.rows.length === 6")
    assert page.evaluate("studio.listening.pictures.tiles.size") == 0  # nobody looks at them yet
    page.click("#tab-listen")
    wait_for(page, "studio.listening.pictures.tiles.get(0)?.every(Boolean)")
    page.evaluate("studio.listening.seek(1)")
    wait_for(page, "$('.track:nth-child(2) .pitch').textContent.startsWith('C5')")
    # Each stem is bright where its pitch is drawn, and dark three semitones below.
    bright = page.evaluate(
        """() => {
          const {tiles, rows} = studio.listening.pictures;
          const {lowest, highest} = studio.listening.recording;
          return tiles.get(0).slice(1, 5).map(({grey: {width, height, values}}, k) => {
            const share = (hertz) => Math.log(highest / hertz) / Math.log(highest / lowest);
            const at = (hertz) => values[Math.round((height - 1) * share(hertz)) * width + 62];
            const hertz = rows[k + 1].f0[62];
            return [at(hertz), at(hertz / 2 ** 0.25)];
          });
        }"""
    )
    assert all(sung > beside + 60 for sung, beside in bright), bright
    page.keyboard.press("v")
    assert page.evaluate("studio.listening.pictures.waves")


@pytest.mark.slow
def test_nobody_is_overwritten_and_nothing_is_lost(browser: Any, page: Any, address: str) -> None:
    other = page.context.new_page()
    other.goto(f"{address}&project=quartet")
    wait_for(other, "window.studio?.listening && studio.editor.doubts.length > 1")
    revision = page.evaluate("studio.session.revision")
    page.keyboard.press("n")
    page.keyboard.press("Shift+L")
    wait_for_revision(page, revision + 1)
    wait_for_revision(other, revision + 1)
    assert "Another window: locked" in other.inner_text("#said")
    # A window that has missed a change is told so, and shows the state as it is.
    other.evaluate("studio.session.project.revision -= 1")
    other.keyboard.press("Enter")
    other.keyboard.press("Backspace")
    wait_for(other, "!$('#alarm').hidden")
    assert "Another window has changed the project" in other.inner_text("#failure")
    assert other.evaluate("studio.session.project.revision") == revision + 1
    page.keyboard.press("Control+z")
    wait_for_revision(other, revision + 2)
    other.close()
    # Nobody answers: a sentence, and what was typed stays.
    page.click("#tab-edit")
    page.context.set_offline(True)
    page.locator(".voice input[type=number]").first.fill("2")
    page.locator(".voice input[type=number]").first.press("Tab")
    wait_for(page, "$('#failure').textContent.startsWith('The studio does not answer')")
    assert page.locator(".voice input[type=number]").first.input_value() == "2"
    page.context.set_offline(False)
    page.locator(".voice input[type=number]").first.fill("3")
    wait_for(page, "studio.session.project.edits.soprano?.transpose === 3")
    page.reload()
    wait_for(page, "window.studio?.session?.project.edits.soprano?.transpose === 3")
    page.complaints[:] = [text for text in page.complaints if "ERR_INTERNET" not in text]


@pytest.mark.slow
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_everybody_can_use_it(browser: Any, address: str, theme: str) -> None:
    size = {"light": PHONE, "dark": TABLET}[theme]
    context = browser.new_context(viewport=size, color_scheme=theme)
    page = context.new_page()

    def check(what: str) -> None:
        assert page.evaluate("document.documentElement.scrollWidth") <= size["width"], what
        assert not list_serious(page), what

    page.goto(address)
    page.wait_for_selector("#projects .open")
    check("start")
    page.locator("#projects .open").click()
    wait_for(page, "window.studio?.listening && studio.editor.doubts.length > 1")
    page.keyboard.press("n")
    check("pitch")
    page.evaluate("studio.verbs.draft.begin([[2.4, 590], [3, 590]])")
    wait_for(page, "studio.editor.draft?.line")
    assert page.get_by_role("button", name="Take it").is_visible()
    check("a drawn line")
    page.keyboard.press("Escape")
    for part in PARTS:
        page.click(f"#tab-{part}")
        assert page.evaluate("document.documentElement.scrollWidth") <= size["width"], part
    check("files")
    page.keyboard.press("?")
    check("keys")
    context.close()


def test_without_the_token_only_keys_are_shown(browser: Any, address: str) -> None:
    context = browser.new_context()
    page = context.new_page()
    page.goto(address.partition("#")[0])
    wait_for(page, "!document.querySelector('#alarm').hidden")
    assert page.inner_text("#failure") == (
        "Open the address that umss studio printed in the terminal."
    )
    # They are those of the documentation.
    keys = page.evaluate(
        """[...document.querySelectorAll('#key-lists dt')].map((dt) => [
          dt.textContent.trim().replaceAll(/\\s+/g, ' '), dt.nextElementSibling.textContent])"""
    )
    text = (Path(__file__).parents[2] / "docs" / "studio.md").read_text(encoding="utf-8")
    text = text.replace("\\\\", "\\")
    assert len(keys) > 40 and not [row for row in keys if f"| {row[0]} | {row[1]} |" not in text]
    context.close()
