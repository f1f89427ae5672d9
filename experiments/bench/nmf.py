"""Time and memory of the NMF baselines: one excerpt of 4 s, and a song of 24 of them.

    python -m experiments.bench.nmf [--method nmf1] [--singers 4] [--threads 2]

Voices and F0s are made up (notes of half a second with vibrato, like a choir's); time depends on
the number of pitches that occur, which is written down. Results: nmf.json, one entry per method;
other methods' entries are kept.
"""

from __future__ import annotations

import argparse
import json
import platform
import resource
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from src.baselines.nmf import Nmf1Separator
from src.baselines.pitch_model import pitch_model
from src.baselines.source_filter_nmf import Nmf2Separator
from src.dsp.harmonic import harmonic_source
from src.files import write_json
from src.separator import Separator

HERE = Path(__file__).parent
METHODS: dict[str, Callable[[], Separator]] = {"nmf1": Nmf1Separator, "nmf2": Nmf2Separator}
SECONDS = 4.0
N_EXCERPTS, BATCH = 24, 8


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


def measure(separator: Separator, n_singers: int, repeats: int) -> dict[str, Any]:
    """Best time of one excerpt, time of a song in batches, and peak memory."""
    mixture, f0 = made_up(N_EXCERPTS, n_singers)
    best = best_cpu = float("inf")
    for _ in range(repeats):
        start, cpu_start = time.perf_counter(), time.process_time()
        separator(mixture[:1], f0[:1])
        best = min(best, time.perf_counter() - start)
        best_cpu = min(best_cpu, time.process_time() - cpu_start)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start, cpu_start = time.perf_counter(), time.process_time()
    for first in range(0, N_EXCERPTS, BATCH):
        separator(mixture[first : first + BATCH], f0[first : first + BATCH])
    song, cpu = time.perf_counter() - start, time.process_time() - cpu_start
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    pitches = pitch_model(f0[:1], n_fft=separator.n_fft, rate=separator.rate).pitches.shape[1]
    return {
        "n_singers": n_singers,
        "n_pitches": pitches,
        "excerpt_seconds": best,
        "excerpt_cpu_seconds": best_cpu,
        "excerpt_real_time_factor": best / SECONDS,
        "song_seconds": song,
        "song_cpu_seconds": cpu,
        "song_real_time_factor": song / (SECONDS * N_EXCERPTS),
        "peak_gb": after / 1e6,
        "peak_gb_before_the_song": before / 1e6,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--method", choices=sorted(METHODS), default="nmf1")
    parser.add_argument("--singers", type=int, default=4)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--output", type=Path, default=HERE / "nmf.json")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    case = measure(METHODS[options.method](), options.singers, options.repeats)
    case |= {"threads": options.threads, "machine": platform.processor() or platform.machine()}
    results = json.loads(options.output.read_text()) if options.output.exists() else {}
    write_json(options.output, {**results, options.method: case})
    print(
        "{}: 4 s in {excerpt_seconds:.2f} s (real-time factor {excerpt_real_time_factor:.2f}), "
        "96 s in {song_seconds:.1f} s, peak {peak_gb:.2f} GB".format(options.method, **case)
    )


if __name__ == "__main__":
    main()
