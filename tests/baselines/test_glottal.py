"""The KLGLOTT88 closed forms against waveforms that are integrated and transformed numerically."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.integrate import quad

from src.baselines.glottal import compute_glottal_coefficients, compute_glottal_spectra


def flow(t: np.ndarray, open_quotient: float) -> np.ndarray:
    """Glottal flow over one period of length 1: x^2 - x^3 while open."""
    x = t / open_quotient
    return np.where(x < 1.0, x**2 - x**3, 0.0)


@pytest.mark.parametrize("open_quotient", [0.25, 0.6, 1.0])
def test_coefficients_are_those_of_the_differentiated_flow(open_quotient: float) -> None:
    harmonics = np.array([1, 2, 3, 7, 20])
    coefficients = compute_glottal_coefficients(
        torch.tensor(harmonics, dtype=torch.float64), open_quotient=open_quotient
    ).numpy()
    size = 2**18
    period = flow(np.arange(size) / size, open_quotient)
    # The flow's derivative, scaled to 2 x - 3 x^2 like the closed form; central differences.
    derivative = (np.roll(period, -1) - np.roll(period, 1)) * (0.5 * size * open_quotient)
    expected = (np.fft.fft(derivative) / size)[harmonics]
    np.testing.assert_allclose(coefficients, expected, rtol=0, atol=2e-5)


@pytest.mark.parametrize("harmonic", [1, 4, 31])
def test_coefficients_are_the_integral(harmonic: int) -> None:
    quotient = 0.25

    def derivative(t: float) -> float:
        return 2 * (t / quotient) - 3 * (t / quotient) ** 2

    omega = 2 * math.pi * harmonic
    real, _ = quad(lambda t: derivative(t) * math.cos(omega * t), 0, quotient, limit=200)
    imaginary, _ = quad(lambda t: -derivative(t) * math.sin(omega * t), 0, quotient, limit=200)
    value = compute_glottal_coefficients(torch.tensor(float(harmonic), dtype=torch.float64))
    assert value.item() == pytest.approx(complex(real, imaginary), abs=1e-12)


@pytest.mark.parametrize("hertz", [82.4, 110.0, 261.3, 880.0, 1900.0])
def test_spectra_are_those_of_the_windowed_waveform(hertz: float) -> None:
    n_fft, rate = 1024, 16_000
    harmonics = np.arange(1, math.ceil(rate / 2 / hertz))
    coefficients = compute_glottal_coefficients(
        torch.tensor(harmonics, dtype=torch.float64)
    ).numpy()
    # The instant t = 0 of the waveform lies in the middle of the window.
    t = (np.arange(n_fft) - n_fft // 2) / rate
    analytic = (coefficients[:, None] * np.exp(2j * np.pi * harmonics[:, None] * hertz * t)).sum(0)
    window = np.hanning(n_fft + 1)[:-1]
    expected = np.abs(np.fft.fft(window * analytic))[: n_fft // 2 + 1] ** 2
    expected /= expected.sum()
    spectrum = compute_glottal_spectra(torch.tensor(hertz), n_fft=n_fft).numpy()
    # Relative to the peak: far harmonics are left out, 70 dB down.
    np.testing.assert_allclose(spectrum, expected, rtol=0, atol=1e-4 * expected.max())
    # Where there is energy, within 0.2 dB.
    loud = expected > 1e-4 * expected.max()
    np.testing.assert_allclose(10 * np.log10(spectrum[loud] / expected[loud]), 0.0, atol=0.2)


def test_spectra_of_many_pitches() -> None:
    f0 = torch.tensor([[100.0, 200.0, 4100.0], [101.0, 7999.0, 60.0]])
    spectra = compute_glottal_spectra(f0, n_fft=512)
    assert spectra.shape == (2, 3, 257)
    assert spectra.dtype == torch.float64
    torch.testing.assert_close(spectra.sum(dim=-1), torch.ones(2, 3, dtype=torch.float64))
    torch.testing.assert_close(
        spectra[1, 0], compute_glottal_spectra(torch.tensor(101.0), n_fft=512), rtol=0, atol=1e-15
    )
    # Above a quarter of the rate there is one harmonic, and nothing far away from it.
    assert spectra[0, 2].argmax() == round(4100 * 512 / 16_000)
    assert spectra[0, 2, 200:].sum() < 1e-8


@pytest.mark.parametrize("hertz", [0.0, -5.0, 8000.0])
def test_f0_out_of_range(hertz: float) -> None:
    with pytest.raises(ValueError, match="f0 must lie between 0 and 8000 Hz"):
        compute_glottal_spectra(torch.tensor([200.0, hertz]), n_fft=512)


@pytest.mark.parametrize("quotient", [0.0, 1.5])
def test_open_quotient_out_of_range(quotient: float) -> None:
    with pytest.raises(ValueError, match="open_quotient"):
        compute_glottal_coefficients(torch.ones(1), open_quotient=quotient)
