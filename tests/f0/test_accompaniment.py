"""Instruments that play along: found, tracked, and nobody's stem."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from src.arrays import separate_array
from src.baselines.masks import CombSeparator
from src.dsp.steadiness import measure_steadiness
from src.errors import UmssError
from src.f0.accompaniment import AccompanimentFinder
from src.f0.contours import F0Contours
from src.f0.estimate import PLAYED_ALONG, F0Estimator
from src.fit.separator import FitSeparator
from src.metrics.frames import si_sdr
from tests.dsp.test_steadiness import play, swing
from tests.f0.fakes import LoudestPeaks, ToneSalience

SECONDS = 4.0
SUNG, PLAYED = 330.0, 196.0  # Hz


@pytest.fixture(scope="module")
def parts() -> tuple[np.ndarray, np.ndarray]:
    """A voice with vibrato and a pipe."""
    return play(SUNG, SECONDS, 90.0), play(PLAYED, SECONDS)


def track(n_frames: int) -> np.ndarray:
    time = np.arange(n_frames) * 0.016
    return np.float32(SUNG * 2.0 ** (90.0 / 1200.0 * swing(time)))


def test_voices_alone_have_no_accompaniment(parts: tuple[np.ndarray, np.ndarray]) -> None:
    assert AccompanimentFinder()(parts[0]) is None


def test_steady_voices_alone_are_no_accompaniment() -> None:
    voices = play(PLAYED, SECONDS) + play(SUNG, SECONDS)
    assert measure_steadiness(voices) > 10.0
    assert AccompanimentFinder()(voices) is None
    assert AccompanimentFinder(sung=0.0)(voices) is not None


def test_the_steady_part_is_what_is_played(parts: tuple[np.ndarray, np.ndarray]) -> None:
    sung, played = parts
    steady = AccompanimentFinder()(sung + played)
    assert steady is not None and steady.shape == sung.shape
    shares = [float(steady @ part / (part @ part)) for part in (played, sung)]
    assert shares[0] > 0.8 and shares[1] < 0.5 * shares[0], shares


def test_notes_are_told_from_the_singers(parts: tuple[np.ndarray, np.ndarray]) -> None:
    sung, played = parts
    mixture = 0.8 * sung + played
    deaf = F0Estimator(ToneSalience(), LoudestPeaks(), retune=False, identity=None)
    alone = deaf(mixture, 1)
    assert alone.contours.accompaniment is None
    assert np.median(alone.contours.f0) == pytest.approx(PLAYED, rel=0.02)
    deaf.accompaniment = AccompanimentFinder()
    found = deaf(mixture, 1)
    assert found.warnings[-1] == PLAYED_ALONG
    notes = found.contours.accompaniment
    assert notes is not None and len(notes) == len(found.contours.f0)
    near = np.abs(notes / PLAYED - 1.0) < 0.02
    assert near.any(axis=1).mean() > 0.9


def test_what_is_played_goes_to_the_residual(parts: tuple[np.ndarray, np.ndarray]) -> None:
    sung, played = parts
    mixture = sung + played
    n_frames = -(-len(mixture) // 256)
    f0 = track(n_frames)[:, None]
    given = F0Contours.on_grid(f0, ("singer",))
    notes = np.full((n_frames, 1), PLAYED, np.float32)
    beside = F0Contours.on_grid(f0, ("singer",))
    beside = F0Contours(beside.times, f0, ("singer",), accompaniment=notes)
    quality = []
    for contours in (given, beside):
        result = separate_array(mixture, 16_000, contours, CombSeparator())
        assert list(result.stems) == ["singer"]
        assert result.parameters["harmonic_amplitude"].shape[0] == 1
        np.testing.assert_allclose(result.stems["singer"] + result.residual, mixture, atol=1e-6)
        pair = torch.from_numpy(result.stems["singer"])[None], torch.from_numpy(sung)[None]
        quality.append(float(si_sdr(*pair)))
    assert quality[1] > quality[0] + 6.0, quality


def test_no_opinions_beside_an_accompaniment() -> None:
    fit = FitSeparator()
    assert fit.opinions is not None
    assert fit.beside_accompaniment().opinions is None
    assert fit.opinions is not None


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"steadiness": 0.0}, "accompaniment.steadiness=0.0 must be positive"),
        ({"sung": 1.5}, "accompaniment.sung=1.5 must be between 0 and 1"),
        ({"margin": 0.5}, "accompaniment.margin=0.5 must be at least 1"),
        ({"hop": 16384}, "accompaniment.hop=16384 must be positive and at most half"),
    ],
)
def test_settings_out_of_range_are_named(setting: dict[str, float], message: str) -> None:
    with pytest.raises(UmssError, match=message):
        AccompanimentFinder(**setting)  # type: ignore[arg-type]
