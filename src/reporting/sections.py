"""Builds the section of a report on one number of singers, with the main comparison."""

from __future__ import annotations

from collections.abc import Callable

from ..metrics.frames import SILENCE_ENERGY
from ..metrics.stats import compare
from .cells import (
    MINUS,
    NOTHING,
    collect_notes,
    cross,
    format_interval,
    format_number,
    format_probability,
    select_kept_values,
)
from .content import Grid, Group, Part, Picture, Section
from .details import (
    build_kinds_part,
    build_metrics_part,
    build_robustness_part,
    build_speed_part,
    build_synthesis_part,
)
from .figures import SI_SDR, choose_score_limits, count_outside, draw_distributions
from .matrix import draw_p_values
from .scores import break_down, tabulate_methods

MANY = 6
"""With more songs than this, songs are the rows of their table."""


def build_group_section(group: Group, *, seed: int = 0) -> Section:
    """Build the section about mixtures of one number of singers.

    Parts without numbers in the evaluations are left out.

    Args:
        group: evaluations of one number of singers.
        seed: seed of the bootstrap.
    """
    singers = f"{group.n_singers} singer" + ("s" if group.n_singers > 1 else "")
    makers: list[Callable[[], Part | None]] = []
    if group.methods:
        makers += [
            lambda: build_methods_part(group, seed),
            lambda: build_distribution_part(group, singers),
            lambda: build_tests_part(group, singers),
            lambda: build_voices_part(group),
            lambda: build_synthesis_part(group, singers),
            lambda: build_kinds_part(group),
            lambda: build_metrics_part(group),
        ]
    makers += [lambda: build_robustness_part(group, singers)]
    makers += [lambda: build_speed_part(group)] if group.methods else []
    parts = [part for part in (maker() for maker in makers) if part is not None]
    return Section(f"j{group.n_singers}", f"Mixtures of {singers}", parts)


def build_methods_part(group: Group, seed: int) -> Part:
    """Tabulate every method's SI-SDR with its confidence interval."""
    table = tabulate_methods(group.frames, seed=seed)
    unit, n_units = table["unit"].iloc[0], table["n_units"].max()
    gains = bool(table["improvement"].notna().any())
    header = ["method", "mean", "95 % CI", "median", "quartiles"]
    header += ["improvement", "frames"] if gains else ["frames"]
    rows = []
    for row in table.itertuples():
        cells = [
            row.method,
            format_number(row.mean),
            format_interval(row.ci_low, row.ci_high),
            format_number(row.median),
            format_interval(row.q25, row.q75),
        ]
        cells += [format_number(row.improvement)] if gains else []
        rows.append([*cells, str(row.n_frames)])
    text = [
        "SI-SDR in dB over one-second frames of all voices, mixtures and noise seeds; more is "
        f"better. Frames whose target is silent (energy below {SILENCE_ENERGY:g}) do not count. "
        f"The 95 % interval of the mean is a bootstrap that draws {n_units} whole {unit}s, since "
        f"the frames of one {unit} are not independent."
        + (
            " Improvement is the mean gain over taking the mixture itself as the estimate."
            if gains
            else ""
        ),
        *collect_notes(table, ["method"]),
    ]
    grid = Grid(f"j{group.n_singers}_methods", "SI-SDR in dB by method.", header, rows, table)
    return Part("Methods", text, grids=[grid])


def build_distribution_part(group: Group, singers: str) -> Part:
    """Show the distributions as violins and boxes, and count the values outside the figure."""
    values = {name: select_kept_values(frames, "si_sdr") for name, frames in group.frames.items()}
    limits = choose_score_limits(list(values.values()))
    hidden = {name: count_outside(v, limits) for name, v in values.items()}
    cut = [f"{name} {count}" for name, count in hidden.items() if count]
    caption = (
        "Violins show all frames, boxes reach from the first to the third quartile, black lines "
        "are medians, whiskers end at the 1st and the 99th percentile, diamonds are means."
    )
    if cut:
        caption += f" Frames outside the picture: {', '.join(cut)}."
    figure = draw_distributions(values, title=f"SI-SDR, mixtures of {singers}", axis=SI_SDR)
    picture = Picture(f"j{group.n_singers}_si_sdr", caption, figure)
    return Part("Distribution of SI-SDR", pictures=[picture])


def build_tests_part(group: Group, singers: str) -> Part | None:
    """Show the p-values of all pairs of methods."""
    if len(group.methods) < 2:
        return None
    pairs = compare(group.frames, "si_sdr")
    unit, n_units = pairs["unit"].iloc[0], int(pairs["n_units"].max())
    text = [
        "Two-sided tests of equal mean SI-SDR. The first matrix is over frames, as in the paper: "
        "Levene's test chooses between Student's t-test (S, equal variances) and Welch's (W). "
        "Frames are not independent (one singer, one song, often one note), so these p-values "
        "promise more certainty than there is. The second matrix is the paired t-test over the "
        f"{n_units} {unit}s, with one mean per method and {unit}; trust this one. All p-values "
        "are as computed; those adjusted for the number of pairs are in the CSV file.",
        *collect_notes(pairs, ["a", "b"]),
    ]
    stem = f"j{group.n_singers}_p_values"
    pictures = [
        Picture(
            f"{stem}_{which}",
            f"p-values of the {test}, mixtures of {singers}.",
            draw_p_values(
                pairs,
                list(group.methods),
                column=column,
                letters=which == "frames",
                title=f"p-values of the {test}\nSI-SDR, mixtures of {singers}",
            ),
        )
        for which, column, test in (
            ("frames", "p", "t-test over frames"),
            ("paired", "paired_t_p", f"paired t-test over {unit}s"),
        )
    ]
    rows = [
        [
            f"{row.a} {MINUS} {row.b}",
            format_number(row.difference),
            format_interval(row.ci_low, row.ci_high),
            format_number(row.cohen_d),
            format_number(row.superiority),
            row.test or NOTHING,
            format_probability(row.p),
            format_probability(row.paired_t_p),
            format_probability(row.wilcoxon_p),
        ]
        for row in pairs.itertuples()
    ]
    header = [
        "pair", "difference", "95 % CI", "Cohen's d", "superiority", "test", "p",
        f"paired p, {unit}s", "Wilcoxon p",
    ]  # fmt: skip
    caption = (
        "Differences of mean SI-SDR in dB between every two methods, with the interval of the "
        "test over frames. Superiority: how often a frame of the first method scores above one of "
        "the second. Paired t-test and Wilcoxon's signed-rank test over "
        f"{unit}s."
    )
    grid = Grid(f"j{group.n_singers}_tests", caption, header, rows, pairs, folded=len(pairs) > 3)
    return Part("Are the differences real?", text, pictures=pictures, grids=[grid])


def build_voices_part(group: Group) -> Part:
    """Tabulate SI-SDR by voice and by song."""
    grids = []
    for column in ("voice", "song"):
        table = break_down(group.frames, column)
        many = table[column].nunique() > MANY
        caption = f"Mean SI-SDR in dB by {column}, medians in brackets."
        index, columns = (column, "method") if many else ("method", column)
        grids.append(cross(f"j{group.n_singers}_{column}s", caption, table, index, columns))
    return Part("Voices and songs", grids=grids)
