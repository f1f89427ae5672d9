"""Score weights of the salience network on recordings of several kinds: a learning curve.

    python -m experiments.f0.broader --csd DIR --choralsynth DIR --work DIR --run NAME WEIGHTS ...

WEIGHTS are files of `umss train-f0`: voice_salience.pt, or checkpoints/last.ckpt of a training that
is not finished. A row per kind goes to --output (broader.csv), those of the same run and step
again. Kinds: quartets and duets of Niño Dios (singers 1 and 2) and of two pieces of ChoralSynth,
dry, in four rooms, in noise; sections of two singers a part; singers of any style. Two excerpts of
20 s each; the mixtures are kept in DIR. Truth is the F0 of the dry stems, of a section the median
of its singers.
"""

from __future__ import annotations

import argparse
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from src.data.capture import add_below, draw_noise, draw_shoebox_room, reverberate_one
from src.data.prepared import prepare
from src.data.readers import build_reader
from src.data.room import draw_impulse_responses
from src.data.store import PreparedSong
from src.dsp.tracks import HOP, RATE
from src.f0.estimate import F0Estimator
from src.f0.network import VoiceSalience
from src.f0.peaks import pick_peaks
from src.f0.tracker import VoiceTracker
from src.files import replace_when_complete
from src.metrics.f0 import score_multipitch, score_voice
from src.train_f0 import read_average

HERE = Path(__file__).parent
SECONDS = 20.0
THRESHOLD = 0.5
TRACK_SCORES = ("overall_accuracy", "raw_pitch_accuracy", "voicing_false_alarm")
SATB = ("soprano", "alto", "tenor", "bass")
# Excerpts: song, the stems of every voice, start in s.
Excerpt = tuple[str, tuple[tuple[tuple[str, str], ...], ...], float]


def _alone(parts: str, singer: str) -> tuple[tuple[tuple[str, str], ...], ...]:
    """One singer per part; parts by their first letters."""
    return tuple(((part, singer),) for part in SATB if part[0] in parts)


QUARTETS: dict[str, tuple[Excerpt, ...]] = {
    "nino": (("nino_dios", _alone("satb", "1"), 20.0), ("nino_dios", _alone("satb", "2"), 60.0)),
    "choralsynth": (
        ("If_you_love_me", _alone("satb", "1"), 20.0),
        ("I_know_that_my_Redeemer_Tomkins", _alone("satb", "1"), 30.0),
    ),
    "wide": (("bwv386_nun_danket_alle_gott", _alone("satb", "1"), 2.0),
             ("bwv392_nun_ruhen_alle_waelder", _alone("satb", "1"), 2.0)),
}  # fmt: skip
DUETS: dict[str, tuple[Excerpt, ...]] = {
    "nino": (("nino_dios", _alone("sa", "1"), 30.0), ("nino_dios", _alone("tb", "2"), 10.0)),
    "choralsynth": (
        ("If_you_love_me", _alone("at", "1"), 40.0),
        ("I_know_that_my_Redeemer_Tomkins", _alone("sb", "1"), 20.0),
    ),
}
SECTIONS: tuple[Excerpt, ...] = tuple(
    ("nino_dios", tuple(((part, "1"), (part, "2")) for part in SATB), start)
    for start in (20.0, 60.0)
)
Responses = Callable[[int, np.random.Generator], NDArray[np.float32]]
ROOMS: dict[str, Responses] = {
    "room": lambda n, rng: draw_impulse_responses(n, 0.8, 6.0, rng),
    "hall": lambda n, rng: draw_shoebox_room(1.2, 3.0, n, rng),
    "church": lambda n, rng: draw_impulse_responses(n, 1.8, 0.0, rng),
    "cathedral": lambda n, rng: draw_impulse_responses(n, 3.0, -3.0, rng),
}
NOISE_DB = 12.0
KINDS = (
    *(
        f"{data}-{what}"
        for data in ("nino", "choralsynth")
        for what in ("quartet", "duet", *ROOMS, "noise")
    ),
    "nino-sections",
    "wide-quartet",
)


def list_excerpts(kind: str) -> tuple[Excerpt, ...]:
    """List the excerpts of a kind."""
    data, what = kind.split("-")
    if what == "sections":
        return SECTIONS
    return (DUETS if what == "duet" else QUARTETS)[data]


def build(kind: str, excerpt: Excerpt, song: PreparedSong) -> dict[str, NDArray[np.float32]]:
    """Build a mixture, {"audio": [T], "f0": [N, J]}."""
    what = kind.split("-")[1]
    _, voices, start = excerpt
    # The kind of reverberation is that of the room; its noise differs by excerpt.
    rng = np.random.default_rng([7, zlib.crc32(repr((kind, excerpt)).encode())])
    first, n_frames = round(start * RATE / HOP), round(SECONDS * RATE / HOP)
    before = min(first, round(3 * RATE / HOP))  # what still sounds at the beginning
    truth = "cached" if "exact" in song.f0_kinds else "stems"
    stems, tracks = [], []
    for singers in voices:
        begin, end = first - before, first + n_frames
        parts = [song.audio(key)[begin * HOP : end * HOP] for key in singers]
        stems.append(np.sum(parts, axis=0))
        f0 = song.f0(list(singers), truth, first, end)
        sung = (f0 > 0).sum(axis=1)
        middle = np.ma.median(np.ma.masked_equal(f0, 0), axis=1).filled(0)
        tracks.append(np.where(2 * sung >= len(singers), middle, 0))
    if what in ROOMS:
        responses = ROOMS[what](len(stems), rng)
        stems = [reverberate_one(s, r) for s, r in zip(stems, responses, strict=True)]
    mix = np.sum(stems, axis=0)[before * HOP :]
    if what == "noise":
        mix = add_below(mix, draw_noise(len(mix), rng), NOISE_DB)
    audio = mix / np.abs(mix).max()
    return {"audio": audio.astype(np.float32), "f0": np.stack(tracks, 1).astype(np.float32)}


