"""What reverberation costs each method: rooms of several lengths and loudnesses.

    python -m experiments.quality.reverberation --csd DIR [--checkpoint best.ckpt]

Every stem sounds in a room of its own (`src.data.room.draw_impulse_responses`), the same for every
method, and the reverberant stems are what is wanted back; the F0s are those of the dry stems, so
that they end where the notes do, not the reverberation. Rows go to reverberation.csv one by one;
those already there with the same settings are left alone.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from scipy.signal import fftconvolve
from torch import Tensor

from experiments.quality.ablation import Batches, Condition, guarded, parser_of, run_conditions
from experiments.quality.plan import Plan, read_plan
from experiments.quality.results import Results
from src.data.room import draw_impulse_responses

KEYS = ("data", "decay", "direct_db", "method")
# Seconds in which the reverberation falls by 60 dB, and dB of the direct sound over it.
ROOMS = ((0.8, 6.0), (1.8, 0.0), (3.0, -3.0))


def reverberant(sources: Tensor, rng: np.random.Generator, decay: float, direct: float) -> Tensor:
    """Stems [J, T] in a room; nothing sounds in it before they begin."""
    responses = draw_impulse_responses(len(sources), decay, direct, rng)
    wet = fftconvolve(sources.numpy(), responses, axes=1)[:, : sources.shape[1]]
    return torch.from_numpy(wet.astype(np.float32))


def in_rooms(
    batches: Batches, *, decay: float, direct: float, seed: int
) -> Iterator[dict[str, Any]]:
    """Batches whose every mixture sounds in a room of its own."""
    rng = np.random.default_rng(seed)
    for batch in batches:
        sources = torch.stack([reverberant(x, rng, decay, direct) for x in batch["sources"]])
        yield {**batch, "sources": sources, "mixture": sources.sum(dim=1)}


def run(plan: Plan, options: argparse.Namespace) -> None:
    """Evaluate the chosen methods in all rooms on one data set."""
    results = Results(options.output / "reverberation.csv", KEYS, plan.references)
    rooms = []
    for decay, direct in ROOMS:
        room = {"decay": decay, "direct_db": direct}
        change = partial(in_rooms, decay=decay, direct=direct, seed=0)
        rooms.append(Condition(room, f"{decay:g}-{direct:g}", room, change))
    run_conditions(plan, options, results, rooms, order_of(plan))


def order_of(plan: Plan) -> Callable[[dict[str, Any]], Any]:
    """Rank of a row: by room, methods as in the plan."""
    methods = {method.name: i for i, method in enumerate(plan.methods)}

    def rank(row: dict[str, Any]) -> Any:
        return row["data"], row["decay"], methods.get(row["method"], len(methods))

    return rank


def main(arguments: Sequence[str] | None = None) -> None:
    parser = parser_of((__doc__ or "").splitlines()[0])
    parser.add_argument("--data", default="nd12j4-stems", metavar="NAME", help="one data set")
    options = parser.parse_args(arguments)
    guarded(lambda: run(read_plan(options.plan), options))


if __name__ == "__main__":
    main()
