"""F0 of isolated stems: accuracy and, above all, timing on the 16-ms grid."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from src.audio import load_mono
from src.f0.contours import F0Contours
from src.f0.stems import StemF0, estimate_stem_f0


def glissando(seconds: float = 6.0, rate: int = 16_000) -> tuple[np.ndarray, np.ndarray]:
    """Audio [T] that glides up and down an octave in 2 s, and its F0 [T] in Hz."""
    t = np.arange(round(seconds * rate)) / rate
    f0 = 150 * 2 ** np.abs(t % 2 - 1)
    phase = 2 * np.pi * np.cumsum(f0) / rate
    audio = 0.2 * np.sum([np.sin(k * phase) / k for k in range(1, 8)], axis=0)
    return audio.astype(np.float32), f0


def cents(estimate: np.ndarray, truth: np.ndarray) -> np.ndarray:
    both = (estimate > 0) & (truth > 0)
    return 1200 * np.log2(estimate[both] / truth[both])


def test_frame_n_describes_sample_256_n() -> None:
    audio, f0 = glissando()
    track = estimate_stem_f0(audio)
    assert track.shape == (-(-audio.size // 256),)
    assert track.dtype == np.float32
    offsets = np.arange(-512, 513, 64)
    errors = []
    for offset in offsets:
        at = np.clip(np.arange(len(track)) * 256 + offset, 0, audio.size - 1)
        errors.append(np.median(np.abs(cents(track, f0[at]))))
    assert offsets[int(np.argmin(errors))] == 0
    assert min(errors) < 5


def test_silence_is_unvoiced_and_short_audio_works() -> None:
    assert not estimate_stem_f0(np.zeros(16_000, np.float32)).any()
    assert estimate_stem_f0(np.zeros(100, np.float32)).shape == (1,)
    with pytest.raises(ValueError, match="shape"):
        estimate_stem_f0(np.zeros(0, np.float32))


def test_confidence_is_a_threshold() -> None:
    audio, _ = glissando(2.0)
    estimate = StemF0()
    assert not estimate(audio, confidence=1.1).any()
    assert (estimate(audio, confidence=0.0) > 0).all()


def test_other_sample_rates_give_the_same_grid() -> None:
    audio, f0 = glissando(4.0, rate=32_000)
    track = estimate_stem_f0(audio, 32_000)
    assert len(track) == 250
    assert np.median(np.abs(cents(track, f0[np.arange(250) * 512]))) < 5


def test_manual_annotation_of_a_real_singer(shared_dir: Path) -> None:
    folder = shared_dir / "data" / "fixtures" / "vocadito"
    recording = folder / "Audio" / "vocadito_1.wav"
    if not recording.is_file() or sf.info(recording).duration < 5:
        pytest.skip(f"no recording in {folder}")
    table = np.loadtxt(folder / "Annotations" / "F0" / "vocadito_1_f0.csv", delimiter=",")
    truth = F0Contours(table[:, 0], table[:, 1:2].astype(np.float32), ("singer",))
    track = estimate_stem_f0(load_mono(recording))
    errors = []
    shifts = np.arange(-0.032, 0.033, 0.008)
    for shift in shifts:
        at = np.arange(len(track)) * 0.016 + shift
        errors.append(np.mean(np.abs(cents(track, truth.resample(at).f0[:, 0])) < 25))
    assert abs(shifts[int(np.argmax(errors))]) <= 0.009
    aligned = cents(track, truth.to_frames(len(track))[:, 0])
    assert np.mean(np.abs(aligned) < 50) > 0.95
