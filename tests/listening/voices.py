"""Made-up tracks for pages: short, quiet noise or tones that are known sample by sample."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from src.listening.content import Page, Recording, Remark, Scores, Track

RATE = 8_000
NASTY = "Björn </script><script>alert('x')</script> & \"Zoë\""


def make_noise(seconds: float, seed: int) -> NDArray[np.float32]:
    """Noise [T]: every place in it differs from every other."""
    noise = np.random.default_rng(seed).standard_normal(round(seconds * RATE))
    return (0.05 * noise).astype(np.float32)


def make_tone(seconds: float, hertz: float) -> NDArray[np.float32]:
    """A tone [T] with three partials."""
    t = np.arange(round(seconds * RATE)) / RATE
    partials = [np.sin(2 * np.pi * k * hertz * t) / k for k in (1, 2, 3)]
    return (0.1 * np.sum(partials, axis=0)).astype(np.float32)


def make_recording(
    stems: dict[str, NDArray[np.float32]], title: str = "Choir", *, truth: bool = False
) -> Recording:
    """The stems, a quiet residual, and their sum as the recording; F0 of 200 Hz."""
    some = next(iter(stems.values()))
    residual = 0.1 * make_noise(len(some) / RATE, 99)
    f0 = np.full(round(len(some) / RATE * 62.5), 200.0, np.float32)
    f0[: len(f0) // 4] = 0
    tracks = [Track("Recording", sum(stems.values(), residual), "mixture")]
    tracks += [
        Track(name, stem, "stem", f0 * (k + 1)) for k, (name, stem) in enumerate(stems.items())
    ]
    tracks.append(Track("Residual", residual, "residual"))
    if truth:
        tracks += [Track(name, stem, "reference") for name, stem in stems.items()]
    remarks = [Remark("The tracks are uncertain", [(1.0, 1.5)]), Remark("Speech has no F0")]
    scores = Scores("SI-SDR in dB", ("singer", "mean"), [(name, "9.8") for name in stems])
    return Recording(title, RATE, tracks, remarks, scores if truth else None)


def make_page(seconds: float = 3.0) -> Page:
    """A page of two recordings with everything that a page can show, and nasty names."""
    stems = {"alto": make_tone(seconds, 200.0), NASTY: make_noise(seconds, 2)}
    recordings = [make_recording(stems, NASTY, truth=True), make_recording(stems, "Second")]
    scores = Scores(
        "SI-SDR in dB, all", ("method", "mean"), [("fit & more", "10.2"), (NASTY, "5.0")]
    )
    return Page(NASTY, recordings, "Two recordings of nobody.", scores)
