"""Pages to listen to as files: what is in them, and what they refuse."""

from __future__ import annotations

import base64
import io
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile as sf
from PIL import Image

from src.baselines.masks import CombSeparator
from src.errors import OutputExistsError, UmssError
from src.f0.contours import F0Contours
from src.listening.content import Page, Recording, Track
from src.listening.doubts import find_doubts, find_spans, read_warnings
from src.listening.page import encode_f0, write_page
from src.listening.sound import measure, read_pieces
from src.separate_file import separate_file
from src.separated import SeparatedRecording
from tests.listening.reading import decode, read_page
from tests.listening.voices import NASTY, RATE, make_noise, make_page, make_recording, make_tone


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("pages") / "nasty.html"
    assert write_page(path, make_page()) == [path]
    return path


def test_names_are_text_wherever_they_stand(written: Path) -> None:
    page, content, _ = read_page(written)
    assert page.texts["title"] == page.texts["h1"] == [NASTY]
    assert NASTY in [text.strip() for text in page.texts["option"]]
    assert content["recordings"][0]["tracks"][2]["name"] == NASTY
    assert "alert('x')</script>" not in written.read_text(encoding="utf-8")


def test_nothing_is_fetched_from_elsewhere(written: Path) -> None:
    text = written.read_text(encoding="utf-8")
    assert not re.search(r"""https?://|//\w+\.\w+/|@import|<link|\bsrc=|\bhref=""", text)
    assert "default-src 'none'" in text


def test_scores_and_texts_are_in_the_page_itself(written: Path) -> None:
    page, content, _ = read_page(written)
    assert {"10.2", "5.0", "9.8"} <= set(page.texts["td"])
    assert "Two recordings of nobody." in page.texts["p"]
    remarks = content["recordings"][0]["remarks"]
    assert remarks[:2] == [
        {"text": "The tracks are uncertain", "spans": [[1.0, 1.5]]},
        {"text": "Speech has no F0", "spans": []},
    ]


def test_pieces_join_to_the_sound_that_went_in(tmp_path: Path) -> None:
    stems = {"high": make_noise(21.3, 1), "low": np.stack([make_noise(21.3, 2)] * 2)}
    recording = Recording("Long", RATE, [Track(name, audio) for name, audio in stems.items()])
    write_page(tmp_path / "long.html", Page("Long", [recording]))
    _, content, pieces = read_page(tmp_path / "long.html")
    (found,) = content["recordings"]
    assert (found["length"], found["piece"], found["pieces"]) == (21.3 * RATE, 10 * RATE, 3)
    assert sorted(pieces) == ["0-0", "0-1", "0-2"]
    for t, (name, audio) in enumerate(stems.items()):
        joined = np.concatenate([decode(pieces[f"0-{k}"]["sound"][t]) for k in range(3)]).T
        np.testing.assert_allclose(joined, audio * found["gain"], atol=0.51 / 32768, err_msg=name)
    assert max(np.abs(audio).max() for audio in stems.values()) * found["gain"] <= 1


def test_pictures_show_the_tone_at_its_height(written: Path) -> None:
    _, content, pieces = read_page(written)
    recording = content["recordings"][0]
    picture = np.asarray(Image.open(io.BytesIO(base64.b64decode(pieces["0-0"]["picture"][1]))))
    assert picture.shape == (96, 3 * recording["columns"])
    octaves = np.log2(recording["highest"] / recording["lowest"])
    row = 96 * (1 - np.log2(200 / recording["lowest"]) / octaves)
    loudest = picture[:, 20:-20].mean(axis=1).argmax()
    assert abs(loudest + 0.5 - row) <= 1
    overview = Image.open(io.BytesIO(base64.b64decode(recording["tracks"][1]["overview"])))
    assert overview.size == (3 * recording["columns"], 96)
    assert len(base64.b64decode(recording["tracks"][1]["peaks"])) == 3 * recording["peaks"]


