"""Sections of a choir and rooms in the fit."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.signal import fftconvolve
from torch import Tensor

from src.data.room import draw_impulse_responses
from src.dsp.harmonic import harmonic_source
from src.dsp.stft import stft
from src.errors import UmssError
from src.fit.scene import Scene, build_tails, describe_nothing, spread_lines
from src.fit.separator import FitSeparator
from src.fit.spectra import FitSettings
from src.metrics.frames import si_sdr
from tests.fit.test_fit import voices

RATE = 16_000
QUICK = FitSettings(max_iterations=40)


def sing(f0: Tensor, n_samples: int) -> Tensor:
    return harmonic_source(f0, torch.ones_like(f0), n_samples=n_samples, max_harmonics=20)


def test_spread_lines_are_those_of_many_singers() -> None:
    """Against the mean power of singers whose pitches are drawn from the distribution."""
    torch.manual_seed(0)
    f0 = torch.full((1, 1, 20), 400.0)
    singers = 400.0 * 2.0 ** (torch.randn(400, 1) * 15.0 / 1200.0)
    many = sing(singers.expand(-1, 20), 5120)
    power, expected = (
        stft(x)[..., 8:12].abs().square().mean(dim=-1) for x in (sing(f0[0], 5120), many)
    )
    spread = spread_lines(power[None, :, :, None], torch.tensor([[15.0]]), domain=2.0)[0, 0, :, 0]
    expected = expected.mean(dim=0)
    assert (spread - expected).norm() < 0.15 * expected.norm()
    assert (power[0] - expected).norm() > 0.6 * expected.norm()
    torch.testing.assert_close(spread.sum(), power.sum(), rtol=0.02, atol=0.0)


def test_no_width_changes_nothing() -> None:
    combs = torch.rand(1, 2, 65, 4)
    cents = torch.tensor([[0.0, 20.0]])
    spread = spread_lines(combs, cents, domain=1.0)
    torch.testing.assert_close(spread[:, 0], combs[:, 0], rtol=0.0, atol=0.0)
    assert not torch.allclose(spread[:, 1], combs[:, 1])
    assert spread_lines(combs, torch.zeros(1, 2), domain=1.0) is combs


def test_tails_are_an_exponential_decay() -> None:
    """They fall by 60 dB in the given time, and have the given energy beyond the first frame."""
    scene = Scene(torch.zeros(2, 1), torch.tensor([1.0, 1.0]), torch.tensor([0.5, 0.0]))
    tails = build_tails(scene, 200, frame_seconds=0.01)
    assert tails is not None and tails.shape == (2, 200, 200)
    assert (tails[1] == 0).all() and (tails.tril() == 0).all()
    response = tails[0, 0]
    torch.testing.assert_close(response[101] / response[1], torch.tensor(1e-6), rtol=1e-3, atol=0.0)
    # What decays in half a frame is part of the direct sound.
    torch.testing.assert_close(
        response.sum(), torch.tensor(0.5 * 10 ** (-6 * 0.005)), rtol=1e-3, atol=0.0
    )
    assert build_tails(describe_nothing(torch.zeros(2, 1, 5)), 200, frame_seconds=0.01) is None


def notes(pitches: list[float], n_frames: int) -> Tensor:
    """A track of notes of equal length, [N]."""
    return torch.tensor(pitches).repeat_interleave(-(-n_frames // len(pitches)))[:n_frames]


def test_reverberation_goes_to_the_voice_that_caused_it() -> None:
    """The notes of a melody go on sounding while the next ones are sung."""
    n_samples = 36_000
    n_frames = -(-n_samples // 256)
    melodies = [440.0, 523.0, 587.0, 466.0], [330.0, 247.0, 294.0, 349.0]
    f0 = torch.stack([notes(pitches, n_frames) for pitches in melodies])[None]
    responses = draw_impulse_responses(2, 1.5, 0.0, np.random.default_rng(0))
    dry = sing(f0[0], n_samples).numpy()
    wet = torch.from_numpy(fftconvolve(dry, responses, axes=1)[:, :n_samples]).float()[None]
    mixture = wet.sum(dim=1)
    aware, deaf = (
        FitSeparator(opinions=None, partials=None, rooms=rooms, spectra=QUICK)(mixture, f0)
        for rooms in (True, False)
    )
    assert si_sdr(aware.sources, wet).mean() > si_sdr(deaf.sources, wet).mean() + 1.0
    assert (aware.parameters["reverberation"][..., 1] > 0.2).all()
    assert (deaf.parameters["reverberation"] == 0).all()
    torch.testing.assert_close(aware.sources.sum(dim=1), mixture, atol=1e-4, rtol=1e-3)


def test_single_singers_in_a_dry_room_are_heard_as_such() -> None:
    sources, f0 = voices(24_000)
    mixture = sources.sum(dim=1)
    found = FitSeparator(opinions=None, spectra=QUICK)(mixture, f0)
    told = FitSeparator(opinions=None, spectra=QUICK, singers_per_part=1, rooms=False)(mixture, f0)
    assert (found.parameters["section_cents"] == 0).all()
    torch.testing.assert_close(found.sources, told.sources, atol=0.0, rtol=0.0)


def test_a_section_is_found_beside_a_soloist() -> None:
    """Five singers who scatter by 25 cents against one."""
    torch.manual_seed(1)
    n_samples = 32_000
    n_frames = -(-n_samples // 256)
    tracks = torch.stack([torch.full((n_frames,), 523.0), torch.full((n_frames,), 230.0)])
    scatter = 2.0 ** (torch.tensor([-32.0, -18.0, 0.0, 15.0, 35.0]) / 1200.0)
    section = sum(
        sing((tracks[1] * ratio)[None], n_samples).roll(700 * i, -1)
        for i, ratio in enumerate(scatter.tolist())
    )
    mixture = sing(tracks[:1], n_samples) + 0.4 * section + 1e-3 * torch.randn(1, n_samples)
    found = FitSeparator(opinions=None, partials=None, spectra=QUICK)(mixture, tracks[None])
    cents = found.parameters["section_cents"][0, :, 0, 0]
    assert cents[0] == 0 and cents[1] >= 12


def test_told_sections() -> None:
    sources, f0 = voices(8000)
    mixture = sources.sum(dim=1)
    told = FitSeparator(
        opinions=None, spectra=FitSettings(max_iterations=3), singers_per_part=[1, 4]
    )(mixture, f0)
    cents = told.parameters["section_cents"][0, :, 0, 0]
    torch.testing.assert_close(cents, torch.tensor([0.0, 20.0 * 0.75**0.5]))
    with pytest.raises(UmssError, match="3 numbers"):
        FitSeparator(opinions=None, singers_per_part=[1, 2, 3])(mixture, f0)
    for bad in (0, 1.5, True, [1, -1]):
        with pytest.raises(UmssError, match="singers_per_part"):
            FitSeparator(opinions=None, singers_per_part=bad)  # type: ignore[arg-type]
