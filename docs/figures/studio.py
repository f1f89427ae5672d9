"""The picture of the studio: a generated chorale with errors planted in its pitches, in Chromium.

    python docs/figures/studio.py

writes docs/figures/studio.png. Needs Playwright and the system's Chromium; a minute on two cores.
"""

from __future__ import annotations

import io
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import soundfile as sf
import umss
from make import FOLDER, NAMES, RATE, choir
from PIL import Image
from playwright.sync_api import Page, sync_playwright

SIZE = {"width": 1180, "height": 900}
HOP = 0.016  # s
OCTAVE, SWAP = (2.3, 3.5), (4.7, 5.9)  # s: of the alto, and of alto and tenor


def write_chorale(folder: Path) -> tuple[Path, Path]:
    """The recording, and a file of its pitches with an octave error and a swap."""
    stems, f0 = choir()
    recording = folder / "Ach bleib bei uns.wav"
    sf.write(recording, stems.sum(axis=0), RATE)
    wrong = f0.T.copy()
    first, last = (round(second / HOP) for second in OCTAVE)
    wrong[first:last, 1] *= 2
    first, last = (round(second / HOP) for second in SWAP)
    wrong[first:last, [1, 2]] = wrong[first:last, [2, 1]]
    times = HOP * np.arange(len(wrong))
    pitches = folder / "pitches.csv"
    umss.write_f0(pitches, umss.F0Contours(times, wrong, NAMES))
    return recording, pitches


def photograph(page: Page, recording: Path, pitches: Path) -> bytes:
    """Drop the recording, take its pitches, go to the first doubtful place."""
    done = "() => studio.session?.project.job?.state === 'done'"
    page.wait_for_selector("#start:not([hidden])")
    page.set_input_files("#file", recording)
    page.wait_for_function(done, timeout=120_000)
    page.set_input_files("#import", pitches)
    page.wait_for_function("() => studio.session.project.pictures.kinds.salience", timeout=120_000)
    page.wait_for_function(done)
    page.click("#tab-pitch")
    page.wait_for_timeout(1500)
    page.keyboard.press("f")
    page.keyboard.press("n")
    page.wait_for_timeout(1500)
    return page.screenshot()


def main() -> None:
    with tempfile.TemporaryDirectory() as place, sync_playwright() as playwright:
        recording, pitches = write_chorale(Path(place))
        arguments = [f"projects={place}/projects", "browser=false", "port=0"]
        server = subprocess.Popen(
            [sys.executable, "-m", "umss", "studio", *arguments], stdout=subprocess.PIPE, text=True
        )
        assert server.stdout is not None
        address = re.search(r"http://\S+", server.stdout.readline())
        assert address is not None
        chromium = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        page = chromium.new_page(viewport=SIZE, bypass_csp=True)
        page.goto(address.group())
        image = Image.open(io.BytesIO(photograph(page, recording, pitches))).convert("RGB")
        chromium.close()
        server.send_signal(signal.SIGINT)
        server.wait(20)
    # Few pixels are coloured, and they count.
    few = image.quantize(256, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
    few.save(FOLDER / "studio.png", optimize=True)


if __name__ == "__main__":
    main()
