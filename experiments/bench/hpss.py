"""Time of harmonic-percussive decomposition, here and in librosa.

    python -m experiments.bench.hpss [--seconds 10 60] [--threads 1 2]

The input is the STFT (2048/256) of generated choir, complex and as magnitudes. Wall time and the
processor time of all threads, each the least of some runs after a warm-up: where other programs
compete for the processors, the second says more (with several threads it also counts their
waiting). Results: hpss.json.
"""

from __future__ import annotations

import argparse
import os
import platform
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

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


def measure(seconds: float, phase: bool, threads: list[int]) -> list[dict[str, Any]]:
    """Times of librosa's decomposition and of ours with each number of threads."""
    mix = generate_song(SONGS[0], max_seconds=10.0).audio.sum(axis=0)
    audio = np.tile(mix, int(np.ceil(seconds * 16_000 / len(mix))))[: round(seconds * 16_000)]
    spectrogram = stft(torch.from_numpy(audio.astype(np.float32)))
    spectrogram = spectrogram if phase else spectrogram.abs()
    array = spectrogram.numpy()
    # Whatever is compiled or loaded at the first call, now.
    librosa.decompose.hpss(array[:, :64])
    hpss(spectrogram[:, :64])
    common = {"recording_s": seconds, "input": "complex" if phase else "magnitudes"}
    times = least(lambda: librosa.decompose.hpss(array), 2)
    cases: list[dict[str, Any]] = [{"kind": "librosa", "threads": 1, **common, **times}]
    for count in threads:
        torch.set_num_threads(count)
        times = least(lambda: hpss(spectrogram), 7)
        cases.append({"kind": "hpss", "threads": count, **common, **times})
    return cases


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, nargs="+", default=[10.0, 60.0])
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--output", type=Path, default=HERE / "hpss.json")
    options = parser.parse_args()
    cases = []
    for seconds in options.seconds:
        for phase in (False, True):
            found = measure(seconds, phase, options.threads)
            cases += found
            for case in found:
                print(
                    "{kind:8} {recording_s:4.0f} s, {input:10}, threads {threads}: {seconds:7.3f} "
                    "s (processor {cpu_seconds:.3f} s)".format(**case),
                    flush=True,
                )
    write_json(
        options.output,
        {
            "machine": platform.processor() or platform.machine(),
            "processors": os.cpu_count(),
            "load_average": os.getloadavg()[0],
            "cases": cases,
        },
    )
    print(f"wrote {options.output}")


if __name__ == "__main__":
    main()
