"""Tuning of tracks on the recording."""

import numpy as np

from src.f0 import retune as module
from src.f0.retune import retune

RATE = 16_000


def sung(f0):
    """Eight partials of a track [T] in Hz."""
    phase = 2 * np.pi * np.cumsum(f0) / RATE
    return sum(np.sin(h * phase) / h for h in range(1, 9))


def deviation(a, b):
    return np.abs(1200 * np.log2(a / b))


def test_errors_of_a_few_cents_are_mended():
    time = np.arange(3 * RATE) / RATE
    high = 392.0 * (1 + 0.006 * np.sin(2 * np.pi * 5.5 * time))
    low = 165.0 * (1 + 0.003 * np.sin(2 * np.pi * 5.0 * time + 1))
    audio = (0.1 * (sung(high) + sung(low))).astype(np.float32)
    truth = np.stack([high[::256], low[::256]], axis=1)
    wrong = (truth * 2 ** (np.random.default_rng(0).normal(0, 12, truth.shape) / 1200)).astype(
        np.float32
    )
    tuned = retune(audio, wrong)
    inner = slice(5, -5)
    before = np.median(deviation(wrong[inner], truth[inner]), axis=0)
    after = np.median(deviation(tuned[inner], truth[inner]), axis=0)
    assert (before > 7).all()
    assert (after < 0.7 * before).all() and after.min() < 3


def test_silence_stays_and_moves_are_bounded():
    rng = np.random.default_rng(1)
    f0 = rng.uniform(100, 900, (80, 3)).astype(np.float32)
    f0[20:40, 1] = 0
    noise = rng.normal(0, 0.1, 80 * 256).astype(np.float32)
    tuned = retune(noise, f0)
    assert ((tuned > 0) == (f0 > 0)).all()
    voiced = f0 > 0
    assert deviation(tuned[voiced], f0[voiced]).max() <= 42.5
    np.testing.assert_array_equal(retune(np.zeros(80 * 256, np.float32), f0), f0)


def test_chunks_do_not_show(monkeypatch):
    audio = (0.1 * sung(np.full(2 * RATE, 220.0))).astype(np.float32)
    f0 = np.full((125, 1), 222.0, np.float32)
    whole = retune(audio, f0)
    monkeypatch.setattr(module, "CHUNK_FRAMES", 17)
    np.testing.assert_allclose(retune(audio, f0), whole, rtol=1e-6)
