"""What learning from mixtures alone gives: by their amount, by their F0, from one recording.

    python -m experiments.quality.learning --csd DIR --choralsynth DIR [--only NAME ...]

Amount: a model is trained without supervision on so many minutes of generated choirs, once on the
mixtures alone, F0 estimated from them, and once with the F0 of the stems; every training takes as
many steps of four excerpts. One recording: the learning-free mode of the paper, trained from random
weights on the very recording that is separated. Beside them: the comb, the package's model, the
fit.

All are tested on singer 3 of Niño Dios (four voices, published F0) and on held-out pieces of
ChoralSynth (our F0): mean and median SI-SDR of one-second frames, power masks. Rows go to
learning.csv one by one; those that are there are left alone.
"""

from __future__ import annotations

import argparse
import csv
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from src.audio import load_audio, resample
from src.data.choir.generate import SONGS, generate_song
from src.dsp.tracks import RATE
from src.wav_writing import write_wav_atomic

TABLE = Path(__file__).with_name("learning.csv")
FIELDS = ("name", "test", "steps", "mean", "median", "frames")
PARTS = ("soprano", "alto", "tenor", "bass")
STEPS = 60
RECIPE = ("trainer=cpu", "threads=1", "n_singers=4", "data.batch_size=4", "model.lr=5e-4")
PIECES = ("HempCW_JustJudge", "I_am_the_bread")


@dataclass(frozen=True)
class Places:
    """Folders: of Niño Dios, of ChoralSynth, and of what is made on the way."""

    csd: Path
    choralsynth: Path
    work: Path

    def list_tests(self) -> dict[str, tuple[str, ...]]:
        """Overrides of the test sets by name."""
        return {
            "nino_dios 3": ("data=csd", f"data.root={self.csd}", "data.singers=[3]", "f0=cached"),
            "choralsynth": ("data=choralsynth", f"data.root={self.choralsynth}", "f0=estimated"),
        }


def call(module: str, *overrides: str) -> None:
    subprocess.run([sys.executable, "-m", module, *overrides], check=True)


def sing_songs(folder: Path, minutes: float) -> tuple[Path, Path]:
    """Sing chorales until they last so long: folders of stems, and of mixtures alone."""
    stems, mixtures = folder / f"stems{minutes:g}", folder / f"mixtures{minutes:g}"
    if (stems / "complete").exists():
        return stems / "songs", mixtures
    seconds, seed = 0.0, 1000
    mixtures.mkdir(parents=True, exist_ok=True)
    while seconds < 60.0 * minutes:
        name = SONGS[seed % len(SONGS)]
        song = generate_song(name, seed=seed)
        n = min(song.audio.shape[1], round((60.0 * minutes - seconds) * RATE))
        if n < 8 * RATE:
            break
        place = stems / "songs" / f"{name}_{seed}"
        place.mkdir(parents=True, exist_ok=True)
        for part, stem in zip(song.parts, song.audio, strict=True):
            write_wav_atomic(place / f"{part}.wav", stem[:n], RATE, overwrite=True)
        mixture = song.audio[:, :n].sum(axis=0)
        write_wav_atomic(mixtures / f"{name}_{seed}.wav", mixture, RATE, overwrite=True)
        seconds, seed = seconds + n / RATE, seed + 1
    (stems / "complete").touch()
    return stems / "songs", mixtures


def train(output: Path, *overrides: str, steps: int = STEPS) -> Path:
    """Train for so many steps. The last weights are taken: nothing is chosen by a test."""
    checkpoint = output / "checkpoints" / "last.ckpt"
    if not (output / "result.json").exists():
        call(
            "src.train", "experiment=us_small", "data.size=full", *RECIPE, *overrides,
            f"output={output}", f"trainer.max_steps={steps}", "+trainer.limit_val_batches=2",
        )  # fmt: skip
    return checkpoint


