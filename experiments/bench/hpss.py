"""Time of harmonic-percussive decomposition, here and in librosa.

    python -m experiments.bench.hpss [--seconds 10 60] [--threads 1 2]

The input is the STFT (2048/256) of generated choir, complex and as magnitudes. Wall time and the
processor time of all threads, each the least of some runs after a warm-up: where other programs
compete for the processors, the second says more (with several threads it also counts their
waiting). Results: hpss.json.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import librosa
import numpy as np
import torch

from src.data.choir import SONGS, generate_song
from src.dsp.hpss import hpss
from src.dsp.stft import stft
from src.files import write_json

HERE = Path(__file__).parent


def least(function: Callable[[], object], runs: int) -> dict[str, float]:
    """Least wall time and least processor time of some runs, in seconds."""
    wall, cpu = [], []
    for _ in range(runs):
        begin = time.perf_counter(), time.process_time()
        function()
        wall.append(time.perf_counter() - begin[0])
        cpu.append(time.process_time() - begin[1])
    return {"seconds": min(wall), "cpu_seconds": min(cpu)}


def measure(kind: str, seconds: float, threads: int, phase: bool) -> dict[str, float]:
    """Times of one decomposition and the most memory used beyond the spectrogram, GB."""
    torch.set_num_threads(threads)
    mix = generate_song(SONGS[0], max_seconds=10.0).audio.sum(axis=0)
    audio = np.tile(mix, int(np.ceil(seconds * 16_000 / len(mix))))[: round(seconds * 16_000)]
    spectrogram = stft(torch.from_numpy(audio.astype(np.float32)))
    spectrogram = spectrogram if phase else spectrogram.abs()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    if kind == "librosa":
        array = spectrogram.numpy()
        librosa.decompose.hpss(array[:, :64])
        times = least(lambda: librosa.decompose.hpss(array), 2)
    else:
        hpss(spectrogram[:, :64])
        times = least(lambda: hpss(spectrogram), 7)
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {**times, "peak_gb_above_input": (after - before) / 1e6}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, nargs="+", default=[10.0, 60.0])
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--output", type=Path, default=HERE / "hpss.json")
    parser.add_argument("--case", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.case:
        kind, seconds, threads, phase = options.case.split(",")
        print(json.dumps(measure(kind, float(seconds), int(threads), phase == "complex")))
        return
    cases = []
    for seconds in options.seconds:
        for phase in ("real", "complex"):
            for kind, threads in [("librosa", 1), *(("hpss", n) for n in options.threads)]:
                command = [sys.executable, "-m", "experiments.bench.hpss"]
                command += ["--case", f"{kind},{seconds},{threads},{phase}"]
                environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
                done = subprocess.run(
                    command, stdout=subprocess.PIPE, text=True, check=True, env=environment
                )
                case = {"kind": kind, "recording_s": seconds, "input": phase, "threads": threads}
                case |= json.loads(done.stdout.splitlines()[-1])
                cases.append(case)
                print(
                    "{kind:8} {recording_s:5.0f} s, {input:7}, threads {threads}: {seconds:7.3f} s "
                    "(processor {cpu_seconds:.3f} s), {peak_gb_above_input:.2f} GB".format(**case)
                )
    machine = platform.processor() or platform.machine()
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    write_json(
        options.output,
        {"machine": machine, "processors": os.cpu_count(), "load_average": load, "cases": cases},
    )
    print(f"wrote {options.output}")


if __name__ == "__main__":
    main()
