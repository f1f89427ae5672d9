"""Other opinions about F0: their order, their weights, and what they do to a separation."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from src.f0.estimate import F0Estimator
from src.f0.network import WEIGHTS, VoiceSalience
from src.f0.published.heuristic import PaperAssigner
from src.f0.salience import Salience
from src.f0.tracker import VoiceTracker
from src.fit.hypotheses import F0Opinions, SecondVoiceSalience, weigh_opinions
from src.fit.separator import FitSeparator
from src.fit.spectra import FitSettings, compute_divergence
from src.metrics.frames import si_sdr
from tests.f0.fakes import ToneSalience
from tests.fit.test_fit import voices


class Said(F0Opinions):
    """Opinions that are given beforehand."""

    def __init__(self, *opinions: Tensor) -> None:
        self.said = torch.stack(opinions)

    def __call__(self, mixture: Tensor, f0: Tensor) -> Tensor:
        return self.said


def test_divergence_is_kullback_leibler() -> None:
    generator = torch.Generator().manual_seed(0)
    mixture, model = torch.rand(2, 2, 7, 5, generator=generator, dtype=torch.float64)
    mixture[0, 0] = 0.0
    expected = torch.nn.functional.kl_div(model.log(), mixture, reduction="none") - mixture + model
    torch.testing.assert_close(compute_divergence(mixture, model), expected.sum(dim=1))


def test_weights() -> None:
    generator = torch.Generator().manual_seed(0)
    against = 3.0 * torch.rand(3, 2, 12, generator=generator)
    weights = weigh_opinions(against, frames=2)
    torch.testing.assert_close(weights.sum(dim=0), torch.ones(2, 12))
    for k, b, n in itertools.product(range(3), range(2), range(12)):
        near = slice(max(0, n - 2), n + 3)
        odds = torch.exp(-against[:, b, near].mean(dim=-1))
        torch.testing.assert_close(weights[k, b, n], odds[k] / odds.sum())
    trusting = weigh_opinions(against, frames=2, trust=3.0)
    torch.testing.assert_close(trusting[0] / trusting[1], 3.0 * weights[0] / weights[1])
    alike = weigh_opinions(0.0 * against, frames=100)
    torch.testing.assert_close(alike, torch.full_like(alike, 1 / 3))


def test_a_better_opinion_helps_and_a_worse_one_hardly_harms() -> None:
    sources, f0 = voices()
    mixture = sources.sum(dim=1)
    wrong = f0.clone()
    wrong[:, 0, 40:90] *= 2 ** (3 / 12)
    wrong[:, 1, 60:80] = 0.0

    def quality(given: Tensor, opinions: F0Opinions | None) -> Tensor:
        separator = FitSeparator(
            opinions=opinions, retune=False, spectra=FitSettings(max_iterations=40)
        )
        return si_sdr(separator(mixture, given).sources, sources).mean()

    right_alone, wrong_alone = quality(f0, None), quality(wrong, None)
    assert right_alone > wrong_alone + 3.0
    assert quality(wrong, Said(f0)) > wrong_alone + 2.0
    assert quality(f0, Said(wrong)) > right_alone - 1.0
    torch.testing.assert_close(quality(f0, Said(f0)), right_alone)


def test_what_partials_leave_speaks_against_an_opinion() -> None:
    sources, f0 = voices(16_000)
    mixture = sources.sum(dim=1)
    off = f0 * 2 ** (10 / 1200)
    options = {
        "opinions": Said(off), "retune": False, "tuning": None, "trust": 1.0,
        "spectra": FitSettings(max_iterations=20),
    }  # fmt: skip
    without, by_partials = (
        FitSeparator(evidence=0.0, residual_evidence=b, **options)(mixture, f0)
        .parameters["f0_weights"][..., 0]
        .mean()
        for b in (0.0, 6.0)
    )
    assert without == pytest.approx(0.5)
    assert by_partials > 0.95


def test_digital_silence_inside_a_note_stays_finite() -> None:
    sources, f0 = voices(32_000)
    sources = 1e3 * sources
    sources[..., 12_000:24_000] = 0.0
    mixture = sources.sum(dim=1)
    options = {
        "opinions": Said(1.3 * f0),
        "spectra": FitSettings(max_iterations=5),
        "retune": False,
    }
    result = FitSeparator(**options)(mixture, f0)
    assert result.sources.isfinite().all()
    torch.testing.assert_close(result.sources.sum(dim=1), mixture, atol=0.5, rtol=1e-3)


def test_evidence_counts_less_where_nothing_explains_the_mixture() -> None:
    sources, f0 = voices(16_000)
    noise = torch.randn(1, 16_000, generator=torch.Generator().manual_seed(0))
    mixture = sources.sum(dim=1) + 0.5 * sources.std() * noise
    options = {
        "opinions": Said(1.3 * f0),
        "tuning": None,
        "spectra": FitSettings(max_iterations=20),
        "trust": 1.0,
    }
    credulous, cautious = (
        FitSeparator(doubt=d, **options)(mixture, f0).parameters["f0_weights"][..., 0]
        for d in (1.0, 0.01)
    )
    assert (credulous > 0.9).all()
    assert (cautious < credulous).all()
    assert (cautious > 0.5 - 1e-6).all()


def test_weights_are_reported() -> None:
    sources, f0 = voices(16_000)
    result = FitSeparator(
        opinions=Said(f0, 1.5 * f0), retune=False, spectra=FitSettings(max_iterations=20)
    )(sources.sum(dim=1), f0)
    weights = result.parameters["f0_weights"]
    assert weights.shape == (1, 2, f0.shape[-1], 3)
    torch.testing.assert_close(weights.sum(dim=-1), torch.ones(1, 2, f0.shape[-1]))
    torch.testing.assert_close(weights[..., 0], 2.0 * weights[..., 1])  # trust
    assert (weights[..., 2] < weights[..., 0]).all()


def test_opinions_of_a_model() -> None:
    """Two tones: every opinion finds them, in the order of the given tracks."""
    time = torch.arange(32_000) / 16_000
    tones = torch.stack([torch.sin(2 * torch.pi * f * time) for f in (220.0, 330.0)])
    given = torch.tensor([[[220.0], [330.0]], [[330.0], [220.0]]]).expand(-1, -1, 125)
    estimator = F0Estimator(ToneSalience(), VoiceTracker(), retune=False)
    opinions = F0Opinions({"tones": estimator}, readiness=[0.0, 2.0])
    found = opinions(0.3 * tones.sum(dim=0).expand(2, -1), given)
    assert found.shape == (2, 2, 2, 125)
    middle = found[..., 20:100]
    assert (12 * torch.log2(middle / given[..., 20:100])).abs().max() < 0.5

    class Sharp(ToneSalience):
        """Hears everything 80 cents sharp."""

        def __call__(self, audio: NDArray[np.float32]) -> Salience:
            heard = super().__call__(audio)
            return Salience(heard.values, 2 ** (0.8 / 12) * heard.frequencies, heard.times)

    both = F0Opinions(
        {"tones": estimator, "sharp": F0Estimator(Sharp(), VoiceTracker(), retune=False)},
        readiness=[0.0, 2.0],
    )(0.3 * tones.sum(dim=0).expand(2, -1), given)
    torch.testing.assert_close(both[:2], found)
    assert (12 * torch.log2(both[2:, ..., 20:100] / given[..., 20:100]) - 0.8).abs().max() < 0.1
    assert estimator.assigner.bias == VoiceTracker().bias  # type: ignore[attr-defined]


def test_opinions_of_silence_are_the_given_ones() -> None:
    given = torch.full((1, 2, 10), 200.0)
    estimators = {
        name: F0Estimator(ToneSalience(), VoiceTracker(), retune=False) for name in ("one", "two")
    }
    opinions = F0Opinions(estimators)
    found = opinions(torch.zeros(1, 2560), given)
    torch.testing.assert_close(found, given.expand(4, -1, -1, -1))


def test_an_estimator_that_is_null_is_left_out() -> None:
    estimator = F0Estimator(ToneSalience(), VoiceTracker(), retune=False)
    opinions = F0Opinions({"default": None, "tones": estimator}, readiness=[1.0])
    assert list(opinions.estimators) == ["tones"]
    given = torch.full((1, 2, 10), 200.0)
    assert len(opinions(torch.zeros(1, 2560), given)) == 1
    with pytest.raises(ValueError, match="estimators is empty.*opinions=null"):
        F0Opinions({"default": None})


def test_the_second_network_is_another_one() -> None:
    first, second = VoiceSalience(), SecondVoiceSalience()
    tone = np.sin(2 * np.pi * 220 * np.arange(16_000) / 16_000).astype(np.float32)
    a, b = first(tone).values, second(tone).values
    assert np.abs(a - b).max() > 1e-3
    np.testing.assert_array_equal(a, SecondVoiceSalience(WEIGHTS)(tone).values)
    with pytest.raises(ValueError, match="no such weights"):
        SecondVoiceSalience("none.pt")


def test_refusals() -> None:
    with pytest.raises(ValueError, match="readiness is empty"):
        F0Opinions(
            {"tones": F0Estimator(ToneSalience(), VoiceTracker(), retune=False)}, readiness=[]
        )
    with pytest.raises(ValueError, match="estimators is empty"):
        F0Opinions({})
    with pytest.raises(ValueError, match="estimators.tones has a PaperAssigner.*multif0=default"):
        F0Opinions({"tones": F0Estimator(ToneSalience(), PaperAssigner())})
    with pytest.raises(ValueError, match="evidence=-1"):
        FitSeparator(opinions=None, evidence=-1.0)
    with pytest.raises(ValueError, match="residual_evidence=-1"):
        FitSeparator(opinions=None, residual_evidence=-1.0)
    with pytest.raises(ValueError, match="trust=0.0.*must be positive"):
        FitSeparator(opinions=None, trust=0.0)
    with pytest.raises(ValueError, match="doubt=0 must be positive"):
        FitSeparator(opinions=None, doubt=0)


def test_one_singer_needs_no_opinion() -> None:
    sources, f0 = voices(8000)
    result = FitSeparator(opinions=Said(f0), spectra=FitSettings(max_iterations=5))(
        sources[:, 0], f0[:, :1]
    )
    assert "f0_weights" not in result.parameters
    torch.testing.assert_close(result.sources[:, 0], sources[:, 0], atol=1e-5, rtol=1e-4)
