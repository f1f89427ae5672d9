"""F0 tracks tuned on the phases of all partials."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from src.fit.separator import FitSeparator
from src.fit.spectra import FittedSpectra
from src.fit.tuning import TuningSettings, tune_tracks
from src.metrics.frames import si_sdr
from tests.fit.test_partials import GRID, explained, tones

WIDE = TuningSettings(deviation=20.0)


def off_by(f0: Tensor, *cents: float) -> Tensor:
    return f0 * 2.0 ** (torch.tensor(cents)[None, :, None] / 1200)


def flat(n_frames: int) -> FittedSpectra:
    return FittedSpectra(
        torch.full((1, 2, 1025, n_frames), 2.0),
        torch.full((1, 1025, n_frames), 0.5),
        *(torch.zeros(1) for _ in range(4)),
    )


def test_offsets_and_amplitudes_solve_one_least_squares_problem() -> None:
    """Against numpy, in double precision; the derivative by finite differences."""
    sources, f0 = tones(0.6)
    mixture = sources.sum(dim=1) + 0.1 * torch.randn(1, 9600, generator=_seeded())
    wrong = off_by(f0, 5.0, -3.0)
    settings = TuningSettings(window=2048, hop=1024, highest=900.0, uncertainty=0.2)
    found = tune_tracks(mixture, wrong, flat(19), settings, **GRID)[0]

    tracks = wrong[0, :, 0].double().numpy()
    ratio = (0.25 + 0.2 * (4.0 + 4.0 + 0.25)) / 4.0
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(2048) / 2048)
    energy = (window**2).sum()
    seconds = (np.arange(2048) - 1024) / 16_000

    def sines(pitch: np.ndarray, middle: int) -> np.ndarray:
        # The model's phase begins after one sample; an offset turns about the window's middle.
        columns = [
            wave(2 * np.pi * h * (given * (middle + 1) / 16_000 + f * seconds))
            for given, f in zip(tracks, pitch, strict=True)
            for wave in (np.cos, np.sin)
            for h in range(1, 5)
        ]
        return np.stack(columns, axis=1) * window[:, None]

    padded = np.pad(mixture[0].double().numpy(), 2048)
    total, weight = np.zeros((2, 38)), np.zeros(38)
    for middle in range(0, 9600 + 1023, 1024):
        inside = np.arange(middle - 1024, middle + 1024)
        heard = (inside >= 0) & (inside < 9600)
        s = sines(tracks, middle) * heard[:, None]
        x = padded[inside + 2048] * window
        prior = ratio * 0.5 * energy * np.eye(16)
        a = np.linalg.solve(s.T @ s + prior, s.T @ x)
        left = ((x - s @ a) ** 2).sum() / energy
        slopes = []
        for j in range(2):
            step = 1e-5 * np.eye(2)[j]
            change = sines(tracks + step, middle) - sines(tracks - step, middle)
            slopes.append(change @ a / 2e-5 * heard)
        deviation = (2 ** (4 / 1200) - 1) * tracks
        both = np.concatenate([s, np.stack(slopes, axis=1)], axis=1)
        penalty = np.zeros((18, 18))
        penalty[:16, :16] = prior
        penalty[16:, 16:] = np.diag(left / deviation**2)
        offsets = np.linalg.solve(both.T @ both + penalty, both.T @ x)[16:]
        share = np.cos(np.pi * np.clip(np.abs(np.arange(38) * 256 - middle) / 2048, 0, 0.5)) ** 4
        total += offsets[:, None] * share
        weight += share
    wanted = tracks[:, None] + total / weight
    np.testing.assert_allclose(found.numpy()[:, 4:-4], wanted[:, 4:-4], atol=2e-3)
    # Every fourth sample does; the filter feels where the recording ends.
    np.testing.assert_allclose(found.numpy(), wanted, atol=0.1)


def test_tracks_move_to_the_partials_of_both_voices() -> None:
    sources, f0 = tones()
    mixture = sources.sum(dim=1)
    wrong = off_by(f0, 8.0, -6.0)
    for _ in range(2):
        wrong = tune_tracks(mixture, wrong, explained(mixture, wrong), WIDE, **GRID)
    cents = 1200 * torch.log2(wrong / f0)[..., 4:-4]
    assert cents.abs().max() < 2.0


def test_tuned_tracks_separate_better() -> None:
    sources, f0 = tones()
    mixture, wrong = sources.sum(dim=1), off_by(f0, 6.0, -6.0)
    without, with_ = (
        si_sdr(
            FitSeparator(opinions=None, retune=False, tuning=t)(mixture, wrong).sources, sources
        ).mean()
        for t in (None, TuningSettings())
    )
    assert with_ > without + 3.0


def test_silence_stays_silent_and_moves_are_bounded() -> None:
    sources, f0 = tones()
    mixture = sources.sum(dim=1)
    far = off_by(f0, 60.0, 0.0)
    far[:, 1, 20:40] = 0.0
    moved = tune_tracks(
        mixture, far, explained(mixture, far), TuningSettings(deviation=1e3), **GRID
    )
    assert torch.equal(moved == 0, far == 0)
    sounds = far > 0
    assert (1200 * torch.log2(moved[sounds] / far[sounds])).abs().max() < 40.001
    nobody = torch.zeros_like(f0)
    assert torch.equal(
        tune_tracks(mixture, nobody, explained(mixture, nobody), WIDE, **GRID), nobody
    )
    nothing = torch.zeros_like(mixture)
    assert torch.equal(tune_tracks(nothing, f0, explained(nothing, f0), WIDE, **GRID), f0)


def test_voices_of_a_batch_do_not_influence_each_other() -> None:
    sources, f0 = tones()
    mixture = torch.cat([sources.sum(dim=1), sources[:, 0]])
    wrong = torch.cat([off_by(f0, 5.0, 5.0), off_by(f0, -5.0, 0.0)])
    both = tune_tracks(mixture, wrong, explained(mixture, wrong), WIDE, **GRID)
    for i in range(2):
        one = mixture[i : i + 1], wrong[i : i + 1]
        alone = tune_tracks(*one, explained(*one), WIDE, **GRID)
        torch.testing.assert_close(both[i : i + 1], alone, rtol=1e-5, atol=1e-3)


@pytest.mark.parametrize(
    "setting",
    [{"hop": 2048}, {"hop": 0}, {"highest": 0.0}, {"uncertainty": -1.0}, {"deviation": 0.0}],
)
def test_settings_out_of_range_name_their_field(setting: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=f"tuning.{next(iter(setting))}"):
        TuningSettings(**setting)


def _seeded() -> torch.Generator:
    return torch.Generator().manual_seed(0)
