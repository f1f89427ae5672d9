"""Builds the other parts of a report: more metrics, errors in F0, time and memory."""

from __future__ import annotations

import pandas as pd

from .cells import NOTHING, cross, format_number, select_kept_values
from .content import Grid, Group, Part, Picture
from .figures import AXES_OF_KINDS, SI_SDR, draw_paired_boxes, draw_robustness
from .robustness import find_combined_errors, tabulate_robustness
from .scores import (
    HARMONIC,
    METRICS,
    NOISE,
    SYNTHESISED,
    break_down_by_kind,
    find_present,
    tabulate_metrics,
    tabulate_speed,
    tabulate_synthesis,
)


def build_synthesis_part(group: Group, singers: str) -> Part | None:
    """Compare synthesised and masked estimates, for methods that have both."""
    table = tabulate_synthesis(group.frames)
    if table.empty:
        return None
    pairs = {
        name: (select_kept_values(frames, "spectral_snr"), select_kept_values(frames, SYNTHESISED))
        for name, frames in find_present(group.frames, SYNTHESISED).items()
    }
    figure = draw_paired_boxes(
        pairs,
        title=f"Spectral SNR, mixtures of {singers}",
        axis="spectral SNR (dB)",
        names=("masked mixture", "synthesised source"),
    )
    rows = [
        [
            row.method,
            f"{format_number(row.masked_mean)} ({format_number(row.masked_median)})",
            f"{format_number(row.synthesised_mean)} ({format_number(row.synthesised_median)})",
            format_number(row.difference),
            str(row.n_frames),
        ]
        for row in table.itertuples()
    ]
    stem = f"j{group.n_singers}_synthesis"
    grid = Grid(
        stem,
        "Mean spectral SNR in dB, medians in brackets.",
        ["method", "masked", "synthesised", "difference of means", "frames"],
        rows,
        table,
    )
    text = [
        "Methods that synthesise their sources give two estimates: the mixture through soft masks, "
        "and the synthesised source itself. Its phase is free, so both are compared by the SNR of "
        "magnitude spectrograms."
    ]
    caption = "Boxes reach to the quartiles, whiskers to the 1st and 99th percentile."
    picture = Picture(f"j{group.n_singers}_spectral_snr", caption, figure)
    return Part("Masked and synthesised estimates", text, pictures=[picture], grids=[grid])


def build_kinds_part(group: Group) -> Part | None:
    """Compare frames that are mostly tones with frames that are mostly noise."""
    table = break_down_by_kind(group.frames)
    if table.empty:
        return None
    titles = {HARMONIC: "mostly tones", NOISE: "mostly noise"}
    # Shares, since counts grow with the number of noise seeds.
    counted = table[table["method"] == table["method"].iloc[0]].set_index("kind")["n_frames"]
    shares = 100 * counted / counted.sum()
    caption = "Mean SI-SDR in dB by kind of frame, medians in brackets."
    grid = cross(f"j{group.n_singers}_kinds", caption, table, "method", "kind", order=list(titles))
    grid.header[1:] = [f"{titles[k]} ({shares[k]:.0f} % of frames)" for k in titles]
    text = [
        "A frame counts as noise (consonants, breath, room) if less than half of the energy of its "
        "target lies in harmonics."
    ]
    return Part("Tones and noise", text, grids=[grid])


def build_metrics_part(group: Group) -> Part | None:
    """Tabulate the means of every metric except SI-SDR."""
    others = [m for m in METRICS if m not in ("si_sdr", "si_sdr_improvement", SYNTHESISED)]
    table = tabulate_metrics(group.frames, METRICS)
    shown = table[table["metric"].isin(others)]
    if shown.empty:
        return None
    metrics = [m for m in others if (shown["metric"] == m).any()]
    lower = "mel_cepstral_distance" in metrics
    caption = "Means in dB, medians in brackets; more is better" + (
        ", but for the mel cepstral distance." if lower else "."
    )
    grid = cross(
        f"j{group.n_singers}_metrics", caption, shown, "method", "metric", order=metrics, data=table
    )
    grid.header[1:] = [METRICS[m] for m in metrics]
    return Part("Other metrics", grids=[grid])


def build_robustness_part(group: Group, singers: str) -> Part | None:
    """Show how scores fall with errors in F0."""
    table, combined = tabulate_robustness(group), find_combined_errors(group)
    if table.empty and combined.empty:
        return None
    stem = f"j{group.n_singers}_f0_errors"
    pictures, grids = [], []
    if not table.empty:
        caption = "Mean SI-SDR over the size of one kind of error at a time; left: exact tracks."
        title = f"Errors in F0, mixtures of {singers}"
        figure = draw_robustness(table, title=title, axis=f"mean {SI_SDR}")
        pictures.append(Picture(stem, caption, figure))
        grids.append(_build_robustness_grid(table, stem))
    if not combined.empty:
        rows = [
            [r.method, r.errors.replace("_", " "), format_number(r.mean), format_number(r.median)]
            for r in combined.itertuples()
        ]
        header = ["method", "errors", "mean", "median"]
        caption = "SI-SDR in dB with several kinds of error at once."
        grids.append(Grid(f"{stem}_combined", caption, header, rows, combined))
    text = [
        "Errors were put into the F0 tracks on purpose. Size 0 is the evaluation without them, of "
        "the same method and noise seeds."
    ]
    return Part("Errors in F0", text, pictures=pictures, grids=grids)


def build_speed_part(group: Group) -> Part | None:
    """Tabulate time and memory of the methods."""
    table = tabulate_speed(group.methods)
    if table.empty:
        return None
    rows = [
        [
            row.method,
            format_number(row.real_time_factor, 3),
            format_number(row.audio_seconds, 0),
            format_number(row.peak_memory_gb),
            NOTHING if pd.isna(row.device) else str(row.device),
            NOTHING if pd.isna(row.threads) else f"{int(row.threads)}",
        ]
        for row in table.itertuples()
    ]
    header = ["method", "real-time factor", "audio (s)", "peak memory (GB)", "device", "threads"]
    text = [
        "Real-time factor: seconds of separation per second of audio, without reading and scoring "
        "(less is better, below 1 is faster than the music plays). On a CPU, memory is that of the "
        "whole process. Other programs on the machine may have slowed single methods."
    ]
    grid = Grid(f"j{group.n_singers}_speed", "Time and memory by method.", header, rows, table)
    return Part("Time and memory", text, grids=[grid])


def _build_robustness_grid(table: pd.DataFrame, stem: str) -> Grid:
    labels = list(dict.fromkeys(table["label"]))
    means = table.set_index(["kind", "size", "label"])["mean"]
    rows = []
    for kind in dict.fromkeys(table["kind"]):
        for size in sorted(set(table.loc[table["kind"] == kind, "size"])):
            shown = size if kind == "offset_hz" else 100 * size
            scores = [format_number(means.get((kind, size, label))) for label in labels]
            rows.append([f"{AXES_OF_KINDS[kind]}: {shown:g}", *scores])
    caption = "Mean SI-SDR in dB over the size of the errors."
    return Grid(stem, caption, ["error", *labels], rows, table)
