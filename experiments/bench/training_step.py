"""Time and memory of one training step, beside the literal equations and the bare network.

    python -m experiments.bench.training_step [--kinds umss network] [--repeats 5]

Kinds: `network` (the floor: no synthesis, no loss), `umss`, both also with matmul_precision=medium
(the default of `src.train`) and in Lightning's `bf16-mixed`, and `literal` (the paper's equations
as they stand). From a base point one factor at a time is varied: singers, batch, length of the
excerpts, threads. The literal kind needs
11 GB at the base point and is left out above it. Also: what every part of a step costs
(`experiments.bench.parts`) and straight lines through time and memory. About twelve minutes on two
cores. Results: training_step.json.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from experiments.bench.cases import HERE, Case, resting_gb, run_cases, timed, write_results
from experiments.bench.inputs import random_batch
from src.errors import UmssError
from src.models.lit import Batch, UnsupervisedTraining
from src.training.memory import keep_freed_memory

KINDS = (
    "network", "umss", "literal", "network-medium", "umss-medium", "network-bf16", "umss-bf16",
)  # fmt: skip
LINE = (
    "{kind:12} J={n_singers} batch {batch:2} {excerpt_s:g} s, threads {threads}: {median_s:7.3f} s "
    "({min_s:.3f} to {max_s:.3f}), peak {peak_gb:.2f} GB"
)


@dataclasses.dataclass(frozen=True)
class Point:
    """Where a step is measured: J singers, batch, seconds of an excerpt, threads."""

    n_singers: int
    batch: int
    excerpt_s: float
    threads: int

    @property
    def work(self) -> float:
        """Seconds of voices in a batch."""
        return self.n_singers * self.batch * self.excerpt_s


BASE = Point(n_singers=4, batch=16, excerpt_s=4.0, threads=2)
FACTORS: dict[str, tuple[float, ...]] = {
    "n_singers": (1, 2, 4, 8),
    "batch": (1, 4, 16),
    "excerpt_s": (2.0, 4.0, 8.0),
    "threads": (1, 2),
}


def build(kind: str) -> UnsupervisedTraining:
    """The model of a kind, with the same initial weights for all of them.

    Raises:
        ValueError: unknown kind.
    """
    if kind not in KINDS:
        raise UmssError(f"kind must be one of {', '.join(KINDS)}, got {kind!r}")
    torch.manual_seed(0)
    if kind != "literal":
        return UnsupervisedTraining()
    from experiments.bench.literal import literal_model

    return literal_model()


def stepper(
    model: UnsupervisedTraining, kind: str, batch: Batch, optimizer: torch.optim.Optimizer
) -> Callable[[], None]:
    """One training step: gradients cleared, forward pass, loss, backward pass, optimiser."""

    def step() -> None:
        optimizer.zero_grad()
        with (
            torch.autocast("cpu", torch.bfloat16)
            if kind.endswith("bf16")
            else contextlib.nullcontext()
        ):
            if kind.startswith("network"):
                found = model.estimator(batch["mixture"], batch["f0"]).values()
                loss = torch.stack([v.float().square().mean() for v in found]).sum()
            else:
                loss = model._step(batch)
        loss.backward()
        optimizer.step()

    return step


def measure(
    kind: str, n_singers: int, batch: int, excerpt_s: float, repeats: int
) -> dict[str, float]:
    """Seconds of a step after a warm-up, and `resting_gb`, the memory held before the first."""
    if kind != "literal":
        keep_freed_memory()  # as `src.train` does; the yardstick is plain PyTorch
    if kind.endswith("medium"):
        torch.set_float32_matmul_precision("medium")  # the default of `src.train`
    model = build(kind)
    optimizer = model.configure_optimizers()
    data = random_batch(batch, n_singers, excerpt_s)
    resting = resting_gb()
    if kind == "literal":
        # Whatever is loaded at the first call, on less: a whole step takes half a minute.
        stepper(model, kind, random_batch(1, n_singers, 0.512), optimizer)()
    step = stepper(model, kind, data, optimizer)
    found = timed(step, repeats=repeats, warm_up=0 if kind == "literal" else 1)
    return {**found, "resting_gb": resting}


def grid(
    kind: str, base: Point = BASE, factors: Mapping[str, Sequence[float]] = FACTORS
) -> list[Point]:
    """The base point, variations of it by one factor, and of the singers also at batch 1."""
    points = [base]
    for name, values in factors.items():
        if "-" in kind and name in ("n_singers", "excerpt_s"):
            continue
        points += [_varied(base, name, value) for value in values]
    if kind in ("network", "umss"):
        single = dataclasses.replace(base, batch=1)
        points += [_varied(single, "n_singers", value) for value in factors["n_singers"]]
    # Beyond the base point the literal form does not fit into the memory of a laptop.
    return [p for p in dict.fromkeys(points) if kind != "literal" or p.work <= base.work]


def _varied(point: Point, name: str, value: float) -> Point:
    changed: dict[str, Any] = {name: value}
    return dataclasses.replace(point, **changed)


def repeats_of(kind: str, point: Point, base: Point, repeats: int) -> int:
    """More repeats at the base point, which the others are compared with; few of what is slow."""
    at_base = point == base
    if kind == "literal":
        return min(repeats, 3) if at_base else 1
    return repeats if at_base else min(repeats, 3)


def line_fit(x: Sequence[float], y: Sequence[float]) -> dict[str, float]:
    """Least-squares line: `slope`, `intercept`, and `r2`, the share of the variance it explains.

    Raises:
        ValueError: fewer than three points, through which any line would seem to fit.
    """
    if len(x) < 3:
        raise UmssError(f"a line needs at least 3 points to say something, got {len(x)}")
    slope, intercept = np.polyfit(x, y, 1)
    values = np.asarray(y, dtype=np.float64)
    rest = values - (slope * np.asarray(x) + intercept)
    variance = float(((values - values.mean()) ** 2).sum())
    r2 = 1.0 - float((rest**2).sum()) / variance if variance > 0 else 1.0
    return {"slope": float(slope), "intercept": float(intercept), "r2": r2}


def along(cases: Iterable[Case], kind: str, factor: str, base: Point) -> list[Case]:
    """Results of a kind that differ from the base point in one factor at most, in its order."""
    fixed = {k: v for k, v in dataclasses.asdict(base).items() if k != factor}
    found = [
        c
        for c in cases
        if c["kind"] == kind and "error" not in c and all(c[k] == v for k, v in fixed.items())
    ]
    return sorted(found, key=lambda c: float(c[factor]))


def fits(cases: Sequence[Case], base: Point) -> list[dict[str, Any]]:
    """Lines of time (ms) and peak memory (GB) over the singers and over the excerpt's length."""
    found = []
    for kind in dict.fromkeys(c["kind"] for c in cases):
        for factor in ("n_singers", "excerpt_s"):
            some = along(cases, kind, factor, base)
            if len(some) < 3:
                continue
            x = [float(c[factor]) for c in some]
            time_ms = line_fit(x, [1e3 * c["median_s"] for c in some])
            memory_gb = line_fit(x, [c["peak_gb"] for c in some])
            entry = {"kind": kind, "factor": factor, "points": len(some)}
            found.append({**entry, "time_ms": time_ms, "memory_gb": memory_gb})
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=KINDS)
    parser.add_argument("--repeats", type=int, default=5, help="at the base point")
    parser.add_argument("--base", type=float, nargs=4, default=dataclasses.astuple(BASE))
    for name, values in FACTORS.items():
        parser.add_argument(f"--{name}", type=type(values[0]), nargs="*", default=values)
    parser.add_argument("--output", type=Path, default=HERE / "training_step.json")
    options = parser.parse_args()
    n_singers, batch, excerpt_s, threads = options.base
    base = Point(int(n_singers), int(batch), excerpt_s, int(threads))
    factors = {name: getattr(options, name) for name in FACTORS}
    # All kinds of a point after each other: what else the machine does then hits them alike.
    wanted = {kind: grid(kind, base, factors) for kind in options.kinds}
    points = dict.fromkeys(p for chosen in wanted.values() for p in chosen)
    todo: list[tuple[Case, int]] = []
    for point in points:
        for kind in options.kinds:
            if point in wanted[kind]:
                case = {"kind": kind, **dataclasses.asdict(point)}
                case["repeats"] = repeats_of(kind, point, base, options.repeats)
                todo.append((case, case.pop("threads")))
    cases = run_cases("experiments.bench.training_step", todo, LINE.format_map)
    case = {k: v for k, v in dataclasses.asdict(base).items() if k != "threads"}
    split = run_cases(
        "experiments.bench.parts",
        [({**case, "repeats": options.repeats}, base.threads)],
        "parts of a step of {step_s:.3f} s measured".format_map,
    )
    write_results(
        options.output,
        cases,
        base=dataclasses.asdict(base),
        fits=fits(cases, base),
        parts=split[0],
    )


if __name__ == "__main__":
    main()
