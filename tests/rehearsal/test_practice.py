"""Practice tracks: mixed as they say, equally loud, counted in, slower and in other keys."""

from __future__ import annotations

import inspect
import zipfile
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
import torch
import torchaudio
import yaml
from tinytag import TinyTag

from src.configuration import FOLDER
from src.errors import OutputExistsError, UmssError
from src.f0.contours import F0Contours
from src.practice_file import main, practice
from src.rehearsal.introduction import build_introduction
from src.rehearsal.mixing import ArrayReader
from src.rehearsal.stretching import stretch
from src.separated import SeparatedRecording
from src.writing.loudness import LoudnessMeter, PeakMeter
from tests.tiny_training import compose_config

RATE = 16_000
BEAT = 0.512
SINGERS = {"Söprano": (62, 0.3), "alto": (57, 0.1), "bass": (45, 0.2)}


def build(rate: int = RATE, channels: int = 1, seconds: float = 5.12) -> SeparatedRecording:
    """Three voices that sing a note on every beat after one second, and a residual of noise."""
    generator = np.random.default_rng(0)
    t = np.arange(round(seconds * rate)) / rate
    frames = np.arange(round(seconds / 0.016) + 1) * 0.016
    stems, tracks = {}, []
    for j, (name, (base, level)) in enumerate(SINGERS.items()):
        pitch = base + (2 * ((t - 1.024) // BEAT)) % 5
        hertz = 440 * 2 ** ((pitch - 69) / 12)
        within = ((t - 1.024) % BEAT) / BEAT
        sounding = (t >= 1.024) & (within < 0.8)
        phase = 2 * np.pi * np.cumsum(hertz) / rate
        wave = level * sounding * sum(np.sin(k * phase + j) / k for k in range(1, 5))
        stems[name] = np.stack([wave, (0.9 - 0.1 * j) * wave])[:channels].astype(np.float32)
        places = np.minimum((frames * rate).round().astype(int), len(t) - 1)
        tracks.append(np.where(sounding[places], hertz[places], 0))
    noise = generator.normal(size=(channels, len(t) + 15))
    residual = 0.1 * np.stack([np.convolve(n, np.hanning(18)[1:-1] / 8, "valid") for n in noise])
    residual = residual.astype(np.float32)
    contours = F0Contours(frames, np.stack(tracks, axis=1), tuple(SINGERS))
    if channels == 1:
        stems, residual = {name: stem[0] for name, stem in stems.items()}, residual[0]
    parameters = {"f0": contours.f0.T.copy()}
    return SeparatedRecording(stems, residual, contours, parameters, rate, name="Lied")


def unmix(path: Path, result: SeparatedRecording, channel: int, begin: int) -> np.ndarray:
    """Gains of stems and residual in one channel of a track, by least squares."""
    track = sf.read(str(path), always_2d=True)[0][:, channel]
    signals = [np.atleast_2d(s) for s in (*result.stems.values(), result.residual)]
    stems = np.stack([signal[min(channel, len(signal) - 1)] for signal in signals], axis=1)
    music = track[begin : begin + len(stems)]
    later = slice(round(1.2 * result.rate), None)  # clicks sound over the beginning
    gains: np.ndarray = np.linalg.lstsq(stems[later], music[later], rcond=None)[0]
    return gains


def find_begin(path: Path, result: SeparatedRecording) -> int:
    return sf.info(str(path)).frames - np.shape(result.residual)[-1]


@pytest.mark.parametrize(("kind", "channels"), [("flac", 1), ("mp3", 2), ("wav16", 1)])
def test_tracks_are_mixed_levelled_and_packed(kind: str, channels: int, tmp_path: Path) -> None:
    rate = 44_100 if kind == "mp3" else RATE
    result = build(rate, channels, 3.0 if kind == "mp3" else 5.12)
    # MP3 takes its time.
    chosen = ["Söprano"] if kind == "mp3" else [*SINGERS]
    paths = practice(result, tmp_path, format=kind, tempo=60 / BEAT, voices=chosen)
    assert len(paths) == 3 * len(chosen) + 2
    loudness = []
    for j, singer in enumerate(chosen):
        for track in ("loud", "without", "split"):
            path = paths[f"{singer}/{track}"]
            samples, _ = sf.read(str(path), always_2d=True)
            judge = torchaudio.functional.loudness(torch.from_numpy(samples.T.copy()), rate)
            loudness.append(float(judge))
            peaks = PeakMeter(samples.shape[1])
            peaks.measure(samples.T)
            assert peaks.finish() <= -1.0
            begin = find_begin(path, result)
            gains = unmix(path, result, 0, begin)
            others = np.delete(gains, j)
            mine = gains[j]
            assert 20 * np.log10(others.max() / others.min()) < 0.5 if track != "split" else True
            if track == "loud":
                assert 20 * np.log10(mine / others.mean()) == pytest.approx(12, abs=0.5)
            elif track == "without":
                assert abs(mine) < 0.01 * others.mean()
            elif channels == 1:
                right = unmix(path, result, 1, begin)
                assert np.abs(others).max() < 0.01 * mine
                assert abs(right[j]) < 0.01 * right.max()
                np.testing.assert_allclose(np.delete(right, j), mine, rtol=0.05)
    assert max(loudness) - min(loudness) < 0.3
    read = TinyTag.get(paths["Söprano/loud"])
    assert read.title == "Lied (Söprano: my part loud)"
    with zipfile.ZipFile(paths["zip"]) as archive:
        assert archive.testzip() is None
        names = {Path(name).name for name in archive.namelist()}
        assert names == {path.name for key, path in paths.items() if key != "zip"}
    text = paths["list"].read_text(encoding="utf-8")
    assert "söprano_loud" in text and "my part loud, the others -12 dB" in text
    assert "117 beats per minute, as given" in text


def test_stems_beside_parameters_give_the_same_files(tmp_path: Path) -> None:
    result = build()
    saved = result.save(tmp_path / "stems")
    options = {"tracks": ["without"], "format": "flac", "zip": False}
    one = practice(result, tmp_path / "a", **options)
    two = practice(saved["parameters"], tmp_path / "b", **options)
    assert one["alto/without"].read_bytes() == two["alto/without"].read_bytes()
    config = compose_config(
        "practice",
        [f"parameters={saved['parameters']}", f"output={tmp_path / 'c'}", "tracks=[split]",
         "voices=[bass]", "format=flac", "others_gain=-6", "title=Chor"],
    )  # fmt: skip
    main(config)
    assert sorted(p.name for p in (tmp_path / "c").rglob("*")) == [
        "Lied_practice", "Lied_practice.zip", "bass_split.flac", "tracks.txt",
    ]  # fmt: skip
    assert TinyTag.get(tmp_path / "c/Lied_practice/bass_split.flac").title.startswith("Chor (bass")
    with pytest.raises(OutputExistsError):
        main(config)
    main(compose_config("practice", [*_given(config), "overwrite=true"]))
    names = {p.name for p in (tmp_path / "c/Lied_practice").iterdir()}
    assert names == {"bass_loud.flac", "tracks.txt"}


def _given(config: object) -> list[str]:
    return [f"parameters={config.parameters}", f"output={config.output}", "tracks=[loud]",
            "voices=[bass]", "format=flac"]  # type: ignore[attr-defined] # fmt: skip


def test_the_first_note_falls_on_the_fifth_click(tmp_path: Path) -> None:
    result = build()
    options = {"tracks": ["without"], "voices": ["bass"], "format": "wav32f", "zip": False}
    counted = practice(result, tmp_path / "a", tempo=60 / BEAT, **options)["bass/without"]
    plain = practice(
        result, tmp_path / "b", count_in=False, start_pitch=False, **options
    )["bass/without"]  # fmt: skip
    assert find_begin(plain, result) == 0
    samples, _ = sf.read(str(counted))
    # The first note sounds at 1.024 s of the music.
    note = find_begin(counted, result) + round(1.024 * RATE)
    for k in range(4):
        start = note - round((4 - k) * BEAT * RATE)
        assert (
            np.abs(samples[start : start + 400]).max()
            > 3 * np.abs(samples[start - 700 : start - 100]).max()
        )
    # The bass begins on A2: the tone has this pitch.
    spectrum = np.abs(np.fft.rfft(samples[:RATE] * np.hanning(RATE)))
    assert np.argmax(spectrum) == pytest.approx(440 * 2 ** ((45 - 69) / 12), abs=1.5)


def test_introductions_fit_before_early_and_late_notes() -> None:
    for first in (0.0, 1.0, 20.0):
        sound, begin = build_introduction(RATE, first, 0.5, 220.0)
        assert len(sound) == begin + round(first * RATE) + 1 or first == 20.0
        assert begin == max(0, round((1.9 + 2.0 - first) * RATE))
        assert np.abs(sound).max() == pytest.approx(1, abs=0.05)


def pitch_of(samples: np.ndarray) -> float:
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples)), 64 * RATE))
    return float(np.argmax(spectrum)) / 64


