"""`umss hpss`: one recording in, files that sum to it out."""

from __future__ import annotations

import inspect
import math
from dataclasses import asdict
from pathlib import Path
from typing import Any

import librosa
import numpy as np
import pytest
import soundfile as sf
from omegaconf import OmegaConf

import src.dsp.hpss as blocks_module
from src.audio import AudioError
from src.configuration import FOLDER
from src.errors import OutputExistsError, UmssError
from src.hpss_file import MASKS, PARTS, HpssSettings, main, split_file
from tests.processes import run_python
from tests.tiny_training import compose_config

RATE = 22_050
SMALL = HpssSettings(kernel_size=9, n_fft=256, hop=64)


def tone_and_clicks(seconds: float, channels: int = 1) -> np.ndarray:
    """A steady tone and a click every half second, [T, C] float32."""
    n_samples = round(seconds * RATE)
    tone = 0.3 * np.sin(2 * np.pi * 440 / RATE * np.arange(n_samples))
    noise = 0.01 * np.random.default_rng(0).normal(size=(n_samples, channels))
    sound = tone[:, None] * np.linspace(1, 0.3, channels) + noise
    sound[RATE // 4 :: RATE // 2] += 0.9
    return sound.astype(np.float32)


def record(folder: Path, samples: np.ndarray, name: str = "in.wav", rate: int = RATE) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    sf.write(folder / name, samples, rate, subtype="FLOAT")
    return folder / name


def read_parts(paths: dict[str, Path]) -> list[np.ndarray]:
    return [sf.read(paths[name], dtype="float32", always_2d=True)[0] for name in PARTS]


def hidden(folder: Path) -> list[Path]:
    return [path for path in folder.rglob(".*")]


@pytest.mark.parametrize("channels", [1, 2, 5])
@pytest.mark.parametrize("rate", [8000, 44_100])
def test_parts_sum_to_the_recording(channels: int, rate: int, tmp_path: Path) -> None:
    sound = tone_and_clicks(1.3, channels)
    path = record(tmp_path, sound, rate=rate)
    paths = split_file(path, tmp_path / "out", HpssSettings(margin=(1.0, 3.0)), progress=False)
    assert {p.name for p in (tmp_path / "out").iterdir()} == {f"in_{name}.wav" for name in PARTS}
    parts = read_parts(paths)
    assert all(part.shape == sound.shape for part in parts)
    np.testing.assert_allclose(np.sum(parts, axis=0), sound, rtol=0, atol=1e-6)
    assert {sf.info(p).samplerate for p in paths.values()} == {rate}
    assert {sf.info(p).subtype for p in paths.values()} == {"FLOAT"}


def test_tones_are_harmonic_and_clicks_percussive(tmp_path: Path) -> None:
    sound = tone_and_clicks(4.0)[:, 0]
    harmonic, percussive, residual = (
        part[:, 0] for part in read_parts(split_file(record(tmp_path, sound), tmp_path / "out"))
    )
    clicks = np.zeros(len(sound))
    clicks[RATE // 4 :: RATE // 2] = 0.9
    assert np.abs(percussive[clicks > 0]).min() > 0.6 > 0.4 > np.abs(harmonic).max()
    assert np.abs(residual).max() < 1e-5  # both margins are 1


@pytest.mark.parametrize("margin", [1.0, 3.0, (1.0, 5.0)])
@pytest.mark.parametrize("power", [2.0, math.inf])
def test_files_are_what_librosa_makes(margin: Any, power: float, tmp_path: Path) -> None:
    sound = tone_and_clicks(3.0)[:, 0]
    settings = HpssSettings(margin=margin, power=power)
    paths = split_file(record(tmp_path, sound), tmp_path, settings, masks=True, progress=False)
    D = librosa.stft(sound, pad_mode="constant")
    H, P = librosa.decompose.hpss(D, margin=margin, power=power)
    expected = [librosa.istft(x, length=len(sound)) for x in (H, P, D - (H + P))]
    masks = librosa.decompose.hpss(D, margin=margin, power=power, mask=True)
    found = [np.load(paths[name])[0] for name in MASKS]
    for one, other in zip(masks, found, strict=True):
        assert one.dtype == other.dtype and one.shape == other.shape
        # The medians of two FFTs differ by rounding: where both are equal, hard masks may, too.
        assert np.mean(np.abs(one.astype(float) - other) > 1e-3) < 1e-3
    for one, part in zip(expected, read_parts(paths), strict=True):
        assert np.abs(one - part[:, 0]).max() < (1e-4 if power == 2 else 1e-2)


@pytest.mark.parametrize("n_samples", [1, 2, 63, 64, 5000, 20_480, 33_333])
@pytest.mark.parametrize("kernel_size", [9, (12, 5)])
def test_blocks_make_no_difference(
    n_samples: int, kernel_size: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sound = np.random.default_rng(0).normal(size=(n_samples, 2)).astype(np.float32) * 0.1
    path = record(tmp_path, sound)
    settings = HpssSettings(kernel_size=kernel_size, n_fft=256, hop=64, margin=1.5)
    whole = split_file(path, tmp_path / "whole", settings, masks=True)
    monkeypatch.setattr(blocks_module, "BLOCK_SAMPLES", 1)
    cut = split_file(path, tmp_path / "cut", settings, masks=True)
    np.testing.assert_allclose(read_parts(cut), read_parts(whole), rtol=0, atol=1e-6)
    for name in MASKS:
        masks = np.load(cut[name])
        assert masks.shape == (2, 129, 1 + n_samples // 64)
        # What is nothing but rounding (beyond the ends) may be masked in any way.
        assert np.mean(np.abs(masks - np.load(whole[name])) > 1e-4) < 0.02
    np.testing.assert_allclose(np.sum(read_parts(cut), axis=0), sound, rtol=0, atol=1e-6)


@pytest.mark.parametrize("window", ["hann", "hamming", "blackman", "bartlett"])
def test_windows_and_short_or_silent_files(window: str, tmp_path: Path) -> None:
    for k, sound in enumerate((np.ones((1, 1)), np.zeros((5000, 2)), tone_and_clicks(0.2))):
        for hop, n_fft in ((1024, 2048), (8, 16)):
            settings = HpssSettings(window=window, n_fft=n_fft, hop=hop)
            path = record(tmp_path, sound, f"{k}.wav")
            parts = read_parts(split_file(path, tmp_path, settings, overwrite=True))
            np.testing.assert_allclose(np.sum(parts, axis=0), sound, rtol=0, atol=1e-6)
            assert np.isfinite(parts).all() and (sound.any() or not np.any(parts))


def test_nothing_is_replaced_unless_asked(tmp_path: Path) -> None:
    path, out = record(tmp_path, tone_and_clicks(0.5)), tmp_path / "out"
    first = split_file(path, out, SMALL, masks=True)
    before = {p: p.read_bytes() for p in first.values()}
    with pytest.raises(OutputExistsError, match=r"in_harmonic.wav.*set overwrite=true"):
        split_file(path, out, SMALL)
    assert {p: p.read_bytes() for p in first.values()} == before
    (out / "in_other.wav").touch()
    second = split_file(path, out, HpssSettings(n_fft=256, hop=64, margin=4.0), overwrite=True)
    names = {f"in_{name}.wav" for name in (*PARTS, "other")}
    assert {p.name for p in out.iterdir()} == names  # masks of the former result are gone
    assert all(p.read_bytes() != before[p] for p in second.values())


def test_nothing_is_left_of_a_failed_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sound = tone_and_clicks(0.5)
    sound[-1] = math.nan
    path, out = record(tmp_path, sound), tmp_path / "new" / "out"
    with pytest.raises(AudioError, match="NaN or infinite"):
        split_file(path, out, SMALL)
    with pytest.raises(AudioError, match="no such audio file"):
        split_file(tmp_path / "none.wav", out, SMALL)

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("src.wav_writing.WavWriter.write", fail)
    path = record(tmp_path, tone_and_clicks(0.5))
    with pytest.raises(UmssError, match="could not be written"):
        split_file(path, out, SMALL, masks=True)
    assert not out.exists() and not hidden(tmp_path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"n_fft": 8}, "n_fft=8 must be at least 16"),
        ({"hop": 0}, "hop=0 must be from 1 to n_fft / 2 = 1024"),
        ({"hop": 1025}, "hop=1025 must be from 1"),
        ({"window": "square"}, "window=square is unknown; choose from hann"),
        ({"kernel_size": 0}, "kernel_size=0 must be whole"),
        ({"kernel_size": (3, 4, 5)}, "kernel_size=.* must be one number or two"),
        ({"power": 0}, "power=0 must be positive"),
        ({"margin": 0.5}, "margin=0.5 must be at least 1"),
        ({"margin": "wide"}, "margin=wide must be"),
    ],
)
def test_wrong_settings_are_one_sentence(changes: Any, message: str, tmp_path: Path) -> None:
    path = record(tmp_path, tone_and_clicks(0.1))
    with pytest.raises(UmssError, match=message) as error:
        split_file(path, tmp_path / "out", HpssSettings(**changes))
    assert "\n" not in str(error.value) and not (tmp_path / "out").exists()


def test_the_command_has_the_defaults_of_the_code() -> None:
    config = OmegaConf.to_container(OmegaConf.load(FOLDER / "hpss.yaml"))
    assert isinstance(config, dict)
    for name, value in asdict(HpssSettings()).items():
        assert config[name] == value, name
    for name in ("masks", "overwrite"):
        assert config[name] == inspect.signature(split_file).parameters[name].default


def test_command(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = record(tmp_path, tone_and_clicks(0.5))
    changes = [f"input={path}", f"output={tmp_path / 'out'}", "kernel_size=[13,31]", "power=inf"]
    with caplog.at_level("INFO"):
        main(compose_config("hpss", [*changes, "margin=[1,5]", "masks=true"]))
    assert len(list((tmp_path / "out").iterdir())) == 5
    assert np.load(tmp_path / "out" / "in_harmonic_mask.npy").dtype == bool
    assert f"wrote {tmp_path / 'out' / 'in_residual.wav'}" in caplog.messages


def test_channels_are_not_remarked_on(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    sound = tone_and_clicks(1.0, 2)
    sound[:, 1] = -sound[:, 0]
    split_file(record(tmp_path, sound), tmp_path, SMALL)
    assert not caplog.messages


@pytest.mark.slow
def test_as_users_type_it(tmp_path: Path) -> None:
    """A bare path of unusual characters, twice; and help."""
    name = "Männer, take=1 (live) ${x}"
    record(tmp_path, tone_and_clicks(0.4, 2), f"{name}.wav")
    where = {"cwd": tmp_path, "PYTHONPATH": str(Path(__file__).parents[1])}
    done = run_python("-m", "src.hpss_file", f"{name}.wav", "kernel_size=[13,31]", **where)
    assert done.returncode == 0, done.stderr
    assert {p.name for p in (tmp_path / "outputs" / "hpss").iterdir()} == {
        f"{name}_{part}.wav" for part in PARTS
    }
    done = run_python("-m", "src", "hpss", f"{name}.wav", **where)
    assert done.returncode == 1 and "set overwrite=true" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    done = run_python("-m", "src", "hpss", f"{name}.wav", "margin=wide", **where)
    assert done.returncode == 1 and done.stderr.startswith("error: margin=wide must be one number")
    done = run_python("-m", "src", "hpss", "--help", **where)
    assert (
        done.returncode == 0 and "kernel_size" in done.stdout and "umss hpss in.wav" in done.stdout
    )
