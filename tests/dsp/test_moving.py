"""Voices moved along their partials, against the same voices made at the other F0."""

from __future__ import annotations

import numpy as np
import pytest

from src.dsp.moving import (
    choose_fft,
    count_margin,
    measure_partials,
    measure_periodicity,
    move_partials,
    read_envelope,
    shape_partials,
    split_noise,
)

RATE = 16_000
SECONDS = 2.0


def make_f0(base: float, vibrato: float = 0.5) -> np.ndarray:
    """F0 in Hz with vibrato (semitones), with the margins before and after."""
    n = round(SECONDS * RATE) + 2 * count_margin(RATE)
    t = np.arange(n) / RATE
    return base * 2.0 ** (vibrato * np.sin(2 * np.pi * 5.5 * t) / 12.0)


def sing(f0: np.ndarray, levels: list[float], turn: float = 0.0) -> np.ndarray:
    """Partials with phases of their own; `turn` radians is the fundamental's phase."""
    m = count_margin(RATE)
    phase = 2.0 * np.pi * np.concatenate([[0.0], np.cumsum(0.5 * (f0[1:] + f0[:-1]) / RATE)])
    phase += turn - phase[m]
    return np.array(sum(a * np.cos(k * phase + k * k) for k, a in enumerate(levels, 1)))


def inside(x: np.ndarray) -> np.ndarray:
    m = count_margin(RATE)
    return x[..., m:-m]


def snr(found: np.ndarray, wanted: np.ndarray) -> float:
    return float(10 * np.log10((wanted**2).sum() / ((found - wanted) ** 2).sum()))


@pytest.mark.parametrize("semitones", [-12.0, -3.0, 0.01, 2.0, 7.0, 12.0])
@pytest.mark.parametrize("base", [90.0, 220.0, 700.0])
def test_partials_come_to_where_they_shall_with_their_phases(base: float, semitones: float) -> None:
    levels = [1.0 / k for k in range(1, 1 + int(2000 / base))]
    f0 = make_f0(base)
    moved = f0 * 2.0 ** (semitones / 12.0)
    signal = sing(f0, levels)[None].astype(np.float32)
    found = move_partials(signal, inside(f0), inside(moved), rate=RATE)
    assert snr(found[0], inside(sing(moved, levels))) > 45.0


def test_a_vibrato_is_straightened_and_channels_stay_apart() -> None:
    f0, straight = make_f0(220.0, 1.0), make_f0(220.0, 0.0)
    levels = [1.0, 0.5, 0.25, 0.1]
    signal = np.stack([sing(f0, levels), -0.3 * sing(f0, levels)]).astype(np.float32)
    found = move_partials(signal, inside(f0), inside(straight), rate=RATE)
    assert snr(found[0], inside(sing(straight, levels))) > 40.0
    np.testing.assert_allclose(found[1], -0.3 * found[0], atol=1e-5)


def test_the_same_f0_is_the_same_signal() -> None:
    signal = np.random.default_rng(0).standard_normal((1, 20_000)).astype(np.float32)
    f0 = np.full(20_000 - 2 * count_margin(RATE), 200.0)
    found = move_partials(signal, f0, f0, rate=RATE)
    # White noise up to the Nyquist frequency is the hardest; voices have next to nothing there.
    assert snr(found, inside(signal)) > 20.0


def test_a_stretch_begins_where_the_recording_does() -> None:
    """The first sample is the recording's, whatever the F0 that follows."""
    f0 = make_f0(150.0)
    signal = sing(f0, [1.0, 0.3])[None].astype(np.float32)
    found = move_partials(signal, inside(f0), 1.3 * inside(f0), rate=RATE)
    assert abs(found[0, 0] - inside(signal)[0, 0]) < 1e-3


def test_noise_is_told_from_what_repeats() -> None:
    f0 = make_f0(200.0)
    rng = np.random.default_rng(0)
    tone = sing(f0, [1.0, 0.5, 0.2])
    noise = 0.1 * rng.standard_normal(len(tone))
    repeated, rest = split_noise((tone + noise)[None].astype(np.float32), inside(f0), rate=RATE)
    np.testing.assert_allclose(repeated + rest, inside(tone + noise)[None], atol=1e-4)
    assert snr(repeated[0], inside(tone)) > 20.0
    # Of the noise, the share of five periods' weights remains in the average.
    assert 0.6 < rest.std() / noise.std() < 1.0
    periodic = measure_periodicity(tone[None].astype(np.float32), inside(f0), rate=RATE)
    random = measure_periodicity(noise[None].astype(np.float32), inside(f0), rate=RATE)
    assert periodic.min() > 0.98
    assert abs(random.mean()) < 0.1


def frames_of(f0: float, n_samples: int) -> np.ndarray:
    return np.full(1 + n_samples // (choose_fft(RATE) // 4), f0)


def test_levels_of_partials_are_measured() -> None:
    f0 = make_f0(200.0, 0.0)
    levels = [1.0, 0.1, 0.5, 0.05]
    signal = sing(f0, levels)[None].astype(np.float32)
    partials = measure_partials(signal, frames_of(200.0, signal.shape[1]), rate=RATE)
    found = partials[:4, 20:-20].mean(axis=1)
    np.testing.assert_allclose(found - found[0], 20 * np.log10(levels), atol=0.5)
    between = read_envelope(partials, np.full((1, partials.shape[1]), 2.5))[0, 40]
    assert between == pytest.approx(0.5 * (partials[1, 40] + partials[2, 40]))


@pytest.mark.parametrize(("ratio", "formants"), [(1.5, 1.0), (1.0, 1.25), (0.75, 0.9)])
def test_formants_stay_or_go_and_the_power_stays(ratio: float, formants: float) -> None:
    def envelope(hertz: np.ndarray) -> np.ndarray:
        return np.exp(-(((hertz - 900.0) / 400.0) ** 2)) + 0.3 * np.exp(
            -(((hertz - 2600.0) / 500.0) ** 2)
        )

    base = 130.0
    order = np.arange(1, 40)
    f0 = make_f0(base, 0.0)
    signal = sing(f0, list(envelope(base * order)))[None].astype(np.float32)
    frames = frames_of(base, signal.shape[1])
    shaped = shape_partials(
        signal, frames, np.full_like(frames, ratio), rate=RATE, formants=formants
    )
    wanted = envelope(base * ratio * order / formants)
    wanted *= np.sqrt((envelope(base * order) ** 2).sum() / (wanted**2).sum())
    strong = wanted > 0.1
    found = measure_partials(shaped, frames, rate=RATE)[: len(order), 40]
    own = measure_partials(signal, frames, rate=RATE)[: len(order), 40]
    change = found - own
    expected = 20 * np.log10(wanted / envelope(base * order))
    reached = np.abs(expected) < 20.0  # a partial is changed by 24 dB at most
    both = strong[: len(change)] & reached[: len(change)]
    assert both.sum() > 4
    assert np.abs(change[both] - expected[both]).mean() < 1.5
    assert abs(20 * np.log10(shaped.std() / signal.std())) < 1.0


def test_nothing_is_moved_beyond_the_highest_frequency() -> None:
    f0 = make_f0(500.0, 0.0)
    signal = sing(f0, [1.0] * 15)[None].astype(np.float32)
    frames = frames_of(500.0, signal.shape[1])
    shaped = shape_partials(signal, frames, np.full_like(frames, 2.0), rate=RATE)
    spectrum = np.abs(np.fft.rfft(shaped[0]))
    hertz = np.fft.rfftfreq(shaped.shape[1], 1 / RATE)
    assert spectrum[hertz > 4200].max() < 1e-2 * spectrum.max()
