"""Evaluation tables of made-up scores, as `src.evaluate` would write them."""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from src.metrics.tables import EvaluationTable, read_tables

VOICES = ("soprano", "alto", "tenor", "bass")


def frames_of(
    level: float,
    *,
    n_singers: int = 4,
    songs: Sequence[str] = ("locus", "rossinyol"),
    excerpts: int = 3,
    seeds: Sequence[int] = (0,),
    spread: float = 3.0,
    synth: bool = False,
    bss: bool = False,
    key: int = 0,
) -> pd.DataFrame:
    """Scores around a level in dB; every excerpt and voice has a difficulty of its own.

    The difficulty, energies and harmonic shares depend on the frame alone, so that tables of
    several methods hold the same frames. The first frame of every excerpt is silent for voice 0.
    """
    rows: list[dict[str, Any]] = []
    mixtures = itertools.product(songs, itertools.combinations(VOICES, n_singers))
    for (song, chosen), excerpt, j, frame, seed in itertools.product(
        mixtures, range(1, excerpts + 1), range(n_singers), range(4), seeds
    ):
        voice = chosen[j]
        place = [songs.index(song), VOICES.index(voice), excerpt, frame]
        own = np.random.default_rng(place)
        hard, tones = own.normal(0, 2), own.beta(8, 1.5)
        drawn = np.random.default_rng([*place, len(chosen), *map(VOICES.index, chosen), seed, key])
        score = (
            level + hard - 0.8 * j + drawn.normal(0, spread) * (2 if drawn.random() < 0.1 else 1)
        )
        row = {
            "song": song,
            "mixture": "-".join(chosen),
            "excerpt": excerpt,
            "start": 64_000 * excerpt,
            "source": j,
            "voice": voice,
            "singer": "3",
            "frame": frame,
            "seed": seed,
            "energy": 0.0 if j == 0 and frame == 0 else 80.0,
            "kept": not (j == 0 and frame == 0),
            "harmonic_share": tones,
            "si_sdr": score,
            "si_sdr_improvement": score + 5.5,
            "spectral_snr": score + 2 + drawn.normal(0, 1),
            "mel_cepstral_distance": 6 - 0.2 * score,
        }
        row |= {"synth_spectral_snr": score - 3 + drawn.normal(0, 2)} if synth else {}
        row |= {n: score + i for i, n in enumerate(("sdr", "isr", "sir", "sar"))} if bss else {}
        rows.append(row)
    return pd.DataFrame(rows)


def write_table(
    folder: Path,
    name: str,
    frames: pd.DataFrame,
    *,
    n_singers: int = 4,
    f0_errors: dict[str, float] | None = None,
    protocol: dict[str, Any] | None = None,
    speed: dict[str, Any] | None = None,
    separator: Any = None,
) -> Path:
    """A folder with `frames.csv` and `summary.json`."""
    folder.mkdir(parents=True)
    frames.to_csv(folder / "frames.csv", index=False)
    summary: dict[str, Any] = {
        "name": name,
        "separator": separator or {"_target_": "src.fake.FakeSeparator", "mask": "power"},
        "protocol": {"data": "fake", "n_singers": n_singers, "f0": "cached", "singers": ["3"]}
        | (protocol or {}),
        "n_singers": n_singers,
    }
    summary |= {"f0_errors": f0_errors} if f0_errors else {}
    summary |= {"speed": speed} if speed else {}
    (folder / "summary.json").write_text(json.dumps(summary))
    return folder


def speed(factor: float) -> dict[str, Any]:
    """What a stopwatch would have said."""
    return {
        "seconds": 96 * factor,
        "audio_seconds": 96.0,
        "real_time_factor": factor,
        "peak_memory_gb": 1.234,
        "device": "cpu",
        "threads": 2,
    }


def two_methods(root: Path, n_singers: int = 4, **options: Any) -> list[EvaluationTable]:
    """A good and a bad method, alike but for 4 dB."""
    for key, (name, level) in enumerate({"good": 8.0, "bad": 4.0}.items()):
        frames = frames_of(level, n_singers=n_singers, key=key, **options)
        write_table(root / f"{name}-j{n_singers}", name, frames, n_singers=n_singers)
    return read_tables([root])
