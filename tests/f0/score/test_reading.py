"""Scores as F0 tracks: times, pitches, parts, and files that are no scores."""

from __future__ import annotations

import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest
from music21 import bar, chord, clef, meter, note, stream, tempo, tie

from src.f0.contours import F0Contours
from src.f0.score.reading import ScoreError, read_score

XML = """<?xml version="1.0"?><score-partwise version="3.1"><part-list>
<score-part id="P1"><part-name>Women</part-name></score-part>
<score-part id="P2"><part-name>Men</part-name></score-part></part-list>{parts}</score-partwise>"""


def part(name: str, *elements: object) -> stream.Part:
    made = stream.Part([meter.TimeSignature("4/4"), *elements])
    made.partName = name
    return made


def quarters(*pitches: str) -> list[note.GeneralNote]:
    return [note.Rest() if p == "r" else note.Note(p) for p in pitches]


def write(folder: Path, suffix: str, *parts: stream.Part) -> Path:
    path = folder / f"score.{suffix}"
    stream.Score(list(parts)).write("midi" if suffix in ("mid", "midi") else suffix, path)
    return path


def at(contours: F0Contours, seconds: float) -> list[float]:
    row = contours.f0[round(seconds / 0.016)]
    return [round(float(f), 2) for f in row]


@pytest.mark.parametrize("suffix", ["mid", "midi", "musicxml", "mxl"])
def test_tempo_marks_rests_and_tuning(tmp_path: Path, suffix: str) -> None:
    high = part("High", tempo.MetronomeMark(number=60), *quarters("A4", "r", "A4", "A4"))
    high.insert(4.0, tempo.MetronomeMark(number=120))
    high.append(quarters("A5", "A4"))
    low = part("Low", *quarters("A2", "A2", "A3", "A3", "r", "A2"))
    score = read_score(write(tmp_path, suffix, low, high))
    # music21 writes no part names into MIDI files.
    assert score.names == (("singer1", "singer2") if "mid" in suffix else ("High", "Low"))
    assert at(score, 0.5) == [440, 110]
    assert at(score, 1.5) == [0, 110]
    assert at(score, 2.5) == [440, 220]
    # Four beats of a second, then beats of half a second.
    assert at(score, 4.25) == [880, 0]
    assert at(score, 4.75) == [440, 110]
    assert score.duration == pytest.approx(5.0, abs=0.04)
    assert not score.voiced[-1].any()
    np.testing.assert_allclose(score.times, np.arange(len(score.times)) * 0.016)
    changes = np.flatnonzero(np.diff(score.f0[:, 0])) + 1
    np.testing.assert_allclose(changes * 0.016, [1, 2, 4, 4.5, 5], atol=0.009)


def test_ties_and_tuplets_are_continuous(tmp_path: Path) -> None:
    tied = [note.Note("C5", quarterLength=4), note.Note("C5", quarterLength=2)]
    tied[0].tie, tied[1].tie = tie.Tie("start"), tie.Tie("stop")
    triplets = [note.Note(p, quarterLength=2 / 3) for p in ("D5", "E5", "F5")]
    path = write(tmp_path, "musicxml", part("S", *tied, *triplets))
    score = read_score(path, 1)
    pitch = np.rint(69 + 12 * np.log2(np.maximum(score.f0[:, 0], 1) / 440))
    changes = np.flatnonzero(np.diff(pitch)) + 1
    np.testing.assert_allclose(changes * 0.016, [3, 10 / 3, 11 / 3, 4], atol=0.009)


def test_octave_clefs_and_ornaments(tmp_path: Path) -> None:
    tenor = part("T", clef.Treble8vbClef(), *quarters("A3", "A3"))
    tenor.insert(1.0, note.Note("B3").getGrace())
    score = read_score(write(tmp_path, "musicxml", tenor), 1)
    assert set(score.f0[score.voiced]) == {220.0}


def test_chords_are_split_where_the_number_of_singers_asks_for_it(tmp_path: Path) -> None:
    women = part("Women", chord.Chord(["C5", "A4"]), note.Note("A4"), note.Rest())
    men = part("Men", *quarters("A2", "A2", "A2"))
    path = write(tmp_path, "musicxml", women, men)
    split = read_score(path, 3)
    assert split.names == ("Women 1", "Women 2", "Men")
    assert at(split, 0.25) == [523.25, 440, 110]
    assert at(split, 0.75) == [440, 440, 110]
    assert at(split, 1.25) == [0, 0, 110]
    top = read_score(path, 2)
    assert top.names == ("Women", "Men")
    assert at(top, 0.25) == [523.25, 110]
    with pytest.raises(ScoreError, match=r"2 parts \(1 Women, 2 Men\), but n_singers=5"):
        read_score(path, 5)


def test_two_voices_on_a_staff_are_two_singers(tmp_path: Path) -> None:
    def xml(step: str, octave: int, duration: int, voice: int) -> str:
        return (
            f"<note><pitch><step>{step}</step><octave>{octave}</octave></pitch>"
            f"<duration>{duration}</duration><voice>{voice}</voice></note>"
        )

    backup = "<backup><duration>4</duration></backup>"
    rest = "<note><rest/><duration>2</duration><voice>2</voice></note>"
    bars = "".join(
        f'<part id="P{k}"><measure number="1"><attributes><divisions>1</divisions></attributes>'
        f"{xml('A', octave, 4, 1)}{backup}{xml('E', octave, 2, 2)}{rest}</measure></part>"
        for k, octave in ((1, 4), (2, 3))
    )
    (tmp_path / "closed.xml").write_text(XML.format(parts=bars))
    score = read_score(tmp_path / "closed.xml", 4)
    assert score.names == ("Women 1", "Women 2", "Men 1", "Men 2")
    assert at(score, 0.5) == [440, 329.63, 220, 164.81]
    # The lower voice of each staff rests; the upper goes on alone.
    assert at(score, 1.5) == [440, 0, 220, 0]


