"""Two singers, and what the fit makes of their mixture: what a refiner learns from.

    python -m experiments.refiner.excerpts --csd DIR --choralsynth DIR --output DIR

Excerpts are drawn from a seed of their own each; those that are there are left alone, so that a run
may be stopped and started again.
"""

from __future__ import annotations

import argparse
from itertools import permutations
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from hydra.utils import instantiate
from numpy.typing import NDArray

from experiments.real.build import PEAK, Voices
from src.audio import resample
from src.configuration import compose_config
from src.data.choir.generate import SONGS
from src.dsp.tracks import HOP, RATE
from src.files import replace_when_complete
from src.metrics.frames import si_sdr

Signal = NDArray[np.float32]

SECONDS = 6.0
COUNTS = {"train": 480, "validation": 60}
_SPEED = 3.0  # semitones by which a voice is resampled at most, formants and all; training only
_LEVEL = 4.0  # dB by which a voice is louder or softer at most
_TOGETHER = 0.5  # share of the excerpts in which both sing the same time of their recording
_RESTS = 0.1  # a voice rests whose level is below this share of that of its whole recording

# Validation hears singers, pieces and generated singers that training never does.
_CSD = {
    "train": ["soprano_1", "alto_1", "tenor_1", "bass_1", "alto_2", "tenor_2"],
    "validation": ["soprano_2", "bass_2"],
}
_PIECES = {
    "train": [
        "Honour_and_majesty_are_before_him",
        "I_am_the_resurrection_Tomkins",
        "If_I_had_but_two_little_wings_Parry",
        "If_you_love_me",
        "India_Circumdederunt_me",
    ],
    "validation": ["I_know_that_my_Redeemer_Tomkins", "I_will_recount"],
}
_CHOIRS = {"train": range(6), "validation": range(6, 8)}
_PARTS = ("soprano", "alto", "tenor", "bass")


class Excerpt(NamedTuple):
    """Two stems, and what the fit makes of their mixture: float32 at 16 kHz.

    Attributes:
        stems: [2, T].
        fitted: [2, T], in the order of the stems.
        group: index into `GROUPS`.
    """

    stems: Signal
    fitted: Signal
    group: int


def list_voices(use: str) -> dict[str, list[list[str]]]:
    """Voices of training or validation by group: lists of those that sing the same piece."""
    return {
        "csd": [[f"csd/{name}" for name in _CSD[use]]],
        "choralsynth": [[f"choralsynth/{x}/{part}" for part in _PARTS] for x in _PIECES[use]],
        "choir": [[f"choir/{SONGS[k]}/{k}/{part}" for part in _PARTS] for k in _CHOIRS[use]],
    }


GROUPS = tuple(list_voices("train"))


def draw_stems(voices: Voices, use: str, rng: np.random.Generator) -> tuple[Signal, int]:
    """Draw two voices, [2, T], that both sing, and their group."""
    groups = list_voices(use)
    # Real singers are half of what is heard.
    group = int(rng.choice(len(GROUPS), p=(0.5, 0.25, 0.25)))
    pieces = groups[GROUPS[group]]
    n = round(SECONDS * RATE)
    while True:
        together = rng.random() < _TOGETHER
        piece = pieces[rng.integers(len(pieces))]
        names = [str(x) for x in rng.choice(piece, 2, replace=False)]
        speeds = rng.uniform(-_SPEED, _SPEED, 2) * (use == "train" and not together)
        first, drawn = rng.random(), []
        for name, speed in zip(names, speeds, strict=True):
            whole = voices.read(name)
            factor = 2.0 ** (speed / 12.0)
            length = round(n * factor)
            start = int((first if together else rng.random()) * (len(whole) - length))
            cut = resample(whole[start : start + length], round(RATE * factor), RATE)[:n]
            drawn.append(np.pad(cut, (0, n - len(cut))) * 10 ** (rng.uniform(-1, 1) * _LEVEL / 20))
            if np.std(cut) < _RESTS * np.std(whole):
                break
        else:
            stems = np.stack(drawn).astype(np.float32)
            return PEAK / np.abs(stems.sum(axis=0)).max() * stems, group


def make_excerpt(voices: Voices, use: str, seed: int, estimator, separator) -> Excerpt:  # type: ignore[no-untyped-def]
    """Draw an excerpt and separate it, nothing given but the mixture."""
    stems, group = draw_stems(voices, use, np.random.default_rng([seed, use == "train"]))
    mixture = stems.sum(axis=0)
    f0 = estimator(mixture, 2).contours.to_frames(-(-len(mixture) // HOP))
    found = separator(torch.from_numpy(mixture)[None], torch.from_numpy(f0.T.copy())[None])
    fitted = found.sources[0].numpy()
    orders = [list(order) for order in permutations(range(2))]
    true = torch.from_numpy(stems)
    best = max(orders, key=lambda o: float(si_sdr(torch.from_numpy(fitted[o]), true).mean()))
    return Excerpt(stems, fitted[best], group)


def read_excerpts(folder: Path, use: str) -> list[Excerpt]:
    """Read all excerpts of a use."""
    found = []
    for path in sorted((folder / use).glob("*.npz")):
        with np.load(path) as arrays:
            stems, fitted = (arrays[x].astype(np.float32) / 32_767 for x in ("stems", "fitted"))
            found.append(Excerpt(stems, fitted, int(arrays["group"])))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--csd", metavar="DIR", required=True)
    parser.add_argument("--choralsynth", metavar="DIR", required=True)
    parser.add_argument("--output", type=Path, metavar="DIR", required=True)
    options = parser.parse_args()
    voices = Voices({"csd": options.csd, "choralsynth": options.choralsynth})
    config = compose_config("separate")
    estimator, separator = instantiate(config.multif0), instantiate(config.separator)
    for use, count in COUNTS.items():
        folder = options.output / use
        folder.mkdir(parents=True, exist_ok=True)
        for seed in range(count):
            path = folder / f"{seed:04d}.npz"
            if path.is_file():
                continue
            made = make_excerpt(voices, use, seed, estimator, separator)
            # 16 bits are enough: the fit's errors are 60 dB louder.
            stems, fitted = (
                np.round(32_767 * np.clip(x, -1.0, 1.0)).astype(np.int16)
                for x in (made.stems, made.fitted)
            )
            with replace_when_complete(path) as temporary, open(temporary, "wb") as file:
                np.savez_compressed(file, stems=stems, fitted=fitted, group=made.group)
            print(path, flush=True)


if __name__ == "__main__":
    main()
