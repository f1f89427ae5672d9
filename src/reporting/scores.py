"""Computes the tables of a report: by method, voice, song, kind of frame and metric."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd

from ..metrics.diagnosis import NOISE_DOMINATED
from ..metrics.stats import describe
from ..metrics.tables import EvaluationTable

Tables = Mapping[str, pd.DataFrame]

METRICS = {
    "si_sdr": "SI-SDR",
    "si_sdr_improvement": "SI-SDR improvement",
    "spectral_snr": "spectral SNR",
    "synth_spectral_snr": "spectral SNR, synthesised",
    "mel_cepstral_distance": "mel cepstral distance",
    "sdr": "SDR",
    "sir": "SIR",
    "isr": "ISR",
    "sar": "SAR",
}
"""Columns of evaluation tables and their names; all in dB, more is better but for distances."""
SYNTHESISED = "synth_spectral_snr"
HARMONIC, NOISE = "harmonic", "noise"


def find_present(tables: Tables, metric: str) -> dict[str, pd.DataFrame]:
    """Find the tables that have a value of a metric in a kept frame."""
    return {
        method: frames
        for method, frames in tables.items()
        if metric in frames and frames.loc[frames["kept"], metric].notna().any()
    }


def tabulate_methods(tables: Tables, seed: int = 0) -> pd.DataFrame:
    """Tabulate the SI-SDR (dB) of every method and its mean improvement over the mixture.

    Args:
        tables: evaluation tables by method.
        seed: seed of the bootstrap.

    Returns:
        The columns of `src.metrics.stats.describe`, and improvement: mean over the kept frames, in
        dB (NaN where a table lacks it).
    """
    table = describe(tables, "si_sdr", seed=seed)
    gains = {
        method: frames.loc[frames["kept"], "si_sdr_improvement"].mean()
        for method, frames in find_present(tables, "si_sdr_improvement").items()
    }
    return table.assign(improvement=[gains.get(method, float("nan")) for method in table["method"]])


def compute_statistics(values: pd.Series) -> dict[str, Any]:
    """Compute n_frames, mean, median, q25 and q75 of the values that are not NaN."""
    found = values.dropna()
    return {
        "n_frames": len(found),
        "mean": found.mean(),
        "median": found.median(),
        "q25": found.quantile(0.25),
        "q75": found.quantile(0.75),
    }


def break_down(tables: Tables, column: str, metric: str = "si_sdr") -> pd.DataFrame:
    """Tabulate a metric for every value of a column, such as voice or song.

    Returns:
        Rows (method, `column`, n_frames, mean, median, q25, q75); values of the column are in the
        order in which they first appear. A method without a kept frame of a value has no row.
    """
    values = dict.fromkeys(v for frames in tables.values() for v in frames[column].unique())
    rows = []
    for method, frames in tables.items():
        grouped = frames[frames["kept"]].groupby(column, sort=False)[metric]
        found = {value: compute_statistics(scores) for value, scores in grouped}
        rows += [{"method": method, column: v, **found[v]} for v in values if v in found]
    return pd.DataFrame(rows)


def break_down_by_kind(tables: Tables) -> pd.DataFrame:
    """Tabulate the SI-SDR of frames whose target is mostly tones or mostly noise.

    Returns:
        `break_down` by column kind, "harmonic" or "noise", of the tables that distinguish them;
        empty if there are none, or if all frames are of one kind.
    """
    told = {
        method: frames.assign(
            kind=(frames["harmonic_share"] < NOISE_DOMINATED).map({False: HARMONIC, True: NOISE})
        )
        for method, frames in find_present(tables, "harmonic_share").items()
    }
    table = break_down(told, "kind") if told else pd.DataFrame()
    return table if len(table) and table["kind"].nunique() > 1 else pd.DataFrame()


def tabulate_metrics(tables: Tables, metrics: Iterable[str] = METRICS) -> pd.DataFrame:
    """Tabulate several metrics of all methods that have them.

    Returns:
        Rows (metric, method, n_frames, mean, median, q25, q75), frames where it is defined.
    """
    rows = [
        {
            "metric": metric,
            "method": method,
            **compute_statistics(frames.loc[frames["kept"], metric]),
        }
        for metric in metrics
        for method, frames in find_present(tables, metric).items()
    ]
    return pd.DataFrame(rows)


def tabulate_synthesis(tables: Tables) -> pd.DataFrame:
    """Tabulate the spectral SNR of masked and synthesised estimates, for methods that synthesise.

    Returns:
        Rows (method, n_frames, masked_mean, masked_median, synthesised_mean, synthesised_median,
        difference: mean of masked minus synthesised), dB; empty without such methods.
    """
    rows = []
    for method, frames in find_present(tables, SYNTHESISED).items():
        both = frames.loc[frames["kept"], ["spectral_snr", SYNTHESISED]].dropna()
        masked, synthesised = both["spectral_snr"], both[SYNTHESISED]
        rows.append(
            {
                "method": method,
                "n_frames": len(both),
                "masked_mean": masked.mean(),
                "masked_median": masked.median(),
                "synthesised_mean": synthesised.mean(),
                "synthesised_median": synthesised.median(),
                "difference": masked.mean() - synthesised.mean(),
            }
        )
    return pd.DataFrame(rows)


def tabulate_speed(evaluations: Mapping[str, EvaluationTable]) -> pd.DataFrame:
    """Tabulate time and memory of the methods whose summary contains them.

    Returns:
        Rows (method, real_time_factor, seconds, audio_seconds, peak_memory_gb, device, threads);
        missing values are None.
    """
    fields = (
        "real_time_factor", "seconds", "audio_seconds", "peak_memory_gb", "device", "threads",
    )  # fmt: skip
    rows = [
        {"method": name} | {field: table.summary["speed"].get(field) for field in fields}
        for name, table in evaluations.items()
        if table.summary.get("speed")
    ]
    return pd.DataFrame(rows)