def test_repeats_are_sung(tmp_path: Path) -> None:
    made = part("S", *quarters("A4", "A4", "A4", "A4", "A5", "A5", "A5", "A5")).makeMeasures()
    made.partName = "S"
    made.measure(1).rightBarline = bar.Repeat(direction="end")
    score = read_score(write(tmp_path, "musicxml", made), 1)
    assert at(score, 3.0) == [440]
    assert at(score, 5.0) == [880]
    assert score.duration == pytest.approx(6, abs=0.04)


def test_parts_can_be_chosen(tmp_path: Path) -> None:
    parts = [part(n, *quarters(p)) for n, p in (("S", "A5"), ("A", "A4"), ("Piano", "A3"))]
    path = write(tmp_path, "musicxml", *parts, part("Tacet", note.Rest()))
    assert read_score(path).names == ("S", "A", "Piano")
    assert read_score(path, 2, ["a", 1]).names == ("S", "A")
    with pytest.raises(ScoreError, match=r"3 parts \(1 S, 2 A, 3 Piano\).*score_parts=\[1,2\]"):
        read_score(path, 2)
    with pytest.raises(ScoreError, match="no part 'X'.*1 S, 2 A, 3 Piano"):
        read_score(path, 2, ["S", "X"])
    with pytest.raises(ScoreError, match="no part 4"):
        read_score(path, 2, [1, 4])


def test_equal_and_missing_names_are_numbered(tmp_path: Path) -> None:
    same = [part("Chor", *quarters(p)) for p in ("A5", "A4")]
    names = read_score(write(tmp_path, "musicxml", *same), 2).names
    assert names == ("Chor 1", "Chor 2")


def chunk(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack(">I", len(body)) + body


def midi(*tracks: bytes, division: int = 100) -> bytes:
    head = chunk(b"MThd", struct.pack(">HHH", 1, len(tracks), division))
    return head + b"".join(chunk(b"MTrk", t + b"\x00\xff\x2f\x00") for t in tracks)


def test_played_midi_keeps_its_times_and_forgives_legato(tmp_path: Path) -> None:
    # Ticks of 5 ms: A4 from 0.185 s, B4 from 0.5 s, overlapping by 15 ms; two channels, one track.
    track = (
        b"\x25\x90\x45\x40" b"\x00\x91\x39\x40" b"\x3f\x90\x47\x40" b"\x03\x80\x45\x00"
        b"\x64\x90\x47\x00" b"\x00\x81\x39\x00"
    )  # fmt: skip
    (tmp_path / "played.mid").write_bytes(midi(track))
    score = read_score(tmp_path / "played.mid", 2)
    upper, lower = score.f0.T
    np.testing.assert_allclose(np.flatnonzero(upper)[0] * 0.016, 0.185, atol=0.009)
    np.testing.assert_allclose(np.flatnonzero(np.diff(upper))[1] * 0.016, 0.5, atol=0.02)
    assert set(np.unique(upper.round())) == {0, 440, 494}
    assert set(np.unique(lower.round())) == {0, 220}


def test_film_time(tmp_path: Path) -> None:
    # 25 frames of 25 ticks per second; the note lasts 625 ticks.
    track = b"\x00\x90\x45\x40\x84\x71\x80\x45\x00"
    division = struct.unpack(">H", struct.pack(">bB", -25, 25))[0]
    (tmp_path / "film.mid").write_bytes(midi(track, division=division))
    assert read_score(tmp_path / "film.mid").voiced.sum() * 0.016 == pytest.approx(1.0, abs=0.02)


GARBAGE = {
    "empty.mid": b"",
    "text.mid": b"this is no MIDI file at all",
    "cut.mid": midi(b"\x00\x90\x45\x40\x87\x68\x80\x45\x00")[:30],
    "silent.mid": midi(b""),
    "empty.musicxml": b"",
    "text.musicxml": b"not <xml",
    "other.xml": b"<?xml version='1.0'?><html><body>hello</body></html>",
    "nothing.xml": XML.format(parts="").encode(),
    "binary.mxl": bytes(range(256)),
    "score.pdf": b"%PDF-1.4",
}


@pytest.mark.parametrize("name", GARBAGE)
def test_files_that_are_no_scores(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(GARBAGE[name])
    with pytest.raises(ScoreError, match=name):
        read_score(tmp_path / name, 4)


def test_missing_file_empty_archive_and_endless_score(tmp_path: Path) -> None:
    with pytest.raises(ScoreError, match="no such score"):
        read_score(tmp_path / "none.mid")
    with zipfile.ZipFile(tmp_path / "empty.mxl", "w"):
        pass
    with pytest.raises(ScoreError, match=r"empty\.mxl"):
        read_score(tmp_path / "empty.mxl")
    slow = b"\x00\xff\x51\x03\xff\xff\xff\x00\x90\x45\x40\xff\xff\xff\x7f\x80\x45\x00"
    (tmp_path / "slow.mid").write_bytes(midi(slow, division=1))
    with pytest.raises(ScoreError, match="hours"):
        read_score(tmp_path / "slow.mid")
