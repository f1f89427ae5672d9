"""Time of BSS Eval: `bss=fast` against `bss=museval`, on 4-s excerpts of the generated choir.

    OMP_NUM_THREADS=1 python -m experiments.bench.bss [--singers 4 2] [--batch 1 4] [--repeats 1]

Wall and processor time of one excerpt, evaluated in batches, after a warm-up: the least of the
repeats. Also the largest difference of any score. The estimates are the comb's. Results: bss.json;
they come from a machine that was busy with other work, so only the processor times mean something.
"""

from __future__ import annotations

import argparse
import itertools
import platform
import time
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from src.baselines.masks import CombSeparator
from src.data.choir import SONGS, generate_song
from src.files import write_json
from src.metrics.bss import ENGINES, bss_eval

HERE = Path(__file__).parent
RATE = 16_000


def excerpts(n_singers: int, n_batch: int) -> tuple[Tensor, Tensor]:
    """Estimates and sources [B, J, T], 4 s each, one second apart, from a chorale."""
    song = generate_song(SONGS[0], max_seconds=8.0 + n_batch)
    starts = [RATE * (3 + b) for b in range(n_batch)]
    sources = np.stack([song.audio[:n_singers, s : s + 4 * RATE] for s in starts])
    f0 = np.stack([song.f0[:n_singers, s // 256 : s // 256 + 250] for s in starts])
    true = torch.from_numpy(sources.astype(np.float32))
    return CombSeparator()(true.sum(1), torch.from_numpy(f0.astype(np.float32))).sources, true


def measure(engine: str, estimates: Tensor, sources: Tensor, repeats: int) -> dict[str, float]:
    """Least wall and processor time, in seconds per excerpt."""
    walls, cpus = [], []
    for _ in range(repeats + 1):
        wall, cpu = time.perf_counter(), time.process_time()
        bss_eval(estimates, sources, engine=engine)
        walls.append(time.perf_counter() - wall)
        cpus.append(time.process_time() - cpu)
    n = len(sources)
    return {"seconds": min(walls[1:]) / n, "cpu_seconds": min(cpus[1:]) / n}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--singers", type=int, nargs="+", default=[4, 2])
    parser.add_argument("--batch", type=int, nargs="+", default=[1, 4])
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--output", type=Path, default=HERE / "bss.json")
    options = parser.parse_args()
    cases = []
    for n_singers, n_batch in itertools.product(options.singers, options.batch):
        estimates, sources = excerpts(n_singers, n_batch)
        found = {e: measure(e, estimates, sources, options.repeats) for e in ENGINES}
        scores = [bss_eval(estimates, sources, engine=engine) for engine in ENGINES]
        differences = [(scores[0][name] - scores[1][name]).abs() for name in scores[0]]
        case = {
            "n_singers": n_singers,
            "batch": n_batch,
            "excerpt_s": sources.shape[-1] / RATE,
            **found,
            "speedup": found["museval"]["seconds"] / found["fast"]["seconds"],
            "cpu_speedup": found["museval"]["cpu_seconds"] / found["fast"]["cpu_seconds"],
            "largest_difference_db": max(float(d.nan_to_num(0.0).max()) for d in differences),
        }
        cases.append(case)
        print(
            f"J = {n_singers}, batch of {n_batch}: processor time per excerpt "
            f"{found['museval']['cpu_seconds']:.3f} s with museval, "
            f"{found['fast']['cpu_seconds']:.3f} s with fast: {case['cpu_speedup']:.1f} times as "
            f"fast ({case['speedup']:.1f} in wall time), largest difference "
            f"{case['largest_difference_db']:.1e} dB"
        )
    machine = platform.processor() or platform.machine()
    write_json(
        options.output,
        {
            "machine": machine,
            "threads": torch.get_num_threads(),
            "repeats": options.repeats,
            "cases": cases,
        },
    )
    print(f"wrote {options.output}")


if __name__ == "__main__":
    main()
