"""The fit of recordings of several channels: places help, and mono stays mono."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from src.fit.separator import FitSeparator
from src.fit.spectra import FitSettings
from tests.fit.test_fit import voices

SHORT = FitSettings(max_iterations=20)


def separate(channels: Tensor, f0: Tensor, **options: object) -> Tensor:
    separator = FitSeparator(opinions=None, spectra=SHORT, **options)  # type: ignore[arg-type]
    return separator(channels.mean(dim=1), f0, channels=channels).sources


def pan(sources: Tensor, *gains: tuple[float, float]) -> Tensor:
    """[1, J, T] to [1, J, 2, T]."""
    return sources.unsqueeze(2) * torch.tensor(gains).unsqueeze(-1)


def test_singers_apart_are_separated_better() -> None:
    sources, f0 = voices()
    images = pan(sources, (1.0, 0.3), (0.4, 1.0))
    channels = images.sum(dim=1)
    errors = [
        float((images - separate(channels, f0, partials=None, **options)).square().mean())
        for options in ({}, {"places": None})
    ]
    assert errors[0] < 0.7 * errors[1]
    found = separate(channels, f0)  # with partials
    assert (found.sum(dim=1) - channels).square().mean() < 1e-5 * channels.square().mean()


@pytest.mark.parametrize("gains", [(1.0, 1.0), (1.0, 0.25), (1.0, 0.0)])
def test_mono_on_two_channels_is_separated_as_mono(gains: tuple[float, float]) -> None:
    sources, f0 = voices(16_000)
    mono = sources.sum(dim=1)
    channels = mono.unsqueeze(1) * torch.tensor(gains).unsqueeze(-1)
    alone = separate(mono.unsqueeze(1), f0)
    together = separate(channels, f0)
    expected = alone * torch.tensor(gains).unsqueeze(-1)
    torch.testing.assert_close(together, expected, atol=2e-4, rtol=0)
    assert torch.equal(separate(channels, f0, places=None), together)
