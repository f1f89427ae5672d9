"""Files are read to their end, whatever their headers promise, or it is said what is missing."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from src.audio import AudioError, examine_audio, load_audio, load_mono, open_audio

RATE = 44_100
NOISE = 0.1 * np.random.default_rng(0).standard_normal(2 * RATE)


def write(path: Path, **options: str) -> bytes:
    """Two seconds of noise; returns the bytes of the file."""
    sf.write(path, NOISE, RATE, **options)
    return path.read_bytes()


def patch(content: bytes, *edits: tuple[bytes, int, bytes]) -> bytes:
    """Replace bytes at a distance from the first place of a marker."""
    result = bytearray(content)
    for marker, offset, value in edits:
        place = result.find(marker) + offset
        result[place : place + len(value)] = value
    return bytes(result)


def read(path: Path) -> tuple[np.ndarray, list[str]]:
    """All samples of the first channel, and the notes."""
    with open_audio(path) as source:
        blocks = [block[0] for block in source.blocks(4096)]
        return np.concatenate(blocks), source.notes


ZERO = bytes(4)
UNFINISHED = {
    "data size 0": ((b"data", 4, ZERO),),
    "both sizes 0": ((b"RIFF", 4, ZERO), (b"data", 4, ZERO)),
    "sizes of the first second": (
        (b"RIFF", 4, struct.pack("<I", 36 + 2 * RATE)), (b"data", 4, struct.pack("<I", 2 * RATE)),
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", UNFINISHED)
@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24", "FLOAT"])
def test_what_an_interrupted_recorder_left_is_read_to_its_end(
    tmp_path: Path, case: str, subtype: str
) -> None:
    content = write(tmp_path / "x.wav", subtype=subtype)
    expected, _ = read(tmp_path / "x.wav")
    (tmp_path / "x.wav").write_bytes(patch(content, *UNFINISHED[case]))
    found, notes = read(tmp_path / "x.wav")
    np.testing.assert_array_equal(found[: len(expected)], expected)
    assert len(found) - len(expected) < 100  # chunks behind the samples of float files
    assert len(notes) == 1 and "unfinished" in notes[0] and "2.0 s" in notes[0]


def test_unfinished_headers_of_other_formats(tmp_path: Path) -> None:
    for name, form, edits in (
        ("x.rf64", "RF64", ((b"ds64", 8, bytes(24)),)),
        ("x.au", "AU", ((b".snd", 8, ZERO),)),
        ("x.aiff", "AIFF", ((b"FORM", 4, ZERO), (b"SSND", 4, ZERO), (b"COMM", 10, ZERO))),
        ("x.w64", "W64", ((b"data", 16, bytes(8)), (b"riff", 16, bytes(8)))),
    ):
        content = write(tmp_path / name, format=form, subtype="PCM_16")
        (tmp_path / name).write_bytes(patch(content, *edits))
        assert len(read(tmp_path / name)[0]) == len(NOISE), name


def test_tags_and_chunks_behind_the_samples_are_no_samples(tmp_path: Path) -> None:
    content = write(tmp_path / "x.wav", subtype="PCM_16")
    for tail in (
        b"TAG" + bytes(125),
        b"LIST" + struct.pack("<I", 50_000) + bytes(50_000),
        b"junk" + struct.pack("<I", 30_000) + bytes(30_000) + b"id3 " + ZERO,
    ):
        (tmp_path / "x.wav").write_bytes(content + tail)
        found, notes = read(tmp_path / "x.wav")
        assert len(found) == len(NOISE) and not notes


@pytest.mark.parametrize(
    ("name", "form"), [("x.wav", "WAV"), ("x.aiff", "AIFF"), ("x.au", "AU"), ("x.w64", "W64")]
)
def test_what_a_truncated_file_lacks_is_said(tmp_path: Path, name: str, form: str) -> None:
    content = write(tmp_path / name, format=form, subtype="PCM_16")
    (tmp_path / name).write_bytes(content[: len(content) // 2])
    found, notes = read(tmp_path / name)
    assert len(found) == pytest.approx(RATE, abs=100)
    assert len(notes) == 1 and "promises 2.0 s" in notes[0] and "after 1.0 s" in notes[0]


def strip_first_frame(content: bytes) -> bytes:
    """Remove the frame in which an MP3 file states its length."""
    start = content.find(b"\xff\xfb")
    rates = (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
    kilobits, padding = rates[content[start + 2] >> 4], (content[start + 2] >> 1) & 1
    return content[start + 144 * kilobits * 1000 // RATE + padding :]


def test_mp3_files_are_read_to_their_end(tmp_path: Path) -> None:
    quiet = np.where(np.arange(len(NOISE)) < RATE // 4, 1.0, 0.02) * NOISE
    sf.write(
        tmp_path / "x.mp3", quiet, RATE, format="MP3", bitrate_mode="VARIABLE",
        compression_level=0.1,
    )  # fmt: skip
    content = (tmp_path / "x.mp3").read_bytes()
    assert len(read(tmp_path / "x.mp3")[0]) == len(NOISE)

    (tmp_path / "stream.mp3").write_bytes(strip_first_frame(content))
    assert sf.info(tmp_path / "stream.mp3").duration < 1.8  # an estimate that is too short
    found, _ = read(tmp_path / "stream.mp3")
    assert len(found) == pytest.approx(len(NOISE), abs=3000)

    (tmp_path / "two.mp3").write_bytes(content + content)
    found, notes = read(tmp_path / "two.mp3")
    assert len(found) == pytest.approx(2 * len(NOISE), abs=6000)
    assert len(notes) == 1 and "speaks of 2.0 s" in notes[0] and "to its end, 4." in notes[0]

    (tmp_path / "half.mp3").write_bytes(content[: len(content) // 2])
    _, notes = read(tmp_path / "half.mp3")
    assert len(notes) == 1 and "promises 2.0 s" in notes[0]


def test_damaged_mp3_files_are_called_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")  # no ffmpeg
    sf.write(tmp_path / "x.mp3", NOISE, RATE, format="MP3")
    content = (tmp_path / "x.mp3").read_bytes()
    garbage = np.random.default_rng(0).integers(0, 256, 40_000, dtype=np.uint8).tobytes()
    tag = b"ID3\4\0\0\0\0\x0f\x76" + bytes(2038)
    for name, data in {
        "cut.mp3": content[:300], "garbage.mp3": garbage, "page.mp3": b"<html>none</html>" * 99,
        "tag.mp3": tag, "tag": tag + garbage,
    }.items():  # fmt: skip
        (tmp_path / name).write_bytes(data)
        with pytest.raises(AudioError) as error:
            read(tmp_path / name)
        assert str(error.value).startswith(
            f"{tmp_path / name}: not readable as audio (damaged, or no MP3 although it says so); "
            "get or export it again as WAV"
        )
    third = len(content) // 3
    (tmp_path / "hole.mp3").write_bytes(content[:third] + bytes(third) + content[2 * third :])
    with pytest.raises(
        AudioError, match=r"hole\.mp3: damaged or incomplete: .* after 0.. s and before 0.. s; get"
    ):
        read(tmp_path / "hole.mp3")
    # A first frame, and behind it what is none.
    (tmp_path / "begin.mp3").write_bytes(content[:1400] + garbage)
    try:
        _, notes = read(tmp_path / "begin.mp3")
    except AudioError as error:
        notes = [str(error)]
    assert len(notes) == 1 and ("missing or damaged" in notes[0] or "damaged or" in notes[0])


def test_flac_files_are_read_to_their_end(tmp_path: Path) -> None:
    content = write(tmp_path / "x.flac")
    expected, notes = read(tmp_path / "x.flac")
    assert len(expected) == len(NOISE) and not notes
    for total, word in ((0, None), (RATE, "speaks of 1.0 s"), (8 * RATE, "promises 8.0 s")):
        (tmp_path / "x.flac").write_bytes(patch(content, (b"fLaC", 22, struct.pack(">I", total))))
        found, notes = read(tmp_path / "x.flac")
        np.testing.assert_array_equal(found, expected)
        assert [word in note for note in notes] == ([True] if word else []), total
    (tmp_path / "x.flac").write_bytes(content + b"TAG" + bytes(125))
    found, notes = read(tmp_path / "x.flac")
    np.testing.assert_array_equal(found, expected)
    (tmp_path / "x.flac").write_bytes(content[: len(content) // 2])
    with pytest.raises(AudioError, match=r"x\.flac: damaged or incomplete: .* s \("):
        read(tmp_path / "x.flac")


def test_ogg_files_that_end_early_or_are_several(tmp_path: Path) -> None:
    content = write(tmp_path / "x.ogg", format="OGG", subtype="VORBIS")
    assert read(tmp_path / "x.ogg")[1] == []
    (tmp_path / "x.ogg").write_bytes(content[: len(content) // 2])
    assert "its end may be missing" in read(tmp_path / "x.ogg")[1][0]
    (tmp_path / "x.ogg").write_bytes(content * 2)
    assert "2 recordings one after the other" in read(tmp_path / "x.ogg")[1][0]


def test_broken_samples_are_named_with_file_and_time(tmp_path: Path) -> None:
    audio = np.stack([NOISE, NOISE])
    audio[1, 70_000] = np.nan
    sf.write(tmp_path / "x.wav", audio.T, RATE, subtype="FLOAT")
    for function in (load_audio, load_mono, examine_audio):
        with pytest.raises(AudioError, match=r"x\.wav: the sample at 1\.6 s is NaN"):
            function(tmp_path / "x.wav")


def test_names_of_any_bytes_are_opened(tmp_path: Path) -> None:
    path = tmp_path / "M\udce4nner.wav"  # Latin-1, out of an old archive
    try:
        path.write_bytes(write(tmp_path / "x.wav"))
    except (OSError, UnicodeError):
        pytest.skip("this file system takes UTF-8 names only")
    assert load_audio(path)[0].shape == (1, len(NOISE))


def test_folders_and_empty_files_are_named(tmp_path: Path) -> None:
    (tmp_path / "empty.wav").touch()
    with pytest.raises(AudioError, match=r"empty\.wav: the audio file is empty"):
        load_audio(tmp_path / "empty.wav")
    with pytest.raises(AudioError, match="this is a folder"):
        load_audio(tmp_path)
