"""Fitting smooth envelopes to a mixture, and the separator made of it."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from torch import Tensor

from src.baselines.masks import CombSeparator
from src.dsp.lpc import lpc_response
from src.dsp.stft import stft
from src.fit.descent import fit_spectra
from src.fit.separator import FitSeparator
from src.fit.spectra import FitSettings, build_mel_cosines, compute_comb_spectra
from src.metrics.frames import si_sdr

RATE = 16_000


def voices(n_samples: int = 32_000) -> tuple[Tensor, Tensor]:
    """Two voices [1, 2, T] with different formants, and their F0 [1, 2, N]."""
    frames = torch.arange(-(-n_samples // 256))
    vibrato = 1.0 + 0.01 * torch.sin(0.55 * frames)
    f0 = torch.stack([330.0 * vibrato, 220.0 * vibrato.flip(0)])
    signals = []
    for track, formant in zip(f0, (900.0, 2500.0), strict=True):
        time = torch.arange(n_samples, dtype=torch.float64)
        hertz = torch.from_numpy(_interpolate(track.numpy(), n_samples))
        phase = 2 * torch.pi * (hertz / RATE).cumsum(0)
        radius = 0.95
        angle = 2 * torch.pi * formant / RATE
        a = torch.tensor([-2 * radius * torch.cos(torch.tensor(angle)), radius**2])
        response = lpc_response(a, 4096).abs()
        signal = torch.zeros_like(time)
        for h in range(1, 20):
            bins = (h * hertz * 4096 / RATE).long().clamp(max=2048)
            signal += (h * hertz < 7800) * response[bins] / h * torch.sin(h * phase)
        signals.append(signal.float() / signal.std())
    return 0.1 * torch.stack(signals)[None], f0[None].float()


def _interpolate(track, n_samples: int):  # type: ignore[no-untyped-def]
    return np.interp(np.arange(n_samples) / 256, np.arange(len(track)), track)


def spectra(settings: FitSettings) -> tuple[Tensor, Tensor]:
    sources, f0 = voices()
    mixture = stft(sources.sum(dim=1)).abs().pow(settings.domain)
    combs = compute_comb_spectra(
        f0, sources.shape[-1], rate=RATE, hop=256, n_fft=2048, mask_hop=256, domain=settings.domain
    )
    return mixture, combs


def test_cosines() -> None:
    basis = build_mel_cosines(1025, 12, rate=RATE)
    torch.testing.assert_close(basis[:, 0], torch.ones(1025))
    torch.testing.assert_close(basis[0], torch.ones(12))
    torch.testing.assert_close(basis[-1], (-1.0) ** torch.arange(12))


@pytest.mark.parametrize("domain", [1.0, 2.0])
def test_end_is_a_stationary_point(domain: float) -> None:
    """The gradient of the objective, written down once more for autograd, nearly vanishes."""
    settings = FitSettings(
        domain=domain, max_iterations=400, tolerance=0.0, envelope_smoothness=100.0, stride=1
    )
    mixture, combs = spectra(settings)
    target = mixture / mixture.mean()
    combs = combs / combs.mean()

    def objective(envelope: Tensor, noise: Tensor) -> Tensor:
        bases = (build_mel_cosines(1025, n, rate=RATE) for n in (envelope.shape[2], noise.shape[1]))
        of_voices, of_noise = (
            torch.exp(torch.einsum("fd,...dn->...fn", basis, x))
            for basis, x in zip(bases, (envelope, noise), strict=True)
        )
        model = (of_voices * combs).sum(dim=1) + of_noise + 1e-6
        weights = torch.full((envelope.shape[2], 1), settings.envelope_smoothness)
        weights[0] = settings.level_smoothness
        return (
            torch.nn.functional.kl_div(model.log(), target, reduction="sum")
            + (model - target).sum()
            + 0.5 * (weights * envelope.diff(dim=-1) ** 2).sum()
            + 0.5 * settings.noise_smoothness * (noise.diff(dim=-1) ** 2).sum()
        )

    norms = []
    for iterations in (1, settings.max_iterations):
        once = dataclasses.replace(settings, max_iterations=iterations)
        fitted = fit_spectra(mixture, combs, once, rate=RATE)
        x, y = fitted.envelope.requires_grad_(), fitted.noise_envelope.requires_grad_()
        value = objective(x, y)
        torch.testing.assert_close(value.detach(), fitted.objective[0], rtol=1e-4, atol=0.0)
        norms.append(torch.cat([g.flatten() for g in torch.autograd.grad(value, (x, y))]).norm())
    assert norms[1] < 0.02 * norms[0]


def test_separates_better_than_the_comb() -> None:
    sources, f0 = voices()
    mixture = sources.sum(dim=1)
    fitted = si_sdr(FitSeparator(opinions=None)(mixture, f0).sources, sources)
    comb = si_sdr(CombSeparator(mask="power")(mixture, f0).sources, sources)
    assert (fitted > comb + 1.0).all()


def test_mixtures_of_a_batch_do_not_matter_to_each_other() -> None:
    sources, f0 = voices(16_000)
    mixture = sources.sum(dim=1)
    separator = FitSeparator(opinions=None, spectra=FitSettings(max_iterations=30))
    both = separator(torch.cat([mixture, torch.randn(1, 16_000)]), f0.expand(2, -1, -1))
    alone = separator(mixture, f0)
    torch.testing.assert_close(both.sources[:1], alone.sources, atol=1e-4, rtol=1e-3)


def test_louder_is_the_same_but_louder() -> None:
    sources, f0 = voices(16_000)
    mixture = sources.sum(dim=1)
    separator = FitSeparator(opinions=None, spectra=FitSettings(max_iterations=20))
    quiet, loud = separator(mixture, f0), separator(100.0 * mixture, f0)
    torch.testing.assert_close(quiet.masks, loud.masks, atol=5e-3, rtol=1e-2)


@pytest.mark.parametrize("case", ["silent mixture", "silent voice", "nobody sings", "one frame"])
def test_edge_cases_stay_finite_and_sum_to_the_mixture(case: str) -> None:
    sources, f0 = voices(200 if case == "one frame" else 8000)
    mixture = sources.sum(dim=1)
    if case == "silent mixture":
        mixture = torch.zeros_like(mixture)
    elif case == "silent voice":
        f0[:, 1] = 0.0
    elif case == "nobody sings":
        f0 = torch.zeros_like(f0)
    result = FitSeparator(opinions=None, spectra=FitSettings(max_iterations=10))(mixture, f0)
    assert torch.isfinite(result.sources).all()
    torch.testing.assert_close(result.sources.sum(dim=1), mixture, atol=1e-5, rtol=1e-4)
    assert result.synthesised is not None and result.synthesised.shape == result.sources.shape
    assert torch.isfinite(result.synthesised).all()
    scale = result.parameters.pop("scale")
    assert scale.shape == (1, 2, 2) and torch.isfinite(scale).all()
    for values in result.parameters.values():
        assert values.shape[:3] == (1, 2, f0.shape[-1])
        assert torch.isfinite(values).all()


@pytest.mark.parametrize(("n_frames", "stride"), [(1, 2), (2, 2), (9, 4), (31, 3)])
def test_frames_between_those_that_are_fitted_follow_from_their_neighbours(
    n_frames: int, stride: int
) -> None:
    mixture, combs = (x[..., :n_frames] for x in spectra(FitSettings()))
    settings = FitSettings(stride=stride, max_iterations=20)
    fitted = fit_spectra(mixture, combs, settings, rate=RATE)
    assert fitted.envelope.shape[-1] == fitted.voices.shape[-1] == n_frames
    known = np.arange(n_frames)
    last = stride * ((n_frames - 1) // stride)
    for coefficients in (fitted.envelope[0], fitted.noise_envelope[0]):
        lines = np.apply_along_axis(
            lambda values: np.interp(known, known[::stride], values),
            -1,
            coefficients[..., ::stride].numpy(),
        )
        np.testing.assert_allclose(coefficients, lines, atol=1e-5)
        assert (coefficients[..., last:] == coefficients[..., last : last + 1]).all()


def test_half_the_frames_tell_nearly_as_much() -> None:
    mixture, combs = spectra(FitSettings())
    every, half = (
        fit_spectra(mixture, combs, FitSettings(stride=stride), rate=RATE) for stride in (1, 2)
    )
    assert half.divergence.sum() < 1.03 * every.divergence.sum()


def test_tolerance_stops_early() -> None:
    settings = FitSettings(max_iterations=100, tolerance=0.5)
    mixture, combs = spectra(settings)
    early = fit_spectra(mixture, combs, settings, rate=RATE)
    late = fit_spectra(mixture, combs, FitSettings(tolerance=0.0), rate=RATE)
    assert early.objective > 1.01 * late.objective
    assert (late.objective >= 0).all()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("domain", 0.0),
        ("domain", 3.0),
        ("envelope_cosines", 0),
        ("stride", 0),
        ("max_iterations", 0),
        ("level_smoothness", -1.0),
        ("learning_rate", 0.0),
    ],
)
def test_bad_settings_are_named(field: str, value: float) -> None:
    with pytest.raises(ValueError, match=field):
        FitSettings(**{field: value})
