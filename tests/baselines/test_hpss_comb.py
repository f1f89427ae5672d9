"""The comb on the harmonic part: masks by hand, sums, frames without voices, and bursts."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch

from src.baselines.hpss_comb import HpssCombSeparator
from src.baselines.masks import CombSeparator
from src.dsp.hpss import hpss
from src.dsp.stft import stft
from src.metrics.frames import si_sdr

N_FRAMES = 100
T = 256 * N_FRAMES


def duet(*, breath: float = 0.01) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Two vibrato tones, sung by turns and together, with a little noise: mixture, F0, sources."""
    rng = np.random.default_rng(0)
    t = np.arange(T) / 16_000
    f0, sources = [], []
    for hertz, begin, end in ((392.0, 10, 70), (147.0, 30, 90)):
        track = hertz * 2 ** (40 / 1200 * np.sin(2 * np.pi * 5.5 * t + hertz))
        phase = 2 * np.pi * np.cumsum(track) / 16_000
        tone = sum(np.sin(i * phase) / i for i in range(1, int(7000 / hertz)))
        sung = (np.arange(T) >= 256 * begin) & (np.arange(T) < 256 * end)
        sources.append((tone + breath * rng.normal(size=T)) * sung)
        f0.append((track * sung)[::256])
    stacked = torch.tensor(np.stack(sources), dtype=torch.float32)[None]
    return stacked.sum(dim=1), torch.tensor(np.stack(f0), dtype=torch.float32)[None], stacked


@pytest.mark.parametrize("mask", ["magnitude", "power"])
@pytest.mark.parametrize("margin", [1.0, (2.0, 5.0)])
def test_masks_sum_to_one_and_stems_to_the_mixture(mask: str, margin: Any) -> None:
    mixture, f0, _ = duet()
    result = HpssCombSeparator(mask=mask, margin=margin)(mixture, f0)
    assert result.masks.shape == (1, 2, 1025, 1 + T // 256)
    assert (result.masks >= 0).all()
    torch.testing.assert_close(
        result.masks.sum(dim=1), torch.ones_like(result.masks[:, 0]), rtol=1e-5, atol=0
    )
    torch.testing.assert_close(result.sources.sum(dim=1), mixture, rtol=0, atol=1e-5)


def test_masks_are_those_of_the_description() -> None:
    mixture, f0, _ = duet()
    settings: dict[str, Any] = {"kernel_size": (7, 41), "power": 2.0, "margin": (1.0, 3.0)}
    found = HpssCombSeparator(**settings)(mixture, f0, seed=3).masks[0]
    comb = CombSeparator()(mixture, f0, seed=3).masks[0]
    magnitude = stft(mixture[0]).abs()
    harmonic, percussive, rest = hpss(magnitude, mask=True, residual=True, **settings)
    for n in range(found.shape[-1]):
        voiced = (f0[0, :, min(n, N_FRAMES - 1)] > 0).double()
        energy = torch.stack(
            [(harmonic * c * magnitude)[:, n].double().square().sum() for c in comb]
        )
        energy = energy * voiced
        if not energy.sum():
            torch.testing.assert_close(found[..., n], comb[..., n], rtol=0, atol=0)
            continue
        for j in range(2):
            share = energy[j] / energy.sum()
            expected = harmonic[:, n] * comb[j, :, n] + (percussive + rest)[:, n] * share
            torch.testing.assert_close(
                found[j, :, n].double(), expected.double(), rtol=0, atol=1e-5
            )


def test_nobody_sings_and_nothing_is_lost() -> None:
    x = torch.randn(1, 5000, generator=torch.Generator().manual_seed(0))
    f0 = torch.zeros(1, 3, 20)
    found = HpssCombSeparator()(x, f0, seed=1)
    assert torch.equal(found.masks, CombSeparator()(x, f0, seed=1).masks)
    torch.testing.assert_close(found.sources.sum(dim=1), x, rtol=0, atol=1e-5)


def test_silence_and_one_voice() -> None:
    silent = HpssCombSeparator()(torch.zeros(1, 3000), torch.full((1, 2, 12), 200.0))
    assert (silent.sources == 0).all() and torch.isfinite(silent.masks).all()
    x = torch.randn(1, 5001, generator=torch.Generator().manual_seed(0))
    alone = HpssCombSeparator()(x, torch.full((1, 1, 20), 200.0))
    torch.testing.assert_close(alone.sources[:, 0], x, rtol=0, atol=1e-5)


def test_bursts_go_to_the_voice_that_sounds() -> None:
    """Clicks while the low voice sings alone: all theirs, where the comb shares them out."""
    mixture, f0, sources = duet()
    clicks = torch.zeros(T)
    clicks[256 * 76 :: 256 * 6] = 8.0
    clicks[256 * 88 :] = 0.0
    part = slice(256 * 74, 256 * 88)
    wanted = (sources[0, 1] + clicks)[part]
    scores = [
        si_sdr(kind(f0_edges="hold")(mixture + clicks, f0).sources[0, 1, part], wanted).item()
        for kind in (HpssCombSeparator, CombSeparator)
    ]
    assert scores[0] > scores[1] + 3.0


def test_separates_like_the_comb() -> None:
    mixture, f0, sources = duet()
    both = slice(256 * 32, 256 * 68)
    scores = [
        si_sdr(kind()(mixture, f0).sources[..., both], sources[..., both])
        for kind in (HpssCombSeparator, CombSeparator)
    ]
    assert (scores[0] > scores[1] - 1.5).all() and scores[0].min() > 15.0


def test_the_same_result_in_any_batch() -> None:
    mixture, f0, _ = duet()
    separator = HpssCombSeparator()
    one = separator(mixture, f0, seed=2).masks
    assert torch.equal(one, separator(mixture, f0, seed=2).masks)
    two = separator(mixture.expand(2, -1).contiguous(), f0.expand(2, -1, -1).contiguous(), seed=2)
    torch.testing.assert_close(two.masks[1:], one, rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"mask": "binary"}, "mask must be one of"),
        ({"kernel_size": 0}, "kernel_size=0 must be whole numbers"),
        ({"power": -1.0}, "power=-1.0 must be positive"),
        ({"margin": 0.5}, "margin=0.5 must be at least 1"),
    ],
)
def test_wrong_settings_are_refused_at_once(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        HpssCombSeparator(**settings)


def test_wrong_input_is_refused() -> None:
    with pytest.raises(ValueError, match="NaN or infinite samples"):
        HpssCombSeparator()(torch.full((1, 512), math.nan), torch.zeros(1, 2, 2))
