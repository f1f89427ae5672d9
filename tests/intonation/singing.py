"""Four singers whose faults are known: scattered notes, vibrato, glides, and errors of the F0."""

from __future__ import annotations

import numpy as np

from src.f0.contours import F0Contours

NAMES = ("soprano", "alto", "tenor", "bass")
CHORDS = (
    (72, 67, 64, 48), (72, 69, 65, 53), (74, 67, 65, 55), (71, 67, 62, 55), (72, 67, 64, 48),
    (76, 69, 64, 45), (74, 69, 66, 50), (74, 71, 67, 43), (72, 72, 64, 48), (74, 65, 62, 50),
)  # fmt: skip
BEAT = 0.9
FRAMES = 62.5


def sing(
    *,
    seconds: float = 60.0,
    who: int = 1,
    sharp: float = 0.0,
    drift: float = 0.0,
    late: float = 0.0,
    scatter: float = 5.0,
    names: tuple[str, ...] = NAMES,
    chords: tuple[tuple[int, ...], ...] = CHORDS,
    seed: int = 0,
) -> F0Contours:
    """Sing chords, one a beat, the fourth followed by a rest.

    Args:
        who: the singer who is sharp (cents) and late (milliseconds).
        drift: of all, cents per minute.
        scatter: of the notes, cents, standard deviation.
    """
    generator = np.random.default_rng(seed)
    n = round(seconds * FRAMES)
    t = np.arange(n) / FRAMES
    tracks = []
    for j in range(len(names)):
        cents = np.full(n, np.nan)
        lateness = late / 1000 * (j == who)
        for k in range(int((seconds - 1.0) / BEAT)):
            start = 0.5 + k * BEAT + lateness + generator.normal(0, 0.02)
            end = 0.5 + (k + (0.7 if k % 4 == 3 else 1.05)) * BEAT + lateness
            goal = 100 * chords[k % len(chords)][j] + sharp * (j == who)
            goal += generator.normal(0, scatter)
            a, b = round(start * FRAMES), round(end * FRAMES)
            before = cents[a - 1] if np.isfinite(cents[a - 1]) else goal - generator.uniform(0, 80)
            cents[a:b] = goal + (before - goal) * np.exp(-(t[a:b] - start) / 0.03)
        vibrato = (20 + 10 * j) * np.sin(2 * np.pi * (5.0 + 0.3 * j) * t + j)
        cents += vibrato + drift * t / 60 + generator.normal(0, 4, n)
        cents[generator.random(n) < 0.03] = np.nan
        for wrong in np.flatnonzero(generator.random(n) < 0.003):
            cents[wrong : wrong + 6] += generator.choice([-1200, 1200])
        tracks.append(np.nan_to_num(440 * 2 ** ((cents - 6900) / 1200)))
    return F0Contours.on_grid(np.stack(tracks, axis=1).astype(np.float32), names)
