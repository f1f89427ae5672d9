"""Statistics over evaluation tables: the tests of the paper, and tests for dependent frames.

Frames of one recording are not independent: they share singers, song and often the sung note. Tests
over frames (Levene, Student, Welch, as in the paper) therefore give p-values that are too small. In
addition there are tests over units (mixtures, or excerpts if there are few mixtures), in which
every method has one mean per unit, and confidence intervals by bootstrap over units.

All tests are scipy's. Adjusted p-values are Benjamini and Hochberg's (false discovery rate), over
all pairs that are compared.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from ..errors import UmssError

LEVEL = 0.05
"""Below this p-value of Levene's test, variances count as different (the paper)."""
CONFIDENCE = 0.95
MIN_MIXTURES = 6
"""With fewer mixtures in common, excerpts are the units."""
UNITS = {"mixture": ["song", "mixture"], "excerpt": ["song", "mixture", "excerpt"]}
RESAMPLES = 9999
ROUNDING = 1e-9
"""Spread, relative to the mean, below which values count as equal: rounding makes more."""

COLUMNS = (
    "a", "b", "n_a", "n_b", "levene_p", "test", "t", "df", "p", "difference", "ci_low", "ci_high",
    "cohen_d", "superiority", "unit", "n_units", "unit_difference", "paired_t_p", "wilcoxon_p",
    "p_adjusted", "paired_t_p_adjusted", "wilcoxon_p_adjusted", "note",
)  # fmt: skip
"""Columns of `compare`."""

Tables = Mapping[str, pd.DataFrame]


def choose_paired_unit(tables: Tables, metric: str = "si_sdr") -> str:
    """Choose the observation of paired tests: "mixture", or "excerpt" if there are few mixtures.

    Args:
        tables: evaluation tables by method.
        metric: column; rows without a value do not count.

    Raises:
        UmssError: see `describe`.
    """
    common = None
    for frames in _select_kept(tables, metric).values():
        units = set(frames.groupby(UNITS["mixture"]).groups)
        common = units if common is None else common & units
    return "mixture" if len(common or ()) >= MIN_MIXTURES else "excerpt"


def describe(tables: Tables, metric: str = "si_sdr", seed: int = 0) -> pd.DataFrame:
    """Describe every method by location, spread and a bootstrap confidence interval.

    Args:
        tables: evaluation tables by method.
        metric: column of the tables.
        seed: seed of the bootstrap.

    Returns:
        One row per method: method, n_frames (kept frames of all seeds), mean, median, q25, q75,
        ci_low, ci_high (95 % BCa interval of the mean; units are drawn, with all their frames),
        unit, n_units, and note (why an interval is missing, else empty).

    Raises:
        UmssError: no tables, a metric that a table lacks, a table without a kept frame, or
            values that are infinite.
    """
    kept = _select_kept(tables, metric)
    unit = choose_paired_unit(tables, metric)
    rows = []
    for method, frames in kept.items():
        values = frames[metric]
        low, high, note = _bootstrap_interval(frames, metric, unit, seed)
        rows.append(
            {
                "method": method,
                "n_frames": len(values),
                "mean": values.mean(),
                "median": values.median(),
                "q25": values.quantile(0.25),
                "q75": values.quantile(0.75),
                "ci_low": low,
                "ci_high": high,
                "unit": unit,
                "n_units": frames.groupby(UNITS[unit]).ngroups,
                "note": note,
            }
        )
    return pd.DataFrame(rows)


