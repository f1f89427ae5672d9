"""Nobody but the studio's own page gets anything, and nobody gets out of the projects' folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from src.studio.guard import TOKEN
from tests.studio.conftest import PORT, SECRET, UPLOAD

AT = "/api/projects/song"
# Method and address of everything that is asked.
EVERYTHING = [
    ("GET", "/api/studio"), ("GET", "/api/projects"), ("POST", "/api/projects"), ("GET", AT),
    ("PATCH", AT), ("DELETE", AT), ("GET", f"{AT}/tracks"), ("PUT", f"{AT}/tracks"),
    ("POST", f"{AT}/operations"), ("POST", f"{AT}/undo"), ("PUT", f"{AT}/edits"),
    ("POST", f"{AT}/jobs"), ("DELETE", f"{AT}/jobs"), ("GET", f"{AT}/events"),
    ("GET", f"{AT}/recording"), ("GET", f"{AT}/sound/recording/0"), ("PUT", f"{AT}/score"),
    ("GET", f"{AT}/downloads/f0-csv"), ("POST", f"{AT}/preview/f0"), ("GET", "/download/x"),
    ("POST", f"{AT}/preview/operation"),
    ("GET", "/nothing"), ("POST", "/"), ("OPTIONS", "/api/projects"), ("GET", "/docs"),
]  # fmt: skip


@pytest.mark.parametrize(("method", "path"), EVERYTHING)
def test_nothing_is_done_without_the_token(song: TestClient, method: str, path: str) -> None:
    for token in (None, "wrong", "", SECRET[:-1], "ä"):
        headers = [] if token is None else [(TOKEN.encode(), token.encode("latin-1"))]
        song.headers.pop(TOKEN, None)
        answer = song.request(method, path, headers=headers)
        assert answer.status_code == 403 and answer.json()["error"], (path, token)


@pytest.mark.parametrize(
    "host", ["evil.example", f"evil.example:{PORT}", "127.0.0.1", "127.0.0.1:1", "", "0.0.0.0"]
)
def test_a_foreign_host_is_refused_even_the_page(song: TestClient, host: str) -> None:
    for path in ("/", "/static/studio.js", "/api/projects"):
        assert song.get(path, headers={"host": host}).status_code == 400


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://127.0.0.1:1", "file://"])
def test_a_page_of_another_site_starts_no_job(song: TestClient, origin: str) -> None:
    body = {"revision": 1, "steps": ["separate"]}
    answer = song.post(f"{AT}/jobs", json=body, headers={"origin": origin})
    assert answer.status_code == 403
    assert song.get(AT).json()["job"] is None
    own = {"origin": f"http://127.0.0.1:{PORT}"}
    assert song.get(AT, headers=own).status_code == 200


def test_another_site_may_lead_here_but_take_nothing(song: TestClient) -> None:
    leads = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}
    assert song.get("/", headers=leads).status_code == 200
    takes = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors"}
    for path in ("/", "/static/studio.js", AT):
        assert song.get(path, headers=takes).status_code == 403
    allowed = song.options(AT, headers={"origin": "http://evil.example"})
    assert "access-control-allow-origin" not in allowed.headers


def test_every_answer_has_the_policy_and_no_script_is_inline(song: TestClient) -> None:
    for path in ("/", "/static/studio.js", AT, "/nothing", "/static/none.js"):
        answer = song.get(path)
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy and "unsafe-inline" not in policy
        assert "frame-ancestors 'none'" in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "set-cookie" not in answer.headers
    page = song.get("/").text
    assert "<script>" not in page and " style=" not in page and SECRET not in page
    assert "http://" not in page and "https://" not in page


@pytest.mark.parametrize(
    "name",
    ["%2e%2e", "%2e", "..%2f..%2fetc", "song%2f..", "a%00b", "Song", "song ", "-song", "%e2"],
)
def test_no_address_leads_out_of_the_folder(song: TestClient, root: Path, name: str) -> None:
    (root.parent / "project.json").write_text("{}")
    for path in (
        f"/api/projects/{name}", f"/api/projects/{name}/tracks", f"/static/{name}",
        f"/static/..%2f{name}", f"{AT}/sound/{name}/0", f"{AT}/downloads/{name}",
        f"{AT}/pictures/{name}/0.png", f"{AT}/pictures/salience/{name}.png",
    ):  # fmt: skip
        answer = song.get(path)
        assert answer.status_code == 404 and answer.json()["error"]


def test_a_link_in_the_folder_is_no_project(song: TestClient, root: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "project.json").write_text("{}")
    (root / "linked").symlink_to(tmp_path / "elsewhere")
    assert song.get("/api/projects/linked").status_code == 404
    assert [one["id"] for one in song.get("/api/projects").json()["projects"]] == ["song"]


def test_too_much_is_refused_whether_its_length_is_told_or_not(
    client: TestClient, tmp_path: Path
) -> None:
    told = client.post("/api/projects", content=bytes(UPLOAD + 1), headers={"x-umss-name": "a.wav"})

    def parts() -> Iterator[bytes]:
        for _ in range(UPLOAD // 100_000 + 1):
            yield bytes(100_000)

    chunked = client.post("/api/projects", content=parts(), headers={"x-umss-name": "a.wav"})
    lying = client.post(
        "/api/projects", content=b"", headers={"x-umss-name": "a.wav", "content-length": "x"}
    )
    large = client.request("PATCH", "/api/projects/song", content=bytes(2_000_000))
    assert [told.status_code, chunked.status_code, lying.status_code] == [413, 413, 413]
    assert large.status_code in (404, 413)
    assert "more" in told.json()["error"] or "larger" in told.json()["error"]
    assert list((tmp_path / "projects").iterdir()) == [], "nothing is left"


@pytest.mark.parametrize(
    ("body", "status"),
    [(b"", 400), (b"[1]", 400), (b"{", 400), (b"[" * 100_000, 400), (bytes(1_000_001), 413)],
)  # fmt: skip
def test_bodies_that_are_no_requests(song: TestClient, body: bytes, status: int) -> None:
    answer = song.post(f"{AT}/operations", content=body)
    assert answer.status_code == status and answer.json()["error"]


def test_names_of_files_are_made_harmless(client: TestClient, tmp_path: Path) -> None:
    for name in ("../../evil.wav", "..%2F..%2Fevil.wav", "C%3A%5Cevil.wav", "%3Cb%3E.wav"):
        answer = client.post("/api/projects", content=b"no sound", headers={"x-umss-name": name})
        assert answer.status_code == 201, name
    root = tmp_path / "projects"
    inside = [path for path in root.rglob("*.wav")]
    assert len(inside) == 4 and all(path.parent.name == "recording" for path in inside)
    assert {path.name for path in tmp_path.iterdir()} == {"projects"}
    empty = client.post("/api/projects", content=b"x", headers={"x-umss-name": "%2F.."})
    assert empty.status_code == 400


def test_a_ticket_is_good_once(song: TestClient) -> None:
    answer = song.post(f"{AT}/downloads/none/ticket")
    assert answer.status_code == 404
    song.headers.pop(TOKEN)
    assert song.get("/download/anything").status_code == 403


def test_edits_name_no_files(song: TestClient) -> None:
    for fields in (
        {"contour": "/etc/passwd"},
        {"intonation": {"to": "score", "score": "/etc/passwd"}},
        {"transpose": 1e9},
        {"explode": 1},
        {"timbre": "nobody"},
    ):
        answer = song.put(f"{AT}/edits", json={"revision": 1, "edits": {"high": fields}})
        assert answer.status_code == 400 and "high" in answer.json()["error"]
