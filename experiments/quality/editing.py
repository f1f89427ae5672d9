"""What the two renderings of edits are worth (`umss.edit`): moved stems, and synthesis.

    python -m experiments.quality.editing [--csd DIR]

Generated choirs: a chorale is sung twice, the second time with one singer transposed. The first
mixture is separated, the singer transposed, and the result compared with how the singer sang the
second time: spectral SNR. The same of the stem itself, not separated, and of no transposition.

Real singers (with --csd, the folder of Niño Dios d'amor herido): each stem of a separated quartet
is transposed. Praat finds the F0 before and after; `within_20_cents` is the share of frames in
which it moved as was asked. `step` is the largest difference of two samples, relative to that
before. Needs praat-parselmouth (the extra `dev`).

Rows go to editing.csv.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pandas as pd
import parselmouth
import soundfile as sf
import torch

from src.api import separate
from src.data.choir import generate, tracks
from src.editing.recording import edit
from src.metrics.frames import spectral_snr

RATE = 16_000
SECONDS = 20.0
SONGS = ((generate.SONGS[0], 101), (generate.SONGS[3], 102))
PARTS = ("soprano", "alto", "tenor", "bass")
RENDERINGS = ("stem", "synthesis")
# Hz in which Praat looks for the F0 of each part.
RANGES = {"soprano": (200, 1100), "alto": (140, 800), "tenor": (95, 600), "bass": (60, 420)}
MOVES = (-3.0, 0.0, 2.0, 4.0)  # semitones


def sing(song: str, seed: int, part: str | None = None, semitones: float = 0.0) -> Any:
    """Sing a chorale, one part of it transposed, vowels as they are."""
    draw, calls = tracks.draw_pitch, iter(PARTS)

    def transposed(*arguments: Any) -> Any:
        f0 = draw(*arguments)
        return f0 * 2.0 ** (semitones / 12.0) if next(calls) == part else f0

    with mock.patch.object(tracks, "draw_pitch", transposed):
        return generate.generate_song(song, seed=seed, max_seconds=SECONDS)


def measure_snr(estimate: np.ndarray, target: np.ndarray) -> float:
    """Spectral SNR in dB of [T], at the same level."""
    scaled = estimate * np.sqrt(np.mean(target**2) / np.mean(estimate**2))
    pair = (torch.from_numpy(x.astype(np.float32))[None] for x in (scaled, target))
    return float(spectral_snr(*pair).mean())


def compare_generated() -> Iterator[dict[str, Any]]:
    for song, seed in SONGS:
        whole = sing(song, seed)
        separated = separate(
            whole.audio.sum(axis=0), RATE, f0=whole.f0[:, : whole.f0.shape[1]], names=None
        )
        for j, part in enumerate(PARTS):
            name = list(separated.stems)[j]
            for semitones in MOVES:
                wanted = sing(song, seed, part, semitones).audio[j]
                for rendering in RENDERINGS:
                    edited = edit(separated, {name: {"transpose": semitones}}, rendering=rendering)
                    found = edited.stems[name]
                    if not semitones and rendering == "synthesis":
                        found = separated.synthesised[name]
                    yield {
                        "data": f"generated {song} {seed}",
                        "singer": part,
                        "semitones": semitones,
                        "rendering": rendering,
                        "spectral_snr": measure_snr(found, wanted),
                    }


def find_f0(signal: np.ndarray, low: float, high: float) -> np.ndarray:
    """Praat's F0 (autocorrelation) every 16 ms, Hz, NaN = unvoiced."""
    sound = parselmouth.Sound(signal.astype(np.float64), RATE)
    pitch = sound.to_pitch_ac(time_step=0.004, pitch_floor=low, pitch_ceiling=high)
    return np.array([pitch.get_value_at_time(n / RATE) for n in range(0, len(signal), 256)])


def judge_move(
    before: np.ndarray, after: np.ndarray, semitones: float, limits: tuple[float, float]
) -> float:
    """Share of frames in which Praat finds that the F0 moved as asked, within 20 cents."""
    ratio = 2.0 ** (semitones / 12.0)
    own = find_f0(before, *limits)
    moved = find_f0(after, limits[0] * min(1.0, ratio), limits[1] * max(1.0, ratio))
    cents = 1200.0 * np.log2(moved / own / ratio)
    return float(np.mean(np.abs(cents[~np.isnan(cents)]) < 20.0))


def compare_real(folder: Path) -> Iterator[dict[str, Any]]:
    for singer in (1, 2, 3):
        parts = [sf.read(folder / "audio" / f"{part}_{singer}.flac")[0] for part in PARTS]
        cut = slice(10 * RATE, int((10 + SECONDS) * RATE))
        mixture = np.sum([x[cut] for x in parts], axis=0).astype(np.float32)
        separated = separate(mixture, RATE, n_singers=4)
        for name, part in zip(separated.stems, PARTS, strict=True):
            for semitones in (-3.0, 2.0, 4.0):
                for rendering in RENDERINGS:
                    edited = edit(separated, {name: {"transpose": semitones}}, rendering=rendering)
                    sources = separated.stems if rendering == "stem" else separated.synthesised
                    before, after = sources[name], edited.stems[name]
                    steps = [float(np.abs(np.diff(x)).max()) for x in (before, after)]
                    yield {
                        "data": f"nino_dios {singer}",
                        "singer": part,
                        "semitones": semitones,
                        "rendering": rendering,
                        "within_20_cents": judge_move(before, after, semitones, RANGES[part]),
                        "step": steps[1] / steps[0],
                    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--csd", type=Path, help="the folder with audio/soprano_1.flac, ...")
    parser.add_argument(
        "--output", type=Path, default=Path(__file__).with_name("editing.csv"), help="the table"
    )
    options = parser.parse_args()
    rows = list(compare_generated())
    if options.csd is not None:
        rows += compare_real(options.csd)
    table = pd.DataFrame(rows)
    table.to_csv(options.output, index=False, float_format="%.3f")
    values = ["spectral_snr", "within_20_cents", "step"]
    known = [name for name in values if name in table]
    print(table.groupby(["rendering", "semitones"])[known].mean().round(3).to_string())


if __name__ == "__main__":
    main()