def compare(tables: Tables, metric: str = "si_sdr") -> pd.DataFrame:
    """Test every pair of methods, in the order of `tables`.

    Over frames: Levene's test (scipy's default, deviations from the median) chooses between
    Student's and Welch's two-sided t-test. Over units: means of a unit over voices, frames and
    seeds, compared by the paired t-test and Wilcoxon's signed-rank test; the unit is the same for
    all pairs.

    Args:
        tables: evaluation tables by method.
        metric: column of the tables.

    Returns:
        One row per pair:
        a, b: the methods; n_a, n_b: their kept frames, of all seeds;
        levene_p; test: "Student" or "Welch"; t, df, p;
        difference: mean of a minus mean of b, with ci_low and ci_high (95 %, of this test);
        cohen_d: difference over the pooled standard deviation;
        superiority: probability that a frame of a scores above one of b, ties counted half;
        unit, n_units: observations of the paired tests; unit_difference: mean over units of a
        minus b; paired_t_p, wilcoxon_p;
        p_adjusted, paired_t_p_adjusted, wilcoxon_p_adjusted: Benjamini-Hochberg over the rows;
        note: why a value is missing (NaN), else empty.
        Where nothing varies, t and cohen_d are 0 for equal means and infinite for others, and p
        is 1 or 0.

    Raises:
        UmssError: see `describe`.
    """
    kept = _select_kept(tables, metric)
    unit = choose_paired_unit(tables, metric)
    means = {m: frames.groupby(UNITS[unit])[metric].mean() for m, frames in kept.items()}
    rows = [
        {
            "a": a,
            "b": b,
            **_compare_frames(kept[a][metric].to_numpy(), kept[b][metric].to_numpy()),
            "unit": unit,
            **_compare_units(means[a], means[b]),
        }
        for a, b in combinations(kept, 2)
    ]
    for row in rows:
        row["note"] = "; ".join(filter(None, (row.pop("frames_note"), row.pop("units_note"))))
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    for column in ("p", "paired_t_p", "wilcoxon_p"):
        table[f"{column}_adjusted"] = _adjust(table[column].to_numpy(dtype=float))
    return table


def _select_kept(tables: Tables, metric: str) -> dict[str, pd.DataFrame]:
    """Select the kept rows that have a value, by method."""
    if not tables:
        raise UmssError("no evaluation tables given")
    found = {}
    for method, frames in tables.items():
        if metric not in frames:
            raise UmssError(f"{method}: no column {metric}; evaluate again, or leave it out")
        kept = frames[frames["kept"] & frames[metric].notna()]
        if kept.empty:
            raise UmssError(f"{method}: no kept frame has a value of {metric}")
        infinite = np.isinf(kept[metric].to_numpy(dtype=float))
        if infinite.any():
            row = kept[infinite].iloc[0]
            raise UmssError(
                f"{method}: {metric} is infinite in song {row['song']}, mixture "
                f"{row['mixture']}, excerpt {row['excerpt']}; choose another metric"
            )
        found[method] = kept
    return found


def _is_constant(values: NDArray[np.float64]) -> bool:
    return bool(np.ptp(values) <= ROUNDING * max(1.0, abs(float(values.mean()))))


def _bootstrap_interval(
    frames: pd.DataFrame, metric: str, unit: str, seed: int
) -> tuple[float, float, str]:
    """Bootstrap the confidence interval of the mean over frames, drawing units; and a note."""
    units = frames.groupby(UNITS[unit])[metric].agg(["sum", "count"]).to_numpy(dtype=float)
    if len(units) < 2:
        return np.nan, np.nan, f"one {unit}: no confidence interval"
    mean = float(frames[metric].mean())
    if _is_constant(units[:, 0] / units[:, 1]):
        return mean, mean, ""

    def ratio(sums: Any, counts: Any, axis: int) -> Any:
        return np.sum(sums, axis=axis) / np.sum(counts, axis=axis)

    interval = stats.bootstrap(
        (units[:, 0], units[:, 1]),
        ratio,
        paired=True,
        vectorized=True,
        n_resamples=RESAMPLES,
        confidence_level=CONFIDENCE,
        method="BCa",
        rng=np.random.default_rng(seed),
    ).confidence_interval
    return float(interval.low), float(interval.high), ""


