"""Time and memory of one training step, beside the literal equations and the bare network.

    python -m experiments.bench.training_step [--batches 1 16] [--singers 2 4] [--repeats 5]

Every case runs in a process of its own, so that its peak memory is its own. The literal case needs
11 GB at batch 16 with four singers. Results: training_step.json.
"""

from __future__ import annotations

import argparse
import json
import platform
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

import torch

from experiments.bench.literal import LiteralVoice
from src.dsp.spectral_loss import multi_scale_spectral_loss
from src.files import write_json
from src.models.lit import UnsupervisedTraining

HERE = Path(__file__).parent


def measure(
    kind: str, n_singers: int, batch: int, repeats: int, seconds: float
) -> dict[str, float]:
    """Median and spread of a step's seconds after one warm-up, and the peak memory in GB."""
    torch.manual_seed(0)
    model = UnsupervisedTraining()
    if kind == "literal":
        model.voice = LiteralVoice()
    optimizer = model.configure_optimizers()
    n_samples = round(seconds * 16_000)
    mixture = 0.1 * torch.randn(batch, n_samples)
    f0 = torch.linspace(120, 500, n_singers).reshape(1, -1, 1)
    f0 = f0.expand(batch, -1, -(-n_samples // 256)).contiguous()
    f0 = f0 * (1.0 + 0.02 * torch.sin(torch.arange(f0.shape[-1]) / 3.0))
    seed = torch.arange(batch)
    times = []
    for _ in range(repeats + 1):
        start = time.perf_counter()
        optimizer.zero_grad()
        if kind == "network":
            loss = sum(v.float().square().mean() for v in model.estimator(mixture, f0).values())
        else:
            loss = multi_scale_spectral_loss(model(mixture, f0, seed)[0].sum(dim=1), mixture)
        loss.backward()
        optimizer.step()
        times.append(time.perf_counter() - start)
    times = times[1:]
    return {
        "median_s": statistics.median(times),
        "min_s": min(times),
        "max_s": max(times),
        "peak_gb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 16])
    parser.add_argument("--singers", type=int, nargs="+", default=[2, 4])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--output", type=Path, default=HERE / "training_step.json")
    parser.add_argument("--case", help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    if options.case:
        kind, singers, batch = options.case.split(",")
        result = measure(kind, int(singers), int(batch), options.repeats, options.seconds)
        print(json.dumps(result))
        return
    cases = []
    for singers in options.singers:
        for batch in options.batches:
            for kind in ("network", "umss", "literal"):
                command = [
                    sys.executable,
                    "-m",
                    "experiments.bench.training_step",
                    "--case",
                    f"{kind},{singers},{batch}",
                    "--repeats",
                    str(1 if kind == "literal" else options.repeats),
                    "--seconds",
                    str(options.seconds),
                    "--threads",
                    str(options.threads),
                ]
                done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
                case = {"kind": kind, "n_singers": singers, "batch": batch}
                case |= json.loads(done.stdout.splitlines()[-1])
                cases.append(case)
                print(
                    "{kind:8} J={n_singers} batch {batch:2}: {median_s:7.2f} s "
                    "({min_s:.2f} to {max_s:.2f}), peak {peak_gb:.2f} GB".format(**case)
                )
    write_json(
        options.output,
        {
            "machine": platform.processor() or platform.machine(),
            "threads": options.threads,
            "torch": torch.__version__,
            "excerpt_seconds": options.seconds,
            "cases": cases,
        },
    )
    print(f"wrote {options.output}")


if __name__ == "__main__":
    main()
