"""Recordings as users have them: every method on every row, nothing given but the recording.

    python -m experiments.real.run --csd DIR --choralsynth DIR
    python -m experiments.real.run --csd DIR --choralsynth DIR --rows unison 'quartet*' \\
        --methods umss_fit
    python -m experiments.real.run --csd DIR --choralsynth DIR --use test
    python -m experiments.real.run --csd DIR --choralsynth DIR --methods 'no-*' fast
    python -m experiments.real.run --table

Rows and methods stand in rows.yaml. Scores go to results.csv one by one; those already there with
the same settings are left alone. --table writes RESULTS.md from results.csv.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import logging
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from hydra.utils import instantiate
from numpy.typing import NDArray

from experiments.quality.ablation import guarded
from experiments.quality.results import Results
from experiments.real.build import Mixture, Voices, build_row
from experiments.real.plan import HERE, PLAN, USES, Method, Plan, Row, read_plan, select
from experiments.real.scores import measure_closeness, score_row
from experiments.real.table import write_report
from src.api import separate as separate_recording
from src.configuration import compose_config
from src.dsp.tracks import RATE
from src.files import write_text

log = logging.getLogger(__name__)

KEYS = ("row", "method", "state")
COLUMNS = (
    "group", "use", "n_singers", "seconds", "close", "mean", "median", "worst", "anew", "f0_right",
    "f0_other", "f0_missed", "f0_false", "leak", "n_frames", "rtf", "cpu_rtf", "runs", "digest",
)  # fmt: skip


def separate(mixture: Mixture, method: Method) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Separate a row as the command does.

    Returns:
        Estimates [J, C, T], and the F0 they were separated with [J, N] in Hz.
    """
    n_frames = mixture.f0.shape[1]
    if method.separator == "oracle":
        return _separate_by_stems(mixture, method), mixture.f0
    mono = len(mixture.audio) == 1
    result = separate_recording(
        mixture.audio[0] if mono else mixture.audio,
        RATE,
        n_singers=len(mixture.stems),
        f0=mixture.f0 if method.f0 == "stems" else None,
        method=method.separator,
        **method.settings,
    )
    stems = np.stack(list(result.stems.values()))
    return (stems[:, None] if mono else stems), result.f0.to_frames(n_frames).T


def _separate_by_stems(mixture: Mixture, method: Method) -> NDArray[np.float32]:
    """What masks from the true stems, and what is beside them, make of a row, [J, C, T].

    They are taken from the mono mix.
    """
    settings = compose_config("separate", choices={"separator": "oracle"}, settings=method.settings)
    oracle = instantiate(settings.separator)
    audio = torch.from_numpy(mixture.audio)
    sources = torch.from_numpy(np.concatenate([mixture.stems, mixture.beside[None]])).mean(dim=1)
    f0 = np.pad(mixture.f0, ((0, 1), (0, 0)))
    found = oracle(
        audio.mean(dim=0, keepdim=True),
        torch.from_numpy(f0)[None],
        sources=sources[None],
        channels=audio[None],
    )
    return np.asarray(found.sources[0, :-1].numpy())


def compute_digest(row: Row, method: Method) -> str:
    """Stands for everything that decides about the scores, but for the code."""
    settings = {key: value for key, value in asdict(method).items() if key != "without"}
    text = json.dumps([asdict(row), settings], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def run(plan: Plan, options: argparse.Namespace) -> None:
    """Evaluate the chosen methods on the chosen rows."""
    rows = [r for r in select(plan.rows, options.rows, "--rows") if r.use == options.use]
    whole = [method for method in plan.methods if method.without is None]
    methods = select(plan.methods, options.methods, "--methods") if options.methods else whole
    results = Results(options.output / "results.csv", KEYS, (), columns=COLUMNS)
    voices = Voices({"csd": options.csd, "choralsynth": options.choralsynth})
    order = order_of(plan)
    for row in rows:
        mixture = None
        for method in methods:
            key = {"row": row.name, "method": method.name, "state": options.state}
            digest = compute_digest(row, method)
            old = results.find(**key)
            if old is not None and old["digest"] == digest and not options.again:
                log.info("%s, %s: done already; --again to evaluate again", row.name, method.name)
                continue
            mixture = mixture or build_row(row, voices)
            new = {**key, **evaluate(row, mixture, method, options), "digest": digest}
            results.put(new)
            results.write(order)
            log.info(
                "%s, %s: %.2f dB, matched every second %.2f dB, F0 right %.2f, another's %.2f",
                row.name, method.name, new["mean"], new["anew"], new["f0_right"], new["f0_other"],
            )  # fmt: skip


def evaluate(
    row: Row, mixture: Mixture, method: Method, options: argparse.Namespace
) -> dict[str, Any]:
    """One row by one method; the scores of all seconds go to a file of their own."""
    began = time.perf_counter(), time.process_time()
    estimates, tracks = separate(mixture, method)
    wall, cpu = time.perf_counter() - began[0], time.process_time() - began[1]
    scores, frames = score_row(estimates, tracks, mixture)
    # The names that experiments.quality.results.difference knows frames by.
    frames = frames.assign(song=row.name, mixture=row.name, excerpt=frames["frame"])
    path = options.frames / options.state / row.name / f"{method.name}.csv"
    write_text(path, frames.to_csv(index=False))
    length = mixture.audio.shape[-1] / RATE
    return {
        "group": row.group,
        "use": row.use,
        "n_singers": len(mixture.stems),
        "seconds": length,
        "close": measure_closeness(mixture.f0),
        **scores,
        "rtf": wall / length,
        "cpu_rtf": cpu / length,
    }


def order_of(plan: Plan) -> Any:
    """Rank of a row: as in the plan; what is no longer there comes last."""
    names = ([row.name for row in plan.rows], [method.name for method in plan.methods])
    ranks = [{name: i for i, name in enumerate(known)} for known in names]

    def rank(row: dict[str, Any]) -> Any:
        found = [
            (known.get(row[k], len(known)), row[k])
            for k, known in zip(("row", "method"), ranks, strict=True)
        ]
        return (*found, row["state"])

    return rank


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--csd", metavar="DIR", help="Choral Singing Dataset, Niño Dios")
    parser.add_argument("--choralsynth", metavar="DIR")
    parser.add_argument("--rows", nargs="+", metavar="NAME", help="names, patterns or groups")
    parser.add_argument(
        "--methods", nargs="+", metavar="NAME",
        help="or patterns, as 'no-*'; by default all but those that leave out a part",
    )  # fmt: skip
    parser.add_argument("--use", choices=USES, default=USES[0])
    parser.add_argument(
        "--state", default="now", metavar="NAME", help="of the code; states stand side by side"
    )
    parser.add_argument("--again", action="store_true", help="also what is done already")
    parser.add_argument("--plan", type=Path, default=PLAN)
    parser.add_argument("--output", type=Path, default=HERE, metavar="DIR")
    parser.add_argument(
        "--frames", type=Path, default=Path("outputs/real"), metavar="DIR",
        help="scores of all seconds",
    )  # fmt: skip
    parser.add_argument("--table", action="store_true", help="only write RESULTS.md")
    options = parser.parse_args(arguments)

    def program() -> None:
        plan = read_plan(options.plan)
        if options.table:
            write_report(plan, options.output, options.frames)
        else:
            run(plan, options)

    guarded(program)


if __name__ == "__main__":
    main()
