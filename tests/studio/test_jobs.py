"""Jobs in a child process: done, cancelled, ended with the server, limited in memory."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from starlette.testclient import TestClient

from src.studio.jobs import BusyError, Job
from src.studio.processes import Child, ChildEndedError, ChildError
from tests.studio.conftest import make_client
from tests.studio.singing import sing_file

ROOT = Path(__file__).parents[2]
AT = "/api/projects/song"
PLACE = {
    "folder": "none", "stem": "x", "recording": "none.wav", "title": "", "digest": None,
    "tracks": "none", "score": None, "names": [], "frames": None, "settings": {}, "edits": {},
    "options": {},
}  # fmt: skip


def is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def wait_until_gone(pid: int, seconds: float = 2.0) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if not is_alive(pid):
            return True
        time.sleep(0.02)
    return False


async def start(path: Path, told: list[Any]) -> Job:
    job = Job(path, None, lambda content: told.append(dict(content)))

    async def build(step: str) -> dict[str, Any]:
        return PLACE

    async def apply(step: str, done: dict[str, Any]) -> None:
        raise AssertionError("nothing can be done")

    job.start(["open"], {}, 1.0, build, apply)
    with pytest.raises(BusyError):
        job.start(["open"], {}, 1.0, build, apply)
    while job.pid is None:
        await asyncio.sleep(0.01)
    return job


def test_how_long_it_takes_is_guessed_by_the_method(song: TestClient) -> None:
    guesses = []
    for method in ("umss_fit", "comb"):
        body = {"steps": ["separate"], "options": {"method": method}}
        body["revision"] = song.get(AT).json()["revision"]
        guesses.append(song.post(f"{AT}/jobs", json=body).json()["job"]["left"])
        song.delete(f"{AT}/jobs")
    assert guesses == [4.0 + 0.8 * 4, 4.0 + round(0.06 * 4, 1)]


def test_a_cancelled_child_is_gone_at_once(tmp_path: Path) -> None:
    async def cancel() -> None:
        told: list[Any] = []
        job = await start(tmp_path / "job.json", told)
        pid = job.pid
        assert pid is not None and is_alive(pid)
        begin = time.monotonic()
        await job.cancel()
        assert time.monotonic() - begin < 2 and not is_alive(pid)
        assert told[-1]["state"] == "cancelled" and not job.running
        assert json.loads((tmp_path / "job.json").read_text())["state"] == "cancelled"
        # Begun again at once: by another process.
        ending = Child(None)
        asked = asyncio.create_task(ending.ask({"nothing": "known"}))
        while ending.pid is None:
            await asyncio.sleep(0.01)
        first = ending.pid
        dying = asyncio.create_task(ending.end())
        with pytest.raises(ChildEndedError):
            await asked
        with pytest.raises(ChildError, match="fault"):
            await ending.ask({"nothing": "known"})
        await dying
        assert ending.pid != first
        await ending.end()

    asyncio.run(cancel())


def test_a_studio_that_ends_says_so_the_next_time(tmp_path: Path) -> None:
    async def close() -> int:
        job = await start(tmp_path / "job.json", [])
        pid = job.pid
        assert pid is not None
        await job.close()
        return pid

    pid = asyncio.run(close())
    assert not is_alive(pid)
    again = Job(tmp_path / "job.json", None, lambda content: None)
    assert again.content is not None and again.content["state"] == "interrupted"
    assert again.content["steps"] == ["open"] and again.content["error"]


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_a_child_dies_with_a_server_that_is_killed(tmp_path: Path) -> None:
    program = """
import asyncio, sys
from src.studio.processes import Child
async def main():
    child = Child(None)
    task = asyncio.create_task(child.ask({"call": "wake", "with": {}}))
    while child.pid is None: await asyncio.sleep(0.01)
    print(child.pid, flush=True)
    await asyncio.sleep(60)