@pytest.mark.parametrize(("speed", "semitones"), [(0.5, 0.0), (0.8, 3.0), (1.0, -2.0)])
def test_speed_and_pitch_change_apart(speed: float, semitones: float) -> None:
    t = np.arange(5 * RATE + 77) / RATE
    breaths = np.ones(len(t))
    breaths[(t > 1.5) & (t < 1.7)] = breaths[(t > 3.0) & (t < 3.2)] = 0
    tone = (0.3 * breaths * np.sin(2 * np.pi * 220 * t)).astype(np.float32)[None]
    position = 0

    def read(n: int) -> np.ndarray:
        nonlocal position
        position += n
        return tone[:, position - n : position]

    found = np.concatenate([*stretch(read, RATE, speed, semitones)], axis=1)[0]
    assert abs(len(found) - len(t) / speed) <= 4
    expected = 220 * 2 ** (semitones / 12)
    for second in (0.5, 2.0, 4.0):
        start = round(second / speed * RATE)
        part = found[start : start + RATE // 2]
        assert pitch_of(part) == pytest.approx(expected, rel=0.0003)  # half a cent
        assert np.sqrt(2 * (part**2).mean()) == pytest.approx(0.3, rel=0.1)
    for second in (1.6, 3.1):  # breaths stay where they are
        start = round((second - 0.03) / speed * RATE)
        assert np.abs(found[start : start + 800]).max() < 0.03


def test_what_is_not_changed_comes_out_as_it_was() -> None:
    generator = np.random.default_rng(0)
    for length in (1, 700, 40_000):
        noise = generator.normal(size=(2, length)).astype(np.float32)
        reader = ArrayReader(noise)
        found = np.concatenate([*stretch(reader.read, RATE, 1.0, 0.0)], axis=1)
        np.testing.assert_allclose(found, noise, atol=2e-5)


def test_voices_stay_in_place_when_stretched() -> None:
    t = np.arange(2 * RATE) / RATE
    wave = np.sin(2 * np.pi * 220 * t) + 0.5 * np.sin(2 * np.pi * 467 * t + 1)
    stereo = np.stack([0.4 * wave, 0.1 * wave]).astype(np.float32)
    found = np.concatenate([*stretch(ArrayReader(stereo).read, RATE, 0.6, 1.0)], axis=1)
    np.testing.assert_allclose(found[1], 0.25 * found[0], atol=1e-3)


def test_slower_tracks_in_another_key(tmp_path: Path) -> None:
    result = build()
    paths = practice(
        result, tmp_path, tracks=["loud"], voices=["bass"], speed=50, transpose=2, format="flac",
        tempo=60 / BEAT, zip=False,
    )  # fmt: skip
    found, _ = sf.read(str(paths["bass/loud"]))
    begin = len(found) - 2 * np.shape(result.residual)[-1]
    start = begin + round(2 * 1.1 * RATE)
    hertz = 440 * 2 ** ((45 + 2 - 69) / 12)
    assert pitch_of(found[start : start + round(0.7 * RATE)]) == pytest.approx(hertz, rel=0.01)
    assert "59 beats per minute" in paths["list"].read_text()
    assert not [p for p in tmp_path.rglob("*") if "stem" in p.name]


def test_a_silent_voice_gets_tracks(tmp_path: Path) -> None:
    result = build()
    result.stems["alto"][:] = 0
    result.f0.f0[:, 1] = 0
    paths = practice(result, tmp_path, format="flac", zip=False)
    for track in ("loud", "without", "split"):
        samples, rate = sf.read(str(paths[f"alto/{track}"]), always_2d=True)
        meter = LoudnessMeter(rate, samples.shape[1])
        meter.measure(samples.T)
        assert np.isfinite(meter.integrate())


@pytest.mark.parametrize("kind", ["flac", "mp3"])
def test_where_peaks_would_be_too_high_all_tracks_are_softer(kind: str, tmp_path: Path) -> None:
    result = build(seconds=4.0)
    options = {"voices": ["alto"], "format": kind, "zip": False, "loudness": -6.0}
    paths = practice(result, tmp_path, **options)
    found = []
    for track in ("loud", "without", "split"):
        samples, rate = sf.read(str(paths[f"alto/{track}"]), always_2d=True)
        meter, peaks = LoudnessMeter(rate, samples.shape[1]), PeakMeter(samples.shape[1])
        meter.measure(samples.T)
        peaks.measure(samples.T)
        found.append((meter.integrate(), peaks.finish()))
    loudness, highest = (np.array(column) for column in zip(*found, strict=True))
    assert np.ptp(loudness) < 0.2 and loudness.max() < -7
    assert -2.0 < highest.max() <= -1.0


def test_the_command_has_the_defaults_of_the_function() -> None:
    config = yaml.safe_load((FOLDER / "practice.yaml").read_text(encoding="utf-8"))
    config = {name: value for name, value in config.items() if name not in ("defaults", "hydra")}
    parameters = inspect.signature(practice).parameters
    function = {name: parameter.default for name, parameter in parameters.items()}
    assert config.pop("parameters") == "???" and "practice" in config.pop("output")
    assert config == {
        name: [*value] if isinstance(value, tuple) else value
        for name, value in function.items()
        if name not in ("result", "folder")
    }


def test_settings_that_cannot_be_met(tmp_path: Path) -> None:
    result = build(seconds=2.0)
    for options, message in (
        ({"speed": 40}, "50 to 100"),
        ({"transpose": 13}, "-12 to 12"),
        ({"tracks": ["karaoke"]}, "choose from loud"),
        ({"tracks": []}, "choose from loud"),
        ({"voices": ["tenor"]}, "there are Söprano, alto, bass"),
        ({"pan": 2}, "0 .the middle"),
        ({"format": "ogg"}, "choose one of wav16"),
    ):
        with pytest.raises(UmssError, match=message):
            practice(result, tmp_path / "out", **options)
    assert not (tmp_path / "out").exists()