def test_the_sum_is_heard_once(written: Path) -> None:
    _, content, _ = read_page(written)
    heard = [(track["role"], track["heard"]) for track in content["recordings"][0]["tracks"]]
    assert heard == [
        ("mixture", False), ("stem", True), ("stem", True), ("residual", True),
        ("reference", False), ("reference", False),
    ]  # fmt: skip
    alone = Recording("Alone", RATE, [Track("Recording", make_noise(1, 1), "mixture")])
    path = written.with_name("alone.html")
    write_page(path, Page("Alone", [alone]))
    assert read_page(path)[1]["recordings"][0]["tracks"][0]["heard"]


def test_f0_is_kept_to_the_cent() -> None:
    f0 = np.array([0, 100, 440.3, np.nan, 1000, 3], np.float32)
    cents = np.frombuffer(base64.b64decode(encode_f0(f0)), "<u2").astype(float)
    back = np.where(cents > 0, 16 * 2 ** (cents / 1200), 0)
    assert (back[[0, 3, 5]] == 0).all()
    assert np.abs(1200 * np.log2(back[[1, 2, 4]] / f0[[1, 2, 4]])).max() < 0.51


def test_long_pages_have_their_sound_beside_them(tmp_path: Path) -> None:
    path = tmp_path / "My choir #1 (100 %).html"
    page = Page("Choir", [make_recording({"alto": make_tone(11, 200)})])
    files = write_page(path, page, single=False)
    folder = tmp_path / "My choir #1 (100 %)_files"
    assert files == [path, folder / "sound-0-0.js", folder / "sound-0-1.js"]
    assert files[1].read_text().startswith('receiveSound("0-0",{"sound":["')
    _, content, pieces = read_page(path)
    assert not pieces
    assert content["folder"] == "My%20choir%20%231%20%28100%20%25%29_files"
    with pytest.raises(OutputExistsError, match="exists"):
        write_page(path, page)
    assert write_page(path, page, overwrite=True) == [path]
    assert [*tmp_path.iterdir()] == [path]  # files that were replaced are gone, with their folder


def test_a_page_that_fails_leaves_nothing(tmp_path: Path) -> None:
    unequal = [Track("a", make_noise(1, 1)), Track("b", make_noise(2, 1))]
    with pytest.raises(UmssError, match="b has 16000 samples, a 8000"):
        write_page(tmp_path / "a.html", Page("A", [Recording("A", RATE, unequal)]))
    bad = Track("c", np.array([0.0, np.nan], np.float32))
    with pytest.raises(UmssError, match="c holds NaN"):
        write_page(tmp_path / "new" / "a.html", Page("A", [Recording("A", RATE, [bad])]))
    assert not [*tmp_path.iterdir()]


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: Track("a", np.zeros((1, 2, 3))), r"\[T\] or \[C, T\]"),
        (lambda: Track("a", np.zeros(3), "voice"), "choose from mixture"),
        (lambda: Track("a", np.zeros(3), f0=np.zeros((2, 2))), r"must be \[N\]"),
        (lambda: Recording("a", RATE, []), "needs a track"),
        (lambda: Page("a", []), "needs a recording"),
    ],
)
def test_what_cannot_be_shown_is_refused(build: Any, message: str) -> None:
    with pytest.raises(UmssError, match=message):
        build()


def test_files_are_read_like_arrays_and_odd_rates_are_resampled(tmp_path: Path) -> None:
    audio = make_tone(2, 200)
    sf.write(tmp_path / "a.wav", audio, 192_000, subtype="FLOAT")
    (piece,) = read_pieces(Track("a", tmp_path / "a.wav"), 192_000, 480_000)
    assert piece.shape == (1, 4000)
    np.testing.assert_array_equal(piece, next(read_pieces(Track("a", audio), 192_000, 480_000)))
    with pytest.raises(UmssError, match="192000 Hz, but the other tracks"):
        [*read_pieces(Track("a", tmp_path / "a.wav"), RATE, RATE)]
    surround = np.stack([audio, audio, -audio])
    (mono,) = read_pieces(Track("a", surround), RATE, len(audio))
    np.testing.assert_allclose(mono[0], audio / 3, atol=1e-7)