asyncio.run(main())
"""
    server = subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, cwd=ROOT, text=True
    )
    assert server.stdout is not None
    pid = int(server.stdout.readline())
    time.sleep(0.3)  # the child has begun
    assert is_alive(pid)
    server.kill()
    server.wait()
    server.stdout.close()
    assert wait_until_gone(pid)


def test_what_goes_wrong_in_a_child_is_one_sentence() -> None:
    async def ask() -> None:
        child = Child(None)
        try:
            with pytest.raises(ChildError, match="fault of the program"):
                await child.ask({"nothing": "known"})
            pid = child.pid
            with pytest.raises(ChildError, match="fault of the program"):
                await child.ask({"nothing": "known"})
            assert child.pid == pid, "it goes on"
            assert pid is not None
            os.kill(pid, 9)
            with pytest.raises(ChildEndedError, match="start again"):
                await child.ask({"call": "wake", "with": {}})
        finally:
            await child.end()

    asyncio.run(ask())


@pytest.mark.skipif(sys.platform != "linux", reason="other systems limit other things")
def test_a_child_has_no_more_memory_than_it_may_have() -> None:
    program = (
        "from src.studio.child import limit_memory; limit_memory(300_000_000)\n"
        "import numpy\n"
        "numpy.ones(10_000_000, 'u1')\n"
        "try: numpy.ones(900_000_000, 'u1')\n"
        "except MemoryError: print('refused')\n"
    )
    environment = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, env=environment
    )
    assert done.stdout == "refused\n", done.stderr


@pytest.mark.slow
def test_a_recording_from_the_first_to_the_last_step(tmp_path: Path) -> None:
    pitches = np.repeat([[330.0, 196.0]], 1250, axis=0)
    path = sing_file(tmp_path / "duet.wav", pitches)
    with make_client(tmp_path / "projects") as client:
        made = client.post("/api/projects", content=b"text", headers={"x-umss-name": "a.wav"})
        job = wait(client, f"/api/projects/{made.json()['id']}")
        assert job["state"] == "failed" and job["error"].startswith("a.wav: not readable")
        data, name = path.read_bytes()[:1_900_000], {"x-umss-name": "duet.wav"}
        state = client.post("/api/projects", content=data, headers=name).json()
        at = f"/api/projects/{state['id']}"
        wait(client, at)
        run(client, at, ["f0", "separate"], {"n_singers": 2, "method": "comb"})
        state = client.get(at).json()
        assert state["singers"] == ["singer1", "singer2"]
        assert state["results"]["separated"]["stale"] == []
        assert client.get(f"{at}/pictures/salience/0.png").status_code == 200
        before = client.get(f"{at}/sound/stem-1/1").content
        operation = {"kind": "octave", "singer": 1, "from": 1.0, "to": 2.0, "direction": 1}
        body = {"revision": state["revision"], "operation": operation}
        assert client.post(f"{at}/operations", json=body).status_code == 200
        run(client, at, ["separate"], {})
        assert client.get(f"{at}/sound/stem-1/1").content == before, "untouched after 10 s"
        body = {"edits": {"singer1": {"transpose": 2}}, "from": 3.0, "to": 5.0}
        heard = client.post(f"{at}/preview/edit", json=body)
        assert heard.status_code == 200 and heard.content[:4] == b"fLaC"
        revision = client.get(at).json()["revision"]
        body = {"revision": revision, "edits": {"singer1": {"transpose": 2}}}
        assert client.put(f"{at}/edits", json=body).status_code == 200
        run(
            client,
            at,
            ["edit", "page", "practice", "dataset", "intonation", "zip"],
            {"zip": ["stems", "page"]},
        )
        downloads = client.get(f"{at}/downloads").json()["downloads"]
        groups = {one["group"] for one in downloads}
        assert groups == {
            "stems",
            "edited",
            "practice",
            "page",
            "dataset",
            "intonation",
            "zip",
            "f0",
        }
        revision = client.get(at).json()["revision"]
        table = b"time,one,two\n0,330,196\n9,330,196\n"
        sent = {"x-umss-name": "own.csv", "x-umss-revision": str(revision)}
        state = client.put(f"{at}/tracks", content=table, headers=sent).json()
        assert state["singers"] == ["one", "two"] and state["undo"] == "tracks of own.csv"
        sent["x-umss-revision"] = str(state["revision"])
        broken = client.put(
            f"{at}/score", content=b"no score", headers=sent | {"x-umss-name": "a.mid"}
        )
        assert broken.status_code == 400 and broken.json()["error"].startswith("a.mid")
        midi = client.get(f"{at}/downloads/f0-midi")
        assert midi.status_code == 200 and len(midi.content) > 100


def wait(client: TestClient, at: str) -> dict[str, Any]:
    while (job := client.get(at).json()["job"])["state"] == "running":
        time.sleep(0.2)
    found: dict[str, Any] = job
    return found


def run(client: TestClient, at: str, steps: list[str], options: dict[str, Any]) -> None:
    revision = client.get(at).json()["revision"]
    body = {"revision": revision, "steps": steps, "options": options}
    assert client.post(f"{at}/jobs", json=body).status_code == 202
    job = wait(client, at)
    assert job["state"] == "done", job
