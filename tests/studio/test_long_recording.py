"""A long recording through the studio in a browser: what it takes in seconds and megabytes.

UMSS_LONG_MINUTES=30 pytest -m slow -s tests/studio/test_long_recording.py
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile as sf

from src.data.choir import SONGS, generate_song
from tests.listening.waiting import wait_for
from tests.studio.test_browser_jobs import DONE, open_page, start

pytestmark = pytest.mark.slow
MINUTES = float(os.environ.get("UMSS_LONG_MINUTES", "3"))
RATE = 16_000
PROC = Path("/proc")


def write_choir(path: Path, minutes: float) -> Path:
    """Four generated singers, the same forty seconds again and again."""
    song = generate_song(SONGS[3], seed=1, max_seconds=40).audio.sum(axis=0)
    whole = np.resize(song / np.abs(song).max() * 0.7, round(60 * minutes * RATE))
    sf.write(path, whole, RATE, subtype="PCM_16")
    return path


def list_tree(pid: int) -> list[int]:
    """A process and all that it has started."""
    found = [pid]
    for task in (PROC / str(pid) / "task").glob("*"):
        try:
            for child in (task / "children").read_text().split():
                found += list_tree(int(child))
        except OSError:
            continue
    return found


def read_megabytes(pid: int) -> float:
    """What a process has for itself: the pages of files that it looks into may be taken away."""
    try:
        status = (PROC / str(pid) / "status").read_text()
        return float(status.split("RssAnon:")[1].split()[0]) / 1024
    except (OSError, IndexError):
        return 0.0


def is_page(pid: int) -> bool:
    try:
        return b"--type=renderer" in (PROC / str(pid) / "cmdline").read_bytes()
    except OSError:
        return False


class Watch:
    """The largest memory of the server, its children and the browser's page, MB, and seconds."""

    def __init__(self, server: int) -> None:
        self.server = server
        self.peaks: dict[str, float] = {"server": 0.0, "job": 0.0, "page": 0.0}
        self.seconds: dict[str, float] = {}
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def _look(self) -> None:
        while not self._ended.wait(0.2):
            children = list_tree(self.server)[1:]
            pages = [pid for pid in list_tree(os.getpid()) if is_page(pid)]
            now = {
                "server": read_megabytes(self.server),
                "job": sum(map(read_megabytes, children)),
                "page": max(map(read_megabytes, pages), default=0.0),
            }
            self.peaks = {name: max(self.peaks[name], now[name]) for name in now}

    @contextmanager
    def time(self, what: str) -> Iterator[None]:
        begin = time.monotonic()
        yield
        self.seconds[what] = time.monotonic() - begin
        peaks = ", ".join(f"{name} {peak:.0f}" for name, peak in self.peaks.items())
        print(f"{what:>22}: {self.seconds[what]:7.2f} s   MB so far: {peaks}", flush=True)

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()


@pytest.mark.skipif(not (PROC / "self" / "status").exists(), reason="memory is read from /proc")
def test_a_long_recording(browser: Any, tmp_path: Path) -> None:
    recording = write_choir(tmp_path / "choir.flac", MINUTES)
    patience = 60 + 60 * MINUTES
    with start(tmp_path / "projects") as server, Watch(server.process.pid) as watch:
        page = open_page(browser, server.address)
        complaints: list[str] = []
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        sizes: dict[str, int] = {}
        page.on("response", lambda response: note_size(sizes, response))
        page.wait_for_selector("#start:not([hidden])")

        def wait(what: str, expression: str, action: Callable[[], object]) -> None:
            with watch.time(what):
                action()
                wait_for(page, expression, patience=patience)

        def press(key: str) -> Callable[[], None]:
            return lambda: page.keyboard.press(key)

        wait("open", f"window.studio?.session && studio.listening && {DONE}",
             lambda: page.set_input_files("#file", recording))  # fmt: skip
        page.select_option("#n-singers", "4")
        page.select_option("#method", "comb")
        wait_for(page, "studio.session.project.settings.method === 'comb'")
        wait("find the pitches", f"studio.session.project.frames && {DONE}",
             lambda: page.click("#find"))  # fmt: skip
        wait("separate", f"studio.session.project.results.separated && {DONE}",
             lambda: page.click("#separate"))  # fmt: skip
        wait_for(page, "studio.listening.recording.tracks.length === 6", patience=patience)
        # Again from the beginning, as the next day.
        wait("open the page again", "window.studio?.listening && studio.editor.doubts.length > 0",
             page.reload)  # fmt: skip
        page.click("#tab-pitch")
        page.keyboard.press("f")
        drawn = "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"
        with watch.time("see all pitches"):
            page.evaluate("studio.editor.draw()")
            page.evaluate(drawn)
        before = page.evaluate("studio.session.revision")
        page.keyboard.press("n")
        wait("a correction", f"studio.session.revision > {before}", press("]"))
        wait("take it back", f"studio.session.revision > {before + 1}", press("Control+z"))
        with watch.time("scroll 20 times"):
            for _ in range(20):
                page.keyboard.press("Alt+ArrowRight")
                page.evaluate(drawn)
        with watch.time("see all stems"):
            page.click("#tab-listen")
            page.evaluate("studio.listening.pictures.show(0, studio.listening.duration)")
            wait_for(page, "studio.listening.rows.every((row) => row.overview)", patience=patience)
        tiles = "studio.listening.pictures.tiles"
        for k in range(6):
            begin = round(0.15 * k * 60 * MINUTES, 1)
            with watch.time(f"stems at {begin:g} s"):
                page.evaluate(f"studio.listening.pictures.show({begin}, 30)")
                wait_for(
                    page,
                    f"[...Array(3).keys()].every((i) => {tiles}.get({int(begin // 10)} + i)"
                    "?.every(Boolean))",
                )
        # What is out of sight is forgotten.
        assert page.evaluate(f"{tiles}.size") <= 6
        page.evaluate("studio.listening.seek(0)")
        page.keyboard.press(" ")
        wait("begin to play", "studio.listening.player.level() > 0.001", lambda: None)
        page.keyboard.press(" ")
        page.click("#tab-files")
        wait("how well they sang", f"studio.session.project.results.intonation && {DONE}",
             lambda: page.get_by_role("button", name="Measure").click())  # fmt: skip
        largest = sorted(sizes.items(), key=lambda item: -item[1])[:4]
        for name, size in largest:
            print(f"{name}: {size / 1e6:.2f} MB")
        page.context.close()
    assert not complaints
    # Little grows with the length: what does is told of one minute.
    assert watch.peaks["server"] < 700 + 10 * MINUTES
    assert watch.peaks["page"] < 450 + 10 * MINUTES
    assert watch.seconds["see all pitches"] < 2


def note_size(sizes: dict[str, int], response: Any) -> None:
    name = response.url.split("/api/")[-1][-40:]
    sizes[name] = max(sizes.get(name, 0), int(response.headers.get("content-length", 0)))
