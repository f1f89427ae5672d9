"""Figures: what is drawn is what was computed, and nothing is cut off or unreadable."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text

from src.metrics.stats import compare
from src.reporting.figures import (
    choose_score_limits,
    count_outside,
    draw_distributions,
    draw_paired_boxes,
    draw_robustness,
    make_label,
)
from src.reporting.matrix import SHADES, draw_p_values, format_cell
from tests.reporting.fake_tables import frames_of

RNG_SCORES = {
    name: np.random.default_rng(i).normal(i, 4, 400) for i, name in enumerate(("a", "b", "c"))
}


def drawn_texts(figure: Figure) -> list[Text]:
    figure.canvas.draw()
    return [
        text
        for text in figure.findobj(Text)
        if text.get_text() and text.get_visible() and text.axes is not None
    ]


def assert_inside(figure: Figure) -> None:
    """No text of the figure reaches over its edge."""
    renderer = figure.canvas.get_renderer()
    width, height = figure.canvas.get_width_height()
    for text in drawn_texts(figure):
        box = text.get_window_extent(renderer)
        assert box.x0 >= -1 and box.y0 >= -1, text.get_text()
        assert box.x1 <= width + 1 and box.y1 <= height + 1, text.get_text()


def assert_labels_apart(axes: Axes) -> None:
    """Labels of methods do not touch; slanted ones are compared by their ends."""
    labels = [label for label in axes.get_xticklabels() if label.get_text()]
    boxes = [label.get_window_extent() for label in labels]
    for left, right, label in zip(boxes, boxes[1:], labels, strict=False):
        slanted = label.get_rotation() > 0
        room = right.x1 - left.x1 if slanted else right.x0 - left.x1
        assert room > (label.get_fontsize() if slanted else 0), label.get_text()


def test_boxes_whiskers_medians_and_violins_are_where_they_belong() -> None:
    figure = draw_distributions(RNG_SCORES, title="scores", axis="dB")
    axes = figure.axes[0]
    assert [t.get_text() for t in axes.get_xticklabels()] == ["a", "b", "c"]
    violins = axes.collections[:3]
    for i, values in enumerate(RNG_SCORES.values()):
        body = violins[i].get_paths()[0].vertices
        assert body[:, 1].min() == pytest.approx(values.min())
        assert body[:, 1].max() == pytest.approx(values.max())
        q25, q75 = np.percentile(values, [25, 75])
        box = axes.patches[i].get_path().vertices
        assert (box[:, 1].min(), box[:, 1].max()) == pytest.approx((q25, q75))
        # Whiskers end at the last value inside the percentiles.
        low, high = np.percentile(values, [1, 99])
        inside = values[(values >= low) & (values <= high)]
        ends = [line.get_ydata() for line in axes.lines if set(line.get_xdata()) == {i + 1}]
        reached = np.concatenate([y for y in ends if len(y) == 2])
        assert reached.min() == pytest.approx(inside.min())
        assert reached.max() == pytest.approx(inside.max())
    medians = axes.collections[3].get_segments()
    assert [m[0, 1] for m in medians] == pytest.approx([np.median(v) for v in RNG_SCORES.values()])
    diamonds = next(line for line in axes.lines if line.get_marker() == "D")
    assert list(diamonds.get_ydata()) == pytest.approx([v.mean() for v in RNG_SCORES.values()])


def test_outliers_far_away_are_cut_and_counted() -> None:
    values = [*RNG_SCORES.values()]
    whole = choose_score_limits(values)
    assert count_outside(np.concatenate(values), whole) == 0
    far = np.append(values[0], [-80.0, -75.0])
    limits = choose_score_limits([far, *values[1:]])
    assert limits[0] > -40
    assert count_outside(far, limits) == 2


@pytest.mark.parametrize("values", [np.full(50, 3.0), np.array([1.0]), np.array([1.0, 2.0])])
def test_degenerate_scores_still_draw(values: np.ndarray) -> None:
    figure = draw_distributions({"flat": values, **RNG_SCORES}, title="t", axis="dB")
    figure.canvas.draw()
    low, high = figure.axes[0].get_ylim()
    assert low < values.min() <= values.max() < high
    draw_distributions({"flat": values}, title="t", axis="dB").canvas.draw()


NAMES = ("us_full", "us_small", "sv_full", "sv_small", "unet_full", "unet_small", "nmf1", "nmf2",
         "comb", "hpss_comb", "oracle", "mixture")  # fmt: skip


@pytest.mark.parametrize("names", [NAMES, NAMES[:2], [f"{n} with a very long name" for n in NAMES]])
def test_labels_are_readable(names: tuple[str, ...]) -> None:
    values = {name: RNG_SCORES["a"] + i for i, name in enumerate(names)}
    pairs = {name: (v, v - 1) for name, v in values.items()}
    for figure in (
        draw_distributions(values, title="t", axis="dB"),
        draw_paired_boxes(pairs, title="t", axis="dB", names=("masked", "synthesised")),
    ):
        assert_inside(figure)
        assert_labels_apart(figure.axes[0])


def test_names_are_never_formulas() -> None:
    name = "a$b$ and {x} of a name that is much too long for a figure"
    assert make_label("short") == "short"
    assert len(make_label("x" * 99)) < 30
    figure = draw_distributions({name: RNG_SCORES["a"]}, title="t", axis="dB")
    figure.canvas.draw()


def test_matrix_shows_every_pair_once_with_its_test() -> None:
    tables = {n: frames_of(4.0 + 2 * (i == 2), key=i) for i, n in enumerate("abcd")}
    pairs = compare(tables)
    figure = draw_p_values(pairs, list(tables), column="p", title="t", letters=True)
    axes = figure.axes[0]
    cells = {(t.get_position()[0], round(t.get_position()[1])): t for t in axes.texts[::2]}
    letters = [t.get_text() for t in axes.texts[1::2]]
    assert len(cells) == len(pairs) == 6
    image = np.ma.filled(axes.images[0].get_array(), np.nan)
    for row, letter in zip(pairs.to_dict("records"), letters, strict=True):
        x, y = "abcd".index(row["a"]), "abcd".index(row["b"]) - 1
        assert cells[x, y].get_text() == format_cell(row["p"])
        assert image[y, x] == row["p"]
        assert letter == row["test"][0]
    assert np.isnan(image[0, 1:]).all()
    assert [t.get_text() for t in axes.get_yticklabels()] == ["b", "c", "d"]
    assert [t.get_text() for t in axes.get_xticklabels()] == ["a", "b", "c"]


@pytest.mark.parametrize("n", [2, 3, 6, 12])
def test_matrix_fits_its_figure(n: int) -> None:
    names = NAMES[:n]
    pairs = pd.DataFrame(
        [
            {"a": a, "b": b, "p": 10.0 ** -(3 * i), "test": "Welch"}
            for i, a in enumerate(names)
            for b in names[i + 1 :]
        ]
    )
    figure = draw_p_values(pairs, names, column="p", title="t", letters=True)
    assert_inside(figure)
    axes = figure.axes[0]
    cell = axes.transData.transform([(0, 0), (1, 1)])
    width = abs(cell[1, 0] - cell[0, 0])
    for text in axes.texts:
        assert text.get_window_extent().width < width, text.get_text()
    assert all(text.get_fontsize() >= 7 for text in axes.texts)


def test_p_values_are_never_shown_smaller_than_they_are() -> None:
    shown = [format_cell(p) for p in (0.9, 0.0512, 0.003, 9e-4, 3e-5, 1e-5, 1e-300, 0.0)]
    assert shown == ["0.90", "0.051", "0.003", "<1e-3", "<1e-4", "<1e-4", "<1e-99", "<1e-99"]
    assert len(set(SHADES)) == 5
    missing = pd.DataFrame([{"a": "x", "b": "y", "p": np.nan, "test": ""}])
    figure = draw_p_values(missing, ["x", "y"], column="p", title="t", letters=True)
    figure.canvas.draw()
    assert [t.get_text() for t in figure.axes[0].texts] == ["\u2013"]


def test_robustness_panels_and_curves() -> None:
    table = pd.DataFrame(
        [
            {"kind": kind, "label": label, "size": size, "mean": 8 - 10 * size - i}
            for kind in ("offset_hz", "octave_rate", "swap_rate", "false_rate")
            for i, label in enumerate(NAMES)
            for size in (0.0, 0.1, 0.2)
            if not (kind == "swap_rate" and label == "comb")
        ]
    )
    figure = draw_robustness(table, title="t", axis="SI-SDR (dB)")
    assert len(figure.axes) == 4
    offset, octave, swap, _ = figure.axes
    assert len(octave.lines) == 12 and len(swap.lines) == 11
    assert list(octave.lines[0].get_xdata()) == pytest.approx([0, 10, 20])  # per cent
    assert list(offset.lines[0].get_xdata()) == pytest.approx([0, 0.1, 0.2])  # Hz
    assert list(octave.lines[1].get_ydata()) == pytest.approx([7, 6, 5])
    # Twelve curves differ in more than colour, and keep their looks in every panel.
    looks = {(k.get_color(), str(k.get_linestyle()), k.get_marker()) for k in octave.lines}
    assert len(looks) == 12
    assert swap.lines[-1].get_color() == octave.lines[-1].get_color()
    assert [t.get_text() for t in figure.legends[0].get_texts()] == list(NAMES)
    assert_inside(figure)
    draw_robustness(table[:3], title="t", axis="dB").canvas.draw()
