"""One time grid: what happens in frame n is heard at sample 256 n, in every stage of the voice."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from src.dsp.harmonic import interpolate_f0
from src.dsp.stft import frame_stft
from src.models.source_filter import SourceFilterVoice

HOP, N_FRAMES = 256, 24
T = HOP * N_FRAMES - 100
EVENT = 11
# Enough voices that the centroid of noise bursts settles within a few samples.
B, J = 24, 4


def flat_controls(batch: int = B, sources: int = J) -> dict[str, Tensor]:
    """Silent voices behind a filter that does nothing: equal increments mean A(z) = 1."""
    return {
        "harmonic_amplitude": torch.zeros(batch, sources, N_FRAMES, 1),
        "noise_gain": torch.zeros(batch, sources, N_FRAMES, 1),
        "lsf_increments": torch.ones(batch, sources, N_FRAMES, 21),
        "noise_magnitudes": torch.ones(batch, sources, 40),
    }


def centroid(x: Tensor) -> float:
    energy = x.double().square().flatten(0, -2).sum(dim=0)
    return float((energy * torch.arange(len(energy))).sum() / energy.sum())


def sing(f0: Tensor, controls: dict[str, Tensor], filtering: str) -> Tensor:
    seed = torch.arange(len(f0))
    return SourceFilterVoice(filtering=filtering)(f0, controls, seed, T)


@pytest.mark.parametrize("filtering", ["ola", "samplewise"])
@pytest.mark.parametrize("frame", [0, EVENT, N_FRAMES - 1])
def test_harmonic_amplitude(filtering: str, frame: int) -> None:
    controls = flat_controls()
    controls["harmonic_amplitude"][:, :, frame] = 1.0
    f0 = torch.linspace(900.0, 1300.0, B * J).view(B, J, 1).expand(-1, -1, N_FRAMES).contiguous()
    sound = sing(f0, controls, filtering)
    if frame == EVENT:
        assert centroid(sound) == pytest.approx(HOP * frame, abs=3)
    # Nothing further away than one hop and the reach of the roll-off filter.
    reach = HOP + 70
    outside = torch.ones(T, dtype=torch.bool)
    outside[max(0, HOP * frame - reach) : HOP * frame + reach] = False
    assert sound[..., outside].abs().max() < 1e-6


@pytest.mark.parametrize("filtering", ["ola", "samplewise"])
def test_noise_gain(filtering: str) -> None:
    controls = flat_controls()
    controls["noise_gain"][:, :, EVENT] = 1.0
    sound = sing(torch.zeros(B, J, N_FRAMES), controls, filtering)
    assert centroid(sound) == pytest.approx(HOP * EVENT, abs=4)
    assert (sound[..., : HOP * (EVENT - 1)].abs() < 1e-7).all()
    assert (sound[..., HOP * (EVENT + 1) :].abs() < 1e-7).all()


@pytest.mark.parametrize("filtering", ["ola", "samplewise"])
def test_filter(filtering: str) -> None:
    controls = flat_controls()
    controls["noise_gain"] += 1.0
    f0 = torch.zeros(B, J, N_FRAMES)
    before = sing(f0, controls, filtering)
    controls["lsf_increments"][:, :, EVENT, 10] = 0.4
    change = sing(f0, controls, filtering) - before
    assert centroid(change) == pytest.approx(HOP * EVENT, abs=6)
    assert (change[..., : HOP * (EVENT - 1) + 1].abs() < 1e-7).all()


@pytest.mark.parametrize("edges", ["hold", "glide"])
def test_voicing(edges: str) -> None:
    """A single voiced frame: the harmonic source sounds around it, although amplitude is on."""
    controls = flat_controls()
    controls["harmonic_amplitude"] += 1.0
    f0 = torch.zeros(B, J, N_FRAMES)
    f0[:, :, EVENT] = torch.linspace(900.0, 1300.0, B * J).view(B, J)
    voice = SourceFilterVoice(f0_edges=edges)
    sound = voice(f0, controls, torch.arange(B), T)
    assert centroid(sound) == pytest.approx(HOP * EVENT, abs=4 if edges == "hold" else 20)
    reach = HOP + 70
    assert sound[..., : HOP * EVENT - reach].abs().max() < 1e-6
    assert sound[..., HOP * EVENT + reach :].abs().max() < 1e-6


def test_f0() -> None:
    """The instantaneous F0 takes a frame's value at its sample, a bump is symmetric around it."""
    f0 = torch.full((N_FRAMES,), 200.0)
    f0[EVENT] = 260.0
    bump = interpolate_f0(f0, hop=HOP, n_samples=T) - 200.0
    assert int(bump.argmax()) == HOP * EVENT
    around = bump[HOP * (EVENT - 1) : HOP * (EVENT + 1) + 1]
    torch.testing.assert_close(around, around.flip(0))


def test_input_spectrogram_of_the_estimator() -> None:
    """What the network sees in frame n is what lies around sample 256 n."""
    x = torch.zeros(T)
    x[HOP * EVENT] = 1.0
    energy = frame_stft(x, n_fft=512, hop=HOP).abs().square().sum(dim=0)
    assert len(energy) == N_FRAMES
    assert int(energy.argmax()) == EVENT
    assert energy[EVENT - 1] == pytest.approx(float(energy[EVENT + 1]), abs=1e-6)
