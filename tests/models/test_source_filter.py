"""The differentiable voice: declared controls, finite output, gradients everywhere."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.signal
import torch
from torch import Tensor

from src.dsp.noise import uniform_noise
from src.models.source_filter import ControlSpec, SourceFilterVoice

VARIANTS = [
    {"parameterisation": p, "filtering": f}
    for p in ("lsf", "reflection")
    for f in ("ola", "samplewise")
]


def random_controls(
    voice: SourceFilterVoice, batch: int, sources: int, frames: int, *, spread: float = 1.0
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Logits with gradients, and the activated values."""
    generator = torch.Generator().manual_seed(0)
    logits = {}
    for c in voice.controls:
        shape = (batch, sources, frames, c.size) if c.per_frame else (batch, sources, c.size)
        logits[c.name] = spread * torch.randn(shape, generator=generator)
        logits[c.name].requires_grad_()
    return logits, {c.name: c.activate(logits[c.name]) for c in voice.controls}


def test_controls_are_declared() -> None:
    sizes = {
        c.name: (c.size, c.per_frame, c.maximum, c.slope) for c in SourceFilterVoice().controls
    }
    assert sizes == {
        "harmonic_amplitude": (1, True, 2.0, 1.0),
        "noise_gain": (1, True, 1.0, 1.0),
        "lsf_increments": (21, True, 2.0, 1.0),
        "noise_magnitudes": (40, False, 2.0, 2.5),
    }
    voice = SourceFilterVoice(order=12, n_noise_magnitudes=9, parameterisation="reflection")
    sizes = {c.name: (c.size, c.per_frame, c.maximum, c.slope) for c in voice.controls}
    assert sizes["reflection"] == (12, True, None, 1.0)
    assert sizes["noise_magnitudes"] == (9, False, 2.0, 2.5)


def test_activations() -> None:
    x = torch.linspace(-5, 5, 11)
    sigmoid = ControlSpec("gain", 1, True, maximum=2.0, slope=2.5)
    expected = 2 * (1 / (1 + np.exp(-2.5 * x.double().numpy()))) ** math.log(10) + 1e-7
    np.testing.assert_allclose(sigmoid.activate(x).numpy(), expected, rtol=1e-4)
    tanh = ControlSpec("reflection", 1, True, maximum=None)
    np.testing.assert_allclose(tanh.activate(x).numpy(), np.tanh(x.double().numpy()), rtol=1e-5)
    # Far out tanh rounds to one, which would be a filter on the edge of stability.
    assert tanh.activate(torch.tensor([-1e3, 30.0])).abs().max() < 1


@pytest.mark.parametrize("filtering", ["ola", "samplewise"])
def test_saturated_reflection_coefficients(filtering: str) -> None:
    voice = SourceFilterVoice(order=4, parameterisation="reflection", filtering=filtering)
    logits, controls = random_controls(voice, 1, 1, 6)
    far = (100.0 * logits["reflection"].detach().sign()).requires_grad_()
    controls["reflection"] = voice.controls[2].activate(far)
    sound = voice(torch.full((1, 1, 6), 200.0), controls, torch.tensor([0]), 1500)
    sound.abs().mean().backward()
    assert torch.isfinite(sound).all()
    assert far.grad is not None and torch.isfinite(far.grad).all()


def test_nothing_is_learned_or_saved() -> None:
    voice = SourceFilterVoice()
    assert not list(voice.parameters())
    assert not voice.state_dict()


