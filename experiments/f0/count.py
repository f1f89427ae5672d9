"""How often singers are counted right, and how often a wrong number is noticed.

    python -m experiments.f0.count --csd DIR --choralsynth DIR

Excerpts of 1 to 8 singers: singers 1 and 2 of Niño Dios, alone and as a canon of two excerpts,
pieces of ChoralSynth that are not held out, and the generated choir. The bounds in
`src/f0/count.py` were chosen on such mixtures. Results: count.json.
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from omegaconf import OmegaConf

from src.audio import load_mono
from src.configuration import FOLDER
from src.data.choir.generate import SONGS, generate_song
from src.dsp.tracks import RATE
from src.f0.contours import F0Contours
from src.f0.count import MOST, SingerCount, count_singers
from src.f0.doubts import SURE, UNEXPLAINED_PEAKS, measure_agreement
from src.f0.names import name_singers
from src.f0.network import VoiceSalience
from src.f0.tracker import VoiceTracker
from src.files import write_json

HERE = Path(__file__).parent
PARTS = ("soprano", "alto", "tenor", "bass")
SECONDS = 12
LEVEL_DB = 3.0

Signal = NDArray[np.float32]


def cut(stems: Sequence[Signal], place: float) -> Signal:
    """An excerpt [J, T] in which all stems sound, or most of the time; the later, the more place.

    Args:
        stems: J signals.
        place: 0 to 1.
    """
    shortest = min(map(len, stems)) // RATE
    whole = np.stack([stem[: shortest * RATE] for stem in stems])
    level = whole.reshape(len(stems), shortest, RATE).std(axis=-1)
    sounds = level > 0.1 * level.max(axis=1, keepdims=True)
    shares = np.array(
        [sounds[:, k : k + SECONDS].mean(axis=1).min() for k in range(shortest - SECONDS + 1)]
    )
    good = np.flatnonzero(shares >= min(0.5, 0.8 * shares.max()))
    start = int(good[int(place * len(good))]) * RATE
    return whole[:, start : start + SECONDS * RATE]


def build(csd: Path, choralsynth: Path) -> Iterator[tuple[str, int, Signal]]:
    """Set, number of singers and mixture [T] of every excerpt."""
    rng = np.random.default_rng(7)

    def mix(stems: Signal) -> Signal:
        gains = 10.0 ** (rng.uniform(-LEVEL_DB, LEVEL_DB, (len(stems), 1)) / 20.0)
        return np.asarray((gains * stems).sum(axis=0), dtype=np.float32)

    singers = {
        (part, k): load_mono(csd / "audio" / f"{part}_{k}.flac", RATE)
        for part, k in itertools.product(PARTS, (1, 2))
    }

    def choose(parts: Sequence[str]) -> Signal:
        stems = [singers[part, int(rng.integers(1, 3))] for part in parts]
        return cut(stems, rng.random())

    for n in range(1, MOST + 1):
        for parts in itertools.combinations(PARTS, n):
            yield "csd", n, mix(choose(parts))
        if n == 4:
            yield "csd", n, mix(choose(PARTS))
        if n > 4:
            for _ in range(2):
                others = rng.permutation(PARTS)[: n - 4]
                yield "csd", n, mix(np.concatenate([choose(PARTS), choose(list(others))]))
    test = set(OmegaConf.load(FOLDER / "data" / "choralsynth.yaml").split.full.test)
    for piece in sorted(x for x in choralsynth.iterdir() if x.is_dir() and x.name not in test):
        files = sorted((piece / "voices").glob("*.mp3"))
        stems = [load_mono(file, RATE)[: 90 * RATE] for file in files]
        numbers = {2, 3, len(stems)} if len(stems) < 6 else {5, 6, 7, 8}
        for n in sorted(x for x in numbers if x <= len(stems)):
            chosen = rng.choice(len(stems), n, replace=False)
            yield "choralsynth", n, mix(cut([stems[k] for k in sorted(chosen)], rng.random()))
    for song in SONGS[:4]:
        sung = generate_song(song, seed=0, rate=RATE, max_seconds=30.0).audio
        for n in (1, 2, 3, 4):
            yield "generated", n, mix(cut(list(sung[rng.permutation(4)[:n]]), rng.random()))


def notice(count: SingerCount, unexplained: float, asked: int) -> str:
    """What `src.f0.estimate.find_doubts` makes of a number that was asked for."""
    if count.is_more(asked) > SURE or unexplained > UNEXPLAINED_PEAKS:
        return "more"
    return "fewer" if count.is_fewer(asked) > SURE else "fits"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--csd", type=Path, required=True)
    parser.add_argument("--choralsynth", type=Path, required=True)
    options = parser.parse_args()
    model, tracker = VoiceSalience(), VoiceTracker()
    counted = np.zeros((MOST, MOST), dtype=int)
    by_confidence: dict[str, list[bool]] = {"below 0.6": [], "0.6 to 0.85": [], "above 0.85": []}
    noticed: dict[str, dict[str, list[str]]] = {}
    for _, n, audio in build(options.csd, options.choralsynth):
        salience = model(audio)
        count = count_singers(salience)
        counted[n - 1, count.n_singers - 1] += 1
        steps = [x > count.confidence for x in (0.6, 0.85)]
        label = list(by_confidence)[2 - sum(steps)]
        by_confidence[label].append(count.n_singers == n)
        for asked in sorted({n - 1, n, n + 1, *([4] if n == 8 else [])} - {0}):
            names = name_singers(asked)
            tracks = F0Contours(salience.times, tracker(salience, asked), names)
            unexplained = measure_agreement(tracks, salience)[1]
            group = "8 asked as 4" if asked - n == -4 else f"asked {asked - n:+d}"
            size = "1 to 4" if n <= 4 else "5 to 8"
            noticed.setdefault(size, {}).setdefault(group, []).append(
                notice(count, unexplained, asked)
            )
    write_json(
        HERE / "count.json",
        {
            "counted (rows: singers, columns: found)": counted.tolist(),
            "share right by confidence": {
                k: {"n": len(v), "right": round(float(np.mean(v)), 3)}
                for k, v in by_confidence.items()
                if v
            },
            "noticed": {
                size: {
                    group: {"n": len(v)}
                    | {k: round(v.count(k) / len(v), 3) for k in ("more", "fewer", "fits")}
                    for group, v in groups.items()
                }
                for size, groups in noticed.items()
            },
        },
    )


if __name__ == "__main__":
    main()
