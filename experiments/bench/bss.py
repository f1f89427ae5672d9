"""Time of BSS Eval: `bss=fast` against `bss=museval`, on 4-s excerpts of the generated choir.

    python -m experiments.bench.bss [--singers 4 2] [--batch 1 4] [--repeats 3] [--threads 1]

Wall and processor time of one excerpt, evaluated in batches, after a warm-up, and the largest
difference of any score. The estimates are the comb's. Results: bss.json.
"""

from __future__ import annotations

import argparse
import itertools
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from experiments.bench.cases import HERE, run_cases, timed, write_results
from src.baselines.masks import CombSeparator
from src.data.choir import SONGS, generate_song
from src.metrics.bss import ENGINES, bss_eval

RATE = 16_000
LINE = (
    "J = {n_singers}, batch of {batch}: {cpu_speedup:.1f} times as fast in processor time, "
    "{speedup:.1f} in wall time; largest difference {largest_difference_db:.1e} dB"
)


def excerpts(n_singers: int, n_batch: int) -> tuple[Tensor, Tensor]:
    """Estimates and sources [B, J, T], 4 s each, one second apart, from a chorale."""
    song = generate_song(SONGS[0], max_seconds=8.0 + n_batch)
    starts = [RATE * (3 + b) for b in range(n_batch)]
    sources = np.stack([song.audio[:n_singers, s : s + 4 * RATE] for s in starts])
    f0 = np.stack([song.f0[:n_singers, s // 256 : s // 256 + 250] for s in starts])
    true = torch.from_numpy(sources.astype(np.float32))
    return CombSeparator()(true.sum(1), torch.from_numpy(f0.astype(np.float32))).sources, true


def measure(n_singers: int, batch: int, repeats: int) -> dict[str, Any]:
    """By engine, seconds per excerpt; how many times as fast ours is; how far scores differ."""
    estimates, sources = excerpts(n_singers, batch)
    found, scores = {}, {}
    for engine in ENGINES:
        evaluate = partial(bss_eval, estimates, sources, engine=engine)
        times = timed(evaluate, repeats=repeats)
        found[engine] = {k: v / (1 if k == "repeats" else batch) for k, v in times.items()}
        scores[engine] = bss_eval(estimates, sources, engine=engine)
    fast, museval = scores["fast"], scores["museval"]
    differences = [(fast[name] - museval[name]).abs() for name in fast]
    return {
        "excerpt_s": sources.shape[-1] / RATE,
        **found,
        "speedup": found["museval"]["median_s"] / found["fast"]["median_s"],
        "cpu_speedup": found["museval"]["cpu_s"] / found["fast"]["cpu_s"],
        "largest_difference_db": max(float(d.nan_to_num(0.0).max()) for d in differences),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--singers", type=int, nargs="+", default=[4, 2])
    parser.add_argument("--batch", type=int, nargs="+", default=[1, 4])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--output", type=Path, default=HERE / "bss.json")
    options = parser.parse_args()
    todo = [
        ({"n_singers": n_singers, "batch": batch, "repeats": options.repeats}, options.threads)
        for n_singers, batch in itertools.product(options.singers, options.batch)
    ]
    write_results(options.output, run_cases("experiments.bench.bss", todo, LINE.format_map))


if __name__ == "__main__":
    main()
