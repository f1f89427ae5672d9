"""Share of harmonic energy: tones, noise, clicks, silence, real voices."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
import torch

from src.audio import load_mono
from src.metrics.diagnosis import NOISE_DOMINATED, harmonic_share
from src.metrics.frames import cut_one_second_frames

SECOND = torch.arange(16_000, dtype=torch.float64) / 16_000


def tone(hertz: float, *, cents: float = 0.0) -> torch.Tensor:
    """Sawtooth-like tone of one second with vibrato."""
    f0 = hertz * 2 ** (cents / 1200 * torch.sin(2 * math.pi * 5.5 * SECOND))
    phase = 2 * math.pi * f0.cumsum(0) / 16_000
    return torch.stack([torch.sin(i * phase) / i for i in range(1, int(7000 / hertz))]).sum(0)


def noise(slope: float = 0.0, *, seed: int = 0) -> torch.Tensor:
    """Noise whose magnitude falls with frequency to the power of `slope`."""
    white = torch.randn(16_000, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    number = torch.arange(8001, dtype=torch.float64)
    return torch.fft.irfft(torch.fft.rfft(white) * (number + 1) ** -slope)


@pytest.mark.parametrize("hertz", [90.0, 220.0, 440.0, 880.0])
@pytest.mark.parametrize("cents", [0.0, 60.0])
def test_tones_are_harmonic(hertz: float, cents: float) -> None:
    assert harmonic_share(tone(hertz, cents=cents)) > 0.9


@pytest.mark.parametrize("slope", [0.0, 0.5, 1.0])
def test_noise_is_not(slope: float) -> None:
    assert harmonic_share(noise(slope)) < 0.3


def test_clicks_are_not() -> None:
    clicks = torch.zeros(16_000)
    clicks[::2000] = 1.0
    assert harmonic_share(clicks) < 0.05


def test_the_share_is_that_of_the_energies() -> None:
    """Tone plus white noise: the tone's part of the energy, which falls with the noise."""
    steady, hiss = tone(220.0), noise()
    shares = []
    for level in (0.1, 0.3, 1.0, 3.0):
        share = float(harmonic_share(steady + level * hiss))
        energies = steady.square().sum(), (level * hiss).square().sum()
        assert abs(share - float(energies[0] / sum(energies))) < 0.2
        shares.append(share)
    assert shares == sorted(shares, reverse=True)
    assert shares[0] > NOISE_DOMINATED > shares[-1]


def test_shapes_levels_and_precision() -> None:
    frames = torch.stack([tone(220.0), noise(), torch.zeros(16_000, dtype=torch.float64)])
    expected = harmonic_share(frames)
    assert expected.dtype == torch.float64 and expected.shape == (3,)
    assert expected[2] == 0.0
    batch = frames.expand(2, 4, 3, -1)
    torch.testing.assert_close(harmonic_share(batch), expected.expand(2, 4, 3))
    torch.testing.assert_close(harmonic_share(frames.float()), expected, rtol=0, atol=1e-3)
    for level in (1e-20, 1e20):
        torch.testing.assert_close(harmonic_share(level * frames), expected, rtol=0, atol=1e-3)
    assert torch.equal(harmonic_share(frames), expected)
    assert harmonic_share(torch.zeros(0, 3, 16_000)).shape == (0, 3)


def test_singers_are_harmonic(shared_dir: Path) -> None:
    folder = shared_dir / "data" / "csd_nino_dios" / "audio"
    for voice in ("soprano_1", "bass_1"):
        path = folder / f"{voice}.flac"
        if not path.is_file():
            pytest.skip("the recordings of Niño Dios are missing")
        assert sf.info(path).duration > 30
        frames = cut_one_second_frames(torch.from_numpy(load_mono(path, 16_000)[: 30 * 16_000]))
        energy = frames.square().sum(-1)
        shares = harmonic_share(frames)[energy > 1e-2 * energy.max()].numpy()
        assert np.median(shares) > 0.85 and shares.min() > NOISE_DOMINATED


@pytest.mark.parametrize(
    ("target", "message"),
    [
        (torch.tensor(1.0), r"target must be \[..., T\] with samples"),
        (torch.zeros(2, 0), "with samples, got"),
        (torch.full((2, 9), math.nan), "NaN or infinite samples"),
    ],
)
def test_wrong_targets_are_refused(target: torch.Tensor, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        harmonic_share(target)
