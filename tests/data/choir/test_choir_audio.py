"""What the generated choir sounds like: exact F0, silence, consonants, no aliasing."""

import librosa
import numpy as np
import pytest

from src.data.choir.generate import HOP, SONGS, generate_song
from src.data.choir.score import PARTS
from src.data.choir.singers import SINGERS, list_singers
from src.data.choir.voice import (
    BLOCK,
    RD_MAX,
    RD_MIN,
    build_pulse_table,
    compute_lf_flow,
    design_resonator,
    design_upper_lift,
    render,
)

RATE = 16000
NAME = SONGS[6]


@pytest.fixture(scope="module")
def song():
    return generate_song(NAME, max_seconds=13.0)


def _frame_energy(audio, n_frames):
    """Mean power of the 256 samples centred on each frame's time."""
    padded = np.pad(audio.astype(np.float64), (HOP // 2, HOP))
    return np.array([np.mean(padded[n * HOP : n * HOP + HOP] ** 2) for n in range(n_frames)])


def test_shapes_and_levels(song):
    n_samples = song.audio.shape[1]
    assert song.parts == PARTS
    assert song.audio.dtype == song.f0.dtype == np.float32
    assert song.audio.shape == (4, n_samples)
    assert song.f0.shape == (4, -(-n_samples // HOP))
    assert np.isfinite(song.audio).all() and np.isfinite(song.f0).all()
    assert np.abs(song.audio).max() < 1.0
    assert np.abs(song.audio.sum(axis=0)).max() == pytest.approx(0.7, abs=0.01)
    power = 10 * np.log10((song.audio**2).mean(axis=1))
    assert power.max() - power.min() < 4.0
    assert power.argmax() == 0


def test_same_seed_same_bits_other_seed_other_song(song):
    again = generate_song(NAME, max_seconds=13.0)
    assert np.array_equal(song.audio, again.audio)
    assert np.array_equal(song.f0, again.f0)
    assert song.singer == again.singer
    other = generate_song(NAME, seed=1, max_seconds=4.0)
    assert not np.array_equal(song.audio[:, :64000], other.audio)


@pytest.mark.parametrize("voice", range(4))
def test_f0_agrees_with_an_independent_estimate(song, voice):
    window = 1024 if voice < 2 else 2048
    found = librosa.yin(
        song.audio[voice], fmin=60, fmax=900, sr=RATE, frame_length=window, hop_length=HOP
    )
    n = min(len(found), song.f0.shape[1])
    f0 = song.f0[voice, :n]
    voiced = f0 > 0
    cents = 1200 * np.log2(found[:n][voiced] / f0[voiced])
    assert voiced.mean() > 0.6
    assert np.mean(np.abs(cents) < 50) >= 0.95
    assert abs(np.median(cents)) < 5


def test_f0_is_in_the_range_of_the_voice(song):
    for f0, (low, high) in zip(
        song.f0, ((200, 900), (160, 700), (110, 500), (60, 350)), strict=True
    ):
        voiced = f0[f0 > 0]
        assert low < voiced.min() and voiced.max() < high


def test_silent_before_the_first_breath_and_in_gaps(song):
    for audio, f0 in zip(song.audio, song.f0, strict=True):
        energy = _frame_energy(audio, len(f0))
        assert f0[:5].max() == 0
        assert 10 * np.log10(energy[:5].max()) < -55
        loud = np.median(energy[f0 > 0])
        assert np.percentile(energy[f0 == 0], 5) < 1e-3 * loud


def test_unvoiced_consonants_have_energy_and_no_f0(song):
    for audio, f0 in zip(song.audio, song.f0, strict=True):
        energy = _frame_energy(audio, len(f0))
        loud = np.median(energy[f0 > 0])
        assert np.sum((f0 == 0) & (energy > 0.02 * loud)) >= 5


def test_singers_differ():
    assert len({(singer.part, singer.number) for singer in SINGERS}) == len(SINGERS)
    assert all(len(list_singers(part)) >= 2 for part in PARTS)
    chosen = {}
    for seed in range(12):  # two seeds with different sopranos
        take = generate_song(NAME, seed=seed, max_seconds=3.0)
        chosen.setdefault(take.singer[0], take.audio[0])
        if len(chosen) == 2:
            break
    first, second = (
        10 * np.log10(np.mean(np.abs(librosa.stft(audio, n_fft=512)) ** 2, axis=1) + 1e-12)
        for audio in chosen.values()
    )
    assert np.mean(np.abs(first - second)[8:200]) > 2.0


def test_unknown_name_and_rate():
    with pytest.raises(KeyError, match="jesu_meine_freude"):
        generate_song("o_sole_mio")
    with pytest.raises(ValueError, match="rate"):
        generate_song(NAME, rate=44100)


@pytest.mark.parametrize("rd", [RD_MIN, 1.0, RD_MAX])
def test_glottal_flow_is_a_pulse(rd):
    flow = compute_lf_flow(rd, 2048)
    slope = np.diff(flow) * 2048
    assert flow[0] == pytest.approx(0) and flow[-1] == pytest.approx(0)
    assert flow.min() > -1e-3
    assert slope.min() == pytest.approx(-1, abs=0.06)


def test_no_aliasing_above_4_khz():
    """A steady high voice without noise: between the harmonics there must be nothing."""
    n, f0 = 1000, 713.0
    table, peaks = build_pulse_table()
    hz = np.tile([700.0, 1200.0, 2600.0, 3500.0, 4300.0], (n, 1))
    coefs = np.stack(design_resonator(hz, np.full_like(hz, 150.0)), axis=-1)
    ones, nothing = np.ones(n + 1), np.zeros(n + 1)
    silence = np.zeros(n * BLOCK, np.float32)
    still = np.zeros(16)
    samples = render(
        f0 * ones, 0.6 * ones, ones, nothing, nothing, coefs, np.tile([1.0, 0, 0], (n, 1)),
        np.zeros((n, 2, 3)), silence, silence, still, still, table, peaks, design_upper_lift(1.0),
    )  # fmt: skip
    window = np.blackman(32768)
    spectrum = np.abs(np.fft.rfft(samples[16000 : 16000 + 32768] * window))
    freqs = np.arange(len(spectrum)) * 64000 / 32768
    off = np.abs(freqs / f0 - np.round(freqs / f0)) * f0
    for low, high in ((4000, 8000), (1000, 4000)):
        band = (freqs > low) & (freqs < high)
        harmonics, between = spectrum[band & (off < 8)].max(), spectrum[band & (off > 40)].max()
        assert 20 * np.log10(between / harmonics) < -45
