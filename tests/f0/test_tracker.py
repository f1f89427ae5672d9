"""The tracker on salience whose truth is known."""

import numpy as np
import pytest
import torch

from src.f0.features import bin_frequencies
from src.f0.peaks import find_candidates
from src.f0.salience import Salience
from src.f0.tracker import VoiceTracker
from src.f0.training import build_targets


def salience_of(f0, *, noise=0.0, seed=0, height=0.95):
    """Salience [F, N] of tracks [N, J] in Hz."""
    values = build_targets(torch.from_numpy(np.asarray(f0, np.float32).T.copy())[None])[0].numpy()
    rng = np.random.default_rng(seed)
    values = np.clip(height * values + noise * rng.random(values.shape) ** 8, 0, 1)
    times = np.arange(len(f0)) * 0.016
    return Salience(values.astype(np.float32), bin_frequencies().numpy(), times)


def cents(a, b):
    return np.abs(1200 * np.log2(np.maximum(a, 1) / np.maximum(b, 1)))


def correct(estimate, truth):
    """Share of frames [J] in which pitch (50 cents) or silence is right."""
    both = (estimate > 0) & (truth > 0)
    right = np.where(both, cents(estimate, truth) < 50, (estimate > 0) == (truth > 0))
    return right.mean(axis=0)


def melody(start, steps, frames=60):
    """Notes of equal length; steps in semitones, None = rest."""
    notes = [0.0 if s is None else start * 2 ** (s / 12) for s in steps]
    return np.repeat(notes, frames).astype(np.float32)


@pytest.mark.parametrize("n_singers", range(1, 9))
def test_parallel_lines_of_any_number(n_singers):
    steps = [0, 2, 4, 2, 0, -1, 0]
    f0 = np.stack([melody(800 / 1.28**j, steps) for j in range(n_singers)], axis=1)
    found = VoiceTracker()(salience_of(f0, noise=0.3), n_singers)
    assert found.shape == f0.shape and found.dtype == np.float32
    assert correct(found, f0).min() > 0.97


def test_peaks_are_placed_between_the_bins():
    f0 = np.stack([np.geomspace(400, 440, 300), np.geomspace(200, 190, 300)], axis=1)
    fine = cents(VoiceTracker()(salience_of(f0), 2), f0)
    coarse = cents(VoiceTracker(refine=False)(salience_of(f0), 2), f0)
    assert np.median(fine) < 3.0
    assert np.median(coarse) > 5.0


def test_entries_exits_and_a_silent_singer():
    f0 = np.stack(
        [
            melody(500, [0, 2, None, None, 4, 2, 0, 0]),
            melody(330, [0, 0, 0, None, None, -1, 0, 2]),
            melody(200, [None, 0, 2, 3, 0, 0, None, 0]),
            melody(110, [0, 0, 2, 0, 0, -2, 0, 0]),
        ],
        axis=1,
    )
    found = VoiceTracker()(salience_of(f0, noise=0.3), 4)
    assert correct(found, f0).min() > 0.95


def test_a_short_crossing_keeps_its_singers():
    low = np.concatenate([np.full(150, 250.0), np.full(25, 350.0), np.full(150, 250.0)])
    f0 = np.stack([np.full(325, 300.0), low], axis=1)
    assert correct(VoiceTracker()(salience_of(f0), 2), f0).min() > 0.98
    in_order = VoiceTracker(crossing=1e6)(salience_of(f0), 2)
    assert correct(in_order, f0).max() < 0.95


def test_singers_meet_in_a_unison():
    f0 = np.stack([melody(262, [3, 1, 0, 1, 3]), melody(262, [-3, -1, 0, -1, -3])], axis=1)
    found = VoiceTracker()(salience_of(f0), 2)
    assert correct(found, f0).min() > 0.9
    apart = VoiceTracker(unison=None)(salience_of(f0), 2)
    meeting = slice(130, 170)
    assert ((apart[meeting] > 0).sum(axis=1) <= 1).all()


@pytest.mark.parametrize("n_singers", [1, 2, 4])
def test_silence_gives_silence(n_singers):
    salience = salience_of(np.zeros((100, 1)))
    found = VoiceTracker()(salience, n_singers)
    assert found.shape == (100, n_singers) and not found.any()


def test_one_frame_is_enough():
    found = VoiceTracker()(salience_of(np.array([[440.0, 220.0]])), 2)
    np.testing.assert_allclose(found, [[440.0, 220.0]], rtol=0.005)


def test_more_singers_than_voices_leaves_some_silent():
    f0 = np.stack([melody(440, [0, 2, 0, 2]), melody(220, [0, -2, 0, 0])], axis=1)
    found = VoiceTracker()(salience_of(f0), 5)
    assert np.isfinite(found).all()
    assert (found > 0).sum(axis=1).max() <= 4
    assert ((found > 0).any(axis=0)).sum() >= 2


def test_a_short_loud_error_does_not_move_a_line():
    f0 = np.full((200, 1), 220.0, np.float32)
    salience = salience_of(f0)
    values = salience.values.copy()
    wrong = salience_of(np.full((200, 1), 660.0)).values
    values[:, 100:102] = wrong[:, 100:102]
    noisy = Salience(values, salience.frequencies, salience.times)
    tracked = VoiceTracker()(noisy, 1)
    assert cents(tracked[tracked > 0], 220.0).max() < 50
    jumping = VoiceTracker(continuity=False, voicing=False, ranges=False)(noisy, 1)
    assert cents(jumping[100, 0], 660.0) < 50


def test_a_score_decides_who_sings_what():
    f0 = np.stack([melody(440, [0, 0, 0]), melody(440, [-4, -4, -4])], axis=1)
    prior = f0[:, ::-1].astype(np.float32)  # the score has the voices crossed
    found = VoiceTracker()(salience_of(f0), 2, prior=prior)
    assert correct(found, prior).min() > 0.95


def test_candidates_are_the_strongest_peaks():
    f0 = np.array([[200.0, 300.0, 500.0]] * 4)
    found = find_candidates(salience_of(f0), 2, 0.05)
    assert found.pitch.shape == (4, 3)
    assert (found.gain[:, 0] == 0).all() and np.isfinite(found.gain[:, 1:]).all()
