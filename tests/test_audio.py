"""Reading and writing of audio files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from src.audio import AudioError, load_audio, load_mono, resample
from src.wav_writing import write_wav_atomic


def test_round_trip_keeps_every_sample(tmp_path: Path) -> None:
    audio = np.random.default_rng(0).normal(size=(2, 1000)).astype(np.float32) * 2
    write_wav_atomic(tmp_path / "new" / "x.wav", audio, 44_100)
    back, rate = load_audio(tmp_path / "new" / "x.wav")
    assert rate == 44_100
    np.testing.assert_array_equal(back, audio)
    assert [p.name for p in (tmp_path / "new").iterdir()] == ["x.wav"]


def test_existing_file_is_kept_unless_asked(tmp_path: Path) -> None:
    path = tmp_path / "x.wav"
    write_wav_atomic(path, np.zeros(10, np.float32), 16_000)
    with pytest.raises(FileExistsError, match="overwrite=true"):
        write_wav_atomic(path, np.ones(10, np.float32), 16_000)
    assert not load_audio(path)[0].any()
    write_wav_atomic(path, np.ones(10, np.float32), 16_000, overwrite=True)
    assert load_audio(path)[0].all()


@pytest.mark.parametrize("rate", [8000, 44_100, 48_000])
def test_resampling_keeps_a_tone(rate: int) -> None:
    tone = np.sin(2 * np.pi * 440 * np.arange(rate) / rate).astype(np.float32)
    expected = np.sin(2 * np.pi * 440 * np.arange(16_000) / 16_000)
    found = resample(tone, rate, 16_000)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found[500:-500], expected[500:-500], atol=2e-3)


def test_mono_is_the_mean_of_the_channels(tmp_path: Path) -> None:
    write_wav_atomic(tmp_path / "x.wav", np.array([[0.5] * 8, [0.1] * 8], np.float32), 16_000)
    np.testing.assert_allclose(load_mono(tmp_path / "x.wav"), 0.3, atol=1e-6)


def test_bad_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(AudioError, match=r"none\.wav: no such"):
        load_audio(tmp_path / "none.wav")
    (tmp_path / "text.wav").write_text("not audio")
    with pytest.raises(AudioError, match=r"text\.wav: not readable"):
        load_audio(tmp_path / "text.wav")
    sf.write(tmp_path / "empty.wav", np.zeros((0, 1)), 16_000)
    with pytest.raises(AudioError, match=r"empty\.wav: the audio file is empty"):
        load_audio(tmp_path / "empty.wav")
    sf.write(tmp_path / "nan.wav", np.array([0.0, np.nan]), 16_000, subtype="FLOAT")
    with pytest.raises(AudioError, match=r"nan\.wav: .*NaN"):
        load_audio(tmp_path / "nan.wav")