def mix_one(places: Places) -> Iterator[tuple[str, Path]]:
    """One recording of each test set, as a file: singer 3's quartet, and a held-out piece."""
    stems = [load_audio(places.csd / "audio" / f"{part}_3.flac")[0][0] for part in PARTS]
    yield "nino_dios 3", write_sum(places.work / "nino_dios_3.wav", stems, RATE)
    paths = sorted((places.choralsynth / PIECES[0] / "voices").glob("*.mp3"))
    loaded = [load_audio(path) for path in paths]
    stems = [resample(audio[0], rate, RATE) for audio, rate in loaded]
    yield "choralsynth", write_sum(places.work / f"{PIECES[0]}.wav", stems, RATE)


def write_sum(path: Path, stems: Sequence[np.ndarray], rate: int) -> Path:
    length = min(map(len, stems))
    write_wav_atomic(path, np.sum([x[:length] for x in stems], axis=0), rate, overwrite=True)
    return path


class Table:
    """The rows so far."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rows: list[dict[str, str]] = []
        if path.exists():
            with path.open(newline="") as stream:
                self.rows = list(csv.DictReader(stream))

    def has(self, name: str, test: str) -> bool:
        return any(row["name"] == name and row["test"] == test for row in self.rows)

    def add(self, **row: object) -> None:
        self.rows.append({field: str(row[field]) for field in FIELDS})
        with self.path.open("w", newline="") as stream:
            writer = csv.DictWriter(stream, FIELDS, lineterminator="\n")
            writer.writeheader()
            writer.writerows(self.rows)
        print(row, flush=True)


def evaluate(
    table: Table, places: Places, name: str, separator: Sequence[str], tests: Sequence[str],
    steps: int = 0, pieces: Sequence[str] = PIECES,
) -> None:  # fmt: skip
    for test in tests:
        if table.has(name, test):
            continue
        chosen = (f"data.split.full.test=[{','.join(pieces)}]",) if test == "choralsynth" else ()
        with tempfile.TemporaryDirectory() as folder:
            call(
                "src.evaluate", *separator, "n_singers=4", *places.list_tests()[test], *chosen,
                "seeds=[0]", "threads=1", "data.progress=false", f"output={folder}/out",
            )  # fmt: skip
            scores = json.loads(Path(folder, "out", "summary.json").read_text())["si_sdr"]
        table.add(name=name, test=test, steps=steps, mean=f"{scores['mean']:.2f}",
                  median=f"{scores['median']:.2f}", frames=scores["n"])  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--csd", type=Path, required=True)
    parser.add_argument("--choralsynth", type=Path, required=True)
    parser.add_argument("--work", type=Path, default=Path("outputs/learning"))
    parser.add_argument("--output", type=Path, default=TABLE)
    parser.add_argument("--only", nargs="*", default=["references", "one", "1", "10", "60"])
    options = parser.parse_args()
    places = Places(*(x.resolve() for x in (options.csd, options.choralsynth, options.work)))
    table = Table(options.output)
    both = tuple(places.list_tests())
    power = "separator.mask=power"
    if "references" in options.only:
        evaluate(table, places, "comb", ("separator=comb", power), both)
        evaluate(table, places, "umss of the package", ("separator=umss", power), both)
        evaluate(table, places, "fit", ("separator=fit",), both)
    if "one" in options.only:
        for test, recording in mix_one(places):
            run = places.work / f"one_{recording.stem}"
            model = train(run, "data=mixtures", f"data.root={recording}")
            trained = ("separator=umss", f"separator.checkpoint={model}", power)
            evaluate(table, places, "one recording", trained, [test], STEPS, PIECES[:1])
            evaluate(table, places, "comb on it", ("separator=comb", power), [test], 0, PIECES[:1])
            own = ("separator=umss", power)
            evaluate(table, places, "umss of the package on it", own, [test], 0, PIECES[:1])
    for minutes in (1, 10, 60):
        if str(minutes) not in options.only:
            continue
        stems, mixtures = sing_songs(places.work, minutes)
        for name, source in (
            (f"{minutes} min of mixtures", ("data=mixtures", f"data.root={mixtures}")),
            (f"{minutes} min, F0 of stems", ("data=folder", f"data.root={stems}", "data.f0=stems")),
        ):
            model = train(places.work / name.replace(" ", "_"), *source)
            trained = ("separator=umss", f"separator.checkpoint={model}", power)
            evaluate(table, places, name, trained, both, STEPS)


if __name__ == "__main__":
    main()
