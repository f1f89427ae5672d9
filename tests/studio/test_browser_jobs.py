"""The studio in a browser with a server of its own: from the recording to the stems, and accidents.

Everything is as a person would do it: a recording is dropped, pitches with errors are imported,
found and mended, and what changed is separated again.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile as sf

from src.f0.contour_files import read_f0
from tests.listening.waiting import wait_for
from tests.studio.quartet import (
    OCTAVE,
    SWAP,
    make_quartet,
    measure_cents,
    plant_errors,
    write_tracks,
)
from tests.studio.singing import sing_file
from tests.studio.test_jobs import wait_until_gone

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]
DONE = "studio.session.project.job.state === 'done'"


class Server:
    """`umss studio` as people start it."""

    def __init__(self, projects: Path) -> None:
        arguments = [f"projects={projects}", "browser=false", "port=0"]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "src", "studio", *arguments],
            cwd=ROOT, env={**os.environ, "OMP_NUM_THREADS": "1"}, stdout=subprocess.PIPE, text=True,
            start_new_session=True,
        )  # fmt: skip
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if found := re.search(r"http://\S+", line):
                self.address = found.group()
                return
        raise AssertionError("umss studio printed no address")

    def end(self, number: signal.Signals = signal.SIGINT) -> None:
        if self.process.poll() is None:
            self.process.send_signal(number)
            self.process.wait(20)


@contextmanager
def start(projects: Path) -> Iterator[Server]:
    server = Server(projects)
    try:
        yield server
    finally:
        server.end()


def open_page(browser: Any, address: str) -> Any:
    page = browser.new_context(viewport={"width": 1280, "height": 900}).new_page()
    for _ in range(100):
        try:
            page.goto(address)
            break
        except Exception as error:  # the server is about to listen
            if "CONNECTION_REFUSED" not in str(error):
                raise
            page.wait_for_timeout(100)
    return page


def list_children(pid: int) -> list[int]:
    found = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True)
    return [int(text) for text in found.stdout.split()]


def measure_ratio(estimate: np.ndarray, truth: np.ndarray) -> float:
    """SI-SDR in dB."""
    target = truth * (estimate @ truth) / (truth @ truth)
    return float(10 * np.log10((target @ target) / np.square(estimate - target).sum()))


def test_from_a_recording_to_better_stems(browser: Any, tmp_path: Path) -> None:
    right = make_quartet()
    recording = sing_file(tmp_path / "quartet.wav", right)
    alto = sing_file(tmp_path / "alto.wav", right[:, 1:2])
    planted = write_tracks(tmp_path / "planted.csv", plant_errors(right))
    with start(tmp_path / "projects") as server:
        page = open_page(browser, server.address)
        complaints: list[str] = []
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.wait_for_selector("#start:not([hidden])")
        page.set_input_files("#file", recording)
        wait_for(page, f"studio.session && {DONE}", patience=200)
        page.select_option("#method", "comb")
        wait_for(page, "studio.session.project.settings.method === 'comb'")
        page.click("#find")
        wait_for(page, f"studio.session.project.frames && {DONE}", patience=200)
        page.set_input_files("#import", planted)
        wait_for(page, "studio.session.project.singers[1] === 'alto'")
        page.click("#separate")
        wait_for(page, f"studio.session.project.results.separated && {DONE}", patience=200)
        (folder,) = (tmp_path / "projects").iterdir()
        stem = folder / "separated" / "quartet_alto.wav"
        truth = sf.read(alto)[0]
        before, old = measure_ratio(sf.read(stem)[0], truth), sf.read(stem)[0]
        page.click("#tab-pitch")
        wait_for(page, "studio.editor.doubts.length > 1")
        kinds = ["octave", "exchange"]
        while kinds:
            count = page.evaluate("studio.session.revision")
            page.keyboard.press("n")
            kind = page.evaluate("studio.editor.doubt.kind")
            if kind in kinds:
                kinds.remove(kind)
                page.keyboard.press({"octave": "Control+Shift+ArrowDown", "exchange": "y"}[kind])
                wait_for(page, f"studio.session.revision > {count}")
                page.wait_for_timeout(1500)  # places are looked for anew
        assert "not yet separated" in page.inner_text("#pending")
        stale = page.evaluate("studio.session.project.results.separated.stale")
        page.click("#separate")
        wait_for(
            page, f"studio.session.project.results.separated.stale.length === 0 && {DONE}",
            patience=200,
        )  # fmt: skip
        found = np.asarray(read_f0(next((folder / "tracks").glob("quartet*_f0.csv"))).f0)
        assert measure_cents(found, right) < 1.0
        outside = np.ones(found.shape, bool)
        outside[OCTAVE, 1] = outside[SWAP, 1] = outside[SWAP, 2] = False
        np.testing.assert_allclose(found[outside], right[outside], atol=1e-3)
        new = sf.read(stem)[0]
        assert measure_ratio(new, truth) > before + 1
        rate = len(new) / (len(right) * 0.016)
        same = np.ones(len(new), bool)
        for begin, end in stale:
            same[int(begin * rate) : int(end * rate) + 1] = False
        np.testing.assert_array_equal(new[same], old[same])
        # Downloads are saved by the browser.
        page.click("#tab-files")
        with page.expect_download() as download:
            page.get_by_role("button", name="MIDI").click()
        with zipfile.ZipFile(download.value.path()) as packed:
            files = packed.namelist()
            assert "quartet_midi/alto.mid" in files
            assert packed.read("quartet_midi/alto.mid")[:4] == b"MThd"
        assert not complaints
        page.context.close()


def test_jobs_survive_accidents(browser: Any, tmp_path: Path) -> None:
    recording = sing_file(tmp_path / "song.wav", np.tile(make_quartet(), (6, 1)))
    projects = tmp_path / "projects"
    with start(projects) as server:
        page = open_page(browser, server.address)
        page.wait_for_selector("#start:not([hidden])")
        page.set_input_files("#file", recording)
        wait_for(page, f"studio.session && {DONE}", patience=200)
        page.click("#find")
        wait_for(
            page, "studio.session.project.job.step === 'f0' && studio.session.running", patience=100
        )
        # Reloaded in the middle of a job, the page follows it.
        page.reload()
        wait_for(page, "window.studio?.session?.project.job?.step === 'f0'")
        assert page.locator("#cancel").is_visible() and page.locator("#job-bar").is_visible()
        assert page.locator("#find").is_disabled()
        page.click("#cancel")
        wait_for(page, "studio.session.project.job.state === 'cancelled'", patience=3)
        assert "cancelled" in page.inner_text("#job-text")
        page.click("#again")
        wait_for(
            page, "studio.session.project.job.step === 'f0' && studio.session.running", patience=100
        )
        children = list_children(server.process.pid)
        server.end(signal.SIGKILL)
        wait_for(page, "$('#failure').textContent.startsWith('The studio does not answer')")
        page.context.close()
    assert children and all(wait_until_gone(pid, 5.0) for pid in children)
    with start(projects) as server:
        page = open_page(browser, server.address)
        page.locator("#projects .open").click()
        wait_for(page, "window.studio?.session?.project.job?.state === 'interrupted'")
        assert "interrupted" in page.inner_text("#job-text")
        page.click("#again")
        wait_for(page, "studio.session.project.frames", patience=300)
        page.context.close()
