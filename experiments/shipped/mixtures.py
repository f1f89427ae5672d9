"""Recordings as one would have them: mixtures of the Choral Singing Dataset, and nothing else.

    python -m experiments.shipped.mixtures CSD_DIR OUT [--minutes M]

Every quartet of singers 1 and 2 of *Niño Dios d'amor herido* (16 of them, 27 minutes) becomes one
WAV file in OUT; with --minutes, the first so many minutes of them. Stems, their F0 and the
published tracks stay behind.
"""

from __future__ import annotations

import argparse
import itertools
import math
from pathlib import Path

import numpy as np

from src.audio import load_audio
from src.wav_writing import write_wav_atomic

PARTS = ("soprano", "alto", "tenor", "bass")


def list_quartets() -> list[tuple[int, ...]]:
    """List the singers of all quartets in pairs that share none: 1111, 2222, 1112, 2221, ..."""
    half = [singers for singers in itertools.product((1, 2), repeat=4) if singers[0] == 1]
    return [quartet for one in half for quartet in (one, tuple(3 - n for n in one))]


def write_mixtures(folder: Path, output: Path, minutes: float = math.inf) -> None:
    """Write the mixtures of quartets, at a peak of 0.7, until they last so many minutes."""
    output.mkdir(parents=True, exist_ok=True)
    left = 60.0 * minutes
    for singers in list_quartets():
        stems = []
        for part, singer in zip(PARTS, singers, strict=True):
            audio, rate = load_audio(folder / "audio" / f"{part}_{singer}.flac")
            stems.append(audio[0])
        length = int(min(*map(len, stems), rate * left))
        if length == 0:
            break
        left -= length / rate
        mixture = np.sum([stem[:length] for stem in stems], axis=0)
        mixture *= np.float32(0.7 / np.abs(mixture).max())
        name = "".join(map(str, singers))
        write_wav_atomic(output / f"nino_dios_{name}.wav", mixture, rate, overwrite=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("source", type=Path, help="folder with audio/soprano_1.flac, ...")
    parser.add_argument("output", type=Path)
    parser.add_argument("--minutes", type=float, default=math.inf, help="of all together")
    arguments = parser.parse_args()
    write_mixtures(arguments.source, arguments.output, arguments.minutes)


if __name__ == "__main__":
    main()