def open_songs(options: argparse.Namespace) -> Callable[[str], PreparedSong]:
    """Open the songs when they are needed."""
    readers = {
        "nino_dios": ("csd", options.csd, {}),
        "bwv": ("generated", None, {"wide": True, "seed": 99}),
    }

    def open_song(name: str) -> PreparedSong:
        reader, root, settings = readers.get(
            name[:3] if name.startswith("bwv") else name, ("choralsynth", options.choralsynth, {})
        )
        kind: Any = "cached" if reader == "generated" else "stems"
        source = build_reader(reader, root, **settings)
        return prepare(source, options.work, kind, songs={name}, progress=False).song(name)

    return open_song


def read_mixture(
    kind: str, number: int, work: Path, open_song: Callable[[str], PreparedSong]
) -> dict[str, NDArray[np.float32]]:
    """Read a mixture of a kind from `work`, where it is kept once it was built."""
    path = work / "mixtures" / f"{kind}-{number}.npz"
    if not path.exists():
        excerpt = list_excerpts(kind)[number]
        made = build(kind, excerpt, open_song(excerpt[0]))
        path.parent.mkdir(parents=True, exist_ok=True)
        with replace_when_complete(path) as temporary, open(temporary, "wb") as file:
            np.savez(file, audio=made["audio"], f0=made["f0"])
    with np.load(path) as stored:
        return {name: stored[name] for name in ("audio", "f0")}


def score(mixture: dict[str, NDArray[np.float32]], estimator: F0Estimator) -> dict[str, float]:
    """Score peaks (precision, recall, F) and tracks (means over voices) of a mixture."""
    truth = mixture["f0"]
    n_frames, n_voices = truth.shape
    begin = time.process_time()
    estimate = estimator(mixture["audio"], n_voices)
    seconds = time.process_time() - begin
    peaks = pick_peaks(estimate.salience, THRESHOLD, refine=True)[:n_frames]
    found = np.zeros((n_frames, max(1, *map(len, peaks))), np.float32)
    for n, frame in enumerate(peaks):
        found[n, : len(frame)] = frame
    tracks = estimate.contours.to_frames(n_frames)
    voices = [score_voice(truth[:, j], tracks[:, j]) for j in range(n_voices)]
    means = pd.DataFrame(voices)[list(TRACK_SCORES)].mean().to_dict()
    return {
        **score_multipitch(truth, found),
        **means,
        "real_time_factor": seconds * RATE / len(mixture["audio"]),
    }


def load(path: Path, work: Path) -> tuple[VoiceSalience, int]:
    """Load weights, and the steps of their training (0: not known)."""
    if path.suffix != ".ckpt":
        return VoiceSalience(path), 0
    weights = work / "weights.pt"
    torch.save(read_average(path), weights)
    return VoiceSalience(weights), int(torch.load(path, weights_only=True)["global_step"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("weights", type=Path, nargs="+")
    parser.add_argument("--csd", type=Path, required=True)
    parser.add_argument("--choralsynth", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True, help="folder of what is kept")
    parser.add_argument("--run", required=True, help="name of the training")
    parser.add_argument("--step", type=int, help="of weights that do not tell")
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=KINDS)
    parser.add_argument("--output", type=Path, default=HERE / "broader.csv")
    options = parser.parse_args()
    open_song = open_songs(options)
    for path in options.weights:
        model, step = load(path, options.work)
        step = step if options.step is None else options.step
        estimator = F0Estimator(model, VoiceTracker())
        rows = []
        for kind in options.kinds:
            scores = [
                score(read_mixture(kind, number, options.work, open_song), estimator)
                for number in range(len(list_excerpts(kind)))
            ]
            means = pd.DataFrame(scores).mean().round(4).to_dict()
            rows.append({"run": options.run, "step": step, "kind": kind, **means})
            print(rows[-1], flush=True)
        _append(options.output, pd.DataFrame(rows))


def _append(path: Path, rows: pd.DataFrame) -> None:
    """Put rows into the table, in place of those of the same run, step and kind."""
    keys = ["run", "step", "kind"]
    table = pd.concat([pd.read_csv(path), rows]) if path.exists() else rows
    with replace_when_complete(path) as temporary:
        table.drop_duplicates(keys, keep="last").to_csv(temporary, index=False)


if __name__ == "__main__":
    main()
