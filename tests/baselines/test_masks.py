"""Comb, oracle and mixture separators on voices made by adding sinusoids."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from src.baselines.masks import CombSeparator, MixtureSeparator, OracleSeparator
from src.metrics.frames import si_sdr
from src.separator import Separator

N_FRAMES = 125
T = 256 * N_FRAMES


def voice(
    hertz: float, depth: float, brightness: float, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """A vibrato tone with a formant and a little breath: signal [T] and F0 [N]."""
    rng = np.random.default_rng(seed)
    t = np.arange(T) / 16_000
    f0 = hertz * 2 ** (depth / 1200 * np.sin(2 * np.pi * 5.5 * t + seed))
    phase = 2 * np.pi * np.cumsum(f0) / 16_000
    signal = np.zeros(T)
    for i in range(1, int(7500 / hertz)):
        level = i**-brightness * (1 + 3 * math.exp(-(((i * hertz - 900) / 300) ** 2)))
        signal += level * np.sin(i * phase + rng.uniform(0, 2 * np.pi))
    signal *= 1 + 0.3 * np.sin(2 * np.pi * 0.9 * t + seed)
    return signal / np.abs(signal).max() + 0.003 * rng.normal(size=T), f0[::256]


@pytest.fixture(scope="module")
def choir() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Mixture [1, T], F0 [1, 2, N] and sources [1, 2, T]."""
    voices = [voice(349.2, 40, 1.0, 1), voice(155.6, 30, 1.3, 2)]
    sources = torch.tensor(np.stack([v[0] for v in voices]), dtype=torch.float32)[None]
    f0 = torch.tensor(np.stack([v[1] for v in voices]), dtype=torch.float32)[None]
    return sources.sum(dim=1), f0, sources


ALL: list[tuple[type[Separator], str]] = [
    (CombSeparator, "magnitude"),
    (CombSeparator, "power"),
    (OracleSeparator, "magnitude"),
    (OracleSeparator, "power"),
]


