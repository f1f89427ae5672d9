"""Closed-form harmonic source against a float64 bank of sinusoids written as loops."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch.autograd import gradcheck

from src.dsp.harmonic import count_harmonics, harmonic_phase, harmonic_source, interpolate_f0

RATE = 16_000


def slow_f0(f0: np.ndarray, hop: int, n_samples: int, edges: str) -> np.ndarray:
    track = np.zeros(n_samples)
    for t in range(n_samples):
        n, w = t // hop, (t % hop) / hop
        left, right = float(f0[n]), float(f0[min(n + 1, len(f0) - 1)])
        if edges == "glide" or (left > 0 and right > 0):
            track[t] = (1 - w) * left + w * right
        else:
            track[t] = max(left, right)
    return track


def bank(
    f0: np.ndarray,
    amplitude: np.ndarray,
    n_samples: int,
    *,
    hop: int = 256,
    edges: str = "hold",
    most: int = 101,
) -> np.ndarray:
    """Sum of sinusoids, one at a time, with both Nyquist rules."""
    f0, amplitude = f0.astype(np.float64), amplitude.astype(np.float64)
    track = slow_f0(f0, hop, n_samples, edges)
    phase = 2 * np.pi * np.cumsum(track) / RATE
    time = np.arange(n_samples)
    frame, w = time // hop, np.sin(0.5 * np.pi * (time % hop) / hop) ** 2
    following = np.minimum(frame + 1, len(f0) - 1)
    harmonics = np.arange(1, most + 1)
    sounding = (f0[None] > 0) & (harmonics[:, None] * f0[None] < RATE / 2)
    per_harmonic = amplitude / np.maximum(sounding.sum(axis=0), 1)
    total = np.zeros(n_samples)
    for i in harmonics:
        level = per_harmonic * sounding[i - 1]
        level = (1 - w) * level[frame] + w * level[following]
        total += np.where(i * track < RATE / 2, level * np.sin(i * phase), 0.0)
    return total


def random_track(seed: int, n_frames: int, low: float, high: float) -> np.ndarray:
    """A random walk in pitch with unvoiced gaps."""
    rng = np.random.default_rng(seed)
    steps = np.cumsum(rng.normal(0, 0.05, n_frames))
    track = np.sqrt(low * high) * np.exp(steps)
    track = np.clip(track, low, high)
    track[rng.random(n_frames) < 0.15] = 0.0
    return track.astype(np.float32)


@pytest.mark.parametrize("edges", ["hold", "glide"])
@pytest.mark.parametrize(
    ("low", "high"),
    [(60, 100), (75, 83), (200, 800), (800, 4100), (3000, 9000)],
    ids=["low", "79Hz", "voice", "high", "nyquist"],
)
def test_against_a_bank_of_sinusoids(
    low: float, high: float, edges: str, device: torch.device
) -> None:
    n_samples = 16_000 - 77
    n_frames = -(-n_samples // 256)
    f0 = random_track(int(low), n_frames, low, high)
    amplitude = np.random.default_rng(1).uniform(0, 2, n_frames)
    expected = bank(f0, amplitude, n_samples, edges=edges)
    found = harmonic_source(
        torch.tensor(f0, device=device),
        torch.tensor(amplitude, device=device),
        n_samples=n_samples,
        edges=edges,
    )
    assert np.abs(found.cpu().numpy() - expected).max() < 1e-6


def test_frame_amplitudes_in_float32(device: torch.device) -> None:
    f0 = random_track(7, 20, 100, 400)
    amplitude = np.random.default_rng(2).uniform(0, 2, 20).astype(np.float32)
    found = harmonic_source(
        torch.tensor(f0, device=device), torch.tensor(amplitude, device=device), n_samples=5120
    )
    assert found.dtype == torch.float32
    assert np.abs(found.cpu().numpy() - bank(f0, amplitude, 5120)).max() < 1e-6


@pytest.mark.parametrize("most", [1, 5, 30])
def test_upper_bound_on_the_number_of_harmonics(most: int) -> None:
    f0, amplitude = np.full(8, 90.0), np.ones(8)
    found = harmonic_source(
        torch.tensor(f0), torch.tensor(amplitude), n_samples=2048, max_harmonics=most
    )
    assert np.abs(found.numpy() - bank(f0, amplitude, 2048, most=most)).max() < 1e-9


def test_both_nyquist_rules_in_a_jump() -> None:
    """In a leap the sample rule cuts harmonics that the rule of frames still lets by."""
    f0 = np.array([500.0, 2000.0, 500.0, 7999.0, 8000.0, 8001.0, 500.0, 4000.0])
    amplitude = np.ones(8)
    found = harmonic_source(torch.tensor(f0), torch.tensor(amplitude), n_samples=2048)
    assert np.abs(found.numpy() - bank(f0, amplitude, 2048)).max() < 1e-9


@pytest.mark.parametrize(
    ("f0", "expected"),
    [
        *[(0, 0), (50, 101), (78, 101), (79, 101), (80, 99), (440.1, 18), (2000, 3), (4000, 1)],
        *[(7999, 1), (8000, 0), (9000, 0)],
    ],
)
def test_number_of_harmonics(f0: float, expected: int) -> None:
    assert int(count_harmonics(torch.tensor(f0), rate=RATE, max_harmonics=101)) == expected


def test_phase_does_not_drift_in_ten_minutes(device: torch.device) -> None:
    f0, n_samples = 440.1, 600 * RATE
    n_frames = n_samples // 256
    track = torch.full((n_frames,), f0, dtype=torch.float64, device=device)
    phase = harmonic_phase(interpolate_f0(track, hop=256, n_samples=n_samples), rate=RATE)
    assert phase.abs().max() <= math.pi + 1e-12
    t = np.arange(n_samples - RATE, n_samples)
    # Whole tenths of a cycle: exact in integers.
    cycles = ((t + 1) * 4401 % (RATE * 10)) / (RATE * 10)
    difference = np.exp(1j * phase[-RATE:].cpu().numpy()) - np.exp(2j * np.pi * cycles)
    assert np.abs(difference).max() < 1e-6


def test_last_second_of_a_long_sum() -> None:
    """The drift counts times the number of harmonics in the closed form."""
    f0, n_samples = 110.1, 120 * RATE
    n_frames = n_samples // 256
    track = torch.full((n_frames,), f0, dtype=torch.float64)
    found = harmonic_source(track, torch.ones(n_frames), n_samples=n_samples)[-1000:]
    t = np.arange(n_samples - 1000, n_samples)
    cycles = ((t + 1) * 1101 % (RATE * 10)) / (RATE * 10)
    count = 72
    expected = sum(np.sin(2 * np.pi * i * cycles) for i in range(1, count + 1)) / count
    assert np.abs(found.numpy() - expected).max() < 1e-6


@pytest.mark.parametrize("edges", ["hold", "glide"])
def test_silent_where_unvoiced(edges: str, device: torch.device) -> None:
    f0 = torch.zeros(3, 12, device=device)
    f0[1] = 200.0
    f0[2, 4:6] = 200.0
    sound = harmonic_source(f0, torch.ones(3, 12, device=device), n_samples=12 * 256, edges=edges)
    assert (sound[0] == 0).all()
    assert sound[1].abs().max() > 0.1
    assert (sound[2, : 3 * 256 + 1] == 0).all()
    assert (sound[2, 6 * 256 :] == 0).all()
    assert sound[2, 3 * 256 + 1 : 6 * 256].abs().max() > 0.1


@pytest.mark.parametrize("edges", ["hold", "glide"])
def test_interpolation_of_f0(edges: str) -> None:
    f0 = np.array([0.0, 0.0, 220.0, 330.0, 0.0, 110.0])
    found = interpolate_f0(torch.tensor(f0), hop=16, n_samples=90, edges=edges)
    np.testing.assert_allclose(found.numpy(), slow_f0(f0, 16, 90, edges), rtol=1e-14)


def test_unknown_edges_and_wrong_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match="edges"):
        harmonic_source(torch.ones(2), torch.ones(2), n_samples=512, edges="bend")
    with pytest.raises(ValueError, match="need 3 frames"):
        harmonic_source(torch.ones(2), torch.ones(2), n_samples=513)


def test_leading_dimensions_broadcast(device: torch.device) -> None:
    f0 = torch.full((2, 3, 5), 300.0, device=device)
    f0[1] = 400.0
    amplitude = torch.rand(3, 5, generator=torch.Generator().manual_seed(0)).to(device)
    sound = harmonic_source(f0, amplitude, n_samples=1280)
    assert sound.shape == (2, 3, 1280)
    for b in range(2):
        for j in range(3):
            alone = harmonic_source(f0[b, j], amplitude[j], n_samples=1280)
            torch.testing.assert_close(sound[b, j], alone)


@pytest.mark.parametrize("edges", ["hold", "glide"])
def test_gradcheck(edges: str, device: torch.device) -> None:
    f0 = torch.tensor([[510.0, 490.0, 0.0, 700.0], [0.0, 1000.0, 1010.0, 990.0]], device=device)
    f0 = f0.double().requires_grad_()
    amplitude = torch.rand(2, 4, generator=torch.Generator().manual_seed(0)).double().to(device)
    amplitude.requires_grad_()

    def sound(f: torch.Tensor, a: torch.Tensor) -> torch.Tensor:
        # With so few harmonics no harmonic crosses the Nyquist frequency (a step, not a slope).
        return harmonic_source(f, a, n_samples=31, hop=8, max_harmonics=4, edges=edges)

    def at(f: torch.Tensor, a: torch.Tensor) -> torch.Tensor:
        return sound(torch.where(f.detach() > 0, f, torch.zeros_like(f)), a)

    # The number of sounding harmonics and the voicing are decisions; perturb only voiced frames.
    voiced = f0.detach() > 0
    assert gradcheck(lambda a: at(f0.detach(), a), (amplitude,))
    values = f0.detach()[voiced].clone().requires_grad_()

    def from_voiced(x: torch.Tensor) -> torch.Tensor:
        return sound(torch.zeros_like(f0).masked_scatter(voiced, x), amplitude.detach())

    assert gradcheck(from_voiced, (values,), eps=1e-4, atol=1e-7, rtol=1e-4)


def test_f0_gradient_against_differences_of_the_bank() -> None:
    n_samples, hop = 1500, 256
    f0 = np.array([220.0, 225.0, 0.0, 247.0, 244.0, 239.0])
    amplitude = np.array([0.3, 0.8, 0.5, 1.0, 0.2, 0.7])
    weight = np.random.default_rng(0).normal(size=n_samples)
    track = torch.tensor(f0, requires_grad=True)
    level = torch.tensor(amplitude, requires_grad=True)
    sound = harmonic_source(track, level, n_samples=n_samples, hop=hop)
    (sound * torch.tensor(weight)).sum().backward()
    assert track.grad is not None and level.grad is not None
    for n in range(len(f0)):
        step = 1e-5
        both = []
        for sign in (1, -1):
            moved = amplitude.copy()
            moved[n] += sign * step
            both.append(weight @ bank(f0, moved, n_samples))
        assert level.grad[n].item() == pytest.approx((both[0] - both[1]) / (2 * step), abs=1e-5)
        if f0[n] == 0:
            continue
        both = []
        for sign in (1, -1):
            moved = f0.copy()
            moved[n] += sign * step
            both.append(weight @ bank(moved, amplitude, n_samples))
        slope = (both[0] - both[1]) / (2 * step)
        assert track.grad[n].item() == pytest.approx(slope, rel=1e-4, abs=1e-4)


def test_gradients_are_finite_in_silence_and_at_zero_phase() -> None:
    """F0 = rate / 4 passes through phase zero exactly, where the closed form is 0 / 0."""
    f0 = torch.tensor([[0.0, 0.0, 0.0], [4000.0, 4000.0, 4000.0], [0.0, 2000.0, 0.0]])
    f0.requires_grad_()
    amplitude = torch.ones(3, 3, requires_grad=True)
    sound = harmonic_source(f0, amplitude, n_samples=768)
    assert torch.isfinite(sound).all()
    sound.square().sum().backward()
    assert f0.grad is not None and amplitude.grad is not None
    assert torch.isfinite(f0.grad).all() and torch.isfinite(amplitude.grad).all()
