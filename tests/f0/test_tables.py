"""F0 files of other programs: dialects that are read, columns that are no singers, and advice."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from src.f0.contour_files import read_contours, read_f0
from src.f0.contours import ContourError

N = 40
TIMES = [f"{0.01 * k:.2f}" for k in range(N)]
HIGH = [f"{440 + 3 * np.sin(k):.3f}" for k in range(N)]
LOW = [f"{220 + 3 * np.cos(k):.3f}" for k in range(N)]
TRUST = [f"{0.9 + 0.05 * np.sin(k):.3f}" for k in range(N)]
COUNT = [str(k) for k in range(N)]


def table(*columns: Sequence[str], header: str | None = None, separator: str = ",") -> str:
    rows = [separator.join(row) for row in zip(*columns, strict=True)]
    return "\n".join(([header] if header else []) + rows) + "\n"


PLAIN = table(TIMES, HIGH, LOW, header="time,high,low")
GERMAN = PLAIN.replace(",", ";").replace(".", ",")
DIALECTS = {
    "semicolons": PLAIN.replace(",", ";").encode(),
    "decimal commas": GERMAN.encode(),
    "decimal commas and tabs": GERMAN.replace(";", "\t").encode(),
    "decimal commas and spaces": GERMAN.replace(";", "  ").encode(),
    "decimal commas in quotes": "\n".join(
        ",".join(f'"{cell}"' for cell in line.split(";")) for line in GERMAN.splitlines()
    ).encode(),
    "Excel's hint": b"sep=;\r\n" + GERMAN.replace("\n", "\r\n").encode(),
    "tabs": PLAIN.replace(",", "\t").encode(),
    "runs of spaces": PLAIN.replace(",", "   ").replace("\n", "  \n   ").encode(),
    "header with other separator": PLAIN.replace(",", "\t").replace("\t", ";", 2).encode(),
    "UTF-8 with mark": b"\xef\xbb\xbf" + PLAIN.encode(),
    "UTF-16": PLAIN.encode("utf-16"),
    "UTF-16 little": PLAIN.encode("utf-16-le"),
    "UTF-16 big": PLAIN.encode("utf-16-be"),
    "UTF-16 big with mark": b"\xfe\xff" + PLAIN.encode("utf-16-be"),
    "UTF-32": PLAIN.encode("utf-32"),
    "CR": PLAIN.replace("\n", "\r").encode(),
    "CRLF": PLAIN.replace("\n", "\r\n").encode(),
    "quotes": "\n".join(
        ",".join(f'"{cell}"' for cell in line.split(",")) for line in PLAIN.splitlines()
    ).encode(),
    "comments": ("# made by hand\n% twice\n" + PLAIN.replace("0.05", "# here\n0.05", 1)).encode(),
    "numpy.savetxt": b"# " + PLAIN.replace(",", " ").encode(),
    "trailing separators": PLAIN.replace("\n", ",\n").encode(),
    "empty columns": PLAIN.replace("\n", ",,\n").encode(),
    "blank lines": PLAIN.replace("\n", "\n\n").encode(),
    "powers": PLAIN.replace("0.01,", "1e-2,").encode(),
}


@pytest.mark.parametrize("dialect", DIALECTS)
def test_every_dialect_gives_the_same_tracks(tmp_path: Path, dialect: str) -> None:
    (tmp_path / "plain.csv").write_text(PLAIN)
    (tmp_path / "f0.csv").write_bytes(DIALECTS[dialect])
    plain, read = read_f0(tmp_path / "plain.csv"), read_f0(tmp_path / "f0.csv")
    assert read.names == plain.names == ("high", "low")
    np.testing.assert_array_equal(read.times, plain.times)
    np.testing.assert_array_equal(read.f0, plain.f0)


def test_names_in_the_encoding_of_windows(tmp_path: Path) -> None:
    (tmp_path / "f0.csv").write_bytes(table(TIMES, HIGH, header="Zeit;Ténor").encode("latin-1"))
    (tmp_path / "g0.csv").write_bytes(
        table(TIMES, HIGH, header="Zeit;Ténor", separator=";").encode("latin-1")
    )
    assert read_f0(tmp_path / "f0.csv").names == read_f0(tmp_path / "g0.csv").names == ("Ténor",)


@pytest.mark.parametrize(
    "silent", ["0", "", "nan", "NaN", "-", "--", "--undefined--", "-220.5", "NA", "None"]
)
def test_what_means_silent(tmp_path: Path, silent: str) -> None:
    (tmp_path / "f0.csv").write_text(f"time,a,b\n0,{silent},220\n0.01,440,220\n")
    np.testing.assert_array_equal(read_f0(tmp_path / "f0.csv").f0[:, 0], [0, 440])


@pytest.mark.parametrize(
    ("text", "names", "left_out"),
    [
        (table(TIMES, HIGH, TRUST, header="time,frequency,confidence"), ("frequency",), "confid"),
        (table(TIMES, HIGH, TRUST), ("singer1",), "column 3 holds values up to 0.95"),
        (table(COUNT, TIMES, HIGH, TRUST, header=",time,frequency,confidence"), ("frequency",), ""),
        (table(COUNT, TIMES, HIGH, header="frame,time_s,f0"), ("f0",), "frame"),
        (
            table(TIMES, HIGH, ["True"] * N, TRUST, header="time,f0,voiced_flag,voiced_prob"),
            ("f0",),
            "voiced_flag holds text; column voiced_prob",
        ),
        (table(TIMES, HIGH, ["1"] * N, header="time,f0,voiced"), ("f0",), "voiced says where"),
        (table(TIMES, HIGH, ["A4"] * N, separator="\t"), ("singer1",), "column 3 holds text"),
        (table(TIMES, HIGH, [f"{-20 - k % 3}" for k in range(N)]), ("singer1",), "levels in dB"),
        (table(TIMES, HIGH, ["70"] * N, header="time,f0,intensity"), ("f0",), "intensity"),
        (table(TIMES, HIGH, ["69"] * N, header="time,f0,midi"), ("f0",), "midi holds MIDI"),
        (
            table(TIMES, HIGH, TRUST, LOW, TRUST, header="time,a,a confidence,b,bPeriodicity"),
            ("a", "b"),
            "column a confidence .*; column bPeriodicity",
        ),
        (table(TIMES, HIGH, COUNT, header="time,a,position"), ("a",), "position rises steadily"),
        (
            table(TIMES, HIGH, [str(5 + k % 3) for k in range(N)], header="time,a,b"),
            ("a",),
            "column b has no value above 7",
        ),
    ],
)
def test_columns_that_are_no_singers(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, text: str, names: tuple, left_out: str
) -> None:
    path = tmp_path / "f0.csv"
    path.write_text(text)
    contours = read_contours(path, len(names))
    assert contours.names == names
    assert contours.times[1] == 0.01
    np.testing.assert_array_equal(contours.f0[:, 0], np.float32(HIGH))
    with caplog.at_level(logging.WARNING):
        read_f0(path)
    assert len(caplog.records) >= 1
    assert re.search(f"f0.csv: left out: .*{left_out}", caplog.text)
    with pytest.raises(ContourError, match=f"n_singers={len(names)} or") as error:
        read_contours(path, len(names) + 1)
    assert f"set n_singers={len(names) + 1}" not in str(error.value)


@pytest.mark.parametrize(
    "header",
    ["time,s,a", "time,First Soprano,Second Soprano", "time,Sop f0,Alto_F0", "t,note 1,note 2"],
)
def test_names_of_singers_are_no_grounds(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, header: str
) -> None:
    (tmp_path / "f0.csv").write_text(table(TIMES, HIGH, LOW, header=header))
    assert read_contours(tmp_path / "f0.csv", 2).names == tuple(header.split(",")[1:])
    assert not caplog.records


@pytest.mark.parametrize(
    ("header", "names"),
    [("time,,", ("singer1", "singer2")), ("time,a,", ("a", "singer2")), ("t,a,a", ("a 1", "a 2"))],
)
def test_missing_and_repeated_names(tmp_path: Path, header: str, names: tuple) -> None:
    (tmp_path / "f0.csv").write_text(table(TIMES, HIGH, LOW, header=header))
    assert read_f0(tmp_path / "f0.csv").names == names


def test_praat_and_milliseconds(tmp_path: Path) -> None:
    for header in ("Time_s   F0_Hz", "Time (s)   F0 (Hz)"):
        text = table(TIMES, ["--undefined--", *HIGH[1:]], header=header, separator="   ")
        (tmp_path / "f0.txt").write_text(text)
        read = read_f0(tmp_path / "f0.txt")
        assert read.f0[0, 0] == 0 and read.n_singers == 1
    for header in ("time_ms,a", "time (ms),a", "Time [ms],a", "milliseconds,a"):
        (tmp_path / "f0.csv").write_text(f"{header}\n0,440\n10,441\n")
        assert read_f0(tmp_path / "f0.csv").times[1] == 0.01


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "0.0\n0.01\t220\n0.02\t220\t330\n0.03\t220\n",
            "varying numbers of pitches.*leave out f0=",
        ),
        (table(TIMES, HIGH) + "0.5,220,330\n", "line 41: 3 columns, expected 2"),
        (PLAIN.replace(".", ","), "6 columns, expected 3; .*semicolons"),
        (table(TIMES, HIGH).replace(".", ","), "must increase; decimal commas need semicolons"),
        (table(TIMES, ["69"] * N, header="time,midi"), r"440 \* 2 \*\* \(\(number - 69\) / 12\)"),
        (table(TIMES, ["6"] * N), "column 2 has no value above 6, .*take it out"),
        (table(COUNT, HIGH, header="frame,f0"), "column frame counts frames or samples"),
        (table(COUNT, TIMES, HIGH), "column 1 counts the rows and column 2 rises like the time"),
        (
            table(TIMES, TIMES, ["la"] * N, separator="\t"),
            "no column holds F0.*column 3 holds text",
        ),
        ("0:00.0,440\n0:00.1,440\n", "line 1, column time: '0:00.0' is not a number"),
        (table(TIMES, ["440 Hz"] * N), "'440 Hz' is not a number"),
        ("<html></html>", "no F0 file but XML"),
        ('{"f0": 440}', "no F0 file but JSON"),
        ("MThd\0\0", "no F0 file but a MIDI file; name it .mid"),
        ("RIFF\0\0", "no F0 file but a sound file"),
        ("PK\x03\x04", "no F0 file but a zip archive or spreadsheet; save the table as CSV"),
        ("time,a\n0,\x01\x02\n", "this is no text"),
        ('time,"a\n0,440\n', "has a header but no rows"),
    ],
)
def test_one_sentence_says_what_to_do(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "f0.csv"
    path.write_text(text)
    with pytest.raises(ContourError, match=message) as error:
        read_f0(path)
    assert str(path) in str(error.value) and "\n" not in str(error.value)


def test_folder_and_cut_text(tmp_path: Path) -> None:
    with pytest.raises(ContourError, match="a folder"):
        read_f0(tmp_path)
    (tmp_path / "f0.csv").write_bytes(PLAIN.encode("utf-16")[:-1])
    with pytest.raises(ContourError, match=r"f0\.csv: the text is broken.*save it as UTF-8"):
        read_f0(tmp_path / "f0.csv")


def test_odd_values_are_warned_of(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "low.csv").write_text(table(TIMES, ["12", *HIGH[1:]], header="time,a"))
    assert read_f0(tmp_path / "low.csv").f0[0, 0] == 12
    assert "low.csv, line 2, column a: 12 Hz is lower than any voice" in caplog.text
    (tmp_path / "ms.csv").write_text(table([f"{10 * k}" for k in range(N)], HIGH))
    read_f0(tmp_path / "ms.csv")
    assert "ms.csv: the times are 10 s apart; if they are frames or milliseconds" in caplog.text


def test_number_of_singers(tmp_path: Path) -> None:
    path = tmp_path / "f0.csv"
    path.write_text(PLAIN)
    with pytest.raises(ContourError, match=r"2 singers \(high, low\), but n_singers=3; set n_sin"):
        read_contours(path, 3)
    path.write_text(table(TIMES, *[HIGH] * 40))
    with pytest.raises(ContourError, match="at most 32 can be separated"):
        read_contours(path, 4)
