from __future__ import annotations

import warnings

import librosa
import numpy as np
import pytest
import torch

from src.f0.published.hcqt import (
    BINS_PER_OCTAVE,
    HARMONICS,
    HOP,
    LOWEST,
    N_BINS,
    RATE,
    HarmonicCqt,
    bin_frequencies,
    count_frames,
    frame_times,
)


@pytest.fixture(scope="module")
def cqt() -> HarmonicCqt:
    return HarmonicCqt()


def voices(seconds: float) -> np.ndarray:
    """Four gliding harmonic tones and noise, faded in and out, 22 050 Hz."""
    rng = np.random.default_rng(0)
    time = np.arange(round(seconds * RATE)) / RATE
    audio = 1e-3 * rng.standard_normal(len(time))
    for f0 in (110, 165.3, 247, 392):
        phase = 2 * np.pi * f0 * (time + 0.02 * np.sin(2 * np.pi * 0.7 * time))
        audio += sum(np.sin(i * phase + i) / i for i in range(1, 24) if i * f0 < 10_500)
    fade = np.minimum(1, 10 * np.minimum(time, time[::-1]))
    return (0.2 * fade * audio).astype(np.float32)


def reference(audio: np.ndarray, harmonic: int) -> np.ndarray:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # short audio
        return librosa.cqt(
            audio,
            sr=RATE,
            hop_length=HOP,
            fmin=harmonic * LOWEST,
            n_bins=N_BINS,
            bins_per_octave=BINS_PER_OCTAVE,
            sparsity=0,  # librosa's default leaves out 1 % of each filter to save time
        )


def test_grids_are_librosas() -> None:
    expected = librosa.cqt_frequencies(N_BINS, fmin=LOWEST, bins_per_octave=BINS_PER_OCTAVE)
    np.testing.assert_allclose(bin_frequencies(), expected, rtol=1e-12)
    expected = librosa.frames_to_time(np.arange(100), sr=RATE, hop_length=HOP)
    np.testing.assert_allclose(frame_times(100), expected)


@pytest.mark.parametrize("harmonic", HARMONICS)
def test_level_and_phase_differential_are_librosas(cqt: HarmonicCqt, harmonic: int) -> None:
    audio = voices(4.0)
    expected = reference(audio, harmonic)
    assert expected.shape[1] == count_frames(len(audio))
    level, advance = (x[0, harmonic - 1].numpy() for x in cqt(torch.from_numpy(audio)[None]))
    expected_level = librosa.amplitude_to_db(np.abs(expected), ref=np.max)
    phase = np.angle(expected)
    expected_advance = np.concatenate(
        [phase[:, :1], np.diff(np.unwrap(phase, axis=1), axis=1)], axis=1
    )
    counted = expected_level > -60
    # At the very end librosa's decimation leaves an artefact of its own, 30 dB above the truth in
    # the lowest octave.
    counted[:, -15:] = False
    error = np.abs(level - expected_level)[counted]
    turn = np.abs(np.angle(np.exp(1j * (advance - expected_advance))))[counted]
    if harmonic < 5:
        assert np.quantile(error, 0.95) < 0.005
        assert np.quantile(error, 0.99) < 0.05
        assert np.quantile(turn, 0.99) < 0.01
    else:
        # Filters of the lower octaves are sampled twice as densely as librosa's, and librosa's
        # decimation takes away from the highest four bins of these octaves.
        assert np.quantile(error, 0.5) < 0.1
        assert np.quantile(error, 0.95) < 0.5
        assert np.quantile(turn, 0.95) < 0.05
    assert level.min() >= -80
    assert np.abs(advance).max() <= np.pi + 1e-5


def test_any_range_of_frames_is_that_of_the_whole(cqt: HarmonicCqt) -> None:
    audio = torch.from_numpy(voices(1.0))[None]
    n_frames = count_frames(audio.shape[1])
    pyramid = cqt.decimate(audio)
    peak = cqt.peak(pyramid, n_frames)
    whole = cqt(audio)
    for first, last in ((0, 1), (0, 30), (30, 31), (17, n_frames)):
        for part, all_frames in zip(cqt.features(pyramid, peak, first, last), whole, strict=True):
            # Near -80 dB the phase is rounding noise.
            heard = whole[0][..., first:last] > -60
            difference = (part - all_frames[..., first:last]).abs()[heard]
            assert torch.minimum(difference, (difference - 2 * np.pi).abs()).max() < 1e-2


def test_recordings_of_a_batch_do_not_mix(cqt: HarmonicCqt) -> None:
    audio = torch.from_numpy(voices(1.0)).reshape(2, -1)
    both = cqt.transform(cqt.decimate(audio), 0, 20)
    second = cqt.transform(cqt.decimate(audio[1:]), 0, 20)
    torch.testing.assert_close(both[1:], second, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("n_samples", [1, 100, 5000])
def test_silence_and_short_recordings_are_finite(cqt: HarmonicCqt, n_samples: int) -> None:
    for audio in (torch.zeros(1, n_samples), torch.ones(1, n_samples)):
        level, advance = cqt(audio)
        assert level.shape == (1, 5, N_BINS, 1 + n_samples // HOP)
        assert level.isfinite().all() and advance.isfinite().all()
