"""Scores as others write them: percussion, accompaniment, wrong names, and what is said of them."""

from __future__ import annotations

import io
import logging
import struct
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest

from src.f0.score.reading import ScoreError, read_score
from tests.f0.score.midi_files import NAMES, PITCHES, choir, chunk, midi, musicxml, sing


def test_percussion_is_no_part(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for k, data in enumerate(
        (choir(sing("Click", 76, 9)), choir(sing("Drums", 40, 9), first=False))
    ):
        path = tmp_path / f"{k}.mid"
        path.write_bytes(data)
        assert read_score(path, 4).names == read_score(path).names == NAMES
        assert read_score(path, 4, [1, 2, 3, 4]).names == NAMES
    assert "0.mid: left out Click: percussion" in caplog.text
    assert "1.mid: left out Drums: percussion" in caplog.text
    with pytest.raises(ScoreError, match=r"no part 'Click'.*: 1 Soprano, 2 Alto, 3 Tenor, 4 Bass"):
        read_score(tmp_path / "0.mid", 4, ["Click"])


def test_percussion_in_one_track_and_alone(tmp_path: Path) -> None:
    path = tmp_path / "one.mid"
    path.write_bytes(midi(sing("", 40, 9) + sing("", 76, 0) + sing("", 60, 1), kind=0))
    assert read_score(path, 2).names == ("singer1", "singer2")
    path.write_bytes(midi(sing("Click", 40, 9)))
    with pytest.raises(ScoreError, match="no notes but percussion"):
        read_score(path, 1)


def test_percussion_of_musicxml(tmp_path: Path) -> None:
    clef = "<clef><sign>percussion</sign></clef></attributes>"
    text = musicxml(["Clap", "S", "A"]).replace("</attributes>", clef, 1)
    (tmp_path / "a.xml").write_text(text)
    assert read_score(tmp_path / "a.xml", 2).names == ("S", "A")


@pytest.mark.parametrize(
    "name", ["Click", "Metronome", "Piano", "Klavier", "Orgel", "Organ (red.)"]
)
@pytest.mark.parametrize("first", [True, False])
def test_accompaniment_is_not_proposed(tmp_path: Path, name: str, first: bool) -> None:
    path = tmp_path / "a.mid"
    path.write_bytes(choir(sing(name, 50), first=first))
    with pytest.raises(ScoreError) as error:
        read_score(path, 4)
    numbers = "2,3,4,5" if first else "1,2,3,4"
    assert f"choose score_parts=[{numbers}]" in str(error.value)
    assert "n_singers=5" not in str(error.value)
    assert "2 Soprano" in str(error.value) if first else "1 Soprano, 2 Alto" in str(error.value)
    assert read_score(path, 4, [int(k) for k in numbers.split(",")]).names == NAMES
    with pytest.raises(ScoreError, match=r"choose the 3 that sing by number or name") as error:
        read_score(path, 3)
    assert "score_parts=[1" not in str(error.value)
    with pytest.raises(ScoreError, match=r"but n_singers=7; give the number of parts that sing"):
        read_score(path, 7)


def test_advice_without_accompaniment(tmp_path: Path) -> None:
    path = tmp_path / "a.mid"
    path.write_bytes(choir())
    listed = r"4 parts \(1 Soprano, 2 Alto, 3 Tenor, 4 Bass\), but n_singers"
    with pytest.raises(ScoreError, match=rf"{listed}=2; set n_singers=4 if every part sings, or c"):
        read_score(path, 2)
    with pytest.raises(ScoreError, match=rf"{listed}=6; set n_singers=4 .*or give a score"):
        read_score(path, 6)
    with pytest.raises(ScoreError, match=r"chooses 2 parts \(2 Alto, 4 Bass\), but n_singers=3"):
        read_score(path, 3, ["alto", 4])
    with pytest.raises(ScoreError, match="score_parts is empty; the parts with notes are: 1 Sop"):
        read_score(path, 3, [])


def test_an_instrument_among_as_many_parts_as_singers(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "a.mid").write_bytes(midi(sing("Soprano", 76), sing("Piano", 50)))
    with caplog.at_level(logging.WARNING):
        read_score(tmp_path / "a.mid", 2)
    assert "Piano counts as a singer" in caplog.text
    caplog.clear()
    (tmp_path / "a.mid").write_bytes(choir())
    read_score(tmp_path / "a.mid", 4)
    read_score(tmp_path / "a.mid", 1, ["Bass"])
    assert not caplog.records


def test_names_of_parts_forgive_case_and_blanks(tmp_path: Path) -> None:
    tracks = [sing(n, p) for n, p in (("Solo  Alto", 69), ("Chor", 60), ("Chor", 48), ("3", 40))]
    (tmp_path / "a.mid").write_bytes(midi(*tracks))
    assert read_score(tmp_path / "a.mid", 1, [" SOLO alto"]).names == ("Solo  Alto",)
    assert read_score(tmp_path / "a.mid", 2, ["chor", "Chor"]).names == ("Chor 1", "Chor 2")
    assert read_score(tmp_path / "a.mid", 1, ["2"]).names == ("Chor",)
    assert read_score(tmp_path / "a.mid", 1, ["3"]).names == ("3",)  # a name first


def test_midi_of_many_kinds(tmp_path: Path) -> None:
    plain, path = tmp_path / "plain.mid", tmp_path / "a.mid"
    plain.write_bytes(choir())
    running = bytes([0, 0x90, 76, 64, 100, 76, 0, 0, 76, 64, 100, 76, 0])  # note on with velocity 0
    data = choir()
    form = b"RMID" + chunk(b"data", data)[:4] + struct.pack("<I", len(data)) + data
    kinds = {
        "rmi": b"RIFF" + struct.pack("<I", len(form)) + form,
        "empty tracks": choir(b"", b"\x00\xff\x01\x02hi\x00\xff\x05\x02la"),
        "running status": midi(b"\x00\xff\x03\x07Soprano" + running, *_without_soprano()),
        "zero-ended name": midi(sing("Soprano\0", 76), *_without_soprano()),
    }
    for kind, data in kinds.items():
        path.write_bytes(data)
        read = read_score(path, 4)
        assert read.names == NAMES, kind
        np.testing.assert_array_equal(read.f0, read_score(plain).f0, err_msg=kind)


def _without_soprano() -> list[bytes]:
    return [sing(n, p) for n, p in zip(NAMES[1:], PITCHES[1:], strict=True)]


@pytest.mark.parametrize("encoding", ["UTF-8", "UTF-16", "UTF-16LE", "UTF-16BE", "ISO-8859-1"])
@pytest.mark.parametrize("packed", [False, True])
def test_musicxml_of_many_encodings(tmp_path: Path, encoding: str, packed: bool) -> None:
    data = musicxml(["Ténor", "Bass"], encoding.removesuffix("LE").removesuffix("BE"))
    path = tmp_path / ("a.mxl" if packed else "a.musicxml")
    if packed:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("META-INF/container.xml", '<rootfile full-path="in/score.xml"/>')
            archive.writestr("other.xml", "<no/>")
            archive.writestr("in/score.xml", data.encode(encoding))
    else:
        path.write_bytes(data.encode(encoding))
    assert read_score(path, 2).names == ("Ténor", "Bass")
    # What a text editor makes of it: the declaration no longer tells the truth.
    path.write_bytes(data.encode("utf-8"))
    assert read_score(path, 2).names == ("Ténor", "Bass")


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("a.mid", musicxml().encode(), "looks like MusicXML, not MIDI; rename it to a.musicxml"),
        ("a.mid", musicxml().encode("utf-16"), "looks like MusicXML"),
        ("a.musicxml", choir(), "holds MIDI, not MusicXML; rename it to a.mid"),
        ("a.mid", b"PK\x03\x04", "rename it to a.mxl"),
        ("a.mid", b"RIFF\0\0\0\0WAVE", "this is no MIDI file"),
        ("a.mid", b"", "the file is empty"),
        ("a.xml", b"", "the file is empty"),
        ("a.xml", b"<html/>", "no MusicXML score .it begins with <html>"),
        ("a.xml", b"<score-timewise/>", "score-timewise"),
    ],
)
def test_what_the_file_is_instead(tmp_path: Path, name: str, data: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(ScoreError, match=message) as error:
        read_score(tmp_path / name, 4)
    assert "\n" not in str(error.value) and name in str(error.value)


LAUGHS = "".join(f'<!ENTITY l{k} "{f"&l{k - 1};" * 10 if k else "ha" * 10}">' for k in range(12))


@pytest.mark.parametrize(
    ("before", "note", "message"),
    [
        (f"<!DOCTYPE score-partwise [{LAUGHS}]>", "<x>&l11;</x>", "declares entities"),
        ('<!DOCTYPE score-partwise [<!ENTITY x SYSTEM "file:///etc/passwd">]>', "", "entities"),
        ("", '<barline><repeat direction="backward" times="99999999"/></barline>', "repetitions"),
        ("", "<attributes><time><beats>2+99999999</beats></time></attributes>", "'2.99999999' is"),
        ("", "<attributes><key><fifths>99999999</fifths></key></attributes>", "too large"),
        ("", "<attributes><transpose><chromatic>9e9</chromatic></transpose></attributes>", "a.mus"),
        (
            "",
            "<note><pitch><step>A</step><octave>999</octave></pitch></note>",
            "too large for <oct",
        ),
        ("", "<x>" * 100_000 + "</x>" * 100_000, None),
    ],
)
@pytest.mark.parametrize("encoding", ["UTF-8", "UTF-16"])
def test_hostile_xml_neither_hangs_nor_fills_memory(
    tmp_path: Path, before: str, note: str, message: str | None, encoding: str
) -> None:
    path = tmp_path / "a.musicxml"
    path.write_bytes(musicxml(["S"], encoding, before, note).encode(encoding))
    begun = time.process_time()
    if message is None:
        assert read_score(path, 1).names == ("S",)
    else:
        with pytest.raises(ScoreError, match=message):
            read_score(path, 1)
    assert time.process_time() - begun < 20  # hours, if the numbers were followed


def test_repeats_begin_after_the_repeat_before(tmp_path: Path) -> None:
    bar = "<note><pitch><step>{}</step><octave>4</octave></pitch><duration>4</duration></note>"
    end = '<barline location="right"><repeat direction="backward"/></barline>'
    bars = "".join(
        f'</measure><measure number="{k}">{bar.format(step)}{end}'
        for k, step in enumerate("CDE" * 8, start=2)
    )
    (tmp_path / "a.xml").write_text(musicxml(["S"], note=bars))
    score = read_score(tmp_path / "a.xml", 1)
    # A C twice, then every bar twice, 2 s each.
    assert score.duration == pytest.approx((2 * 2 + 23 * 2) * 2, abs=0.05)
    pitches = [float(score.f0[round((1 + 2 * k) / 0.016), 0]) for k in range(8)]
    np.testing.assert_allclose(
        pitches, np.float32([880, 261.63] * 2 + [293.66] * 2 + [329.63] * 2), 1e-4
    )


def test_doctypes_of_notation_programs_are_read(tmp_path: Path) -> None:
    doctype = (
        '<!DOCTYPE score-partwise PUBLIC "-//Recordare//DTD MusicXML 3.1 Partwise//EN" '
        '"http://www.musicxml.org/dtds/partwise.dtd">'
    )
    (tmp_path / "a.musicxml").write_text(musicxml(before=doctype))
    assert read_score(tmp_path / "a.musicxml", 4).names == NAMES


def test_an_archive_that_unpacks_without_end(tmp_path: Path) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("score.xml", b" " * (80 << 20))
    (tmp_path / "a.mxl").write_bytes(packed.getvalue())
    assert len(packed.getvalue()) < 2**20
    with pytest.raises(ScoreError, match="holds more than 64 MB of XML"):
        read_score(tmp_path / "a.mxl", 1)
