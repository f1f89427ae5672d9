"""Time and memory of estimating the F0 of four (and eight) singers.

    python -m experiments.bench.f0 [--seconds 60 600] [--singers 4 8]

The recording is a chorale of the generated choir, repeated to length. Results: f0.json.
"""

from __future__ import annotations

import argparse
import json
import platform
import resource
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import torch

from src.data.choir import SONGS, generate_song
from src.f0.estimate import F0Estimator
from src.f0.network import VoiceSalience
from src.f0.tracker import VoiceTracker
from src.files import write_json

HERE = Path(__file__).parent


def measure(n_singers: int, seconds: float) -> dict[str, float]:
    """Seconds of an estimate after a warm-up, as a share of the recording, and peak memory."""
    song = generate_song(SONGS[0], max_seconds=30.0)
    mix = song.audio.sum(axis=0)
    audio = np.tile(mix, int(np.ceil(seconds * 16_000 / len(mix))))[: round(seconds * 16_000)]
    estimator = F0Estimator(VoiceSalience(), VoiceTracker(), retune=True)
    estimator(mix[: 4 * 16_000], n_singers)
    start = time.perf_counter()
    estimator(audio, n_singers)
    elapsed = time.perf_counter() - start
    return {
        "seconds": elapsed,
        "real_time_factor": elapsed / seconds,
        "peak_gb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, nargs="+", default=[60.0, 600.0])
    parser.add_argument("--singers", type=int, nargs="+", default=[4, 8])
    parser.add_argument("--output", type=Path, default=HERE / "f0.json")
    parser.add_argument("--case", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.case:
        n_singers, seconds = options.case.split(",")
        print(json.dumps(measure(int(n_singers), float(seconds))))
        return
    cases = []
    for n_singers in options.singers:
        for seconds in options.seconds:
            command = [sys.executable, "-m", "experiments.bench.f0"]
            command += ["--case", f"{n_singers},{seconds}"]
            done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
            case = {"n_singers": n_singers, "recording_s": seconds}
            case |= json.loads(done.stdout.splitlines()[-1])
            cases.append(case)
            print(
                "{n_singers} singers, {recording_s:5.0f} s: {seconds:6.2f} s, real-time factor "
                "{real_time_factor:.3f}, peak {peak_gb:.2f} GB".format(**case)
            )
    machine = platform.processor() or platform.machine()
    write_json(
        options.output,
        {"machine": machine, "threads": torch.get_num_threads(), "cases": cases},
    )
    print(f"wrote {options.output}")


if __name__ == "__main__":
    main()
