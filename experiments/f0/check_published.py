"""Does the published front end, rebuilt here, give the published F0 tracks?

    python -m experiments.f0.check_published --root DIR --weights late_deep.npz [--mixtures 12]

DIR holds audio/soprano_1.flac ... and f0_mixtures/cuesta_assigned_{2,4}_singers.npz: stems of Niño
Dios (Choral Singing Dataset) and the tracks that the paper's authors computed from their mixtures.
Results: check_published.json.
"""

from __future__ import annotations

import argparse
import platform
import resource
import time
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from src.audio import load_mono
from src.dsp.tracks import RATE
from src.f0.published.cuesta import CuestaLateDeep
from src.f0.published.hcqt import HOP as CQT_HOP
from src.f0.published.hcqt import RATE as CQT_RATE
from src.f0.published.heuristic import PaperAssigner, resample_like_published
from src.f0.salience import SalienceModel
from src.files import write_json

HERE = Path(__file__).parent
SECONDS = 103
TOLERANCE_CENTS = 50.0
# The published tracks glide to 0 Hz at the ends of notes; what lies on the way down is no pitch.
LOWEST_PITCH = 60.0


def mixture(folder: Path, key: str) -> NDArray[np.float32]:
    """Sum of the stems that a key such as "soprano_1+bass_2" names, peak 1, at 16 kHz."""
    n_samples = SECONDS * RATE
    stems = [load_mono(folder / f"{stem}.flac", RATE)[:n_samples] for stem in key.split("+")]
    total = np.sum(stems, axis=0)
    return np.asarray(total / np.abs(total).max(), dtype=np.float32)


def published_tracks(
    audio: NDArray[np.float32], model: SalienceModel, n_singers: int, n_frames: int
) -> NDArray[np.float32]:
    """Tracks [n_frames, J] in Hz, made as the published ones were."""
    salience = model(audio)
    tracks = PaperAssigner()(salience, n_singers)
    # The authors' feature extractor leaves out the last frame, which begins at the very end.
    kept = len(audio) * CQT_RATE // RATE // CQT_HOP
    return resample_like_published(tracks[:kept].astype(np.float64), n_frames)


def compare(ours: NDArray[np.float32], published: NDArray[np.float32]) -> dict[str, float]:
    """How two sets of tracks [N, J] agree.

    Returns:
        within_50_cents: share of the values that both have. voicing_agreement: share of all values
        where both or neither have a pitch. Published values between 0 and 60 Hz do not count.
    """
    counted = (published == 0) | (published >= LOWEST_PITCH)
    both = counted & (published > 0) & (ours > 0)
    cents = 1200 * np.abs(np.log2(ours[both] / published[both]))
    return {
        "within_50_cents": float((cents <= TOLERANCE_CENTS).mean()),
        "voicing_agreement": float(((published > 0) == (ours > 0))[counted].mean()),
        "left_out": float(1 - counted.mean()),
    }


def choose(keys: list[str], count: int) -> list[str]:
    """`count` keys spread evenly over all."""
    count = min(count, len(keys))
    return [keys[index * len(keys) // count] for index in range(count)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--mixtures", type=int, default=12, help="per number of singers")
    parser.add_argument("--singers", type=int, nargs="+", default=[4, 2])
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--output", type=Path, default=HERE / "check_published.json")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    model = CuestaLateDeep(options.weights)
    sets = {}
    for n_singers in options.singers:
        name = f"cuesta_assigned_{n_singers}_singers.npz"
        cases: dict[str, dict[str, float]] = {}
        with np.load(options.root / "f0_mixtures" / name) as cached:
            for key in choose(list(cached.files), options.mixtures):
                audio = mixture(options.root / "audio", key)
                start = time.process_time()
                ours = published_tracks(audio, model, n_singers, len(cached[key]))
                elapsed = time.process_time() - start
                cases[key] = compare(ours, cached[key]) | {
                    "cpu_real_time_factor": elapsed / SECONDS
                }
                print(key, {name: round(value, 4) for name, value in cases[key].items()})
        table = {
            name: [case[name] for case in cases.values()] for name in next(iter(cases.values()))
        }
        sets[str(n_singers)] = {
            "mean": {name: float(np.mean(values)) for name, values in table.items()},
            "least": {name: float(np.min(values)) for name, values in table.items()},
            "mixtures": cases,
        }
    write_json(
        options.output,
        {
            "machine": platform.processor() or platform.machine(),
            "threads": options.threads,
            "peak_gb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6,
            "singers": sets,
        },
    )
    print(f"wrote {options.output}")


if __name__ == "__main__":
    main()
