"""Pictures of the training step's cost; every function takes the content of training_step.json."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments.bench.training_step import Point, along, line_fit
from src.errors import UmssError
from src.plots import COLOURS
from src.reporting.figures import FONT, SMALL_FONT, WIDTH, build_figure

ORANGE, BLUE, GREEN, PINK, YELLOW, SKY = COLOURS
STYLES: dict[str, tuple[str, str, str]] = {
    "umss": (BLUE, "o", "this implementation"),
    "network": (GREEN, "s", "network alone (floor)"),
    "literal": (ORANGE, "^", "paper's equations, literally"),
    "umss-medium": (PINK, "P", "this implementation, bfloat16 products"),
    "network-medium": (YELLOW, "X", "network alone, bfloat16 products"),
    "umss-bf16": (SKY, "D", "this implementation, bf16-mixed"),
    "network-bf16": (YELLOW, "v", "network alone, bf16-mixed"),
}
AXES = {
    "n_singers": "Singers J",
    "batch": "Batch (excerpts)",
    "excerpt_s": "Length of an excerpt (s)",
}
TIME, MEMORY = "Time of a step (s)", "Peak memory (GB)"


def base_of(results: Mapping[str, Any]) -> Point:
    """The point from which the factors were varied."""
    return Point(**results["base"])


def describe(base: Point, *without: str) -> str:
    """What stays the same in a picture."""
    words = {
        "n_singers": f"J = {base.n_singers}",
        "batch": f"batch {base.batch}",
        "excerpt_s": f"{base.excerpt_s:g} s",
        "threads": f"{base.threads} thread{'s' if base.threads > 1 else ''}",
    }
    return ", ".join(text for name, text in words.items() if name not in without)


def cost_figure(results: Mapping[str, Any], factor: str) -> Figure:
    """Time and memory of the step and of the network over one factor, with straight lines.

    Quartiles of the time are drawn as bars. Raises ValueError if fewer than two points are there.
    """
    base, cases = base_of(results), results["cases"]
    figure = build_figure(WIDTH, 3.6)
    left, right = figure.subplots(1, 2)
    drawn = 0
    for kind in ("umss", "network"):
        some = along(cases, kind, factor, base)
        drawn = max(drawn, len(some))
        if not some:
            continue
        colour, marker, name = STYLES[kind]
        x = np.array([float(c[factor]) for c in some])
        for axes, key in ((left, "median_s"), (right, "peak_gb")):
            y = np.array([float(c[key]) for c in some])
            axes.plot(x, y, marker, color=colour, label=name)
            if len(some) >= 3:
                fit = line_fit(list(x), list(y))
                ends = np.array([0.0, x.max()])
                axes.plot(ends, fit["intercept"] + fit["slope"] * ends, "--", color=colour, lw=1)
        low, high = ([float(c[q]) for c in some] for q in ("q1_s", "q3_s"))
        left.vlines(x, low, high, color=colour, linewidth=3, alpha=0.5)
    _need(drawn, factor)
    for axes, what in ((left, TIME), (right, MEMORY)):
        axes.set_xlabel(AXES[factor], fontsize=FONT)
        axes.set_ylabel(what, fontsize=FONT)
        axes.set_ylim(bottom=0.0)
        axes.set_xlim(left=0.0)
        axes.set_xticks([float(c[factor]) for c in along(cases, "umss", factor, base)])
        axes.xaxis.set_major_formatter("{x:g}")
        _plain(axes)
    figure.suptitle(f"Cost of a training step: {describe(base, factor)}", fontsize=FONT + 1)
    _shared_legend(figure, left)
    return figure


def yardstick_figure(results: Mapping[str, Any]) -> Figure:
    """Time of a step over the singers on a logarithmic axis, the literal form included."""
    base, cases = base_of(results), results["cases"]
    figure = build_figure(0.66 * WIDTH, 3.8)
    axes = figure.add_subplot()
    drawn = 0
    ticks: set[float] = set()
    for kind in ("literal", "umss", "network"):
        some = along(cases, kind, "n_singers", base)
        drawn = max(drawn, len(some))
        colour, marker, name = STYLES[kind]
        x = [float(c["n_singers"]) for c in some]
        ticks |= set(x)
        axes.plot(x, [c["median_s"] for c in some], f"{marker}-", color=colour, label=name)
    _need(drawn, "n_singers")
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter("{x:g}")
    axes.set_xticks(sorted(ticks))
    axes.xaxis.set_major_formatter("{x:g}")
    axes.set_xlabel(AXES["n_singers"], fontsize=FONT)
    axes.set_ylabel(TIME, fontsize=FONT)
    axes.set_title(f"Beside the literal form: {describe(base, 'n_singers')}", fontsize=FONT + 1)
    _plain(axes)
    _shared_legend(figure, axes)
    return figure


def threads_figure(results: Mapping[str, Any]) -> Figure:
    """How many times as fast each kind of step is with more threads."""
    base, cases = base_of(results), results["cases"]
    figure = build_figure(0.66 * WIDTH, 3.2)
    axes = figure.add_subplot()
    kinds = [k for k in STYLES if len(along(cases, k, "threads", base)) >= 2]
    _need(2 * len(kinds), "threads")
    for row, kind in enumerate(kinds):
        some = along(cases, kind, "threads", base)
        first, last = some[0], some[-1]
        speedup = first["median_s"] / last["median_s"]
        axes.barh(row, speedup, color=STYLES[kind][0], height=0.6)
        text = f" {speedup:.2f} ({first['median_s']:.3g} s to {last['median_s']:.3g} s)"
        axes.text(speedup, row, text, va="center", fontsize=SMALL_FONT)
    axes.set_yticks(range(len(kinds)), [STYLES[k][2] for k in kinds], fontsize=SMALL_FONT)
    axes.invert_yaxis()
    axes.axvline(1.0, color="0.4", linewidth=0.8)
    axes.set_xlim(0.0, 3.2)
    axes.set_xlabel(
        f"Times as fast with {last['threads']} threads as with {first['threads']}", fontsize=FONT
    )
    axes.set_title(f"Threads: {describe(base, 'threads')}", fontsize=FONT + 1)
    return figure


def parts_figure(results: Mapping[str, Any]) -> Figure:
    """Forward and backward time of the parts of a step, each measured alone."""
    base, split = base_of(results), results["parts"]
    parts: dict[str, dict[str, float]] = split["parts"]
    figure = build_figure(0.8 * WIDTH, 3.6)
    axes = figure.add_subplot()
    names = list(parts)
    forward = np.array([1e3 * parts[n]["forward_s"] for n in names])
    backward = np.array([1e3 * parts[n]["backward_s"] for n in names])
    axes.barh(names, forward, color=BLUE, height=0.65, label="forward")
    axes.barh(names, backward, left=forward, color=ORANGE, height=0.65, label="backward")
    for row, total in enumerate(forward + backward):
        share = 100 * parts[names[row]]["share"]
        axes.text(total, row, f" {share:.0f} %", va="center", fontsize=FONT)
    axes.invert_yaxis()
    axes.set_xlim(0.0, 1.12 * float((forward + backward).max()))
    axes.set_xlabel("Time (ms)", fontsize=FONT)
    title = f"Parts of a step of {split['step_s']:.2f} s, alone: {describe(base)}"
    axes.set_title(title, fontsize=FONT + 1)
    axes.legend(loc="lower right", frameon=False, fontsize=SMALL_FONT)
    axes.spines[["top", "right"]].set_visible(False)
    return figure


FIGURES: dict[str, tuple[str, Callable[[Mapping[str, Any]], Figure]]] = {
    "singers": ("Cost over the number of singers", lambda r: cost_figure(r, "n_singers")),
    "excerpt": ("Cost over the length of the excerpts", lambda r: cost_figure(r, "excerpt_s")),
    "batch": ("Cost over the batch", lambda r: cost_figure(r, "batch")),
    "yardstick": ("The step beside the literal form and the floor", yardstick_figure),
    "threads": ("What the second thread gives", threads_figure),
    "parts": ("What the parts of a step cost", parts_figure),
}
"""File name without ending: caption, and what draws it."""


def _need(points: int, factor: str) -> None:
    if points < 2:
        raise UmssError(f"{factor}: fewer than two points were measured, nothing to draw")


def _plain(axes: Axes) -> None:
    axes.grid(color="0.9", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def _shared_legend(figure: Figure, axes: Axes) -> None:
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(
        handles,
        labels,
        loc="outside lower center",
        ncols=len(labels),
        frameon=False,
        fontsize=SMALL_FONT,
    )
