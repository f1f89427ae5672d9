"""The part of a report on mixtures of one number of singers, and the comparison in it."""

from __future__ import annotations

from collections.abc import Callable

from ..metrics.frames import SILENCE_ENERGY
from ..metrics.stats import compare
from .cells import (
    MINUS,
    NOTHING,
    crossed,
    interval,
    kept_values,
    notes,
    number,
    probability,
)
from .content import Grid, Group, Part, Picture, Section
from .details import (
    kinds_part,
    metrics_part,
    robustness_part,
    speed_part,
    synthesis_part,
)
from .figures import SI_SDR, distribution_figure, outside, score_limits
from .matrix import p_value_figure
from .scores import breakdown, methods_table

MANY = 6
"""With more songs than this, songs are the rows of their table."""


def group_section(group: Group, *, seed: int = 0) -> Section:
    """Everything there is to say about mixtures of one number of singers.

    Parts that the evaluations hold no numbers for are left out.

    Args:
        group: evaluations of one number of singers.
        seed: of the bootstrap.
    """
    singers = f"{group.n_singers} singer" + ("s" if group.n_singers > 1 else "")
    makers: list[Callable[[], Part | None]] = []
    if group.methods:
        makers += [
            lambda: methods_part(group, seed),
            lambda: distribution_part(group, singers),
            lambda: tests_part(group, singers),
            lambda: voices_part(group),
            lambda: synthesis_part(group, singers),
            lambda: kinds_part(group),
            lambda: metrics_part(group),
        ]
    makers += [lambda: robustness_part(group, singers)]
    makers += [lambda: speed_part(group)] if group.methods else []
    parts = [part for part in (maker() for maker in makers) if part is not None]
    return Section(f"j{group.n_singers}", f"Mixtures of {singers}", parts)


def methods_part(group: Group, seed: int) -> Part:
    """Every method's SI-SDR with its uncertainty."""
    table = methods_table(group.frames, seed=seed)
    unit, n_units = table["unit"].iloc[0], table["n_units"].max()
    gains = bool(table["improvement"].notna().any())
    header = ["method", "mean", "95 % CI", "median", "quartiles"]
    header += ["improvement", "frames"] if gains else ["frames"]
    rows = []
    for row in table.itertuples():
        cells = [
            row.method,
            number(row.mean),
            interval(row.ci_low, row.ci_high),
            number(row.median),
            interval(row.q25, row.q75),
        ]
        cells += [number(row.improvement)] if gains else []
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
        *notes(table, ["method"]),
    ]
    grid = Grid(f"j{group.n_singers}_methods", "SI-SDR in dB by method.", header, rows, table)
    return Part("Methods", text, grids=[grid])


def distribution_part(group: Group, singers: str) -> Part:
    """Violins and boxes, and what they cut off."""
    values = {name: kept_values(frames, "si_sdr") for name, frames in group.frames.items()}
    limits = score_limits(list(values.values()))
    hidden = {name: outside(v, limits) for name, v in values.items()}
    cut = [f"{name} {count}" for name, count in hidden.items() if count]
    caption = (
        "Violins show all frames, boxes reach from the first to the third quartile, black lines "
        "are medians, whiskers end at the 1st and the 99th percentile, diamonds are means."
    )
    if cut:
        caption += f" Frames outside the picture: {', '.join(cut)}."
    figure = distribution_figure(values, title=f"SI-SDR, mixtures of {singers}", axis=SI_SDR)
    picture = Picture(f"j{group.n_singers}_si_sdr", caption, figure)
    return Part("Distribution of SI-SDR", pictures=[picture])


def tests_part(group: Group, singers: str) -> Part | None:
    """p-values between every two methods."""
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
        *notes(pairs, ["a", "b"]),
    ]
    stem = f"j{group.n_singers}_p_values"
    pictures = [
        Picture(
            f"{stem}_{which}",
            f"p-values of the {test}, mixtures of {singers}.",
            p_value_figure(
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
            number(row.difference),
            interval(row.ci_low, row.ci_high),
            number(row.cohen_d),
            number(row.superiority),
            row.test or NOTHING,
            probability(row.p),
            probability(row.paired_t_p),
            probability(row.wilcoxon_p),
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


def voices_part(group: Group) -> Part:
    """SI-SDR by voice and by song."""
    grids = []
    for column in ("voice", "song"):
        table = breakdown(group.frames, column)
        many = table[column].nunique() > MANY
        caption = f"Mean SI-SDR in dB by {column}, medians in brackets."
        index, columns = (column, "method") if many else ("method", column)
        grids.append(crossed(f"j{group.n_singers}_{column}s", caption, table, index, columns))
    return Part("Voices and songs", grids=grids)
