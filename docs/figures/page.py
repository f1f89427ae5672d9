"""The picture of a page to listen to: a generated chorale, separated, opened in Chromium.

    python docs/figures/page.py

writes docs/figures/listening.png. Needs Playwright and the system's Chromium; a minute on two
cores.
"""

from __future__ import annotations

import io
import shutil
import tempfile

import umss
from make import FOLDER, NAMES, RATE, choir
from PIL import Image
from playwright.sync_api import Page, sync_playwright

SIZE = {"width": 1180, "height": 930}


def photograph(page: Page) -> bytes:
    """Solo a singer, mark a loop, and take a picture."""
    page.wait_for_function("() => listening.rows.every((row) => row.overview)")
    page.evaluate("listening.player.setLoop(2.4, 4.4)")
    page.evaluate("listening.toggleSolo(2)")
    page.evaluate("listening.choose(2)")
    page.evaluate("listening.seek(3.1)")
    page.wait_for_timeout(1000)
    return page.screenshot()


def main() -> None:
    stems, f0 = choir()
    result = umss.separate(stems.sum(axis=0), RATE, f0=f0)
    named = dict(zip(NAMES, result.stems.values(), strict=True))
    contours = umss.F0Contours(result.f0.times, result.f0.f0, NAMES)
    recording = umss.SeparatedRecording(
        named, result.residual, contours, {}, RATE, name="Ach bleib bei uns"
    )
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        path = recording.save(folder, page=True)["page"]
        chromium = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        page = chromium.new_page(viewport=SIZE, bypass_csp=True)
        page.goto(path.resolve().as_uri())
        image = Image.open(io.BytesIO(photograph(page))).convert("RGB")
        chromium.close()
    # Few pixels are coloured, and they count.
    few = image.quantize(256, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
    few.save(FOLDER / "listening.png", optimize=True)


if __name__ == "__main__":
    main()
