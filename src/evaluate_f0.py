"""Evaluate F0 estimation: `umss evaluate-f0 multif0=default data=csd data.root=DIR`."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from hydra.utils import instantiate
from numpy.typing import NDArray
from omegaconf import DictConfig, OmegaConf
from rich.console import Console
from rich.markup import escape
from rich.progress import track
from rich.table import Table

from .baselines.masks import CombSeparator
from .cli import launch
from .data.datamodule import MixtureDataModule
from .data.estimated import StoredTracks
from .data.excerpts import list_excerpt_starts
from .data.items import Item, collate, load_item
from .data.mixtures import Mixture, mix
from .data.prepared import F0Kind
from .data.readers.base import HOP, RATE, DataError
from .data.store import PreparedSong
from .errors import OutputExistsError
from .f0.estimate import F0Estimator
from .f0.matching import match_tracks
from .files import write_json, write_text
from .metrics.evaluation import evaluate, summarise
from .metrics.f0 import MULTIPITCH_SCORES, VOICE_SCORES, score_multipitch, score_voice
from .staging import stage

log = logging.getLogger(__name__)

Estimator = F0Estimator | StoredTracks


@dataclass(frozen=True, eq=False)
class HeldOut:
    """A mixture to estimate the F0 of, from the start of its song to `n_samples`.

    Attributes:
        song, mixture: the song and the singers.
        n_samples: samples to use.
        reference: [N, J] Hz, F0 of the isolated stems, or exact; N = ceil(n_samples / 256).
    """

    song: PreparedSong
    mixture: Mixture
    n_samples: int
    reference: NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Found:
    """The tracks that an estimator found in a mixture.

    Attributes:
        f0: [N, J] Hz, in the order of the voices that the tracks resemble as a whole.
        seconds: run time in seconds; NaN if stored tracks were read.
        warnings: warnings of the estimator.
    """

    f0: NDArray[np.float32]
    seconds: float
    warnings: list[str]


def choose_reference_kind(f0_kinds: Sequence[str]) -> F0Kind:
    """Choose the reference F0 of a data set: exact F0 if it is known, else that of the stems."""
    return "cached" if "exact" in f0_kinds else "stems"


def find_held_out(
    data: MixtureDataModule,
    estimator: Estimator,
    *,
    max_mixtures: int | None = None,
    max_seconds: float | None = None,
) -> list[HeldOut]:
    """Find the mixtures of the test set and read their reference F0.

    Args:
        data: the data module; its kind of F0 is set to that of the reference.
        estimator: if it reads stored tracks, only mixtures that have them are used.
        max_mixtures: largest number of mixtures, spread evenly over all.
        max_seconds: use only the beginning of every song.

    Raises:
        DataError: the data are missing, no mixture has the F0, or a limit is not positive.
    """
    for name, limit in (("max_mixtures", max_mixtures), ("max_seconds", max_seconds)):
        if limit is not None and limit <= 0:
            raise DataError(f"{name}={limit}: give a positive number, or null for all")
    data.require_stems("evaluate-f0")
    truth = choose_reference_kind(data.build_reader().f0_kinds)
    kinds: list[F0Kind] = [truth]
    if isinstance(estimator, StoredTracks) and estimator.kind != truth:
        kinds = [estimator.kind, truth]
    chosen: dict[str, list[tuple[PreparedSong, Mixture]]] = {}
    for kind in kinds:
        data.f0 = kind
        prepared = data.prepare("test")
        pairs = data.list_mixtures(prepared, "test")
        chosen[kind] = [(song, mixture) for song, mixtures in pairs for mixture in mixtures]
    stored = {mixture for _, mixture in chosen[kinds[0]]}
    both = [(song, mixture) for song, mixture in chosen[truth] if mixture in stored]
    if max_mixtures is not None and max_mixtures < len(both):
        both = [both[i * len(both) // max_mixtures] for i in range(max_mixtures)]
    found = []
    for song, mixture in both:
        n_samples = song.n_samples
        if max_seconds is not None:
            n_samples = min(n_samples, math.ceil(max_seconds * RATE))
        reference = song.f0(mixture.keys, truth, 0, -(-n_samples // HOP))
        found.append(HeldOut(song, mixture, n_samples, reference))
    return found


def find(estimator: Estimator, test: HeldOut) -> Found:
    """Estimate the F0 of a mixture from its audio alone."""
    keys, n_frames = test.mixture.keys, len(test.reference)
    if isinstance(estimator, StoredTracks):
        return Found(test.song.f0(keys, estimator.kind, 0, n_frames), math.nan, [])
    audio = mix(test.song, test.mixture)[: test.n_samples]
    begin = time.perf_counter()
    estimate = estimator(audio, len(keys), [part for part, _ in keys])
    seconds = time.perf_counter() - begin
    f0 = estimate.contours.to_frames(n_frames)
    # A name follows a singer, whose line may lie above another's.
    return Found(f0[:, match_tracks(test.reference, f0)], seconds, estimate.warnings)


def score_voices(test: HeldOut, found: Found) -> list[dict[str, Any]]:
    """Score every voice: one row each, with part, singer and the values of `score_voice`."""
    return [
        {
            "song": test.song.name,
            "mixture": test.mixture.name,
            "source": j,
            "voice": part,
            "singer": singer,
            **score_voice(test.reference[:, j], found.f0[:, j]),
        }
        for j, (part, singer) in enumerate(test.mixture.keys)
    ]


def score_mixture(test: HeldOut, found: Found) -> dict[str, Any]:
    """Score a mixture: one row with the values of `score_multipitch` and the run time."""
    seconds = test.n_samples / RATE
    return {
        "song": test.song.name,
        "mixture": test.mixture.name,
        "seconds": seconds,
        **score_multipitch(test.reference, found.f0),
        "run_seconds": found.seconds,
        "real_time_factor": found.seconds / seconds,
        "warnings": len(found.warnings),
    }


def cut_excerpts(test: HeldOut, f0: NDArray[np.float32], data: MixtureDataModule) -> Iterator[Item]:
    """Cut the excerpts of the data set's test protocol, with `f0` [N, J] in Hz as their F0."""
    starts = list_excerpt_starts(
        0, test.n_samples, data.excerpt_samples, data.test_first_excerpt, data.test_start_offset
    )
    for number, start in starts:
        item = load_item(
            test.song, test.mixture, start, data.excerpt_samples, kind=data.f0, seed=number,
            excerpt=number,
        )  # fmt: skip
        first = start // HOP
        cut = np.ascontiguousarray(f0[first : first + item["f0"].shape[-1]].T)
        yield {**item, "f0": torch.from_numpy(cut)}