@pytest.mark.parametrize("variant", VARIANTS, ids=lambda v: "-".join(v.values()))
@pytest.mark.parametrize("n_samples", [1, 256, 2600])
def test_finite_with_gradients_to_every_control(variant: dict[str, str], n_samples: int) -> None:
    voice = SourceFilterVoice(**variant)  # type: ignore[arg-type]
    frames = -(-n_samples // 256)
    spread = 2.0 if variant["parameterisation"] == "lsf" else 1.0
    logits, controls = random_controls(voice, 2, 3, frames, spread=spread)
    f0 = torch.full((2, 3, frames), 220.0)
    sound = voice(f0, controls, torch.tensor([1, 2]), n_samples)
    assert sound.shape == (2, 3, n_samples)
    assert sound.dtype == torch.float32
    assert torch.isfinite(sound).all()
    sound.square().mean().backward()
    for name, logit in logits.items():
        assert logit.grad is not None, name
        assert torch.isfinite(logit.grad).all(), name
        if n_samples > 1:
            assert (logit.grad != 0).any(), name


@pytest.mark.parametrize("gap", [0.0, 0.1])
def test_many_sharp_voices_stay_finite(gap: float) -> None:
    voice = SourceFilterVoice(minimum_gap=gap)
    _, controls = random_controls(voice, 8, 4, 40, spread=2.0)
    with torch.no_grad():
        sound = voice(torch.full((8, 4, 40), 150.0), controls, torch.arange(8), 40 * 256)
    assert torch.isfinite(sound).all()


@pytest.mark.parametrize("n_sources", range(1, 9))
def test_any_number_of_sources(n_sources: int) -> None:
    voice = SourceFilterVoice()
    _, controls = random_controls(voice, 1, n_sources, 4)
    f0 = torch.linspace(100, 400, n_sources).view(1, -1, 1).expand(-1, -1, 4)
    sound = voice(f0, controls, torch.tensor([0]), 1024)
    assert sound.shape == (1, n_sources, 1024)
    # Voices do not influence each other.
    first = {name: value[:, :1] for name, value in controls.items()}
    alone = voice(f0[:, :1], first, torch.tensor([0]), 1024)
    torch.testing.assert_close(sound[:, :1], alone, rtol=1e-5, atol=1e-6)


def test_silent_f0_leaves_noise_only() -> None:
    voice = SourceFilterVoice()
    _, controls = random_controls(voice, 1, 2, 6)
    f0 = torch.zeros(1, 2, 6)
    quiet = dict(controls, harmonic_amplitude=torch.zeros(1, 2, 6, 1))
    seed = torch.tensor([5])
    assert torch.equal(voice(f0, controls, seed, 1500), voice(f0, quiet, seed, 1500))
    mute = dict(controls, noise_gain=torch.zeros(1, 2, 6, 1))
    assert (voice(f0, mute, seed, 1500) == 0).all()


def test_seed_decides_the_noise() -> None:
    voice = SourceFilterVoice()
    _, controls = random_controls(voice, 2, 1, 4)
    f0 = torch.full((2, 1, 4), 200.0)
    one = voice(f0, controls, torch.tensor([1, 2]), 1024)
    assert torch.equal(one, voice(f0, controls, torch.tensor([1, 2]), 1024))
    other = voice(f0, controls, torch.tensor([1, 3]), 1024)
    assert torch.equal(one[0], other[0]) and not torch.equal(one[1], other[1])


def test_noise_branch_against_scipy() -> None:
    """Constant controls: white noise, times a gain, through d(t) and one all-pole filter."""
    voice = SourceFilterVoice(filtering="samplewise", minimum_gap=0.0)
    frames, n_samples = 4, 1024
    increments = torch.rand(21, generator=torch.Generator().manual_seed(2)) + 0.5
    controls = {
        "harmonic_amplitude": torch.ones(1, 1, frames, 1),
        "noise_gain": torch.full((1, 1, frames, 1), 0.25),
        "lsf_increments": increments.expand(1, 1, frames, 21),
        "noise_magnitudes": torch.ones(1, 1, 40),
    }
    seed = torch.tensor([9])
    sound = voice(torch.zeros(1, 1, frames), controls, seed, n_samples)[0, 0]
    lsf = np.pi * np.cumsum(increments.double().numpy() / increments.double().sum().item())[:-1]
    roots = np.exp(1j * lsf)
    p = np.poly(np.concatenate([roots[0::2], roots[0::2].conj(), [-1]])).real
    q = np.poly(np.concatenate([roots[1::2], roots[1::2].conj(), [1]])).real
    # Magnitudes of one make d(t) an impulse of height one.
    noise = 0.25 * uniform_noise(seed, 1, n_samples)[0, 0].double().numpy()
    expected = scipy.signal.lfilter([1.0], 0.5 * (p + q)[:21], noise)
    np.testing.assert_allclose(sound.numpy(), expected, rtol=0, atol=1e-5 * np.abs(expected).max())


def test_both_filterings_agree_on_steady_voices() -> None:
    """With constant coefficients they differ only by what frames from zero state leave out."""
    ola, samplewise = SourceFilterVoice(), SourceFilterVoice(filtering="samplewise")
    _, controls = random_controls(ola, 1, 2, 1, spread=0.3)
    controls = {
        name: value.expand(1, 2, 20, -1) if value.ndim == 4 else value
        for name, value in controls.items()
    }
    f0 = torch.full((1, 2, 20), 300.0)
    one = ola(f0, controls, torch.tensor([0]), 5120)
    two = samplewise(f0, controls, torch.tensor([0]), 5120)
    assert (one - two).norm() / two.norm() < 0.05


def test_gradcheck_of_the_whole_voice() -> None:
    voice = SourceFilterVoice(hop=8, order=3, n_noise_magnitudes=3, max_harmonics=3).double()
    logits, _ = random_controls(voice, 1, 2, 3)
    values = [logits[c.name].detach().double().requires_grad_() for c in voice.controls]
    f0 = torch.tensor([[[400.0, 410.0, 0.0], [0.0, 700.0, 690.0]]], dtype=torch.float64)

    def sing(*inputs: Tensor) -> Tensor:
        controls = {c.name: c.activate(x) for c, x in zip(voice.controls, inputs, strict=True)}
        return voice(f0, controls, torch.tensor([3]), 21)

    assert torch.autograd.gradcheck(sing, values)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"parameterisation": "roots"}, "parameterisation"),
        ({"filtering": "fft"}, "filtering"),
        ({"harmonic_filter": "none"}, "harmonic_filter must be 'fixed', 'constant' or 'varying'"),
        ({"noise_filter": "fixed"}, "noise_filter must be 'constant' or 'varying'"),
        ({"n_harmonic_magnitudes": 1}, "n_harmonic_magnitudes=1: give a whole number"),
    ],
)
def test_unknown_options_are_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SourceFilterVoice(**options)  # type: ignore[arg-type]


