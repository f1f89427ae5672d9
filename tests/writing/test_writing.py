"""Audio files: what is written is read back by others, tags and all."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
import torch
import torchaudio
from scipy.signal import resample
from tinytag import TinyTag

from src.errors import UmssError
from src.writing.loudness import LoudnessMeter, PeakMeter
from src.writing.tags import Tags, build_id3, read_tags
from src.writing.writer import BITRATES, ENDINGS, Format, write_audio

RATE = 44_100
COVER = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 4
TAGS = Tags("Für Élise ♪", "Jürgen Groß", "Bäche", "2026-05-01", COVER, "image/png")


def sing(seconds: float = 1.0, rate: int = RATE) -> np.ndarray:
    t = np.arange(round(seconds * rate)) / rate
    left, right = 0.3 * np.sin(2 * np.pi * 440 * t), 0.2 * np.sin(2 * np.pi * 660 * t)
    return np.stack([left, right]).astype(np.float32)


def write(path: Path, form: Format, samples: np.ndarray, tags: Tags | None = None) -> Path:
    blocks = [samples[:, :10_000], samples[:, 10_000:]]
    write_audio(path, blocks, form, RATE, len(samples), samples.shape[1], tags)
    return path


@pytest.mark.parametrize("name", ENDINGS)
def test_samples_and_tags_are_read_by_others(name: str, tmp_path: Path) -> None:
    form, samples = Format(name, 192), sing()
    path = write(tmp_path / f"Chör.{form.ending}", form, samples, TAGS)
    found, rate = sf.read(str(path), dtype="float32", always_2d=True)
    assert rate == RATE and found.shape == samples.T.shape
    error = {"wav16": 1.51 / 2**15, "wav24": 0.6 / 2**23, "flac": 0.6 / 2**23, "mp3": 0.02}
    assert np.abs(found.T - samples).max() <= error.get(name, 0.0)
    inner = slice(5000, -5000)  # MP3 is not delayed either
    assert np.abs(found.T - samples)[:, inner].max() <= (0.002 if name == "mp3" else 1e-4)
    read = TinyTag.get(path, image=True)
    assert (read.title, read.artist, read.album) == (TAGS.title, TAGS.artist, TAGS.album)
    if name in ("flac", "mp3"):
        assert read.images.front_cover.data == COVER
        assert read_tags(path) == TAGS
    assert sf.info(str(path)).frames == samples.shape[1]
    first = path.read_bytes()
    assert write(path, form, samples, TAGS).read_bytes() == first


def test_id3_frames_are_utf8_of_version_4() -> None:
    tag = build_id3(TAGS)
    assert tag[:6] == b"ID3\x04\0\0" and not build_id3(Tags())
    frames, place = {}, 10
    while place < len(tag):
        a, b, c, d = tag[place + 4 : place + 8]
        size = (a << 21) + (b << 14) + (c << 7) + d
        frames[tag[place : place + 4]] = tag[place + 10 : place + 10 + size]
        place += 10 + size
    assert place == len(tag) == 10 + sum(10 + len(content) for content in frames.values())
    assert frames[b"TIT2"] == b"\x03" + "Für Élise ♪".encode()
    assert frames[b"TDRC"] == b"\x032026-05-01"
    assert frames[b"APIC"] == b"\x03image/png\0\x03\0" + COVER


def test_voices_are_added_to_titles() -> None:
    assert Tags("Lied").name_voice("Alt", "datei").title == "Lied (Alt)"
    assert Tags(artist="A").name_voice("Alt", "datei") == Tags("datei (Alt)", "A")


def test_broken_and_missing_tags_are_none(tmp_path: Path) -> None:
    sf.write(tmp_path / "plain.wav", sing().T, RATE)
    (tmp_path / "broken.mp3").write_bytes(b"ID3\x04\0\0\x7f\x7f\x7f\x7f" + bytes(50))
    for name in ("plain.wav", "broken.mp3", "missing.flac"):
        assert not read_tags(tmp_path / name)


@pytest.mark.parametrize(
    ("rate", "bitrate", "expected"),
    [(44_100, 320, 320), (44_100, 96, 96), (16_000, 320, 160), (8_000, 128, 64)],
)
def test_mp3_has_the_bitrate(rate: int, bitrate: int, expected: int, tmp_path: Path) -> None:
    path, samples = tmp_path / "a.mp3", sing(4.0, rate)
    write_audio(path, [samples], Format("mp3", bitrate), rate, 2, samples.shape[1])
    assert 8 * path.stat().st_size / 4000 == pytest.approx(expected, rel=0.07)


@pytest.mark.parametrize("bitrate", BITRATES)
def test_mp3_is_as_loud_and_as_long(bitrate: int, tmp_path: Path) -> None:
    samples = sing(0.5)
    found, _ = sf.read(write(tmp_path / "a.mp3", Format("mp3", bitrate), samples))
    assert found.shape == samples.T.shape
    gain = (found.T * samples).sum() / (samples**2).sum()
    assert gain == pytest.approx(1.0, abs=0.003)


def test_dither_makes_rounding_noise_and_leaves_silence(tmp_path: Path) -> None:
    soft = np.full((1, 40_000), 0.3 / 2**15, np.float32)
    soft[:, 20_000:] = 0
    path = write(tmp_path / "a.wav", Format("wav16"), soft)
    found, _ = sf.read(path, dtype="int16")
    assert found[:20_000].mean() == pytest.approx(0.3, abs=0.03)
    assert not found[20_000:].any()


def test_what_a_format_cannot_hold_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UmssError, match="choose one of wav16"):
        Format("ogg")
    with pytest.raises(UmssError, match="choose one of 64, 80"):
        Format("mp3", 100)
    for form, rate, channels in ((Format("mp3"), 96_000, 2), (Format("mp3"), RATE, 3),
                                 (Format("flac"), RATE, 9)):  # fmt: skip
        with pytest.raises(UmssError, match="choose format="):
            write_audio(tmp_path / "a", [], form, rate, channels, 0)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("rate", [16_000, 44_100, 48_000])
def test_loudness_agrees_with_the_standard_and_with_torchaudio(rate: int) -> None:
    t = np.arange(6 * rate) / rate
    # EBU Tech 3341: a stereo sine of 997 Hz at -23 dBFS has -23 LUFS.
    sine = 10 ** (-23 / 20) * np.sin(2 * np.pi * 997 * t)
    noise = np.random.default_rng(0).normal(size=(2, 6 * rate)) * np.exp(-t)
    for signal, expected in ((np.stack([sine, sine]), -23.0), (0.1 * noise, None)):
        meter = LoudnessMeter(rate, 2)
        for block in np.array_split(signal, 7, axis=1):
            meter.measure(block)
        judge = float(torchaudio.functional.loudness(torch.from_numpy(signal), rate))
        assert meter.integrate() == pytest.approx(judge if expected is None else expected, abs=0.15)
    assert LoudnessMeter(rate, 1).integrate() == -np.inf


def test_true_peak_lies_between_the_samples() -> None:
    t = np.arange(4_000)
    # Samples of a sine at a quarter of the rate that miss its peaks by 3 dB.
    wave = np.stack([0.5 * np.sin(np.pi / 2 * t + np.pi / 4), 0.1 * np.sin(t)])
    wave *= np.hanning(4_000)
    meter = PeakMeter(2)
    for block in np.array_split(wave, 9, axis=1):
        meter.measure(block)
    expected = 20 * np.log10(np.abs(resample(wave, 64_000, axis=1)).max())
    assert meter.finish() == pytest.approx(expected, abs=0.15)
    assert PeakMeter(1).finish() == -np.inf
