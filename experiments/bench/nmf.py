"""Time and memory of the NMF baselines: one excerpt of 4 s, and a song of 24 of them.

    python -m experiments.bench.nmf [--methods nmf1 nmf2] [--singers 4] [--threads 2]

Voices and F0s are made up (notes of half a second with vibrato, like a choir's); time depends on
the number of pitches that occur, which is written down. Results: nmf.json.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from experiments.bench.cases import HERE, peak_gb, run_cases, timed, write_results
from src.baselines.nmf import Nmf1Separator
from src.baselines.pitch_model import build_pitch_model
from src.baselines.source_filter_nmf import Nmf2Separator
from src.dsp.harmonic import harmonic_source
from src.separator import Separator

METHODS: dict[str, Callable[[], Separator]] = {"nmf1": Nmf1Separator, "nmf2": Nmf2Separator}
SECONDS = 4.0
N_EXCERPTS, BATCH = 24, 8
LINE = (
    "{kind}: 4 s in {median_s:.2f} s (real-time factor {real_time_factor:.3f}), 96 s in "
    "{song_s:.1f} s, peak {peak_gb:.2f} GB"
)


def made_up(n_excerpts: int, n_singers: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Mixtures [B, T] and F0 [B, J, N] of voices with notes of half a second and vibrato."""
    generator = torch.Generator().manual_seed(0)
    n_samples = round(SECONDS * 16_000)
    n_frames = -(-n_samples // 256)
    frames = torch.arange(n_frames)
    notes = torch.randint(-4, 5, (n_excerpts, n_singers, 16), generator=generator)
    voices = torch.linspace(70, 46, n_singers)[:, None]
    phase = 6.3 * torch.rand(n_excerpts, n_singers, 1, generator=generator)
    vibrato = 0.5 * torch.sin(2 * torch.pi * 5.5 * frames * 0.016 + phase)
    midi = voices + notes[..., frames // 31] + vibrato
    f0 = 440.0 * 2.0 ** ((midi - 69.0) / 12.0)
    f0 = torch.where(frames % 31 == 0, 0.0, f0)
    sources = harmonic_source(f0, (f0 > 0).float(), n_samples=n_samples)
    mixture = sources.sum(dim=1)
    return mixture + 1e-3 * torch.randn(mixture.shape, generator=generator), f0


def measure(kind: str, n_singers: int, repeats: int) -> dict[str, Any]:
    """Seconds of one excerpt, of a song in batches (`song_s`), and peak memory before the song."""
    separator = METHODS[kind]()
    mixture, f0 = made_up(N_EXCERPTS, n_singers)
    found = timed(lambda: separator(mixture[:1], f0[:1]), repeats=repeats)
    before = peak_gb()

    def song() -> None:
        for first in range(0, N_EXCERPTS, BATCH):
            separator(mixture[first : first + BATCH], f0[first : first + BATCH])

    whole = timed(song, repeats=1, warm_up=0)
    pitches = build_pitch_model(f0[:1], n_fft=separator.n_fft, rate=separator.rate).pitches.shape[1]
    return {
        "n_pitches": pitches,
        **found,
        "real_time_factor": found["median_s"] / SECONDS,
        "song_s": whole["median_s"],
        "song_cpu_s": whole["cpu_s"],
        "song_real_time_factor": whole["median_s"] / (SECONDS * N_EXCERPTS),
        "peak_gb_before_the_song": before,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--methods", nargs="+", choices=sorted(METHODS), default=sorted(METHODS))
    parser.add_argument("--singers", type=int, default=4)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--output", type=Path, default=HERE / "nmf.json")
    options = parser.parse_args()
    todo = [
        ({"kind": m, "n_singers": options.singers, "repeats": options.repeats}, options.threads)
        for m in options.methods
    ]
    write_results(options.output, run_cases("experiments.bench.nmf", todo, LINE.format_map))


if __name__ == "__main__":
    main()
