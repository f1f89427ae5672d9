"""Time and memory of separating recordings of growing length with the comb and the network.

    python -m experiments.bench.separation [--seconds 4 60 600] [--singers 4]

The network has its initial weights: they do not matter for time. Results: separation.json.
"""

from __future__ import annotations

import argparse
import tempfile
from itertools import count
from pathlib import Path

import numpy as np
import soundfile as sf
import torch

from experiments.bench.cases import HERE, repeats_for, run_cases, timed, write_results
from src.baselines.masks import CombSeparator
from src.f0.contours import F0Contours
from src.f0.names import name_singers
from src.models.lit import UnsupervisedTraining
from src.models.umss import UmssSeparator
from src.separate_file import separate_file
from src.separator import Separator

RATE = 16_000
LINE = (
    "{kind:5} {recording_s:6.0f} s: {median_s:6.2f} s, real-time factor {real_time_factor:.3f}, "
    "peak {peak_gb:.2f} GB"
)


def build(kind: str, folder: Path) -> Separator:
    """The comb, or the network with its initial weights by way of a checkpoint."""
    if kind == "comb":
        return CombSeparator()
    torch.manual_seed(0)
    model = UnsupervisedTraining()
    path = folder / "initial.ckpt"
    torch.save({"hyper_parameters": dict(model.hparams), "state_dict": model.state_dict()}, path)
    return UmssSeparator(path)


def write_noise(path: Path, seconds: float) -> None:
    """A recording of noise, written second by second: the file may be long."""
    rng = np.random.default_rng(0)
    n_samples = round(seconds * RATE)
    with sf.SoundFile(path, "w", RATE, 1) as audio:
        for start in range(0, n_samples, RATE):
            audio.write(0.1 * rng.normal(size=min(RATE, n_samples - start)))


def steady_contours(n_singers: int, seconds: float) -> F0Contours:
    """Singers that hold one note each, from 500 down to 120 Hz."""
    n_frames = -(-round(seconds * RATE) // 256)
    f0 = np.full((n_frames, 1), 1.0) * np.linspace(500, 120, n_singers)
    return F0Contours.on_grid(f0.astype(np.float32), name_singers(n_singers))


def measure(kind: str, n_singers: int, recording_s: float, repeats: int) -> dict[str, float]:
    """Seconds from file to files after a warm-up, and their median as a share of the recording."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        separator = build(kind, folder)
        places = count()  # every time into a new folder: nothing is ever overwritten

        def separate(seconds: float) -> dict[str, float]:
            path = folder / f"{seconds:g}.wav"
            write_noise(path, seconds)
            contours = steady_contours(n_singers, seconds)
            return timed(
                lambda: separate_file(
                    path,
                    contours,
                    separator,
                    folder / str(next(places)),
                    progress=False,
                ),
                repeats=repeats,
                warm_up=0,
            )

        separate(min(4.0, recording_s))  # loads and compiles what is used for the first time
        found = separate(recording_s)
    return {**found, "real_time_factor": found["median_s"] / recording_s}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kinds", nargs="+", default=["comb", "umss"])
    parser.add_argument("--seconds", type=float, nargs="+", default=[4.0, 60.0, 600.0])
    parser.add_argument("--singers", type=int, default=4)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--output", type=Path, default=HERE / "separation.json")
    options = parser.parse_args()
    todo = [
        (
            {
                "kind": kind,
                "n_singers": options.singers,
                "recording_s": seconds,
                "repeats": repeats_for(seconds),
            },
            options.threads,
        )
        for kind in options.kinds
        for seconds in options.seconds
    ]
    write_results(options.output, run_cases("experiments.bench.separation", todo, LINE.format_map))


if __name__ == "__main__":
    main()
