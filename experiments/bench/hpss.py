"""Time of harmonic-percussive decomposition, here and in librosa.

    python -m experiments.bench.hpss [--seconds 10 60] [--threads 1 2]

The input is the STFT (2048/256) of generated choir, complex and as magnitudes. Wall time and the
processor time of all threads: where other programs compete for the processors, the second says more
(with several threads it also counts their waiting). Results: hpss.json.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import librosa
import numpy as np
import torch

from experiments.bench.cases import HERE, run_cases, timed, write_results
from src.data.choir import SONGS, generate_song
from src.dsp.hpss import hpss
from src.dsp.stft import stft

LINE = (
    "{kind:8} {recording_s:4.0f} s, {spectrum:10}, threads {threads}: {median_s:7.3f} s "
    "(processor {cpu_s:.3f} s)"
)


def measure(kind: str, recording_s: float, spectrum: str, repeats: int) -> dict[str, float]:
    """Seconds of a decomposition by `librosa` or by our `hpss`."""
    mix = generate_song(SONGS[0], max_seconds=10.0).audio.sum(axis=0)
    n_samples = round(recording_s * 16_000)
    audio = np.tile(mix, -(-n_samples // len(mix)))[:n_samples]
    values = stft(torch.from_numpy(audio.astype(np.float32)))
    values = values if spectrum == "complex" else values.abs()
    array = values.numpy()
    # Whatever is compiled or loaded at the first call, now.
    if kind == "librosa":
        librosa.decompose.hpss(array[:, :64])
        return timed(lambda: librosa.decompose.hpss(array), repeats=repeats, warm_up=0)
    hpss(values[:, :64])
    return timed(lambda: hpss(values), repeats=repeats, warm_up=0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, nargs="+", default=[10.0, 60.0])
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--output", type=Path, default=HERE / "hpss.json")
    options = parser.parse_args()
    todo = [
        (
            {"kind": kind, "recording_s": seconds, "spectrum": spectrum, "repeats": repeats},
            threads,
        )
        for seconds in options.seconds
        for spectrum in ("magnitudes", "complex")
        # librosa's decomposition runs on one thread whatever it is given.
        for kind, repeats, threads in [
            ("librosa", 2, 1),
            *(("hpss", 7, n) for n in options.threads),
        ]
    ]
    write_results(options.output, run_cases("experiments.bench.hpss", todo, LINE.format_map))


if __name__ == "__main__":
    main()
