"""What places give: the fit of stereo recordings with `separator.places` and without.

    python -m experiments.real.places --csd DIR

Duets and quartets of singers 1 and 2 of Niño Dios, panned, before a spaced and a near-coincident
pair of microphones in free air, and before the latter in a room; places are drawn. F0 is estimated,
without further opinions. SI-SDR of the whole excerpt, both channels together, mean of the singers.
The settings of places were chosen on these recordings. Results: places.csv.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.signal import fftconvolve

from experiments.real.rooms import (
    SIZES,
    compute_images,
    pan,
    place_microphones,
    place_singers,
    spread_angles,
)
from src.api import separate
from src.audio import load_mono
from src.dsp.tracks import RATE
from src.metrics.frames import si_sdr

HERE = Path(__file__).parent
SECONDS = 6
SCENES = {
    "quartet 1": (("soprano_1", "alto_2", "tenor_2", "bass_1"), 40),
    "quartet 2": (("soprano_2", "alto_1", "tenor_1", "bass_2"), 16),
    "duet 1": (("soprano_1", "alto_1"), 28),
    "duet 2": (("tenor_2", "bass_2"), 60),
}
LAYOUTS = ("panned", "spaced", "coincident", "coincident, room")
Signal = NDArray[np.float32]


def hear(stems: Signal, layout: str, rng: np.random.Generator) -> Signal:
    """Images [J, 2, T] of stems [J, T]."""
    angles = rng.permutation(spread_angles(len(stems)))
    if layout == "panned":
        return (pan(angles)[:, :, None] * stems[:, None]).astype(np.float32)
    pair, *room = layout.split(", ")
    places, middle = place_singers(angles, SIZES[0.8], rng)
    microphones, looks = place_microphones(middle, pair)
    if room:
        responses = compute_images(
            places, microphones, looks, rng, size=SIZES[0.8], decay=0.4, direct_db=6.0
        )
    else:
        responses = compute_images(places, microphones, looks, rng)
    wet = fftconvolve(stems[:, None], responses, axes=-1)[..., : stems.shape[-1]]
    return wet.astype(np.float32)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--csd", type=Path, required=True)
    options = parser.parse_args()
    rng = np.random.default_rng(3)
    rows = []
    for scene, (voices, start) in SCENES.items():
        cut = slice(start * RATE, (start + SECONDS) * RATE)
        files = [options.csd / "audio" / f"{voice}.flac" for voice in voices]
        stems = np.stack([load_mono(file, RATE)[cut] for file in files])
        for layout in LAYOUTS:
            images = hear(stems, layout, rng)
            scores = {}
            for label, settings in (("without", {"places": None}), ("with", {})):
                found = separate(
                    images.sum(axis=0),
                    RATE,
                    n_singers=len(voices),
                    separator={"opinions": None, **settings},
                )
                estimates = np.stack(list(found.stems.values()))
                flat = [torch.from_numpy(x).flatten(1) for x in (estimates, images)]
                scores[label] = round(float(si_sdr(*flat).mean()), 2)
            rows.append({"scene": scene, "layout": layout, **scores})
            print(rows[-1], flush=True)
    with (HERE / "places.csv").open("w", newline="", encoding="utf-8") as handle:
        writer = csv.DictWriter(handle, rows[0])
        writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    main()