def score_comb(items: Iterable[Item], batch_size: int = 8) -> pd.DataFrame:
    """Score the comb separator: one row per one-second frame; empty without excerpts."""
    listed = list(items)
    if not listed:
        return pd.DataFrame()
    batches = (collate(listed[i : i + batch_size]) for i in range(0, len(listed), batch_size))
    return evaluate(CombSeparator(), batches, seeds=[0], bss=False)


def summarise_scores(voices: pd.DataFrame, mixtures: pd.DataFrame) -> dict[str, Any]:
    """Average the multipitch scores over mixtures, and the voice scores over all and each voice."""
    timed = mixtures.dropna(subset="run_seconds")
    run = float(timed["run_seconds"].sum()) if len(timed) else None
    return {
        "mixtures": len(mixtures),
        "seconds": float(mixtures["seconds"].sum()),
        "run_seconds": run,
        "real_time_factor": None if run is None else run / float(timed["seconds"].sum()),
        "multipitch": _average(mixtures[list(MULTIPITCH_SCORES)]),
        "overall": _average(voices[list(VOICE_SCORES)]),
        "voices": {
            str(voice): _average(rows[list(VOICE_SCORES)])
            for voice, rows in voices.groupby("voice", sort=False)
        },
    }


def _average(table: pd.DataFrame) -> dict[str, float | None]:
    """Average every column over the rows in which it is defined; None if there are none."""
    return {str(k): None if math.isnan(v) else float(v) for k, v in table.mean().items()}


