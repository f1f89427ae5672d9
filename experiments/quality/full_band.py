"""What stems have above 8 kHz (`src.dsp.high_band`), against the true ones.

    python -m experiments.quality.full_band [--choralsynth DIR] [--held-out] [--pieces NAME ...]

Excerpts of ChoralSynth (32 kHz) and generated choirs at 44.1 kHz are separated, nothing but the
mixture given, with the defaults but for separator.opinions=null, which saves time. Of the band from
8 to 16 kHz, per voice: level relative to the truth, and SI-SDR, mean over frames of one second in
which the voice is heard. Beside the stems' own (`full_band`), two other ways to share out the same
band: `equal` shares, and by the energy of the separated voices below 8 kHz, frame by frame
(`broadband`). `sum_error` is the largest difference of stems + residual and the mixture; `cpu_rtf`
the processor time of sharing the band out, per second.

Rows go to full_band.csv; those of a piece that is there already are replaced.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pandas as pd
import torch
from scipy.optimize import linear_sum_assignment

from src import chunks
from src.api import separate
from src.audio import load_audio, resample
from src.data.choir.generate import SONGS, generate_song
from src.dsp.stft import apply_masks, stft

BAND = (8_000.0, 16_000.0)  # Hz
START, SECONDS = 10.0, 17.0  # of the excerpts
PIECES = (
    "Haydnmesse_4stimmig",
    "Honour_and_majesty_are_before_him",
    "Hunting_song_Macfarren_WC",
    "If_I_had_but_two_little_wings_Parry",
)
HELD_OUT = ("HempCW_JustJudge", "I_am_the_bread")  # the test split of conf/data/choralsynth.yaml
CHOIRS = ((SONGS[0], 101), (SONGS[3], 102))
CHOIR_RATE = 44_100
HEARD = 1e-4  # energy of a frame of the truth, relative to the mean of the mixture's
STFT = {"n_fft": 1024, "hop": 256}


def read_piece(folder: Path) -> tuple[list[str], np.ndarray, int]:
    """Read the names, the excerpt [J, T] and the rate of a piece of ChoralSynth."""
    voices, rates = zip(*map(load_audio, paths := sorted(folder.glob("voices/*.mp3"))), strict=True)
    rate = rates[0]
    excerpt = slice(round(START * rate), round((START + SECONDS) * rate))
    shortest = min(voice.shape[-1] for voice in voices)
    stems = np.stack([voice[0, :shortest][excerpt] for voice in voices])
    return [path.stem for path in paths], stems, rate


def sing_choir(song: str, seed: int) -> tuple[list[str], np.ndarray, int]:
    """Sing a chorale at 64 kHz, so that it has the whole band at `CHOIR_RATE`."""
    found = generate_song(song, seed=seed, rate=64_000, max_seconds=SECONDS)
    return list(found.parts), resample(found.audio, 64_000, CHOIR_RATE), CHOIR_RATE


def cut_band(signals: np.ndarray, rate: int) -> np.ndarray:
    """Cut `BAND` out of signals [..., T], sharply."""
    spectrum = np.fft.rfft(signals)
    frequencies = np.fft.rfftfreq(signals.shape[-1], 1 / rate)
    spectrum[..., (frequencies < BAND[0]) | (frequencies > BAND[1])] = 0
    return np.fft.irfft(spectrum, n=signals.shape[-1])


def share_by_energy(band: np.ndarray, stems: np.ndarray, rate: int) -> np.ndarray:
    """Share a band [T] out by the energy of stems [J, T] below 8 kHz: [J, T]."""
    low = resample(resample(stems, rate, 16_000), 16_000, rate)[:, : stems.shape[-1]]
    low = np.pad(low, ((0, 0), (0, stems.shape[-1] - low.shape[-1])))
    energy = stft(torch.from_numpy(low), **STFT).abs().square().sum(dim=1, keepdim=True) + 1e-9
    shares = (energy / energy.sum(dim=0)).expand(-1, STFT["n_fft"] // 2 + 1, -1)
    return apply_masks(torch.from_numpy(band).float(), shares, **STFT).numpy()


def measure_si_sdr(truth: np.ndarray, estimate: np.ndarray, rate: int, heard: float) -> float:
    """SI-SDR in dB of [T], mean over frames of a second with more energy than `heard`."""
    n_frames = len(truth) // rate
    x, y = (s[: n_frames * rate].reshape(n_frames, rate) for s in (truth, estimate))
    energy = (x**2).sum(axis=1)
    x, y, energy = x[energy > heard], y[energy > heard], energy[energy > heard]
    target = ((x * y).sum(axis=1) / energy)[:, None] * x
    ratio = (target**2).sum(axis=1) / ((y - target) ** 2).sum(axis=1)
    return float(np.mean(10 * np.log10(ratio + 1e-6)))


def compare(name: str, voices: list[str], truth: np.ndarray, rate: int) -> list[dict[str, Any]]:
    mixture = truth.sum(axis=0)
    spent = 0.0

    def share(*arguments: Any, **settings: Any) -> torch.Tensor:
        nonlocal spent
        begin = time.process_time()
        result = shared(*arguments, **settings)
        spent += time.process_time() - begin
        return result

    shared = chunks.share_high_band
    with mock.patch.object(chunks, "share_high_band", share):
        result = separate(mixture, rate, n_singers=len(truth), separator={"opinions": None})
    stems = np.stack(list(result.stems.values()))
    sum_error = float(np.abs(stems.sum(axis=0) + result.residual - mixture).max())
    # Estimated tracks do not know the names of the voices.
    products = np.abs(truth @ stems.T) / np.linalg.norm(stems, axis=1)
    stems = stems[linear_sum_assignment(-products)[1]]
    band = cut_band(mixture, rate)
    ways = {
        "full_band": cut_band(stems, rate),
        "equal": np.repeat(band[None] / len(truth), len(truth), axis=0),
        "broadband": share_by_energy(band, stems, rate),
    }
    wanted = cut_band(truth, rate)
    heard = HEARD * float((band**2).sum()) * rate / len(band)
    return [
        {
            "piece": name,
            "rate": rate,
            "voice": voice,
            "way": way,
            "level_db": 10 * np.log10((found[j] ** 2).sum() / (wanted[j] ** 2).sum()),
            "si_sdr": measure_si_sdr(wanted[j], found[j], rate, heard),
            "sum_error": sum_error,
            "cpu_rtf": spent * rate / len(mixture),
        }
        for way, found in ways.items()
        for j, voice in enumerate(voices)
    ]


def summarise(table: pd.DataFrame) -> pd.DataFrame:
    """Per way: mean SI-SDR, mean and largest error of the level."""
    errors = table.assign(level_db=table.level_db.abs())
    return errors.groupby("way").agg(
        si_sdr=("si_sdr", "mean"), level=("level_db", "mean"), worst=("level_db", "max")
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--choralsynth", type=Path, help="the folder of the pieces")
    parser.add_argument("--held-out", action="store_true", help="its test split and nothing else")
    parser.add_argument("--pieces", nargs="*", help="only these pieces and songs")
    parser.add_argument(
        "--output", type=Path, default=Path(__file__).with_name("full_band.csv"), help="the table"
    )
    options = parser.parse_args()
    jobs: list[tuple[str, Any]] = []
    if options.choralsynth is not None:
        for piece in HELD_OUT if options.held_out else PIECES:
            jobs.append((piece, lambda piece=piece: read_piece(options.choralsynth / piece)))
    if not options.held_out:
        for song, seed in CHOIRS:
            jobs.append((song, lambda song=song, seed=seed: sing_choir(song, seed)))
    table = pd.read_csv(options.output) if options.output.is_file() else pd.DataFrame()
    for name, read in jobs:
        if options.pieces and name not in options.pieces:
            continue
        rows = pd.DataFrame(compare(name, *read()))
        others = table[table.piece != name] if len(table) else table
        table = pd.concat([others, rows], ignore_index=True)
        table.to_csv(options.output, index=False, float_format="%.3g")
        print(name, summarise(rows).round(2).to_string(), sep="\n", flush=True)
    print("all", summarise(table).round(2).to_string(), sep="\n")


if __name__ == "__main__":
    main()
