"""Whatever score is given: sound tracks or one sentence, never another error."""

from __future__ import annotations

import io
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from src.errors import UmssError
from src.f0.score.reading import read_score
from tests.f0.score.midi_files import choir, midi, musicxml, sing

FEW = settings(max_examples=40, derandomize=True, deadline=None, database=None)
MANY = settings(max_examples=500, derandomize=True, deadline=None, database=None)


def pack(text: str) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("META-INF/container.xml", '<rootfile full-path="score.xml"/>')
        archive.writestr("score.xml", text)
    return packed.getvalue()


VALID = {
    "mid": [
        choir(),
        choir(sing("Click", 76, 9), b""),
        midi(sing("", 60, 0) + sing("", 76, 1), kind=0),
        midi(sing("S", 76), sing("A", 69), division=0xE719),
    ],
    "musicxml": [
        musicxml().encode(),
        musicxml(encoding="UTF-16").encode("utf-16"),
        musicxml(
            ["S", "A"],
            note='<barline location="right"><repeat direction="backward" times="2"/></barline>',
        ).encode(),
        musicxml(
            ["S", "A"],
            note="<direction><sound tempo='60'/></direction><note><chord/><pitch><step>C</step>"
            "<alter>1</alter><octave>4</octave></pitch><duration>4</duration></note>",
        ).encode(),
    ],
    "mxl": [pack(musicxml())],
}
TAGS = [
    *(
        b"<note>",
        b"</note>",
        b"<rest/>",
        b"<grace/>",
        b"<voice>2</voice>",
        b"<duration>-1</duration>",
    ),
    *(b"<backup><duration>9</duration></backup>", b"<divisions>0</divisions>", b"&x;", b"<!-- -->"),
    *(b"<octave>99</octave>", b"<key><fifths>-9</fifths></key>", b"0", b"99", b"\n"),
]


def check(data: bytes, suffix: str, n_singers: int | None) -> None:
    """The file gives finite tracks or one line that names it, and is left as it is."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"given.{suffix}"
        path.write_bytes(data)
        try:
            contours = read_score(path, n_singers)
        except UmssError as error:
            message = str(error)
            assert message.startswith(str(path)), message
            assert len(message.splitlines()) == 1 and len(message) < 2500, message
        else:
            assert np.isfinite(contours.f0).all() and (contours.f0 >= 0).all()
            assert n_singers in (None, contours.n_singers)
            assert len(set(contours.names)) == contours.n_singers
        assert path.read_bytes() == data
        assert list(Path(folder).iterdir()) == [path]


@st.composite
def broken_scores(draw: Callable) -> tuple[bytes, str]:
    """A valid score with bytes or elements changed, put in, doubled or cut off; or its suffix."""
    suffix = draw(st.sampled_from(["mid", "mid", "musicxml", "musicxml", "mxl"]))
    data = bytearray(draw(st.sampled_from(VALID[suffix])))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, max(len(data) - 1, 0)))
        kind = draw(st.sampled_from(["change", "insert", "delete", "cut", "double", "tag"]))
        if kind == "change" and data:
            data[at] = draw(st.integers(0, 255))
        elif kind == "insert":
            data[at:at] = draw(st.binary(min_size=1, max_size=4))
        elif kind == "delete":
            del data[at : at + draw(st.integers(1, 40))]
        elif kind == "cut":
            del data[at + 1 :]
        elif kind == "double":
            data[at:at] = data[at : at + draw(st.integers(1, 80))]
        else:
            mark = data.find(b">", at) + 1
            data[mark:mark] = draw(st.sampled_from(TAGS))
    wrong = draw(st.integers(0, 9)) == 0
    return bytes(data), draw(st.sampled_from(["mid", "xml", "mxl"])) if wrong else suffix


COUNTS = st.sampled_from([None, 1, 2, 4, 5])


@FEW
@given(broken_scores(), COUNTS)
def test_a_broken_score_is_read_or_explained(score: tuple[bytes, str], n: int | None) -> None:
    check(*score, n)


@pytest.mark.slow
@MANY
@given(broken_scores(), COUNTS)
def test_many_broken_scores(score: tuple[bytes, str], n: int | None) -> None:
    check(*score, n)


def test_examples_are_valid(tmp_path: Path) -> None:
    for suffix, examples in VALID.items():
        for k, data in enumerate(examples):
            path = tmp_path / f"{k}.{suffix}"
            path.write_bytes(data)
            assert read_score(path).n_singers in (2, 4)