FREEDOMS = [
    {"harmonic_filter": r, "noise_filter": d}
    for r in ("fixed", "constant", "varying")
    for d in ("constant", "varying")
]


@pytest.mark.parametrize("freedom", FREEDOMS, ids=lambda v: "-".join(v.values()))
@pytest.mark.parametrize("n_samples", [1, 2600])
def test_filters_of_the_network(freedom: dict[str, str], n_samples: int) -> None:
    voice = SourceFilterVoice(**freedom)  # type: ignore[arg-type]
    per_frame = {c.name: c.per_frame for c in voice.controls}
    assert per_frame["noise_magnitudes"] == (freedom["noise_filter"] == "varying")
    assert ("harmonic_magnitudes" in per_frame) == (freedom["harmonic_filter"] != "fixed")
    if freedom["harmonic_filter"] != "fixed":
        assert per_frame["harmonic_magnitudes"] == (freedom["harmonic_filter"] == "varying")
    frames = -(-n_samples // 256)
    logits, controls = random_controls(voice, 2, 3, frames)
    sound = voice(torch.full((2, 3, frames), 220.0), controls, torch.tensor([1, 2]), n_samples)
    assert sound.shape == (2, 3, n_samples) and torch.isfinite(sound).all()
    sound.square().mean().backward()
    for name, logit in logits.items():
        assert logit.grad is not None and torch.isfinite(logit.grad).all(), name
        assert n_samples == 1 or (logit.grad != 0).any(), name
    assert SourceFilterVoice(**voice.settings).settings == voice.settings


def test_the_fixed_filter_is_one_that_the_network_can_give() -> None:
    """The magnitudes of the roll-off as those of the excerpt, and of every frame."""
    fixed = SourceFilterVoice()
    _, controls = random_controls(fixed, 1, 2, 8)
    frequency = 16_000 / 129 * torch.arange(65, dtype=torch.float64)
    rolloff = (200.0 / frequency.clamp(min=200.0)).float().expand(1, 2, 65)
    f0, seed = torch.full((1, 2, 8), 200.0), torch.tensor([0])
    expected = fixed(f0, controls, seed, 2000)
    constant = SourceFilterVoice(harmonic_filter="constant")
    found = constant(f0, controls | {"harmonic_magnitudes": rolloff}, seed, 2000)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
    varying = SourceFilterVoice(harmonic_filter="varying", noise_filter="varying")
    noise = controls["noise_magnitudes"].unsqueeze(2).expand(-1, -1, 8, -1)
    every = {
        "harmonic_magnitudes": rolloff.unsqueeze(2).expand(-1, -1, 8, -1),
        "noise_magnitudes": noise,
    }
    torch.testing.assert_close(
        varying(f0, controls | every, seed, 2000), expected, rtol=1e-4, atol=1e-4
    )
