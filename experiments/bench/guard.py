"""Has the training step become slower or larger? `python -m experiments.bench.guard [--update]`

Seconds differ between machines and from day to day; ratios of what one run measures differ less.
The step of the separator is compared with the literal form of the paper's equations (the yardstick)
and with the network alone (the floor), at J = 4, batch 4 and 2 s, about a minute. The ratios are
compared with those of guard.json; one that has grown by more than the tolerance ends the command
with code 1. On another processor than the stored one, the literal form gains and loses by other
things than the step does, so that only the ratios to the network alone are judged there. `--update`
stores the ratios just measured instead.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from experiments.bench.cases import HERE, Case, machine_facts, run_case
from experiments.bench.training_step import LINE
from src.errors import UmssError
from src.files import write_json

KINDS = {"literal": 2, "umss": 9, "network": 9}
"""Kinds of step, and how often each is measured."""
CASE: Case = {"n_singers": 4, "batch": 4, "excerpt_s": 2.0}
THREADS = 2
TOLERANCE = 0.25
STORED = HERE / "guard.json"


@dataclasses.dataclass(frozen=True)
class Comparison:
    """A ratio now and as it was stored; smaller is better."""

    name: str
    measured: float
    stored: float
    tolerance: float
    judged: bool = True

    @property
    def change(self) -> float:
        """Growth as a share of what was stored."""
        return self.measured / self.stored - 1.0

    @property
    def verdict(self) -> str:
        """Worse, better (by as much, so that storing it is due), as before, or not judged."""
        if not self.judged:
            return "not judged"
        if self.change > self.tolerance:
            return "worse"
        return "better" if 1.0 / (1.0 + self.change) > 1.0 + self.tolerance else "as before"


def ratios(cases: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Time and memory of `umss` over those of the yardstick and the floor.

    Times are the least of the repeats, which other programs disturb least. Memory is what a step
    adds to that of the libraries and the model.

    Args:
        cases: results of `experiments.bench.training_step.measure`, one of each kind.

    Raises:
        ValueError: a kind is missing.
    """
    by_kind = {str(c["kind"]): c for c in cases}
    if missing := KINDS.keys() - by_kind.keys():
        raise UmssError(f"no result of {', '.join(sorted(missing))} to compare with")
    time = {kind: float(c["min_s"]) for kind, c in by_kind.items()}
    memory = {kind: float(c["peak_gb"] - c["resting_gb"]) for kind, c in by_kind.items()}
    return {
        f"{what} of umss / {kind}": values["umss"] / values[kind]
        for what, values in (("time", time), ("memory", memory))
        for kind in ("literal", "network")
    }


def compare(
    measured: Mapping[str, float],
    stored: Mapping[str, float],
    tolerance: float,
    *,
    same_processor: bool = True,
) -> list[Comparison]:
    """Every measured ratio beside the stored one.

    Without `same_processor` only ratios to the network alone are judged.

    Raises:
        ValueError: a ratio is not stored, or the tolerance is not positive.
    """
    if not tolerance > 0:
        raise UmssError(f"tolerance must be positive, e.g. 0.25 for 25 %, got {tolerance}")
    if missing := measured.keys() - stored.keys():
        raise UmssError(f"not stored: {', '.join(sorted(missing))}; run with --update")
    return [
        Comparison(name, value, stored[name], tolerance, same_processor or "/ network" in name)
        for name, value in measured.items()
    ]


def table(comparisons: Sequence[Comparison]) -> str:
    """The comparisons as aligned text."""
    lines = [f"{'ratio':26} {'stored':>8} {'now':>8} {'change':>8}"]
    lines += [
        f"{c.name:26} {c.stored:8.3f} {c.measured:8.3f} {100 * c.change:+7.0f} %  {c.verdict}"
        for c in comparisons
    ]
    return "\n".join(lines)


def conclusion(comparisons: Sequence[Comparison]) -> tuple[int, str]:
    """Exit code, 1 if anything is worse, and what to say."""
    worse = [c for c in comparisons if c.verdict == "worse"]
    if worse:
        parts = [
            f"{c.name} is {c.measured:.3f}, {100 * c.change:.0f} % above the stored {c.stored:.3f}"
            for c in worse
        ]
        return 1, (
            f"Worse than stored: {'; '.join(parts)} ({100 * worse[0].tolerance:.0f} % are "
            "allowed). Run again on a quiet machine; if the cost is meant, store it with --update."
        )
    if any(c.verdict == "better" for c in comparisons):
        return 0, "No worse than stored, and in part clearly better: store it with --update."
    return 0, "No worse than stored."


def different_machine(stored: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Facts of the machine, of those that change ratios, that are not as they were."""
    return [
        f"{name} is {now.get(name)}, was {stored.get(name)}"
        for name in ("cpu", "cores", "torch", "allocator")
        if stored.get(name) != now.get(name)
    ]


def measure_all(case: Mapping[str, Any], kinds: Mapping[str, int], threads: int) -> list[Case]:
    """One result of each kind.

    Raises:
        CaseError: a kind gave none.
    """
    found = []
    for kind, repeats in kinds.items():
        wanted = {"kind": kind, **case, "repeats": repeats}
        found.append(run_case("experiments.bench.training_step", wanted, threads=threads))
        print(LINE.format_map(found[-1]), flush=True)
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--update", action="store_true", help="store what is measured")
    parser.add_argument("--tolerance", type=float, help="by default the stored one")
    parser.add_argument("--stored", type=Path, default=STORED)
    options = parser.parse_args(arguments)
    if not options.update and not options.stored.is_file():
        print(f"{options.stored}: nothing is stored yet; run with --update on a quiet machine")
        return 1
    cases = measure_all(CASE, KINDS, THREADS)
    found, facts = ratios(cases), machine_facts()
    if options.update:
        tolerance = options.tolerance or TOLERANCE
        content = {"machine": facts, "tolerance": tolerance, "ratios": found, "cases": cases}
        write_json(options.stored, content)
        print(f"stored {', '.join(f'{k} {v:.3f}' for k, v in found.items())}")
        return 0
    stored = json.loads(options.stored.read_text(encoding="utf-8"))
    processors = [machine.get("cpu") for machine in (stored["machine"], facts)]
    comparisons = compare(
        found,
        stored["ratios"],
        options.tolerance or stored["tolerance"],
        same_processor=processors[0] == processors[1],
    )
    print(table(comparisons))
    for difference in different_machine(stored["machine"], facts):
        print(f"note: {difference}")
    if processors[0] != processors[1]:
        print(
            f"This is another processor ({processors[1]}) than the stored one ({processors[0]}): "
            "judged are only the ratios to the network alone."
        )
    code, sentence = conclusion(comparisons)
    print(sentence)
    return code


if __name__ == "__main__":
    sys.exit(main())
