"""Rows of results: scores of one method on one data set, and differences to other methods.

Confidence intervals of differences are paired. The voices and seconds of an excerpt, and of the
other mixtures cut from the same stretch of a song, are not independent of each other; so stretches
are the units (`difference`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from scipy import stats

from src.errors import UmssError
from src.files import write_text
from src.metrics.evaluation import summarise
from src.metrics.stats import CONFIDENCE

METRIC = "si_sdr"
UNIT = ["song", "excerpt"]
FRAME = ["song", "mixture", "excerpt", "voice", "frame"]
INTERVAL = ("", "_low", "_high")
COLUMNS = (
    "mean", "median", "n_frames", "n_units", "rtf", "cpu_rtf", "threads", "runs", "digest",
)  # fmt: skip
Frames = Callable[[str], pd.DataFrame | None]


def difference(frames: pd.DataFrame, reference: pd.DataFrame) -> tuple[float, float, float]:
    """Mean SI-SDR over kept frames, method minus reference, with a 95 % interval.

    With s_i the sum of the differences in unit i of K, and n_i their number, the mean is
    d = sum s_i / sum n_i, and its variance K / (K - 1) sum (s_i - d n_i)^2 / (sum n_i)^2, that of a
    ratio of totals of clusters (Cochran, Sampling Techniques, 1977, chapter 6). The interval is
    Student's with K - 1 degrees of freedom. With equal n_i this is the paired t interval over the
    units' means. A unit is what all mixtures of a song sing in one excerpt's time. Seeds are
    averaged first.

    Args:
        frames, reference: evaluation tables of the same frames (`src.metrics.evaluation`).

    Returns:
        Mean and both ends in dB; the ends are NaN with one unit.

    Raises:
        ValueError: the tables do not hold the same frames, or none.
    """
    one, other = (t[t["kept"]].groupby(FRAME)[METRIC].mean() for t in (frames, reference))
    if not one.index.equals(other.index):
        raise UmssError("the reference was evaluated on other excerpts; evaluate it again")
    if one.empty:
        raise UmssError("no frame was kept: there is nothing to compare")
    units = (one - other).groupby(UNIT).agg(["sum", "count"]).to_numpy(dtype=float)
    total = units[:, 1].sum()
    mean = float(units[:, 0].sum() / total)
    k = len(units)
    if k < 2:
        return mean, math.nan, math.nan
    squares = float(((units[:, 0] - mean * units[:, 1]) ** 2).sum())
    error = math.sqrt(k / (k - 1) * squares) / total
    reach = float(stats.t.ppf(0.5 + CONFIDENCE / 2, k - 1)) * error
    return mean, mean - reach, mean + reach


def scores(frames: pd.DataFrame, speed: dict[str, Any]) -> dict[str, Any]:
    """Columns of a row that come from one evaluation alone; times are shares of the audio."""
    found = summarise(frames)[METRIC]
    return {
        "mean": found["mean"],
        "median": found["median"],
        "n_frames": found["n"],
        "n_units": frames[frames["kept"]].groupby(UNIT).ngroups,
        "rtf": speed["real_time_factor"],
        "cpu_rtf": speed["cpu_seconds"] / speed["audio_seconds"],
        "threads": speed["threads"],
    }


class Results:
    """A CSV file with one row per key; complete at any time.

    Args:
        path: the file.
        keys: columns that name a row.
        references: methods that all are compared with; a row has the columns
            minus_NAME, minus_NAME_low and minus_NAME_high for each.
        columns: the others, in their order; those of `references` follow the first two.
    """

    def __init__(
        self,
        path: Path,
        keys: Sequence[str],
        references: Sequence[str],
        columns: Sequence[str] = COLUMNS,
    ) -> None:
        self.path = path
        self.keys = list(keys)
        self.references = list(references)
        self.columns = list(columns)
        # Digests of digits only, and names, are no numbers.
        text = dict.fromkeys(("data", "row", "state", "method", "digest"), str)
        table = pd.read_csv(path, dtype=text) if path.exists() else pd.DataFrame()
        self.rows: list[dict[str, Any]] = [dict(row) for row in table.to_dict("records")]

    def find(self, **key: Any) -> dict[str, Any] | None:
        """A row, by all its keys."""
        return next((r for r in self.rows if all(r[k] == key[k] for k in self.keys)), None)

    def put(self, row: dict[str, Any]) -> None:
        """Add a row or replace the one of the same keys, and count how often that was done."""
        old = self.find(**{k: row[k] for k in self.keys})
        new = {**row, "runs": 1 if old is None else int(old["runs"]) + 1}
        if old is None:
            self.rows.append(new)
        else:
            self.rows[self.rows.index(old)] = new

    def compare(
        self, changed: dict[str, Any], frames_of: Frames, note: Callable[[str], None]
    ) -> None:
        """Differences of a row that has changed and, if it is a reference, of those beside it.

        Args:
            changed: the row; those beside it have the same keys but for the method.
            frames_of: evaluation table of a method beside it, None if there is none (any more).
            note: called with a sentence where there can be no difference.
        """
        others = [k for k in self.keys if k != "method"]
        beside = [r for r in self.rows if all(r[k] == changed[k] for k in others)]
        for row in beside:
            for reference in self.references:
                if changed["method"] not in (row["method"], reference):
                    continue
                row |= dict.fromkeys((f"minus_{reference}{end}" for end in INTERVAL), math.nan)
                if reference == row["method"] or not any(r["method"] == reference for r in beside):
                    continue
                tables = frames_of(row["method"]), frames_of(reference)
                if tables[0] is None or tables[1] is None:
                    note(f"{row['method']} minus {reference}: no frames of both; evaluate again")
                    continue
                try:
                    found = difference(tables[0], tables[1])
                except ValueError as error:
                    note(f"{row['method']} minus {reference}: {error}")
                    continue
                row |= {f"minus_{reference}{e}": v for e, v in zip(INTERVAL, found, strict=True)}

    def write(self, order: Callable[[dict[str, Any]], Any]) -> None:
        """Write the file."""
        self.rows.sort(key=order)
        minus = [f"minus_{name}{end}" for name in self.references for end in INTERVAL]
        columns = [*self.keys, *self.columns[:2], *minus, *self.columns[2:]]
        table = pd.DataFrame(self.rows).reindex(columns=columns)
        write_text(self.path, table.to_csv(index=False, float_format="%.5g"))


def markdown_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table, numbers to the right."""
    rule = ["---"] + ["---:"] * (len(header) - 1)
    return "".join(f"| {' | '.join(line)} |\n" for line in (header, rule, *rows))


def number(value: Any, digits: int = 2) -> str:
    """A number as text, "-" where there is none."""
    return "-" if value is None or math.isnan(value) else f"{value + 0.0:.{digits}f}"


def describe_difference(mean: float, low: float = math.nan, high: float = math.nan) -> str:
    """A difference and its interval, if there is one, as text; "-" where there is none."""
    if math.isnan(mean):
        return "-"
    return f"{mean + 0.0:+.2f}" + ("" if math.isnan(low) else f" [{low:+.2f}, {high:+.2f}]")


def with_interval(row: dict[str, Any], reference: str) -> str:
    """A row's difference to a reference, and its interval, as text."""
    return describe_difference(*(row.get(f"minus_{reference}{end}", math.nan) for end in INTERVAL))
