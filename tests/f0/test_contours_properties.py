"""Whatever file is given for F0: sound tracks or one sentence, never another error."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from src.errors import UmssError
from src.f0.contour_files import read_contours, read_f0, write_f0
from src.f0.contours import MAX_F0, F0Contours
from tests.f0.test_tables import DIALECTS, HIGH, LOW, PLAIN, TIMES, TRUST, table

FEW = settings(max_examples=40, derandomize=True, deadline=None, database=None)
MANY = settings(max_examples=600, derandomize=True, deadline=None, database=None)

VALID = [
    *DIALECTS.values(),
    table(TIMES, HIGH, TRUST, header="time,frequency,confidence").encode(),
    table(TIMES, HIGH, LOW, separator="\t").encode(),
]
CELLS = st.one_of(
    st.floats(allow_nan=True, allow_infinity=True).map(repr),
    st.floats(0, 2000).map("{:.3f}".format),
    st.integers(-5, 500).map(str),
    st.sampled_from(
        ["", "nan", "-", "inf", "1e400", '"', "'", "#", "%", "440,5", "A4", "True", "1_0", "0x1F"]
    ),
    st.text(max_size=6),
)
ROWS = st.lists(st.lists(CELLS, max_size=6), max_size=12)


def check(data: bytes) -> None:
    """The file gives finite tracks or one line that names it, and is left as it is."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "given.csv"
        path.write_bytes(data)
        before = hashlib.sha256(data).digest()
        for read in (read_f0, read_contours, lambda path: read_contours(path, 2)):
            try:
                contours = read(path)
            except UmssError as error:
                message = str(error)
                assert message.startswith(str(path)), message
                assert len(message.splitlines()) == 1 and len(message) < 1000, message
            else:
                assert np.isfinite(contours.times).all() and (np.diff(contours.times) > 0).all()
                assert np.isfinite(contours.f0).all()
                assert (contours.f0 >= 0).all() and (contours.f0 <= MAX_F0).all()
                assert len(set(contours.names)) == contours.n_singers
                assert all("\n" not in name and name for name in contours.names)
        assert hashlib.sha256(path.read_bytes()).digest() == before
        assert list(Path(folder).iterdir()) == [path]


@st.composite
def mutations(draw: Callable) -> bytes:
    """A valid file with bytes changed, put in, doubled or cut off."""
    data = bytearray(draw(st.sampled_from(VALID)))
    for _ in range(draw(st.integers(1, 5))):
        at = draw(st.integers(0, len(data) - 1))
        kind = draw(st.sampled_from(["change", "insert", "delete", "cut", "double"]))
        if kind == "change":
            data[at] = draw(st.one_of(st.integers(0, 255), st.sampled_from(b',;\t "\n\r.-#%\0e')))
        elif kind == "insert":
            data[at:at] = draw(st.binary(min_size=1, max_size=4))
        elif kind == "delete":
            del data[at : at + draw(st.integers(1, 30))]
        elif kind == "cut":
            del data[at + 1 :]
        else:
            data[at:at] = data[at : at + draw(st.integers(1, 60))]
        if not data:
            break
    return bytes(data)


@st.composite
def random_tables(draw: Callable) -> bytes:
    separator = draw(st.sampled_from([",", ";", "\t", " ", ", "]))
    end = draw(st.sampled_from(["\n", "\r\n", "\r", "\n\n"]))
    text = end.join(separator.join(row) for row in draw(ROWS))
    encoding = draw(st.sampled_from(["utf-8", "utf-16", "utf-16-be", "cp1252"]))
    return text.encode(encoding, errors="replace")


def check_dialect(names: list[str], f0: list[list[float]], separator: str, encoding: str, end: str,
                  decimal: str, quoted: bool) -> None:  # fmt: skip
    tracks = np.array(f0, dtype=np.float32)
    original = F0Contours.on_grid(tracks, tuple(names[: tracks.shape[1]]))
    with tempfile.TemporaryDirectory() as folder:
        write_f0(Path(folder) / "plain.csv", original)
        plain = read_f0(Path(folder) / "plain.csv")
        np.testing.assert_array_equal(plain.f0, original.f0)
        lines = (Path(folder) / "plain.csv").read_text().splitlines()
        cells = [[cell.replace(".", decimal) for cell in line.split(",")] for line in lines]
        mark = '"' if quoted or separator == decimal else ""
        text = end.join(separator.join(f"{mark}{c}{mark}" for c in row) for row in cells) + end
        path = Path(folder) / "other.csv"
        path.write_bytes(text.encode(encoding))
        other = read_f0(path)
        assert other.names == original.names
        np.testing.assert_array_equal(other.times, plain.times)
        np.testing.assert_array_equal(other.f0, plain.f0)


WIDTH = st.integers(1, 4)
PITCH = st.one_of(st.just(0.0), st.floats(60, 1500, width=32))
TRACKS = WIDTH.flatmap(
    lambda j: st.lists(st.lists(PITCH, min_size=j, max_size=j), min_size=1, max_size=12)
)
DIALECT = {
    "names": st.permutations(["soprano", "Ähnlich", "Second", "b"]),
    "f0": TRACKS,
    "separator": st.sampled_from([",", ";", "\t", " ", "    "]),
    "encoding": st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32", "cp1252"]),
    "end": st.sampled_from(["\n", "\r\n", "\r"]),
    "decimal": st.sampled_from([".", ","]),
    "quoted": st.booleans(),
}


@FEW
@given(mutations())
def test_a_broken_file_is_read_or_explained(data: bytes) -> None:
    check(data)


@FEW
@given(random_tables())
def test_a_random_table_is_read_or_explained(data: bytes) -> None:
    check(data)


@FEW
@given(st.fixed_dictionaries(DIALECT))
def test_the_dialect_does_not_change_the_tracks(dialect: dict) -> None:
    check_dialect(**dialect)


@pytest.mark.slow
@MANY
@given(mutations())
def test_many_broken_files(data: bytes) -> None:
    check(data)


@pytest.mark.slow
@MANY
@given(st.one_of(random_tables(), st.binary(max_size=200)))
def test_many_random_files(data: bytes) -> None:
    check(data)


@pytest.mark.slow
@MANY
@given(st.fixed_dictionaries(DIALECT))
def test_many_dialects(dialect: dict) -> None:
    check_dialect(**dialect)


def test_examples_are_valid(tmp_path: Path) -> None:
    for k, data in enumerate(VALID):
        (tmp_path / f"{k}.csv").write_bytes(data)
        assert read_f0(tmp_path / f"{k}.csv").n_singers in (1, 2)
    assert PLAIN.encode() not in VALID
