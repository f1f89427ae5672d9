"""Noise statistics and FIR filters against NumPy and SciPy."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.signal
import scipy.stats
import torch
from torch.autograd import gradcheck

from src.dsp.control import upsample
from src.dsp.noise import (
    _WORD,
    _find_fast_length,
    _hash_noise,
    _mix,
    fir_filter,
    frequency_sampled_fir,
    rolloff_fir,
    uniform_noise,
    varying_fir_filter,
)

LENGTH = 200_000


def draw(seed: int = 0, n_sources: int = 1, n_samples: int = LENGTH, start: int = 0) -> np.ndarray:
    noise = uniform_noise(torch.tensor([seed]), n_sources, n_samples, start=start)
    return noise[0].numpy().astype(np.float64)


@pytest.mark.parametrize("seed", [0, 1, 123456789, -5, 2**40 + 3])
def test_noise_is_uniform(seed: int) -> None:
    x = draw(seed)[0]
    assert x.min() >= -1.0 and x.max() < 1.0
    assert x.min() < -0.999 and x.max() > 0.999
    deviation = np.sqrt(1 / 3 / LENGTH)
    assert abs(x.mean()) < 4 * deviation
    assert x.var() == pytest.approx(1 / 3, abs=4 * np.sqrt(4 / 45 / LENGTH))
    assert scipy.stats.kstest(x, scipy.stats.uniform(-1, 2).cdf).pvalue > 1e-3


@pytest.mark.parametrize("seed", [0, 1, 7])
def test_noise_is_white(seed: int) -> None:
    x = draw(seed)[0]
    spectrum = np.abs(np.fft.rfft(x, 2 * LENGTH)) ** 2
    correlation = np.fft.irfft(spectrum)[: LENGTH // 2] / (x @ x)
    # Largest of 1e5 normal values: 5.5 deviations bounds it with a probability of 0.996.
    assert np.abs(correlation[1:]).max() < 5.5 / np.sqrt(LENGTH)
    # No regular pattern in frequency either.
    power = np.abs(np.fft.rfft(x)[1:-1]) ** 2
    assert scipy.stats.kstest(power / power.mean(), scipy.stats.expon.cdf).pvalue > 1e-3


def test_noise_of_sources_and_seeds_is_unrelated() -> None:
    seeds = torch.tensor([0, 1, 2, 2**32, 2**32 + 1])
    x = uniform_noise(seeds, 4, 20_000).flatten(0, 1).numpy().astype(np.float64)
    correlation = np.corrcoef(x) - np.eye(len(x))
    assert np.abs(correlation).max() < 5 / np.sqrt(20_000)
    # Also not shifted copies of each other.
    spectra = np.fft.rfft(x[:6], 40_000)
    for i in range(6):
        for j in range(i):
            cross = np.fft.irfft(spectra[i] * spectra[j].conj()) / (20_000 / 3)
            assert np.abs(cross).max() < 6 / np.sqrt(20_000)


def test_noise_is_addressable_and_deterministic(device: torch.device) -> None:
    whole = uniform_noise(torch.tensor([3, 4], device=device), 2, 1000)
    assert torch.equal(whole, uniform_noise(torch.tensor([3, 4], device=device), 2, 1000))
    part = uniform_noise(torch.tensor([3, 4], device=device), 2, 100, start=700)
    assert torch.equal(part, whole[..., 700:800])
    # Neither the batch nor the number of sources matters.
    alone = uniform_noise(torch.tensor([4], device=device), 1, 1000)
    assert torch.equal(alone[0, 0], whole[1, 0])
    on_cpu = uniform_noise(torch.tensor([3, 4]), 2, 1000)
    assert torch.equal(whole.cpu(), on_cpu)
    assert whole.dtype == torch.float32


def plain_fir(magnitudes: np.ndarray) -> np.ndarray:
    """Frequency sampling as a sum of cosines, then the window."""
    n_taps = 2 * len(magnitudes) - 1
    m = np.arange(n_taps) - len(magnitudes) + 1
    taps = np.full(n_taps, magnitudes[0])
    for k in range(1, len(magnitudes)):
        taps += 2 * magnitudes[k] * np.cos(2 * np.pi * k * m / n_taps)
    return taps / n_taps * scipy.signal.windows.hann(n_taps + 2)[1:-1]


@pytest.mark.parametrize("n_magnitudes", [1, 2, 40, 65])
def test_frequency_sampled_fir(n_magnitudes: int, device: torch.device) -> None:
    magnitudes = np.random.default_rng(n_magnitudes).uniform(0, 2, (3, n_magnitudes))
    taps = frequency_sampled_fir(torch.tensor(magnitudes, device=device)).cpu().numpy()
    assert taps.shape == (3, 2 * n_magnitudes - 1)
    np.testing.assert_allclose(taps, taps[:, ::-1], atol=1e-15)
    np.testing.assert_allclose(taps, np.stack([plain_fir(m) for m in magnitudes]), atol=1e-14)


def test_response_follows_smooth_magnitudes() -> None:
    n = 40
    magnitudes = 1.0 + 0.5 * np.cos(np.linspace(0, 3, n))
    taps = frequency_sampled_fir(torch.tensor(magnitudes)).numpy()
    points = 2 * np.pi * np.arange(n) / (2 * n - 1)
    _, response = scipy.signal.freqz(taps, worN=points)
    zero_phase = (response * np.exp(1j * points * (n - 1))).real
    np.testing.assert_allclose(zero_phase, magnitudes, rtol=0.01)


@pytest.mark.parametrize(
    ("frequency", "level"),
    [
        *[(50, -0.06), (100, -0.27), (200, -1.3), (400, -5.5)],
        *[(800, -11.9), (1600, -18.0), (3200, -24.0), (6400, -30.0)],
    ],
)
def test_rolloff_response(frequency: float, level: float) -> None:
    taps = rolloff_fir().double().numpy()
    _, response = scipy.signal.freqz(taps, worN=[2 * np.pi * frequency / 16_000])
    assert 20 * np.log10(np.abs(response[0])) == pytest.approx(level, abs=0.15)


@pytest.mark.parametrize(("n_samples", "n_taps"), [(1, 1), (5, 9), (300, 79), (1000, 129)])
def test_fir_filter_is_a_centred_convolution(
    n_samples: int, n_taps: int, device: torch.device
) -> None:
    rng = np.random.default_rng(0)
    x, taps = rng.normal(size=(2, 3, n_samples)), rng.normal(size=(3, n_taps))
    found = fir_filter(torch.tensor(x, device=device), torch.tensor(taps, device=device)).cpu()
    assert found.shape == x.shape
    for b in range(2):
        for j in range(3):
            full = np.convolve(x[b, j], taps[j])
            expected = full[n_taps // 2 : n_taps // 2 + n_samples]
            np.testing.assert_allclose(found[b, j].numpy(), expected, atol=1e-12)


def test_fir_filter_has_no_delay() -> None:
    impulse = torch.zeros(401)
    impulse[200] = 1.0
    output = fir_filter(impulse, rolloff_fir())
    assert int(output.abs().argmax()) == 200
    torch.testing.assert_close(output, output.flip(-1), rtol=0, atol=1e-6)


def test_even_taps_are_refused() -> None:
    with pytest.raises(ValueError, match="odd length"):
        fir_filter(torch.zeros(10), torch.zeros(4))


@pytest.mark.parametrize("n", [1, 2, 7, 11, 17, 64_078, 64_128, 99_991])
def test_fast_length(n: int) -> None:
    size = _find_fast_length(n)
    assert size >= n
    for prime in (2, 3, 5):
        while size % prime == 0:
            size //= prime
    assert size == 1
    assert _find_fast_length(n) <= max(1.07 * n, n + 2)


def test_gradients(device: torch.device) -> None:
    generator = torch.Generator().manual_seed(0)
    magnitudes = torch.rand(2, 4, generator=generator).double().to(device).requires_grad_()
    x = torch.randn(2, 9, generator=generator).double().to(device).requires_grad_()
    assert gradcheck(frequency_sampled_fir, (magnitudes,))
    assert gradcheck(lambda s, m: fir_filter(s, frequency_sampled_fir(m)), (x, magnitudes))


def test_compiled_noise_is_that_of_every_device() -> None:
    seeds = torch.tensor([0, 1, -3, 2**40 + 5])
    fast = uniform_noise(seeds, 3, 501, start=2**31)
    row = _mix((seeds & _WORD) ^ 0x9E3779B9) ^ (seeds >> 32 & _WORD)
    row = _mix((row[:, None] + 0x85EBCA6B * (torch.arange(3) + 1)) & _WORD)
    sample = _mix(torch.arange(2**31, 2**31 + 501) & _WORD)
    assert torch.equal(fast, _hash_noise(row, sample))


@pytest.mark.parametrize(("n_samples", "n_taps"), [(1, 1), (256, 9), (1000, 129), (2600, 79)])
def test_equal_taps_in_all_frames_are_one_filter(
    n_samples: int, n_taps: int, device: torch.device
) -> None:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(2, 3, n_samples, generator=generator, dtype=torch.float64).to(device)
    taps = torch.randn(2, 3, n_taps, generator=generator, dtype=torch.float64).to(device)
    frames = -(-n_samples // 256)
    found = varying_fir_filter(x, taps.unsqueeze(2).expand(-1, -1, frames, -1), hop=256)
    torch.testing.assert_close(found, fir_filter(x, taps))


def test_every_frame_has_its_own_filter() -> None:
    """Gains as filters: sample n * hop has that of frame n, the rest cross-fades."""
    hop, n_samples = 64, 5 * 64 - 10
    gains = torch.tensor([1.0, 0.0, 2.0, 0.5, 3.0], dtype=torch.float64)
    taps = torch.zeros(5, 3, dtype=torch.float64)
    taps[:, 1] = gains
    x = torch.randn(n_samples, dtype=torch.float64)
    found = varying_fir_filter(x, taps, hop=hop)
    torch.testing.assert_close(found, x * upsample(gains, hop=hop, n_samples=n_samples))


def test_varying_filters_that_do_not_fit() -> None:
    with pytest.raises(ValueError, match="odd length"):
        varying_fir_filter(torch.zeros(10), torch.zeros(1, 4), hop=16)
    with pytest.raises(ValueError, match="17 samples at hop 16 do not fit 1 frames"):
        varying_fir_filter(torch.zeros(17), torch.zeros(1, 3), hop=16)


def test_gradients_of_varying_filters(device: torch.device) -> None:
    generator = torch.Generator().manual_seed(0)
    magnitudes = torch.rand(2, 3, 4, generator=generator).double().to(device).requires_grad_()
    x = torch.randn(2, 9, generator=generator).double().to(device).requires_grad_()
    assert gradcheck(
        lambda s, m: varying_fir_filter(s, frequency_sampled_fir(m), hop=4), (x, magnitudes)
    )