def test_doubtful_places_are_found() -> None:
    stems = {"alto": make_tone(4, 200), "tenor": make_tone(4, 200)}
    recording = make_recording(stems)
    residual = recording.tracks[3].audio
    residual[RATE : 2 * RATE] *= 400
    tracks = [Track("Recording", sum(stems.values(), residual), "mixture"), *recording.tracks[1:]]
    tracks[2] = Track("tenor", stems["tenor"], "stem", tracks[1].f0)
    doubted = Recording("Choir", RATE, tracks)
    left, unison = find_doubts(doubted, measure(doubted))
    assert left.text.startswith("Much of the sound") and left.spans == [(1.0, 2.0)]
    assert unison.text.startswith("alto and tenor sing one pitch")
    np.testing.assert_allclose(unison.spans, [(0.992, 4.0)], atol=0.02)
    assert not find_spans(np.array([False, True, False]), 0.1)


def test_times_in_warnings_lead_there() -> None:
    lasting, at, span = read_warnings(
        ["the recording lasts 0.52 s only", "silence at 3.2 s", "noise from 1 to 2.5 s"]
    )
    assert (lasting.text, lasting.spans) == ("The recording lasts 0.52 s only", [])
    assert at.spans == [(3.2, 3.2)] and span.spans == [(1.0, 2.5)]


def test_separated_files_have_a_page(tmp_path: Path) -> None:
    audio = np.stack([make_tone(2, 200) + make_tone(2, 310), make_tone(2, 310)])
    path = tmp_path / "Chör 'live' #1.wav"
    sf.write(path, audio.T, RATE, subtype="FLOAT")
    tracks = np.tile(np.array([[310.0, 200.0]], np.float32), (126, 1))
    f0 = F0Contours.on_grid(tracks, ("high", "low"))
    out = tmp_path / "out"
    warnings = ["silence at 0.5 s"]
    files = separate_file(
        path, f0, CombSeparator(), out, progress=False, page=True, warnings=warnings
    )
    assert files["page"] == out / "Chör 'live' #1_listen.html"
    _, content, pieces = read_page(files["page"])
    (recording,) = content["recordings"]
    assert recording["remarks"][0]["text"] == "Silence at 0.5 s"
    assert [track["channels"] for track in recording["tracks"]] == [2] * 4
    heard = [decode(sound) for sound in pieces["0-0"]["sound"]]
    np.testing.assert_allclose(heard[0], audio.T * recording["gain"], atol=0.51 / 32768)
    np.testing.assert_allclose(np.sum(heard[1:], axis=0), heard[0], atol=3 / 32768)
    with pytest.raises(OutputExistsError):
        separate_file(path, f0, CombSeparator(), out, progress=False, page=True)
    separate_file(path, f0, CombSeparator(), out, progress=False, overwrite=True)
    assert not files["page"].exists()  # it was of the earlier separation


def test_separated_recordings_save_their_page(tmp_path: Path) -> None:
    stems = {"alto": make_tone(1, 200), "bass": make_tone(1, 100)}
    f0 = F0Contours.on_grid(np.full((63, 2), 200, np.float32), tuple(stems))
    result = SeparatedRecording(
        stems, np.zeros(RATE, np.float32), f0, {}, RATE, ["silence at 0.5 s"], "My choir"
    )
    files = result.save(tmp_path, page=True)
    assert files["page"] == tmp_path / "My choir_listen.html"
    _, content, _ = read_page(files["page"])
    (recording,) = content["recordings"]
    names = [track["name"] for track in recording["tracks"]]
    assert names == ["Recording", "alto", "bass", "Residual"]
    assert recording["remarks"][0] == {"text": "Silence at 0.5 s", "spans": [[0.5, 0.5]]}
    with pytest.raises(OutputExistsError):
        result.save(tmp_path, page=True)
    result.save(tmp_path, overwrite=True)
    assert not files["page"].exists()  # it was of the earlier separation