@pytest.mark.parametrize(("kind", "mask"), ALL)
def test_masks_sum_to_one(kind: type[Separator], mask: str, choir) -> None:  # type: ignore[no-untyped-def]
    mixture, f0, sources = choir
    result = kind(mask=mask)(mixture, f0, sources=sources)
    assert result.masks.shape == (1, 2, 1025, 1 + T // 256)
    assert result.sources.shape == (1, 2, T)
    assert (result.masks >= 0).all()
    torch.testing.assert_close(
        result.masks.sum(dim=1), torch.ones_like(result.masks[:, 0]), rtol=1e-5, atol=0
    )
    torch.testing.assert_close(result.sources.sum(dim=1), mixture, rtol=0, atol=1e-5)


def test_phase_sensitive_masks_lie_between_zero_and_one(choir) -> None:  # type: ignore[no-untyped-def]
    mixture, f0, sources = choir
    masks = OracleSeparator(mask="phase_sensitive")(mixture, f0, sources=sources).masks
    assert masks.min() >= 0 and masks.max() <= 1


def test_comb_separates_two_voices(choir) -> None:  # type: ignore[no-untyped-def]
    mixture, f0, sources = choir
    low = si_sdr(MixtureSeparator()(mixture, f0).sources, sources)
    for mask in ("magnitude", "power"):
        result = CombSeparator(mask=mask)(mixture, f0)
        gain = si_sdr(result.sources, sources) - low
        assert gain.min() > 6.0
        assert result.synthesised is not None
        assert result.parameters["harmonic_amplitude"].shape == (1, 2, N_FRAMES, 1)


def test_wrong_f0_does_not_separate(choir) -> None:  # type: ignore[no-untyped-def]
    mixture, f0, sources = choir
    right = si_sdr(CombSeparator()(mixture, f0).sources, sources).mean()
    wrong = si_sdr(CombSeparator()(mixture, 1.06 * f0).sources, sources).mean()
    assert right > wrong + 5.0


def test_order_of_the_oracles(choir) -> None:  # type: ignore[no-untyped-def]
    """Phase-sensitive above Wiener above ratio masks, and all above the comb."""
    mixture, f0, sources = choir
    scores = [
        si_sdr(OracleSeparator(mask=mask)(mixture, f0, sources=sources).sources, sources).mean()
        for mask in ("phase_sensitive", "power", "magnitude")
    ]
    scores.append(si_sdr(CombSeparator()(mixture, f0).sources, sources).mean())
    assert scores == sorted(scores, reverse=True)


def test_order_of_the_oracles_on_coloured_noise() -> None:
    generator = torch.Generator().manual_seed(0)
    sources = torch.randn(2, 3, 20_000, generator=generator).cumsum(dim=-1)
    sources = sources - sources.mean(dim=-1, keepdim=True)
    sources[:, 1, 5000:9000] = 0.0
    mixture, f0 = sources.sum(dim=1), torch.zeros(2, 3, 79)
    scores = [
        si_sdr(OracleSeparator(mask=mask)(mixture, f0, sources=sources).sources, sources).mean()
        for mask in ("phase_sensitive", "power", "magnitude")
    ]
    assert scores == sorted(scores, reverse=True)


def test_phase_sensitive_mask_is_the_best_real_mask_in_every_bin() -> None:
    """No other real mask in [0, 1] has a smaller squared error in the STFT domain."""
    generator = torch.Generator().manual_seed(0)
    sources = torch.randn(1, 2, 4000, generator=generator)
    mixture = sources.sum(dim=1)
    masks = OracleSeparator(mask="phase_sensitive")(
        mixture, torch.zeros(1, 2, 16), sources=sources
    ).masks.double()
    window = torch.hann_window(2048, dtype=torch.float64)

    def transform(x: torch.Tensor) -> torch.Tensor:
        return torch.stft(
            x.double(), 2048, 256, window=window, pad_mode="constant", return_complex=True
        )

    wanted, whole = transform(sources[0]), transform(mixture[0])

    def error(m: torch.Tensor) -> torch.Tensor:
        return (m * whole - wanted).abs().square()

    best = error(masks[0])
    for value in torch.linspace(0, 1, 21):
        assert (best <= error(torch.full_like(masks[0], float(value))) + 1e-4).all()


def test_mixture_separator(choir) -> None:  # type: ignore[no-untyped-def]
    mixture, f0, _sources = choir
    result = MixtureSeparator()(mixture, f0)
    torch.testing.assert_close(
        result.sources, mixture.unsqueeze(1).expand(-1, 2, -1), rtol=0, atol=1e-5
    )
    assert result.synthesised is None


def test_one_voice_gets_everything() -> None:
    x = torch.randn(1, 5000, generator=torch.Generator().manual_seed(0))
    result = CombSeparator()(x, torch.full((1, 1, 20), 200.0))
    torch.testing.assert_close(result.sources[:, 0], x, rtol=0, atol=1e-5)


def test_silence_everywhere() -> None:
    mixture, f0 = torch.zeros(1, 3000), torch.zeros(1, 2, 12)
    for separator in (CombSeparator(), OracleSeparator(), OracleSeparator(mask="phase_sensitive")):
        result = separator(mixture, f0, sources=torch.zeros(1, 2, 3000))
        assert (result.sources == 0).all()
        assert torch.isfinite(result.masks).all()


def test_the_same_seed_gives_the_same_comb(choir) -> None:  # type: ignore[no-untyped-def]
    mixture, f0, _ = choir
    comb = CombSeparator()
    assert torch.equal(comb(mixture, f0, seed=3).masks, comb(mixture, f0, seed=3).masks)
    seeds = torch.tensor([3])
    assert torch.equal(comb(mixture, f0, seed=3).masks, comb(mixture, f0, seed=seeds).masks)


@pytest.mark.parametrize(
    ("mixture", "f0", "message"),
    [
        (torch.zeros(512), torch.zeros(1, 2, 2), r"mixture must be \[B, T\]"),
        (torch.zeros(1, 512), torch.zeros(2, 2), r"f0 \[B, J, N\]"),
        (torch.zeros(2, 512), torch.zeros(1, 2, 2), r"got \[2, 512\] and \[1, 2, 2\]"),
        (torch.zeros(1, 513), torch.zeros(1, 2, 2), "needs 3 F0 frames .*got 2"),
        (torch.full((1, 512), math.nan), torch.zeros(1, 2, 2), "NaN or infinite samples"),
        (torch.full((1, 512), math.inf), torch.zeros(1, 2, 2), "NaN or infinite samples"),
        (torch.zeros(1, 512), torch.full((1, 2, 2), math.nan), "F0 must be finite"),
        (torch.zeros(1, 512), torch.full((1, 2, 2), -1.0), "use 0 where a singer is silent"),
    ],
)
def test_wrong_input_is_refused(mixture: torch.Tensor, f0: torch.Tensor, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        CombSeparator()(mixture, f0)


def test_oracles_need_the_sources() -> None:
    with pytest.raises(ValueError, match="OracleSeparator is an oracle"):
        OracleSeparator()(torch.zeros(1, 512), torch.zeros(1, 2, 2))


@pytest.mark.parametrize("kind", [CombSeparator, MixtureSeparator, OracleSeparator])
def test_unknown_masks_are_refused(kind: type[Separator]) -> None:
    with pytest.raises(ValueError, match="mask must be one of"):
        kind(mask="binary")
    if kind is not OracleSeparator:
        with pytest.raises(ValueError, match="mask must be one of"):
            kind(mask="phase_sensitive")