def summarise_comb(tables: dict[str, list[pd.DataFrame]]) -> dict[str, Any] | None:
    """Average the comb's SI-SDR (dB) for each kind of tracks; None if no song holds an excerpt."""
    if all(table.empty for table in tables["reference"]):
        return None
    summary: dict[str, Any] = {}
    for name, found in tables.items():
        scores = summarise(pd.concat(found, ignore_index=True))
        summary[name] = scores["si_sdr"]
        summary["frames"] = scores["frames"]
    return summary


def show(summary: dict[str, Any], title: str) -> None:
    """Print the scores, overall and per voice, and the comb's SI-SDR with the tracks."""
    table = Table(title=title)
    table.add_column("voice")
    for column in ("pitch", "chroma", "overall", "recall", "f. alarm", "20 cents", "cents off"):
        table.add_column(column, justify="right")
    for voice, scores in {"all": summary["overall"], **summary["voices"]}.items():
        numbers = [scores[name] for name in VOICE_SCORES]
        table.add_row(escape(voice), *("-" if v is None else f"{v:.3f}" for v in numbers[:-1]),
                      "-" if numbers[-1] is None else f"{numbers[-1]:.1f}")  # fmt: skip
    console = Console()
    console.print(table)
    m = summary["multipitch"]
    if m["f_measure"] is not None:
        console.print(
            f"multipitch: precision {m['precision']:.3f}, recall {m['recall']:.3f}, "
            f"F {m['f_measure']:.3f}"
        )
    if summary["real_time_factor"] is not None:
        console.print(f"run time: {summary['real_time_factor']:.3f} of the duration")
    if summary["comb"]:
        for name in ("estimated", "reference"):
            s = summary["comb"][name]
            if s["n"]:
                console.print(
                    f"comb with {name} F0: SI-SDR {s['mean']:.2f} dB, median {s['median']:.2f} dB"
                )


def main(cfg: DictConfig) -> None:
    output = Path(cfg.output)
    paths = [output / name for name in ("voices.csv", "mixtures.csv", "summary.json")]
    if any(path.exists() for path in paths) and not cfg.overwrite:
        raise OutputExistsError(
            f"{output}: holds an evaluation; set overwrite=true or choose another output"
        )
    data: MixtureDataModule = instantiate(cfg.data, _convert_="all")
    estimator: Estimator = instantiate(cfg.multif0)
    tests = find_held_out(
        data, estimator, max_mixtures=cfg.max_mixtures, max_seconds=cfg.max_seconds
    )
    voices, mixtures, warnings = [], [], []
    combs: dict[str, list[pd.DataFrame]] = {"estimated": [], "reference": []}
    for test in track(tests, "estimating F0", transient=True):
        found = find(estimator, test)
        voices += score_voices(test, found)
        mixtures.append(score_mixture(test, found))
        where = {"song": test.song.name, "mixture": test.mixture.name}
        warnings += [{**where, "warning": warning} for warning in found.warnings]
        if cfg.comb:
            for name, f0 in (("estimated", found.f0), ("reference", test.reference)):
                combs[name].append(score_comb(cut_excerpts(test, f0, data)))
    voice_table, mixture_table = pd.DataFrame(voices), pd.DataFrame(mixtures)
    summary = {
        "multif0": OmegaConf.to_container(cfg.multif0, resolve=True),
        "data": cfg.data.reader.name,
        "reference": "exact" if data.f0 == "cached" else data.f0,
        "n_singers": cfg.n_singers,
        **summarise_scores(voice_table, mixture_table),
        "comb": summarise_comb(combs) if cfg.comb else None,
        "warnings": warnings,
    }
    with stage(output, "evaluation") as place:
        write_text(place.place(paths[0]), voice_table.to_csv(index=False))
        write_text(place.place(paths[1]), mixture_table.to_csv(index=False))
        write_json(place.place(paths[2]), summary)
        place.publish(paths)
    count = f"{len(tests)} mixture" + ("s" if len(tests) > 1 else "")
    show(summary, f"{output.name}: {count} of {cfg.n_singers} singers")
    for entry in warnings:
        log.warning("%s, %s: %s", entry["song"], entry["mixture"], entry["warning"])
    if cfg.comb and summary["comb"] is None:
        log.warning("no song is long enough for an excerpt: the comb was left out")
    log.info("wrote %s", ", ".join(map(str, paths)))


if __name__ == "__main__":
    launch("evaluate-f0")
