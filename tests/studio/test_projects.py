"""A project over HTTP: followed by two windows, undone after a restart, opened after a crash."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile as sf
from numpy.typing import NDArray
from starlette.testclient import TestClient

from src.claims import claim
from src.f0.contour_files import read_f0, write_f0
from src.f0.contours import F0Contours
from src.studio.jobs import INTERRUPTED
from src.studio.place import read_examination
from src.studio.project import Project
from src.studio.result_steps import write_dataset
from src.studio.separating import separate_project
from src.studio.stale import Settings
from tests.studio.conftest import describe_place, make_client

AT = "/api/projects/song"
UP = {"kind": "octave", "singer": 1, "from": 1.6, "to": 2.4, "direction": 1}


def read_tracks(client: TestClient) -> NDArray[np.float32]:
    answer = client.get(f"{AT}/tracks")
    return np.frombuffer(answer.content, "<f4").reshape(int(answer.headers["x-umss-singers"]), -1)


def correct(client: TestClient, operation: dict[str, Any] | None = None) -> Any:
    revision = client.get(AT).json()["revision"]
    body = {"revision": revision, "operation": operation or UP}
    return client.post(f"{AT}/operations", json=body)


def test_a_correction_is_told_and_kept(song: TestClient, root: Path) -> None:
    before = read_tracks(song)
    change = correct(song).json()
    assert change["said"] == "octave up: low, 1.6 to 2.4 s" == change["undo"]
    (part,) = change["changes"]
    after = read_tracks(song)
    assert np.array_equal(np.float32(part["f0"]), after[1, 100:151])
    assert np.array_equal(after[1, 100:151], before[1, 100:151] * 2)
    some = song.get(f"{AT}/tracks?first=100&count=3").content
    assert np.array_equal(np.frombuffer(some, "<f4").reshape(2, 3), after[:, 100:103])


def test_two_windows_do_not_overwrite_each_other(song: TestClient) -> None:
    old = {"revision": 1, "operation": UP}
    assert song.post(f"{AT}/operations", json=old).status_code == 200
    second = {**old, "operation": {**UP, "singer": 0}}
    stale = song.post(f"{AT}/operations", json=second)
    assert stale.status_code == 409 and "another window" in stale.json()["error"]
    assert stale.json()["project"]["revision"] == 2
    assert (read_tracks(song)[0] == 330).all(), "the second change was not made"
    for path in ("undo", "redo", "jobs"):
        assert song.post(f"{AT}/{path}", json={"revision": 1}).status_code == 409
    edits = {"revision": 1, "edits": {"low": {"transpose": 2}}}
    assert song.put(f"{AT}/edits", json=edits).status_code == 409
    assert song.post(f"{AT}/undo", json={}).status_code == 400


def test_undo_survives_a_restart(root: Path) -> None:
    with make_client(root) as client:
        before = read_tracks(client)
        correct(client)
        correct(client, {"kind": "lock", "singer": 0, "from": 0, "to": 1})
        changed = read_tracks(client)
        revision = client.get(AT).json()["revision"]
        client.put(f"{AT}/edits", json={"revision": revision, "edits": {"low": {"gain": -3}}})
    with make_client(root) as client:
        state = client.get(AT).json()
        assert np.array_equal(read_tracks(client), changed)
        assert state["locks"] == [[[0, 63]], []] and state["edits"] == {"low": {"gain": -3}}
        assert np.array_equal(read_f0(root / "song/tracks/song_f0.csv").f0.T, changed)
        for _ in range(3):
            revision = client.get(AT).json()["revision"]
            change = client.post(f"{AT}/undo", json={"revision": revision}).json()
        assert np.array_equal(read_tracks(client), before)
        assert change["locks"] == [[], []] and change["edits"] == {}
        change = client.post(f"{AT}/redo", json={"revision": change["revision"]}).json()
        assert np.array_equal(read_tracks(client), changed)


def test_nothing_is_lost_when_the_server_is_killed(root: Path, tmp_path: Path) -> None:
    with make_client(root) as client:
        correct(client)
        changed = read_tracks(client)
        # What a killed server leaves: everything that was on the disk at this moment.
        shutil.copytree(root, tmp_path / "killed")
    journal = tmp_path / "killed/song/journal.jsonl"
    journal.write_bytes(journal.read_bytes() + b'{"revision": 3, "ki')
    job = {"id": "j4", "steps": ["separate"], "options": {}, "state": "running", "progress": 0.4}
    (tmp_path / "killed/song/job.json").write_text(json.dumps(job))
    with make_client(tmp_path / "killed") as client:
        state = client.get(AT).json()
        assert state["revision"] == 2 and np.array_equal(read_tracks(client), changed)
        assert state["job"]["state"] == "interrupted" and state["job"]["error"] == INTERRUPTED
        saved = read_f0(tmp_path / "killed/song/tracks/song_f0.csv").f0
        assert np.array_equal(saved.T, changed)


def test_a_damaged_project_is_said_to_be(song: TestClient, root: Path) -> None:
    (root / "song/journal.jsonl").write_text("{}\n")
    answer = song.get(AT)
    assert answer.status_code == 400
    assert answer.json()["error"].startswith("journal.jsonl, line 1"), "folders are left out"


def test_a_project_that_another_studio_has_open(song: TestClient, root: Path) -> None:
    with claim(root / "song", root / "song/.umss.lock"):
        assert song.get(AT).status_code == 423
    assert song.get(AT).status_code == 200


def test_titles_names_and_settings(song: TestClient) -> None:
    def patch(**content: Any) -> Any:
        revision = song.get(AT).json()["revision"]
        return song.request("PATCH", AT, json={"revision": revision, **content})

    correct(song)
    revision = song.get(AT).json()["revision"]
    edits = {"low": {"timbre": "high"}}
    song.put(f"{AT}/edits", json={"revision": revision, "edits": edits})
    state = patch(title="Evening", names=["alto", "bass"], settings={"method": "comb"}).json()
    assert (state["title"], state["singers"]) == ("Evening", ["alto", "bass"])
    assert state["settings"]["method"] == "comb"
    assert state["edits"] == {"bass": {"timbre": "alto"}}
    assert song.get("/api/projects").json()["projects"][0]["title"] == "Evening"
    for content in (
        {"title": ""}, {"names": ["one"]}, {"names": ["same", "same"]}, {"names": ["a,b", "c"]},
        {"settings": {"method": "oracle"}}, {"settings": {"score": "x"}}, {"settings": {"x": 1}},
        {"settings": {"n_singers": 0}}, {"settings": {"seed": -1}}, {},
    ):  # fmt: skip
        assert patch(**content).status_code == 400, content


def test_tracks_are_heard_and_seen(song: TestClient) -> None:
    state = song.get(AT).json()
    assert [track["id"] for track in state["sound"]["tracks"]] == ["recording"]
    piece = song.get(f"{AT}/sound/recording/0")
    assert piece.headers["content-type"] == "audio/flac" and piece.content[:4] == b"fLaC"
    again = song.get(f"{AT}/sound/recording/0", headers={"if-none-match": piece.headers["etag"]})
    assert again.status_code == 304
    assert len(song.get(f"{AT}/peaks/recording").content) == 400
    picture = song.get(f"{AT}/pictures/spectrogram/0.png")
    assert picture.content[1:4] == b"PNG"
    part = song.get(f"{AT}/recording", headers={"range": "bytes=0-3"})
    assert part.status_code == 206 and part.content == b"RIFF"
    for path in (
        "sound/recording/1", "sound/stem-0/0", "pictures/salience/0.png", "peaks/none",
        "pictures/stem-0/0.png", "pictures/none/overview.png",
    ):  # fmt: skip
        assert song.get(f"{AT}/{path}").status_code == 404


def test_a_stretch_is_sung_from_its_tracks(song: TestClient, tmp_path: Path) -> None:
    answer = song.post(f"{AT}/preview/f0", json={"singers": [0], "from": 1.0, "to": 2.0})
    (tmp_path / "tone.flac").write_bytes(answer.content)
    tone, rate = sf.read(tmp_path / "tone.flac")
    assert len(tone) == rate == 16_000
    peak = np.abs(np.fft.rfft(tone * np.hanning(len(tone)))).argmax()
    assert peak == 330
    points = [[1.0, 500.0], [2.0, 500.0]]
    drawn = song.post(f"{AT}/preview/f0", json={"points": points, "from": 1.0, "to": 2.0})
    (tmp_path / "tone.flac").write_bytes(drawn.content)
    tone = sf.read(tmp_path / "tone.flac")[0]
    assert np.abs(np.fft.rfft(tone * np.hanning(len(tone)))).argmax() == 500
    # As a correction would make it, which it does not.
    body = {"operation": {"kind": "octave", "singer": 0, "from": 0, "to": 3, "direction": 1}}
    before = song.get(AT).json()["revision"]
    found = song.post(f"{AT}/preview/operation", json=body).json()
    (change,) = found["changes"]
    assert change["singer"] == 0 and set(change["f0"]) == {660.0} and "octave" in found["said"]
    sung = {**body, "singers": [0], "from": 1.0, "to": 2.0}
    (tmp_path / "tone.flac").write_bytes(song.post(f"{AT}/preview/f0", json=sung).content)
    tone = sf.read(tmp_path / "tone.flac")[0]
    assert np.abs(np.fft.rfft(tone * np.hanning(len(tone)))).argmax() == 660
    assert song.get(AT).json()["revision"] == before
    assert song.post(f"{AT}/preview/operation", json={"operation": 3}).status_code == 400
    for body in (
        {"from": 1, "to": 1}, {"from": 0, "to": 99}, {"from": -1, "to": 1}, {"to": 1},
        {"from": 0, "to": 1, "singers": [7]}, {"from": 0, "to": 1, "singers": "all"},
    ):  # fmt: skip
        assert song.post(f"{AT}/preview/f0", json=body).status_code == 400


def test_doubts_lead_to_their_remedy(song: TestClient) -> None:
    assert song.get(f"{AT}/doubts").json()["doubts"] == []
    correct(song)
    (doubt, *_) = song.get(f"{AT}/doubts").json()["doubts"]
    assert doubt["kind"] == "octave" and doubt["singers"] == [1]
    assert correct(song, doubt["remedy"]).status_code == 200
    assert (read_tracks(song)[1] == 196).all()
    assert song.get(f"{AT}/doubts").json()["doubts"] == []
    found = song.get(f"{AT}/candidates?from=1&to=1.1").json()
    assert [round(hertz) for hertz in found["pitches"][0]] == [196, 330]
    assert song.get(f"{AT}/candidates?from=0&to=99").status_code == 400


def test_what_is_separated_is_offered_and_stale_where_it_was_corrected(
    root: Path, tmp_path: Path
) -> None:
    from src.baselines.masks import CombSeparator

    project = Project(root / "song")
    place = describe_place(project)
    separate_project(
        place.recording, read_examination(place), "song", project.get_contours(),
        CombSeparator(), Settings("comb"), root / "song/separated", place.digest or "",
    )  # fmt: skip
    write_dataset(place, lambda share, said: None)
    project.close()
    with make_client(root) as client:
        state = client.get(AT).json()
        body = {"revision": state["revision"], "settings": {"method": "comb"}}
        state = client.request("PATCH", AT, json=body).json()
        assert state["results"]["separated"]["stale"] == []
        assert [track["id"] for track in state["sound"]["tracks"]][1:] == [
            "stem-0", "stem-1", "residual",
        ]  # fmt: skip
        change = correct(client).json()
        assert change["results"]["separated"]["stale"] == [[0.0, 4.0]]
        downloads = client.get(f"{AT}/downloads").json()["downloads"]
        named = {one["id"]: one for one in downloads}
        stem = client.get(f"{AT}/downloads/stem-0")
        assert len(stem.content) == named["stem-0"]["bytes"]
        url = client.post(f"{AT}/downloads/stem-0/ticket").json()["url"]
        client.headers.pop("x-umss-token")
        assert client.get(url).content == stem.content
        assert client.get(url).status_code == 403
    mixtures = root / "song/dataset/mixtures"
    from src.data.readers.mixtures import MixturesReader

    reader = MixturesReader(mixtures)
    (only,) = reader.songs()
    contours = reader.recording_f0(only)
    assert only.name == "song" and contours is not None and contours.names == ("high", "low")
    assert sorted(p.name for p in (root / "song/dataset/folder/song").iterdir()) == [
        "high.wav", "low.wav",
    ]  # fmt: skip


def test_a_recording_that_is_gone(song: TestClient, root: Path) -> None:
    (root / "song/recording/song.wav").unlink()
    state = song.get(AT).json()
    assert state["recording"]["missing"]
    body = {"revision": state["revision"], "steps": ["f0"]}
    answer = song.post(f"{AT}/jobs", json=body)
    assert answer.status_code == 410 and "gone" in answer.json()["error"]


@pytest.mark.parametrize(
    "body",
    [{"steps": []}, {"steps": ["explode"]}, {"steps": "f0"}, {"steps": ["f0"], "options": [1]},
     {"steps": ["f0"], "options": {"n_singers": 99}}, {"steps": ["f0"], "options": {"file": "x"}},
     {"steps": ["zip"], "options": {"zip": "all"}}, {"steps": ["edit"]}, {"steps": ["page"]}],
)  # fmt: skip
def test_jobs_that_cannot_be(song: TestClient, body: dict[str, Any]) -> None:
    answer = song.post(f"{AT}/jobs", json={"revision": 1, **body})
    assert answer.status_code == 400 and song.get(AT).json()["job"] is None


def test_what_comes_first_is_said(song: TestClient) -> None:
    change = song.post(f"{AT}/undo", json={"revision": 1}).json()
    assert change["reload"] and song.get(AT).json()["singers"] == []
    body = {"revision": change["revision"], "steps": ["separate"]}
    answer = song.post(f"{AT}/jobs", json=body)
    assert answer.status_code == 400 and "pitches first" in answer.json()["error"]
    for path in ("tracks", "doubts"):
        assert song.get(f"{AT}/{path}").status_code == 400
    song.post(f"{AT}/redo", json={"revision": change["revision"]})
    assert (read_tracks(song)[0] == 330).all()


def test_a_removed_project_is_gone(song: TestClient, root: Path) -> None:
    song.get(AT)
    assert song.delete(AT).status_code == 204
    assert not (root / "song").exists() and song.get(AT).status_code == 404


def test_tracking_anew_keeps_what_is_locked(root: Path) -> None:
    project = Project(root / "song")
    lock = {"kind": "lock", "singer": 0, "from": 1.0, "to": 2.0}
    project.correct(1, lock, None)
    anew = np.full((250, 2), 300.0, np.float32)
    project.set_tracks(anew, ("high", "low"), "found")
    f0 = project.get_contours().f0
    locked = project.state.locks
    assert locked is not None and locked[63:126, 0].all()
    assert (f0[63:126, 0] == 330).all() and (f0[:62] == 300).all() and (f0[:, 1] == 300).all()
    project.set_tracks(np.full((250, 3), 300.0, np.float32), ("a", "b", "c"), "three")
    assert project.state.locks is not None and not project.state.locks.any()
    project.undo(project.journal.revision)
    assert (project.get_contours().f0[63:126, 0] == 330).all()
    assert project.state.names == ("high", "low")
    project.close()


@pytest.mark.parametrize("locked", [False, True])
def test_notes_of_instruments_outlast_corrections(root: Path, locked: bool) -> None:
    project = Project(root / "song")
    if locked:  # tracks are then written anew
        project.correct(1, {"kind": "lock", "singer": 0, "from": 1.0, "to": 2.0}, None)
    f0, notes = np.full((250, 2), 300.0, np.float32), np.full((250, 3), 150.0, np.float32)
    found = F0Contours.on_grid(f0, ("high", "low"))
    write_f0(root / "song" / "tracks" / "0007.csv", replace(found, accompaniment=notes))
    project.set_tracks(f0, ("high", "low"), "found", "0007")
    project.correct(project.journal.revision, UP, None)
    project.save_tracks()
    kept = read_f0(project.track_files.present)
    assert kept.names == ("high", "low") and kept.f0.max() == 600.0
    np.testing.assert_array_equal(kept.accompaniment, notes)
    project.close()
