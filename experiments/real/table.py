"""RESULTS.md from results.csv."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from experiments.quality.results import (
    describe_difference,
    difference,
    markdown_table,
    number,
)
from experiments.real.parts import DEFAULT, describe_parts
from experiments.real.plan import GROUPS, USES, Plan
from src.errors import UmssError
from src.files import write_text

Column = tuple[str, str]


def write_report(plan: Plan, folder: Path, frames: Path) -> None:
    """Write RESULTS.md beside results.csv.

    Args:
        plan: rows and methods, for their order.
        folder: where results.csv lies.
        frames: scores of all seconds, for intervals between states; they may be missing.

    Raises:
        UmssError: there is no results.csv.
    """
    path = folder / "results.csv"
    if not path.exists():
        raise UmssError(f"{folder}: no results.csv; evaluate first")
    table = pd.read_csv(path, dtype={"row": str, "method": str, "state": str, "digest": str})
    parts = [
        "# Recordings as users have them\n\nWritten by `python -m experiments.real.run --table` "
        "from `results.csv`; what the names mean: `rows.yaml`, README.md. SI-SDR in dB, mean over "
        "one-second frames that are not silent; stems are matched with singers once for the whole "
        "row, in brackets anew in every second. A group is the mean of its rows.\n"
    ]
    for use in USES:
        of_use = table[table["use"] == use]
        if len(of_use):
            parts.append(f"## {use.capitalize()}\n")
            parts += _describe(plan, of_use, frames)
    write_text(folder / "RESULTS.md", "\n".join(parts))


def _describe(plan: Plan, table: pd.DataFrame, frames: Path) -> list[str]:
    columns = _list_columns(plan, table)
    by_key = {(r["row"], r["method"], r["state"]): r for r in table.to_dict("records")}
    rows = [row for row in plan.rows if row.name in set(table["row"])]
    groups = [g for g in GROUPS if any(row.group == g for row in rows)]
    header = ["", *(_name(column, columns) for column in columns)]
    summary = [
        [f"{g} ({sum(r.group == g for r in rows)})"]
        + [_mean([by_key.get((r.name, *c)) for r in rows if r.group == g]) for c in columns]
        for g in groups
    ]
    parts = ["### By group\n", markdown_table(header, summary)]
    for group in groups:
        lines = [
            [row.name, *(_cell(by_key.get((row.name, *c))) for c in columns)]
            for row in rows
            if row.group == group
        ]
        parts += [f"### {group.capitalize()}\n", markdown_table(header, lines)]
    for method, state in columns:
        if method == DEFAULT:
            found = [by_key.get((row.name, method, state)) for row in rows]
            parts += _describe_pitches([r for r in found if r is not None], state)
    for state in dict.fromkeys(state for _, state in columns):
        parts += describe_parts(plan, table, state)
    parts += _compare_states(columns, [row.name for row in rows], frames)
    return parts


def _list_columns(plan: Plan, table: pd.DataFrame) -> list[Column]:
    """Methods in the order of the plan; of each, states in the order of the file."""
    states = sorted(set(table["state"]), key=lambda s: (s != "before", s))
    known = set(zip(table["method"], table["state"], strict=True))
    methods = [m.name for m in plan.methods if m.without is None]
    return [(m, s) for m in methods for s in states if (m, s) in known]


def _name(column: Column, columns: list[Column]) -> str:
    method, state = column
    return method if len({s for _, s in columns}) == 1 else f"{method}, {state}"


def _cell(row: dict[str, Any] | None) -> str:
    return "-" if row is None else f"{number(row['mean'])} ({number(row['anew'], 1)})"


def _mean(rows: list[dict[str, Any] | None]) -> str:
    if any(row is None for row in rows):
        return "-"
    found = pd.DataFrame(rows)
    return _cell({key: found[key].mean() for key in ("mean", "anew")})


def _describe_pitches(rows: list[dict[str, Any]], state: str) -> list[str]:
    lines = [
        [
            r["row"], number(r["n_singers"], 0), number(r["close"]),
            *(number(r[k]) for k in ("f0_right", "f0_other", "f0_missed", "f0_false")),
            number(r["worst"]), number(r["median"]), number(r["leak"], 1), number(r["cpu_rtf"]),
            number(r["runs"], 0),
        ]
        for r in rows
    ]  # fmt: skip
    header = [
        "", "singers", "close", "right", "another's", "missed", "false", "worst", "median", "leak",
        "time", "runs",
    ]  # fmt: skip
    return [
        f"### What {DEFAULT} heard ({state})\n\nClose: share of the time in which two singers "
        "are within a semitone. Of the sung frames, the share with the right pitch within 50 "
        "cents, with a pitch that only another singer's track has, with a pitch that nobody has; "
        "of the silent ones, the share with a pitch. Worst: mean SI-SDR of the worst stem. Leak: "
        "dB of the stems over the recording where nobody sings. Time: processor seconds "
        "per second, F0 included. Runs: how often the row was evaluated.\n",
        markdown_table(header, lines),
    ]


def _compare_states(columns: list[Column], rows: list[str], frames: Path) -> list[str]:
    """Differences between the first state and the others over all rows, with intervals."""
    states = [state for method, state in columns if method == DEFAULT]
    parts = []
    for state in states[1:]:
        found = []
        for row in rows:
            paths = [frames / s / row / f"{DEFAULT}.csv" for s in (state, states[0])]
            if all(path.exists() for path in paths):
                one, other = (pd.read_csv(path) for path in paths)
                found.append((row, *difference(one, other)))
        lines = [[row, describe_difference(*interval)] for row, *interval in found]
        if lines:
            parts += [
                f"### {DEFAULT}: {state} minus {states[0]}\n\nIn brackets: paired 95 % interval "
                "over the seconds of the row.\n",
                markdown_table(["", "dB"], lines),
            ]
    return parts
