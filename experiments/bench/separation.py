"""Time and memory of separating recordings of growing length with the comb and the network.

    python -m experiments.bench.separation [--seconds 4 60 600] [--singers 4]

The network has its initial weights: they do not matter for time. Results: separation.json.
"""

from __future__ import annotations

import argparse
import json
import platform
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import soundfile as sf
import torch

from src.baselines.masks import CombSeparator
from src.f0.contours import F0Contours
from src.files import write_json
from src.models.lit import UnsupervisedTraining
from src.models.umss import UmssSeparator
from src.separate import separate_file
from src.separator import Separator

HERE = Path(__file__).parent


def build(kind: str, folder: Path) -> Separator:
    if kind == "comb":
        return CombSeparator()
    torch.manual_seed(0)
    model = UnsupervisedTraining()
    path = folder / "initial.ckpt"
    torch.save({"hyper_parameters": dict(model.hparams), "state_dict": model.state_dict()}, path)
    return UmssSeparator(path)


def measure(kind: str, n_singers: int, seconds: float) -> dict[str, float]:
    """Seconds from file to files after a warm-up, as a share of the recording, and peak memory."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        separator = build(kind, folder)
        rng = np.random.default_rng(0)
        for label, length in (("warm", 4.0), ("long", seconds)):
            n_samples = round(length * 16_000)
            with sf.SoundFile(folder / f"{label}.wav", "w", 16_000, 1) as audio:
                for start in range(0, n_samples, 16_000):
                    audio.write(0.1 * rng.normal(size=min(16_000, n_samples - start)))
            f0 = np.full((-(-n_samples // 256), 1), 1.0) * np.linspace(500, 120, n_singers)
            names = tuple(f"singer{j + 1}" for j in range(n_singers))
            contours = F0Contours.on_grid(f0.astype(np.float32), names)
            start_time = time.perf_counter()
            separate_file(
                folder / f"{label}.wav", contours, separator, folder / "out", progress=False
            )
            elapsed = time.perf_counter() - start_time
    return {
        "seconds": elapsed,
        "real_time_factor": elapsed / seconds,
        "peak_gb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, nargs="+", default=[4.0, 60.0, 600.0])
    parser.add_argument("--singers", type=int, default=4)
    parser.add_argument("--output", type=Path, default=HERE / "separation.json")
    parser.add_argument("--case", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.case:
        kind, seconds = options.case.split(",")
        print(json.dumps(measure(kind, options.singers, float(seconds))))
        return
    cases = []
    for kind in ("comb", "umss"):
        for seconds in options.seconds:
            command = [
                sys.executable, "-m", "experiments.bench.separation",
                "--case", f"{kind},{seconds}", "--singers", str(options.singers),
            ]  # fmt: skip
            done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
            case = {"kind": kind, "recording_s": seconds, "n_singers": options.singers}
            case |= json.loads(done.stdout.splitlines()[-1])
            cases.append(case)
            print(
                "{kind:5} {recording_s:6.0f} s: {seconds:6.2f} s, real-time factor "
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
