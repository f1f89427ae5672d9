"""Partials told apart by their phases."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from src.fit.descent import fit_spectra
from src.fit.partials import PartialSettings, estimate_partials
from src.fit.separator import FitSeparator
from src.fit.sines import thin
from src.fit.spectra import FitSettings, FittedSpectra, compute_comb_spectra
from src.metrics.frames import si_sdr
from tests.fit.test_fit import voices

GRID = {"domain": 1.0, "rate": 16_000, "hop": 256, "mask_hop": 512}


def explained(mixture: Tensor, f0: Tensor) -> FittedSpectra:
    combs = compute_comb_spectra(
        f0, mixture.shape[-1], rate=16_000, hop=256, n_fft=2048, mask_hop=512, domain=1.0
    )
    spectrum = torch.stft(
        mixture, 2048, 512, window=torch.hann_window(2048), return_complex=True
    ).abs()
    return fit_spectra(spectrum, combs, FitSettings(max_iterations=30), rate=16_000)


def tones(seconds: float = 1.0) -> tuple[Tensor, Tensor]:
    """Two voices [1, 2, T] whose partials lie 10 Hz apart: one bin, at 16 kHz and 2048 points."""
    t = torch.arange(round(16_000 * seconds), dtype=torch.float64) / 16_000
    f0 = torch.tensor([[[210.0], [200.0]]]).expand(-1, -1, -(-len(t) // 256))
    sources = [
        sum(torch.sin(2 * torch.pi * h * f * t + h + j) / h for h in range(1, 5))
        for j, f in enumerate((210.0, 200.0))
    ]
    return torch.stack(sources).float().unsqueeze(0), f0.contiguous()


@pytest.mark.parametrize("hop", [1024, 700, 701])
def test_amplitudes_solve_the_regularised_least_squares(hop: int) -> None:
    """Against numpy, in double precision, with all samples; flat spectra as prior.

    Where every fourth sample does (not with an odd hop), the filter feels where the recording ends.
    """
    sources, f0 = tones(0.6)
    mixture = sources.sum(dim=1) + 0.1 * torch.randn(1, 9600, generator=_seeded())
    settings = PartialSettings(window=2048, hop=hop, highest=900.0, uncertainty=0.2, left=0.0)
    flat = FittedSpectra(
        torch.full((1, 2, 1025, 19), 2.0),
        torch.full((1, 1025, 19), 0.5),
        *(torch.zeros(1) for _ in range(4)),
    )
    found = estimate_partials(mixture.unsqueeze(1), f0, flat, settings, **GRID)[0, :, 0]

    ratio = (0.25 + 0.2 * (4.0 + 4.0 + 0.25)) / 4.0
    t = np.arange(9600) / 16_000
    # The model's phase begins after one sample.
    columns = [
        wave(2 * np.pi * h * f * (t + 1 / 16_000))
        for f in (210.0, 200.0)
        for wave in (np.cos, np.sin)
        for h in range(1, 5)
    ]
    basis = np.stack(columns, axis=1)
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(2048) / 2048)
    wanted = np.zeros((2, 9600))
    weight = np.zeros(9600)
    for middle in range(0, 9600 + hop - 1, hop):
        inside = np.arange(middle - 1024, middle + 1024)
        kept = (inside >= 0) & (inside < 9600)
        s = basis[inside[kept]] * window[kept, None]
        x = mixture[0].double().numpy()[inside[kept]] * window[kept]
        a = np.linalg.solve(s.T @ s + ratio * 0.5 * (window**2).sum() * np.eye(16), s.T @ x)
        for j, own in enumerate((slice(0, 8), slice(8, 16))):
            wanted[j, inside[kept]] += (basis[inside[kept], own] @ a[own]) * window[kept] ** 2
        weight[inside[kept]] += window[kept] ** 2
    whole = slice(None) if hop % 2 else slice(1200, -1200)
    wanted /= weight
    np.testing.assert_allclose(found.numpy()[:, whole], wanted[:, whole], atol=2e-3)
    np.testing.assert_allclose(found.numpy(), wanted, atol=2e-2)


def test_samples_are_left_out_only_where_partials_and_frames_allow() -> None:
    settings = PartialSettings()
    assert settings.choose_factor(16_000, 256, 512) == 4
    assert settings.choose_factor(48_000, 256) == 8
    assert settings.choose_factor(16_000, 255) == settings.choose_factor(16_000, 256, 33) == 1
    assert settings.choose_factor(16_000, 258) == 2
    assert replace(settings, highest=2000.0).choose_factor(16_000, 256) == 2
    assert replace(settings, highest=4000.0).choose_factor(16_000, 256) == 1


def test_the_filter_keeps_partials_and_nothing_that_looks_like_one() -> None:
    time = torch.arange(16_000, dtype=torch.float64) / 16_000
    inside = slice(50, -50)
    for hertz in (60.0, 700.0, 1500.0):
        tone = torch.sin(2 * torch.pi * hertz * time)
        assert (thin(tone, 4) - tone[::4])[inside].abs().max() < 1e-4
    for hertz in (2500.0, 3999.0, 5500.0, 7900.0):
        assert thin(torch.sin(2 * torch.pi * hertz * time), 4)[inside].abs().max() < 1e-4


def test_partials_in_one_bin_are_told_apart() -> None:
    sources, f0 = tones()
    mixture = sources.sum(dim=1)
    masks, phases = (
        si_sdr(
            FitSeparator(opinions=None, partials=p, retune=False)(mixture, f0).sources, sources
        ).mean()
        for p in (None, PartialSettings())
    )
    assert phases > masks + 10.0


def test_every_channel_has_amplitudes_of_its_own() -> None:
    sources, f0 = tones()
    gains = torch.tensor([[1.0, 0.2], [0.3, 1.0]])
    channels = torch.einsum("bjt,jc->bct", sources, gains)
    mixture = channels.mean(dim=1)
    separator = FitSeparator(opinions=None, retune=False, places=None)
    result = separator(mixture, f0, channels=channels)
    assert result.sources.shape == (1, 2, 2, 16_000)
    torch.testing.assert_close(result.sources.sum(dim=1), channels, atol=1e-4, rtol=1e-3)
    level = result.sources[0, :, :, 4000:12_000].norm(dim=-1)
    assert (level[0, 1] / level[0, 0] - 0.2).abs() < 0.05
    assert (level[1, 0] / level[1, 1] - 0.3).abs() < 0.05
    # Filtering is linear: the mean of the channels gives the mean of their sources.
    alone = FitSeparator(opinions=None, retune=False)(mixture, f0).sources
    torch.testing.assert_close(result.sources.mean(dim=2), alone, atol=1e-4, rtol=1e-3)


def test_unisons_are_shared_in_proportion_to_the_fitted_power() -> None:
    sources, f0 = tones()
    f0 = f0[:, :1].expand(-1, 2, -1)
    level = torch.tensor([1.0, 2.0]).view(1, 2, 1, 1)
    flat = FittedSpectra(
        level.expand(-1, -1, 1025, 32), torch.full((1, 1025, 32), 0.1), *[torch.zeros(1)] * 4
    )
    found = estimate_partials(sources[:, :1], f0, flat, PartialSettings(), **GRID)[0, :, 0]
    torch.testing.assert_close(found[1], 4.0 * found[0], rtol=1e-2, atol=1e-3)
    assert si_sdr(found.sum(dim=0, keepdim=True), sources[0, :1]) > 20.0


def test_what_partials_leave_is_how_far_they_are_believed() -> None:
    """Beside noise, sines are no excuse: what they leave makes the second estimate smaller."""
    sources, f0 = tones()
    noise = 3.0 * torch.randn(1, 16_000, generator=_seeded())
    flat = FittedSpectra(
        torch.ones(1, 2, 1025, 32), torch.full((1, 1025, 32), 1e-3), *[torch.zeros(1)] * 4
    )

    def energy(mixture: Tensor, left: float) -> Tensor:
        settings = PartialSettings(uncertainty=0.05, left=left)
        return (
            estimate_partials(mixture.unsqueeze(1), f0, flat, settings, **GRID)
            .sum(dim=1)
            .square()
            .sum()
        )

    assert energy(noise, 0.5) < 0.8 * energy(noise, 0.0)
    # Where partials are all there is, they are believed all the more.
    clean = sources.sum(dim=1)
    target = clean.square().sum()
    assert target > energy(clean, 0.5) > energy(clean, 0.0)


def test_only_what_is_sung_has_partials() -> None:
    sources, f0 = voices(32_000)
    f0 = f0.clone()
    f0[:, 0, 60:] = 0.0
    f0[:, 1] = 0.0
    mixture = sources.sum(dim=1)
    found = estimate_partials(
        mixture.unsqueeze(1), f0, explained(mixture, f0), PartialSettings(), **GRID
    )
    assert found[:, 0, :, : 59 * 256].abs().max() > 1e-3
    assert not found[:, 0, :, 60 * 256 :].any()
    assert not found[:, 1].any()


def test_tracks_near_zero_are_no_burden() -> None:
    """Published tracks go down to 4 Hz in places."""
    sources, f0 = tones(0.5)
    f0 = f0.clone()
    f0[:, 0, 5] = 0.5
    mixture = sources.sum(dim=1)
    found = estimate_partials(
        mixture.unsqueeze(1), f0, explained(mixture, f0), PartialSettings(), **GRID
    )
    assert torch.isfinite(found).all()


@pytest.mark.parametrize(
    ("field", "value"),
    [("window", 512), ("hop", 0), ("highest", 0.0), ("uncertainty", -0.1), ("left", -1.0)],
)
def test_bad_settings_are_named(field: str, value: float) -> None:
    with pytest.raises(ValueError, match=f"partials.{field}"):
        PartialSettings(**{field: value})


def _seeded() -> torch.Generator:
    return torch.Generator().manual_seed(0)
