"""Time and memory of estimating the F0 of four (and eight) singers.

    python -m experiments.bench.f0 [--seconds 60 600] [--singers 4 8]

The recording is a chorale of the generated choir, repeated to length. Results: f0.json.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch

from experiments.bench.cases import HERE, repeats_for, run_cases, timed, write_results
from src.data.choir import SONGS, generate_song
from src.f0.estimate import F0Estimator
from src.f0.network import VoiceSalience
from src.f0.tracker import VoiceTracker

LINE = (
    "{n_singers} singers, {recording_s:5.0f} s: {median_s:6.2f} s, real-time factor "
    "{real_time_factor:.3f}, peak {peak_gb:.2f} GB"
)


def measure(n_singers: int, recording_s: float, repeats: int) -> dict[str, float]:
    """Seconds of an estimate after a warm-up, and their median as a share of the recording."""
    song = generate_song(SONGS[0], max_seconds=30.0)
    mix = song.audio.sum(axis=0)
    n_samples = round(recording_s * 16_000)
    audio = np.tile(mix, -(-n_samples // len(mix)))[:n_samples]
    estimator = F0Estimator(VoiceSalience(), VoiceTracker())
    estimator(mix[: 4 * 16_000], n_singers)
    found = timed(lambda: estimator(audio, n_singers), repeats=repeats, warm_up=0)
    return {**found, "real_time_factor": found["median_s"] / recording_s}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, nargs="+", default=[60.0, 600.0])
    parser.add_argument("--singers", type=int, nargs="+", default=[4, 8])
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--output", type=Path, default=HERE / "f0.json")
    options = parser.parse_args()
    todo = [
        (
            {
                "n_singers": n_singers,
                "recording_s": seconds,
                "repeats": repeats_for(seconds),
            },
            options.threads,
        )
        for n_singers in options.singers
        for seconds in options.seconds
    ]
    write_results(options.output, run_cases("experiments.bench.f0", todo, LINE.format_map))


if __name__ == "__main__":
    main()