def _compare_frames(a: NDArray[np.float64], b: NDArray[np.float64]) -> dict[str, Any]:
    difference = float(a.mean() - b.mean())
    row: dict[str, Any] = {
        "n_a": len(a),
        "n_b": len(b),
        "difference": difference,
        "superiority": _measure_superiority(a, b),
        "frames_note": "",
    }
    if min(len(a), len(b)) < 2:
        undefined = dict.fromkeys(
            ("levene_p", "t", "df", "p", "ci_low", "ci_high", "cohen_d"), np.nan
        )
        return row | undefined | {"test": "", "frames_note": "one frame: no test over frames"}
    if _is_constant(a) and _is_constant(b):
        same = abs(difference) <= ROUNDING * max(1.0, abs(float(a.mean())))
        t = 0.0 if same else float(np.copysign(np.inf, difference))
        return row | {
            "levene_p": 1.0,
            "test": "Student",
            "t": t,
            "df": float(len(a) + len(b) - 2),
            "p": 1.0 if same else 0.0,
            "ci_low": difference,
            "ci_high": difference,
            "cohen_d": t,
        }
    with warnings.catch_warnings(), np.errstate(divide="ignore", invalid="ignore"):
        # If one of the two is constant, scipy warns although its results are right.
        warnings.filterwarnings("ignore", "Precision loss", RuntimeWarning)
        # 0 / 0 if all deviations are equally large: no evidence of unequal variances.
        levene_p = float(np.nan_to_num(stats.levene(a, b).pvalue, nan=1.0))
        equal = levene_p >= LEVEL
        student = stats.ttest_ind(a, b, equal_var=True)
        result = student if equal else stats.ttest_ind(a, b, equal_var=False)
        interval = result.confidence_interval(CONFIDENCE)
    return row | {
        "levene_p": levene_p,
        "test": "Student" if equal else "Welch",
        "t": float(result.statistic),
        "df": float(result.df),
        "p": float(result.pvalue),
        "ci_low": float(interval.low),
        "ci_high": float(interval.high),
        # Student's statistic is the difference in units of the pooled standard error.
        "cohen_d": float(student.statistic) * float(np.sqrt(1 / len(a) + 1 / len(b))),
    }


def _measure_superiority(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    pairs_won = stats.mannwhitneyu(a, b, method="asymptotic").statistic
    return float(pairs_won) / (len(a) * len(b))


def _compare_units(a: pd.Series, b: pd.Series) -> dict[str, Any]:
    both = pd.concat([a, b], axis=1, join="inner")
    one, other = both.iloc[:, 0].to_numpy(), both.iloc[:, 1].to_numpy()
    row: dict[str, Any] = {
        "n_units": len(both),
        "unit_difference": float((one - other).mean()) if len(both) else np.nan,
        "paired_t_p": np.nan,
        "wilcoxon_p": np.nan,
        "units_note": "",
    }
    if len(both) < 2:
        number = "one unit" if len(both) else "no unit"
        return row | {"units_note": f"{number} in common: no paired test"}
    # Rounding errors are set to zero, because they would get ranks.
    scale = np.maximum(1.0, np.maximum(np.abs(one), np.abs(other)))
    differences = np.where(np.abs(one - other) <= ROUNDING * scale, 0.0, one - other)
    if not differences.any():
        return row | {"paired_t_p": 1.0, "wilcoxon_p": 1.0}
    paired_t_p = (
        0.0 if _is_constant(differences) else float(stats.ttest_1samp(differences, 0).pvalue)
    )
    return row | {
        "paired_t_p": paired_t_p,
        "wilcoxon_p": float(stats.wilcoxon(differences).pvalue),
    }


def _adjust(p: NDArray[np.float64]) -> NDArray[np.float64]:
    adjusted = np.full_like(p, np.nan)
    defined = ~np.isnan(p)
    if defined.any():
        adjusted[defined] = stats.false_discovery_control(p[defined], method="bh")
    return adjusted
