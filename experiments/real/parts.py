"""What every part of the default gives: the default minus the default without it, on every row."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy import stats

from experiments.quality.results import describe_difference, markdown_table
from experiments.real.plan import GROUPS, Plan
from src.metrics.stats import CONFIDENCE

DEFAULT = "umss_fit"
CHANGED = 0.01  # dB; what is rounded differently differs by less


def describe_parts(plan: Plan, table: pd.DataFrame, state: str) -> list[str]:
    """Describe what the parts give, as Markdown; nothing if none was left out in this state.

    Args:
        plan: methods that leave out a part, in the order of the table.
        table: rows of results.csv of one use.
        state: of the code.
    """
    means = table[table["state"] == state].pivot(index="row", columns="method", values="mean")
    group_of = table.drop_duplicates("row").set_index("row")["group"]
    groups = [group for group in GROUPS if group in set(group_of)]
    left_out = [m for m in plan.methods if m.without is not None and m.name in means]
    if not left_out or DEFAULT not in means:
        return []
    lines = []
    for method in left_out:
        gains = (means[DEFAULT] - means[method.name]).dropna()
        changed = gains[gains.abs() >= CHANGED]
        of_groups = [gains[group_of[gains.index] == group] for group in groups]
        lines.append(
            [
                f"{method.without} (`{method.name}`)",
                f"{len(changed)} of {len(gains)}",
                describe_mean(changed.tolist()),
                describe_mean(gains.tolist()),
                *(describe_mean(x.tolist(), interval=False) for x in of_groups),
            ]
        )
    return [
        f"### What the parts give ({state})\n\n{DEFAULT} minus {DEFAULT} without the part, dB. "
        "Changed: rows in which that makes a difference. In brackets: paired 95 % interval, rows "
        "being drawn.\n",
        markdown_table(["without", "changed", "mean of these", "mean of all", *groups], lines),
    ]


def describe_mean(gains: Sequence[float], *, interval: bool = True) -> str:
    """Describe the mean of differences, with Student's interval from two of them on."""
    if not gains:
        return "-"
    mean = float(np.mean(gains))
    if not interval or len(gains) < 2:
        return describe_difference(mean)
    return describe_difference(mean, *stats.ttest_1samp(gains, 0.0).confidence_interval(CONFIDENCE))
