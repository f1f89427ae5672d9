"""Made-up mixtures and F0 tracks that look like those of a training."""

from __future__ import annotations

import math

import numpy as np
import torch

from src.models.lit import Batch

RATE, HOP = 16_000, 256
HIGHEST_HZ, LOWEST_HZ = 520.0, 110.0
UNVOICED = 0.15


def random_tracks(batch: int, n_singers: int, n_frames: int, *, seed: int = 0) -> torch.Tensor:
    """F0 tracks of singers, different in every excerpt: notes with vibrato, rests between them.

    About 15 % of the frames are unvoiced (0 Hz), as in real choral singing; the highest voice comes
    first.

    Returns:
        [B, J, N] Hz.
    """
    rng = np.random.default_rng(seed)
    # Half a second a note on average; each row starts somewhere inside a note.
    length = 31
    n_notes = -(-n_frames // length) + 1
    centres = np.geomspace(HIGHEST_HZ, LOWEST_HZ, n_singers)
    shape = (batch, n_singers, n_notes)
    notes = centres[:, None] * 2.0 ** (rng.integers(-4, 5, shape) / 12.0)
    rests = rng.integers(0, round(2 * UNVOICED * length) + 1, shape)
    phase = rng.uniform(0.0, 2.0 * math.pi, (batch, n_singers, 1))
    frames = np.arange(n_notes * length)
    vibrato = 2.0 ** (0.3 / 12.0 * np.sin(2.0 * math.pi * 5.5 * frames * HOP / RATE + phase))
    sung = frames % length < length - np.repeat(rests, length, axis=-1)
    f0 = np.where(sung, np.repeat(notes, length, axis=-1) * vibrato, 0.0)
    starts = rng.integers(0, length, (batch, n_singers, 1))
    window = starts + np.arange(n_frames)
    return torch.from_numpy(np.take_along_axis(f0, window, axis=-1).astype(np.float32))


def random_batch(batch: int, n_singers: int, excerpt_s: float, *, seed: int = 0) -> Batch:
    """A batch as the data module gives it: `mixture` [B, T] (noise), `f0` [B, J, N], `seed` [B]."""
    n_samples = round(excerpt_s * RATE)
    generator = torch.Generator().manual_seed(seed)
    return {
        "mixture": 0.1 * torch.randn(batch, n_samples, generator=generator),
        "f0": random_tracks(batch, n_singers, -(-n_samples // HOP), seed=seed),
        "seed": torch.arange(batch) + seed,
    }
